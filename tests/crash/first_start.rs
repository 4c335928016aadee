//! `kill -9` during the very first start, when databases, keys and marker are being made.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    process::Site,
    under_load::SHORT,
    world::{Stage, seed},
};

const FOLDERS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_leaves_a_folder_that_can_be_served() {
    let mut rng = StdRng::seed_from_u64(seed());
    for folder in 0..FOLDERS {
        let site = Site::new(&SHORT);
        for _ in 0..rng.random_range(1..4) {
            let mut command =
                site.command(&["serve", "--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"]);
            let mut child = site.spawn(&mut command);
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..300_000))).await;
            child.kill().expect("killed");
            child.wait().expect("it ended");
        }
        let mut stage = Stage::on(site, rng.random());
        stage.client(folder).confirmed().await;
        stage.client(folder + FOLDERS).requested().await;
        stage.check().await;
        let ready = stage.get("/readyz").await;
        assert!(!ready.contains("failed") && !ready.contains("degraded"), "{ready}");
    }
}
