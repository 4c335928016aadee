//! SIGTERM under load.

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    under_load::SHORT,
    world::{Stage, seed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_ends_well_and_loses_nothing() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut stage = Stage::start(seed, &SHORT);
    stage.crowd(16);
    for _ in 0..4 {
        stage.acknowledged(rng.random_range(20..200)).await;
        let ended = stage.terminate();
        assert_eq!(ended.code(), Some(0), "{}", stage.site.log());
        stage.start_again().await;
        stage.check().await;
    }
    stage.end_clients().await;
    stage.settled().await;
    stage.notice_late_uploads().await;
    stage.everything_holds().await;
    println!("{:?}", stage.world.tally());
}
