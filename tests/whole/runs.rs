//! What a run of the collector leaves behind: its record.

use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use crate::{
    app::{TestApp, id},
    clocks::Hands,
    roles::Keyed,
};

const BYTES: &[u8] = b"recorded";

async fn runs(app: &TestApp, query: &str) -> (Vec<Value>, Value) {
    app.caught_up().await;
    let (status, answer) = app.get(&format!("/v1/collections{query}")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    (answer["runs"].as_array().expect("runs").clone(), answer["next_cursor"].clone())
}

async fn run(app: &TestApp, run_id: &Value) -> Value {
    app.caught_up().await;
    let (status, run) = app.get(&format!("/v1/collections/{}", run_id.as_str().expect("an id"))).await;
    assert_eq!(status, StatusCode::OK, "{run}");
    run
}

#[tokio::test]
async fn a_run_leaves_a_record_of_what_went_and_why() {
    let app = TestApp::start().await;
    let (expired, cancelled) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    let never = app.ticket(BYTES).await;
    let kept = app.confirmed(BYTES).await;
    assert_eq!(app.delete(&format!("/v1/media/{}", id(&cancelled))).await.0, StatusCode::ACCEPTED);
    let report = app.collect_later().await;

    let (listed, next) = runs(&app, "").await;
    assert_eq!((listed.len(), &next), (1, &Value::Null));
    let record = &listed[0];
    assert_eq!(record["run_id"], json!(report.run_id));
    assert_eq!((&record["status"], &record["caller"]), (&json!("ended"), &json!("timer")));
    assert_eq!([&record["due"], &record["collected"], &record["absent"]], [3, 2, 1]);
    assert_eq!(record["bytes_freed"], json!(report.bytes_freed));
    assert_eq!(record["reasons"], json!({ "cancelled": 1, "expired": 2 }));
    assert_eq!((&record["failures"], &record["broken_off"]), (&json!({}), &Value::Null));
    assert!(record["ended_at"].as_str() >= record["started_at"].as_str(), "{record}");
    assert!(record["duration_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{record}");

    let whole = run(&app, &record["run_id"]).await;
    assert_eq!(whole["run"], *record);
    let items = whole["items"].as_array().expect("items");
    let told = |media: &Value| {
        let item = items.iter().find(|item| item["id"] == media["id"]);
        item.map(|item| (item["reason"].clone(), item["outcome"].clone()))
    };
    assert_eq!(told(&expired), Some((json!("expired"), json!("deleted"))));
    assert_eq!(told(&cancelled), Some((json!("cancelled"), json!("deleted"))));
    assert_eq!(told(&never), Some((json!("expired"), json!("absent"))));
    assert_eq!(told(&kept), None);
    assert_eq!(items.len(), 3);
}

#[tokio::test]
async fn a_run_that_finds_nothing_due_writes_nothing() {
    let app = TestApp::start().await;
    app.ticket(BYTES).await;
    let before = app.head().await.position;
    assert_eq!(app.run_at(Utc::now(), false).await.expect("a run").due, 0);
    assert_eq!(app.run_at(Utc::now() + TimeDelta::days(30), true).await.expect("a dry run").due, 1);
    assert_eq!(app.head().await.position, before);
    assert_eq!(runs(&app, "").await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn failures_are_counted_by_their_code() {
    let app = TestApp::start_embedded(|_| {}).await;
    app.uploaded(BYTES).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::RefuseKey(Refusal::AccessDenied)).on(Operation::DeleteObjects));
    app.collect_later().await;
    let (listed, _) = runs(&app, "").await;
    assert_eq!((&listed[0]["failed"], &listed[0]["failures"]), (&json!(1), &json!({ "AccessDenied": 1 })));
    let whole = run(&app, &listed[0]["run_id"]).await;
    assert_eq!(whole["items"][0]["outcome"], Value::Null);
}

#[tokio::test]
async fn a_run_that_is_cut_off_stays_unfinished_and_the_next_one_has_its_own_record() {
    let hands = Hands::default();
    // In SQLite, where pages end by the process's clock; on Postgres they end by the database's.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = format!("sqlite:{}", folder.path().join("journal.db").display());
    let app = TestApp::start_on(hands.clock(), |raw| raw.database_url = Some(journal)).await;
    let media = app.uploaded(BYTES).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    let stall = faults.stall(Some(Operation::DeleteObjects), None);
    let collector = app.parts.collector.clone();
    let later = Utc::now() + TimeDelta::days(30);
    let cut = app.parts.runtime.spawn(async move { collector.run_at(later, false).await });
    stall.reached(1).await;
    cut.abort();
    assert!(cut.await.is_err_and(|ended| ended.is_cancelled()));
    stall.release();

    let (listed, _) = runs(&app, "").await;
    assert_eq!((&listed[0]["status"], &listed[0]["collected"]), (&json!("unfinished"), &Value::Null));
    let whole = run(&app, &listed[0]["run_id"]).await;
    assert_eq!((&whole["items"][0]["id"], &whole["items"][0]["outcome"]), (&media["id"], &Value::Null));

    let next = later + TimeDelta::hours(12);
    app.run_at(next, false).await.expect("a run");
    assert_eq!(runs(&app, "").await.0.len(), 1, "the run that is not heard of any more may still be at its page");
    hands.pass(TimeDelta::seconds(21));
    app.run_at(next, false).await.expect("the next run");
    let (listed, _) = runs(&app, "").await;
    let told: Vec<_> = listed.iter().map(|run| (run["status"].clone(), run["collected"].clone())).collect();
    assert_eq!(told, [(json!("ended"), json!(1)), (json!("unfinished"), Value::Null)]);
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_page_by_page() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for day in 0..3 {
        app.ticket(BYTES).await;
        let now = Utc::now() + TimeDelta::days(30 + day);
        made.push(json!(app.run_at(now, false).await.expect("a run").run_id));
    }
    let (first, next) = runs(&app, "?limit=2").await;
    let (rest, end) = runs(&app, &format!("?limit=2&cursor={}", next.as_str().expect("there is more"))).await;
    let ids: Vec<_> = first.iter().chain(&rest).map(|run| run["run_id"].clone()).collect();
    made.reverse();
    assert_eq!((ids, end), (made, Value::Null));
    let (status, problem) = app.get("/v1/collections?cursor=7").await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("cursor")));
}

#[tokio::test]
async fn the_events_of_a_run_are_no_tenants_and_shown_to_operators_only() {
    let keyed = Keyed::start().await;
    keyed.ticket("acme-web").await;
    keyed.app.collect_later().await;
    let types = async |name: &str| {
        let events = keyed.events(name).await;
        let positions: Vec<_> = events.iter().map(|event| event["position"].as_u64()).collect();
        assert!(positions.is_sorted(), "{positions:?}");
        let told = events.iter().map(|event| (event["type"].clone(), event["media_id"].is_null()));
        told.map(|(kind, is_null)| (kind.as_str().expect("a type").to_owned(), is_null)).collect::<Vec<_>>()
    };
    let of_item = ["MediaRequested", "CollectionStarted", "Collected"].map(|kind| (kind.to_owned(), false));
    let [requested, started, collected] = of_item.clone();
    assert_eq!(types("acme-audit").await, of_item);
    let [began, ended] = ["CollectionRunStarted", "CollectionRunEnded"].map(|kind| (kind.to_owned(), true));
    assert_eq!(types("acme-ops").await, [requested, began, started, collected, ended]);
}
