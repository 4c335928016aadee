//! The brake: a confirm path that is broken must not become mass deletion, and a crowd that only looks like one is let go
//! by whoever answers for it.

use chrono::{TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::{background::collector::RunReport, settings::RawSettings};
use zeroload_embedded_s3::{Effect, Fault, Operation};

use crate::app::{TestApp, id};

const BYTES: &[u8] = b"some bytes";

fn above(items: u32) -> impl FnOnce(&mut RawSettings) {
    move |raw| raw.brake_above = Some(items.to_string())
}

async fn tickets(app: &TestApp, count: usize) -> Vec<Value> {
    stream::iter(0..count).map(|_| app.ticket(BYTES)).buffered(16).collect().await
}

async fn confirmed(app: &TestApp, count: usize) {
    stream::iter(0..count).map(|_| app.confirmed(BYTES)).buffered(16).collect::<Vec<_>>().await;
}

async fn run(app: &TestApp) -> RunReport {
    app.collect_later().await
}

/// Between two looks at what only the clock can bring about.
async fn moment() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

/// The check of readiness, and the metric.
async fn said(app: &TestApp) -> (StatusCode, String, String, bool) {
    let (status, ready) = app.get("/readyz").await;
    let check = ready["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "brake");
    let text = |name: &str| check.expect("the brake")[name].as_str().expect("a text").to_owned();
    let metrics =
        app.call(reqwest::Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("text");
    (status, text("status"), text("detail"), metrics.contains("zeroload_collection_braked 1\n"))
}

#[tokio::test]
async fn what_hardly_anybody_confirmed_stays_until_somebody_says_that_it_may_go() {
    let app = TestApp::start_with(|raw| {
        above(0)(raw);
        raw.ticket_ttl = Some("1s".to_owned());
        raw.grace = Some("2s".to_owned());
        raw.late_write_margin = Some("0s".to_owned());
    })
    .await;
    // In this order, so that the share is far from usual wherever a minute ends.
    let items = tickets(&app, 21).await;
    confirmed(&app, 5).await;
    assert_eq!(said(&app).await.1, "ok");
    // By the real clock: what readiness says is what the timer's runs have found.
    let braked = loop {
        let (status, report) = app.post_empty("/v1/collections").await;
        assert_eq!((status, &report["due"]), (StatusCode::OK, &json!(0)), "{report}");
        if report["braked"].is_string() {
            break report["braked"].as_str().expect("a reason").to_owned();
        }
        moment().await;
    };
    assert!(braked.contains("items whose time ended from"), "{braked}");
    assert_eq!(app.state(&items[0]).await, "pending", "nothing is claimed");
    let (status, brake, detail, metric) = said(&app).await;
    assert_eq!((status, brake.as_str(), metric), (StatusCode::OK, "degraded", true));
    assert!(detail.contains(&braked), "{detail}");

    while app.post("/v1/collections", json!({ "dry_run": true })).await.1["due"] != 21 {
        moment().await;
    }
    let (_, why) = app.get(&format!("/v1/media/{}/explain", id(&items[0]))).await;
    assert_eq!((&why["fate"], &why["obstacle"]["code"]), (&json!("due"), &json!("brake")), "{why}");
    let (_, dry) = app.post("/v1/collections", json!({ "dry_run": true })).await;
    assert!(dry["braked"].is_string() && dry["items"][0]["outcome"] == "would_collect", "{dry}");
    let body = json!({ "override_brake": true });
    let (status, report) = app.post("/v1/collections", body).await;
    assert_eq!((status, &report["absent"]), (StatusCode::OK, &json!(21)), "{report}");
    assert!(report["braked"].is_string(), "what was overridden is said");
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&items[0]))).await;
    let started = &history["events"][1];
    assert_eq!((&started["type"], &started["metadata"]["caller"]), (&json!("CollectionStarted"), &json!("anonymous")));
    assert_eq!(started["metadata"]["route"], "POST /v1/collections override_brake");

    let (_, report) = app.post_empty("/v1/collections").await;
    assert_eq!(report["braked"], Value::Null, "nothing is due any more");
    let (_, brake, _, metric) = said(&app).await;
    assert_eq!((brake.as_str(), metric), ("ok", false));
}

#[tokio::test]
async fn an_override_holds_for_one_run_and_what_went_counts_on() {
    let app = TestApp::start_with(above(10)).await;
    tickets(&app, 8).await;
    assert_eq!(run(&app).await.absent, 8, "a handful is never braked");
    let more = tickets(&app, 8).await;
    let report = run(&app).await;
    assert!(report.braked.is_some(), "{report:?}");
    assert_eq!(app.override_at(Utc::now() + TimeDelta::days(30)).await.absent, 8);
    assert_eq!(app.state(&more[0]).await, "collected");
    tickets(&app, 1).await;
    let report = run(&app).await;
    assert_eq!((report.due, report.braked.is_some()), (0, true), "{report:?}");
}

#[tokio::test]
async fn claims_that_were_made_are_finished_while_the_brake_is_on_and_a_restart_does_not_release_it() {
    let app = TestApp::start_embedded(above(5)).await;
    let claimed = app.uploaded(BYTES).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::CutRequest).on(Operation::DeleteObjects));
    assert_eq!(run(&app).await.unknown, 1);
    faults.clear();
    let waiting = tickets(&app, 9).await;
    let app = app.restart_with(|_| {}).await;
    let report = app.run_at(Utc::now() + TimeDelta::days(31), false).await.expect("a run");
    assert_eq!((report.due, report.collected, report.braked.is_some()), (1, 1, true), "{report:?}");
    assert_eq!(app.state(&claimed).await, "collected");
    assert_eq!(app.state(&waiting[0]).await, "pending");
}

#[tokio::test]
async fn a_share_that_was_raised_lets_a_crowd_go_that_is_known() {
    let app = TestApp::start_with(above(5)).await;
    tickets(&app, 6).await;
    confirmed(&app, 4).await;
    assert!(run(&app).await.braked.is_some());
    let app = app.restart_with(|raw| raw.brake_share = Some("60%".to_owned())).await;
    let report = run(&app).await;
    assert_eq!((report.absent, report.braked), (6, None));
}

#[tokio::test]
async fn released_items_do_not_count_and_stay_too_while_the_brake_is_on() {
    let app = TestApp::start_with(above(5)).await;
    let released = tickets(&app, 8).await;
    for media in &released {
        app.delete(&format!("/v1/media/{}", id(media))).await;
    }
    confirmed(&app, 1).await;
    let report = run(&app).await;
    assert_eq!((report.absent, report.braked), (8, None));
    let late = app.confirmed(BYTES).await;
    app.delete(&format!("/v1/media/{}", id(&late))).await;
    tickets(&app, 6).await;
    assert!(run(&app).await.braked.is_some());
    assert_eq!(app.state(&late).await, "released", "a confirm that would bring it back may be among the lost ones");
}

#[tokio::test]
async fn requests_that_go_on_without_any_confirm_are_noticed_before_anything_is_due() {
    let app = TestApp::start_with(|raw| raw.brake_silence = Some("1s".to_owned())).await;
    tickets(&app, 99).await;
    let quiet = app.post_empty("/v1/collections").await.1;
    assert_eq!(quiet["braked"], Value::Null, "{quiet}");
    let last = app.uploaded(BYTES).await;
    let braked = async || app.post_empty("/v1/collections").await.1["braked"].as_str().map(str::to_owned);
    // The minute of the first request must be a second old.
    let reason = loop {
        if let Some(reason) = braked().await {
            break reason;
        }
        moment().await;
    };
    assert!(reason.starts_with("nothing was confirmed since") && reason.contains("100 items"), "{reason}");
    assert_eq!(said(&app).await.1, "degraded");
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&last))).await.0, StatusCode::OK);
    assert_eq!(braked().await, None, "one confirm is enough");
    assert_eq!(said(&app).await.1, "ok");
}
