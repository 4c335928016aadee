//! Several processes on one Postgres and one bucket: killed, replaced, racing, behind a pooler.

use futures_util::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroload_test_postgres::{Cluster, Pooler};

use crate::{
    client::REPEATED,
    collection::bucket_of_ours,
    process::Site,
    under_load::SHORT,
    world::{Stage, seed},
};

pub const PROCESSES: usize = 3;
pub const CLIENTS: usize = 24;

/// Each test here has a cluster and three processes, which wait more than they work: two of them share the machine.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Waits until this test may have its share of the machine.
pub async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("never closed")
}

/// Three processes on a Postgres of their own, and a bucket that outlives them.
async fn three_processes(seed: u64) -> (Cluster, Stage) {
    let cluster = Cluster::start(&[]);
    let stage = three_processes_on(cluster.url(), seed).await;
    (cluster, stage)
}

/// The same on this database.
pub async fn three_processes_on(url: String, seed: u64) -> Stage {
    let mut site = Site::new(&SHORT);
    site.settings.extend(["--database-url".to_owned(), url]);
    bucket_of_ours(&mut site).await;
    Stage::several(site, seed, PROCESSES)
}

impl Stage {
    /// All that must be true at the end, with every process serving.
    pub async fn ends_well(&mut self) {
        self.end_clients().await;
        self.check().await;
        self.release_some().await;
        self.settled().await;
        self.notice_late_uploads().await;
        self.everything_holds().await;
        println!("{} events, {:?}, {:?}", self.history.len(), self.history.states(), self.world.tally());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_share_one_history_and_nothing_is_lost_when_they_are_killed() {
    let _turn = turn().await;
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let (_cluster, mut stage) = three_processes(seed).await;
    stage.crowd(CLIENTS);
    for kill in 0..2 * PROCESSES {
        stage.acknowledged(rng.random_range(20..300)).await;
        stage.kill_one(kill % PROCESSES);
        stage.acknowledged(rng.random_range(20..100)).await;
        stage.start_one_again(kill % PROCESSES).await;
        stage.check().await;
    }
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_fails_no_request_that_is_repeated_once() {
    let _turn = turn().await;
    let (_cluster, mut stage) = three_processes(seed()).await;
    stage.crowd(CLIENTS);
    for process in (0..PROCESSES).chain(0..PROCESSES) {
        stage.acknowledged(200).await;
        stage.replace(process).await;
        stage.check().await;
    }
    stage.ends_well().await;
    assert!(!stage.world.tally().contains_key(REPEATED), "{:?}", stage.world.tally());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirms_that_race_the_collectors_of_three_processes_leave_each_item_on_one_side() {
    let _turn = turn().await;
    let (_cluster, mut stage) = three_processes(seed()).await;
    stream::iter(0..1000)
        .for_each_concurrent(128, |number| {
            let mut client = stage.client(number);
            async move { client.raced().await }
        })
        .await;
    stage.settled().await;
    stage.everything_holds().await;
    let (confirmed, collected) = (stage.history.in_state("confirmed").len(), stage.history.in_state("collected").len());
    println!("{confirmed} confirmed, {collected} collected");
    assert_eq!(confirmed + collected, stage.history.ids().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_behind_pgbouncer_in_transaction_mode_keep_every_promise() {
    let _turn = turn().await;
    let cluster = Cluster::start(&[]);
    let pooler = Pooler::start(&cluster);
    let mut stage = three_processes_on(pooler.url(), seed()).await;
    stage.crowd(CLIENTS);
    for process in 0..PROCESSES {
        stage.acknowledged(200).await;
        assert!(cluster.cut_connections() > 0, "nobody is connected");
        stage.acknowledged(50).await;
        stage.kill_one(process);
        stage.acknowledged(50).await;
        stage.start_one_again(process).await;
        stage.check().await;
    }
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_no_more_than_the_documented_grants_can_serve() {
    let _turn = turn().await;
    let cluster = Cluster::start(&[]);
    let mut owner = Site::new(&SHORT);
    owner.settings.extend(["--database-url".to_owned(), cluster.url()]);
    assert!(owner.run(&["migrate"]).status.success());
    cluster.psql(&["--command", "CREATE ROLE serving LOGIN"]);
    for grants in ["journal/migrations/postgres/grants.sql", "projections/grants.sql"] {
        let file = format!("{}/{grants}", env!("CARGO_MANIFEST_DIR"));
        cluster.psql(&["--variable", "role=serving", "--file", &file]);
    }
    let mut site = Site::new(&SHORT);
    site.settings.extend(["--database-url".to_owned(), cluster.url_of("serving")]);
    bucket_of_ours(&mut site).await;
    let mut stage = Stage::several(site, seed(), 1);
    stage.crowd(8);
    stage.acknowledged(200).await;
    stage.end_clients().await;
    stage.check().await;
    stage.settled().await;
    let rebuild = stage.site.run(&["projections", "rebuild"]);
    let refused = String::from_utf8_lossy(&rebuild.stderr).into_owned();
    assert!(!rebuild.status.success() && refused.contains("permission denied"), "{refused}");
    let verified = stage.site.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
