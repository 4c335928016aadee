//! Several processes that collect from one Postgres and one bucket, and look again at what is in it.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, future::join_all, stream};
use serde_json::Value;
use zeroload::{
    background::{collector::RunReport, inspector},
    settings::RawSettings,
};
use zeroload_embedded_s3::Operation;
use zeroload_test_postgres::Cluster;

use crate::app::TestApp;

const BYTES: &[u8] = b"some bytes";
const ITEMS: usize = 1000;
const PAGE: usize = 25;

/// A service whose embedded server is the bucket of others.
async fn s3() -> (TestApp, RawSettings) {
    let app = TestApp::start_embedded(|_| {}).await;
    let text = std::fs::read_to_string(app.data_dir().join("s3/credentials.json")).expect("credentials");
    let keys: Value = serde_json::from_str(&text).expect("JSON");
    let key = |name: &str| Some(keys[name].as_str().expect("a key").to_owned());
    let raw = RawSettings {
        s3_endpoint: Some(app.parts.s3_address.clone()),
        s3_bucket: Some("media".to_owned()),
        s3_prefix: Some("shared".to_owned()),
        s3_access_key: key("access_key"),
        s3_secret_key: key("secret_key"),
        brake_share: Some("100%".to_owned()),
        delete_page: Some(PAGE.to_string()),
        ..RawSettings::default()
    };
    (app, raw)
}

/// The read models have come to the journal's end, whichever process applies what is recorded.
async fn nothing_is_behind(app: &TestApp) {
    loop {
        app.caught_up().await;
        let (_, answer) = app.get("/v1/projections").await;
        if answer["projections"][0]["lag_events"] == 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_ask_the_bucket_no_more_than_one_does_and_count_what_each_has_done() {
    let cluster = Cluster::start(&[]);
    let (server, mut raw) = s3().await;
    raw.database_url = Some(cluster.url());
    let start = || async {
        let dir = std::sync::Arc::new(tempfile::tempdir().expect("a temporary folder"));
        TestApp::open(raw.clone(), dir).await.expect("the service starts")
    };
    let apps = [start().await, start().await, start().await];
    stream::iter(0..ITEMS)
        .for_each_concurrent(16, |number| {
            let app = &apps[number % apps.len()];
            async move {
                if number % 10 == 0 {
                    app.uploaded(BYTES).await
                } else {
                    app.ticket(BYTES).await
                };
            }
        })
        .await;
    nothing_is_behind(&apps[0]).await;

    let faults = server.parts.faults.clone().expect("the embedded server");
    let [looks, deletes] = [Operation::HeadObject, Operation::DeleteObjects].map(|operation| faults.count(operation));
    let later = Utc::now() + TimeDelta::days(30);
    let runs = join_all(apps.iter().map(|app| app.run_at(later, false))).await;
    let runs: Vec<RunReport> = runs.into_iter().map(|run| run.expect("a run")).collect();

    let [looks, deletes] = [looks, deletes].map(|count| count.load(Ordering::Relaxed) as usize);
    assert!((ITEMS..=ITEMS + ITEMS / 20).contains(&looks), "{looks} looks at {ITEMS} items");
    assert!(deletes <= ITEMS / PAGE + 2 * apps.len(), "{deletes} deletes");
    let sum = |count: fn(&RunReport) -> u64| runs.iter().map(count).sum::<u64>() as usize;
    assert_eq!((sum(|run| run.collected), sum(|run| run.absent)), (ITEMS / 10, ITEMS - ITEMS / 10), "{runs:#?}");
    assert_eq!(sum(|run| run.bytes_freed), ITEMS / 10 * BYTES.len());
    assert!(runs.iter().all(|run| run.collected + run.absent > 0), "each has had its share: {runs:#?}");

    nothing_is_behind(&apps[0]).await;
    let (_, records) = apps[0].get("/v1/collections").await;
    let records = records["runs"].as_array().expect("runs");
    let recorded = |name: &str| records.iter().map(|run| run[name].as_u64().expect("a count")).sum::<u64>() as usize;
    assert_eq!(recorded("collected") + recorded("absent"), ITEMS);
    let (_, verified) = apps[1].get("/v1/journal/verify").await;
    assert_eq!(verified["position"], 3 * ITEMS + 2 * records.len(), "each item was claimed and collected once");
}

/// What three runs at once have done, and how often they have asked the bucket.
async fn inspected(apps: &[TestApp; 3], looks: &AtomicU64, at: DateTime<Utc>) -> (inspector::RunReport, usize) {
    let before = looks.load(Ordering::Relaxed);
    let runs = join_all(apps.iter().map(|app| app.inspect_at(at))).await;
    let runs: Vec<_> = runs.into_iter().map(|run| run.expect("a run")).collect();
    let mut all = inspector::RunReport::default();
    for run in &runs {
        all.rechecked += run.rechecked;
        all.sealed += run.sealed;
        all.put_aside += run.put_aside;
    }
    nothing_is_behind(&apps[0]).await;
    (all, (looks.load(Ordering::Relaxed) - before) as usize)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_look_again_no_more_often_than_one_does() {
    const ITEMS: usize = 300;
    let cluster = Cluster::start(&[]);
    let (server, mut raw) = s3().await;
    raw.database_url = Some(cluster.url());
    let start = || async {
        let dir = std::sync::Arc::new(tempfile::tempdir().expect("a temporary folder"));
        TestApp::open(raw.clone(), dir).await.expect("the service starts")
    };
    let apps = [start().await, start().await, start().await];
    stream::iter(0..2 * ITEMS)
        .for_each_concurrent(16, |number| {
            let app = &apps[number % apps.len()];
            async move {
                if number % 2 == 0 {
                    app.confirmed(BYTES).await;
                } else {
                    app.ticket(BYTES).await;
                }
            }
        })
        .await;
    nothing_is_behind(&apps[0]).await;
    let later = Utc::now() + TimeDelta::days(30);
    let collected = apps[0].run_at(later, false).await.expect("a run");
    assert_eq!(collected.absent as usize, ITEMS);
    nothing_is_behind(&apps[0]).await;

    let faults = server.parts.faults.clone().expect("the embedded server");
    let looks = faults.count(Operation::HeadObject);
    let later = later + TimeDelta::days(30);
    let (first, asked) = inspected(&apps, &looks, later).await;
    assert_eq!((first.rechecked as usize, first.sealed as usize, first.put_aside), (ITEMS, ITEMS, 0));
    assert!((2 * ITEMS..=2 * ITEMS + ITEMS / 10).contains(&asked), "{asked} looks at {} items", 2 * ITEMS);
    let (again, asked) = inspected(&apps, &looks, later).await;
    assert_eq!((again.rechecked, again.sealed, asked), (0, 0, 0), "the others take their turns, and find nothing left");
}
