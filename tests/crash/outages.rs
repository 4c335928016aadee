//! Three processes under load while their Postgres fails: cut off, stopped, killed, its disk full, without a connection to
//! spare, replaced by its standby, and by an older copy of itself.
//!
//! In each case commands are answered 503 with `Retry-After` and a word on what is wrong, and never wrongly: every client
//! judges every answer. When the database is back the processes go on by themselves, and nothing acknowledged is lost.

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use zeroload_test_postgres::{Cluster, Disk, Part, Relay};

use crate::{
    several::{CLIENTS, PROCESSES, three_processes_on, turn},
    world::{Stage, poll, seed},
};

/// What a process takes at most, as docs/operating/postgres.md says: one to append, four to read the journal, six for the
/// read models.
const CONNECTIONS_EACH: usize = 11;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_cut_off_stopped_and_killed_costs_time_and_no_truth() {
    let _turn = turn().await;
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start(&[]);
    let mut stage = three_processes_on(cluster.url(), seed).await;
    stage.crowd(CLIENTS);
    for round in 0..3 {
        for _ in 0..5 {
            stage.acknowledged(rng.random_range(5..60)).await;
            assert!(cluster.cut_connections() > 0, "nobody is connected");
        }
        stage.acknowledged(rng.random_range(20..200)).await;
        if round % 2 == 0 {
            cluster.kill();
        } else {
            cluster.stop();
        }
        stage.refuses_for_a_while().await;
        cluster.start_again();
        stage.acknowledged(100).await;
        stage.check().await;
    }
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_the_standby_loses_nothing_and_an_old_primary_that_comes_back_is_not_believed() {
    let _turn = turn().await;
    let mut primary = Cluster::start(&["synchronous_standby_names=*"]);
    let standby = Cluster::standby_of(&primary, &[]);
    let address = Relay::to(primary.address());
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", address.port());
    let mut stage = three_processes_on(url, seed()).await;
    stage.crowd(CLIENTS);
    stage.acknowledged(300).await;
    primary.kill();
    stage.refuses_for_a_while().await;
    // Before its promotion it only reads.
    address.move_to(standby.address());
    stage.refuses_for_a_while().await;
    standby.promote();
    stage.acknowledged(400).await;
    stage.check().await;

    let item = stage.world.ledger.items().pop().expect("items").id;
    primary.set("synchronous_standby_names=");
    primary.start_again();
    address.move_to(primary.address());
    for process in stage.world.urls() {
        let media = format!("{process}/v1/media");
        let one = format!("{media}/{item}");
        for url in [&one, &format!("{process}/v1/events"), &format!("{process}/v1/projections/pending")] {
            stage.is_refused_as(Method::GET, url, "older copy").await;
        }
        stage.is_refused_as(Method::POST, &media, "older copy").await;
        stage.is_refused_as(Method::POST, &format!("{one}/confirm"), "older copy").await;
        let ready = stage.call(&Method::GET, &format!("{process}/readyz")).await;
        assert_eq!(ready.status().as_u16(), 503);
        let checks: Value = ready.json().await.expect("JSON");
        assert!(checks.to_string().contains("older copy"), "{checks}");
    }
    address.move_to(standby.address());
    stage.acknowledged(100).await;
    stage.check().await;
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_database_costs_time_and_no_truth() {
    let _turn = turn().await;
    let (cluster, disk) = Disk::cluster(&[]);
    let mut stage = three_processes_on(cluster.url(), seed()).await;
    stage.crowd(CLIENTS);
    stage.acknowledged(100).await;

    disk.fill(&cluster, Part::Data);
    while !stage.probe().await.is_some_and(|detail| detail.contains("disk is full")) {}
    // Reads go on.
    stage.check().await;
    disk.clear(&cluster, Part::Data);
    stage.acknowledged(100).await;
    stage.check().await;

    // Nothing is recycled any more, so that the log needs room.
    cluster.ask("SELECT pg_create_physical_replication_slot('abandoned', true)");
    disk.fill(&cluster, Part::Log);
    while cluster.accepts() {
        cluster.try_ask("SELECT pg_switch_wal()");
    }
    while stage.probe().await.is_none() {}
    disk.clear(&cluster, Part::Log);
    while !cluster.accepts() {
        if !cluster.is_running() {
            cluster.launch();
        }
        poll().await;
    }
    stage.acknowledged(100).await;
    stage.check().await;
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_connection_to_spare_is_waited_for() {
    let _turn = turn().await;
    // As many as docs/operating/postgres.md asks for: for each process, for two commands beside them, and those kept for
    // superusers.
    let most = PROCESSES * CONNECTIONS_EACH;
    let places = most + 2 * CONNECTIONS_EACH + 3;
    let cluster = Cluster::start(&[&format!("max_connections={places}")]);
    let mut stage = three_processes_on(cluster.url(), seed()).await;
    stage.crowd(CLIENTS);
    stage.acknowledged(300).await;
    stage.check().await;

    let others =
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'greedy'";
    let count = format!("SELECT count(*) FROM ({others}) AS o");
    let greedy: PgConnectOptions = cluster.url().parse().expect("a URL");
    let greedy = greedy.application_name("greedy");
    let mut taken: Vec<PgConnection> = vec![greedy.connect().await.expect("there is one")];
    let in_use: i64 = sqlx::query_scalar(&count).fetch_one(&mut taken[0]).await.expect("a count");
    assert!((1..=most as i64).contains(&in_use), "{in_use} connections are in use");
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM ({others}) AS o");
    // Until all places are taken: one whose backend is about to end is free only later.
    while taken.len() < places {
        let _ended: i64 = sqlx::query_scalar(&end).fetch_one(&mut taken[0]).await.expect("a count");
        while let Ok(another) = greedy.connect().await {
            taken.push(another);
        }
    }
    for process in stage.world.urls() {
        let item = format!("{process}/v1/media/{}", stage.world.ledger.items()[0].id);
        stage.is_refused_as(Method::POST, &format!("{process}/v1/media"), "max_connections").await;
        stage.is_refused_as(Method::GET, &item, "max_connections").await;
    }
    drop(taken);
    stage.acknowledged(100).await;
    stage.check().await;
    stage.ends_well().await;
}

impl Stage {
    async fn call(&self, method: &Method, url: &str) -> Response {
        let wish = json!({ "owner": "nobody", "content_type": "image/png", "content_length": 1 });
        loop {
            let call = self.http.request(method.clone(), url);
            let call = if url.ends_with("/media") { call.json(&wish) } else { call };
            self.world.ledger.lost_request();
            // An idle connection may be closed just when it is used again.
            match call.send().await {
                Ok(answer) => return answer,
                Err(_) => poll().await,
            }
        }
    }

    /// What is wrong, as the answer to a command says; nothing if it was carried out.
    async fn probe(&self) -> Option<String> {
        let answer = self.call(&Method::POST, &format!("{}/v1/media", self.world.url().await)).await;
        if answer.status().as_u16() == 201 {
            return None;
        }
        Some(refusal(answer).await)
    }

    /// While the database is away a command is answered with 503, a word on when to come again, and what is wrong.
    async fn refuses_for_a_while(&self) {
        let detail = self.probe().await.expect("a refusal");
        println!("while it was away: {detail}");
    }

    /// Never answered otherwise than by a refusal, until that says why.
    async fn is_refused_as(&self, method: Method, url: &str, why: &str) {
        loop {
            if refusal(self.call(&method, url).await).await.contains(why) {
                return;
            }
            poll().await;
        }
    }
}

async fn refusal(answer: Response) -> String {
    let (status, has_word) = (answer.status().as_u16(), answer.headers().contains_key("Retry-After"));
    let problem: Value = answer.json().await.expect("JSON");
    assert!(status == 503 && has_word, "{status} {problem}");
    problem["detail"].as_str().expect("a detail").to_owned()
}
