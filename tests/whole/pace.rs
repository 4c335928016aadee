//! Collection asks S3 no faster than it may, rests when it is told to, and loses no page to one bad key.

use std::num::NonZeroU32;

use chrono::{TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use zeroload::background::collector::RunReport;
use zeroload_embedded_s3::{Effect, Fault, Faults, Operation, Refusal};

use crate::app::TestApp;

const BYTES: &[u8] = b"some bytes";

async fn uploaded(app: &TestApp, count: usize) -> Vec<Value> {
    stream::iter(0..count).map(|_| app.uploaded(BYTES)).buffered(8).collect().await
}

fn faults(app: &TestApp) -> Faults {
    app.parts.faults.clone().expect("the embedded server")
}

fn counts(report: &RunReport) -> (u64, u64, u64, u64) {
    (report.due, report.collected, report.failed, report.unknown)
}

#[tokio::test]
async fn a_key_that_makes_a_whole_call_fail_holds_up_no_other_however_often_it_is_tried() {
    let app = TestApp::start_embedded(|_| {}).await;
    let items = uploaded(&app, 24).await;
    let key = items[5]["object_key"].as_str().expect("a key");
    let refusal = Fault::new(Effect::RefuseCall(Refusal::InternalError)).on(Operation::DeleteObjects).key(key);
    faults(&app).add(refusal);
    let now = Utc::now() + TimeDelta::days(30);
    let report = app.run_at(now, false).await.expect("a run");
    assert_eq!(counts(&report), (24, 23, 0, 1), "{report:?}");
    assert!(app.in_bucket(&items[5]).await);
    let more = uploaded(&app, 6).await;
    let report = app.run_at(now + TimeDelta::minutes(1), false).await.expect("a run");
    assert_eq!(counts(&report), (7, 6, 0, 1), "{report:?}");
    assert!(!app.in_bucket(&more[0]).await);
    faults(&app).clear();
    let report = app.run_at(now + TimeDelta::hours(1), false).await.expect("a run");
    assert_eq!(counts(&report), (1, 1, 0, 0), "{report:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_fewer_requests_gets_them_later_and_in_smaller_pages() {
    let app = TestApp::start_embedded(|_| {}).await;
    let items = uploaded(&app, 20).await;
    let slow = Fault::new(Effect::Refuse(Refusal::SlowDown)).times(NonZeroU32::new(5).expect("not 0"));
    faults(&app).add(slow.clone().on(Operation::DeleteObjects));
    faults(&app).add(slow.on(Operation::HeadObject));
    let report = app.collect_later().await;
    assert_eq!(counts(&report), (20, 20, 0, 0), "{report:?}");
    for media in items.iter().take(3) {
        assert!(!app.in_bucket(media).await);
    }
}

#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is_and_nothing_more_is_claimed() {
    let app = TestApp::start_embedded(|raw| raw.delete_page = Some("4".to_owned())).await;
    let items = uploaded(&app, 10).await;
    faults(&app).add(Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Operation::DeleteObjects));
    let now = Utc::now() + TimeDelta::days(30);
    let report = app.run_at(now, false).await.expect("a run");
    assert_eq!((counts(&report), report.more), ((4, 0, 0, 4), true), "{report:?}");
    let states = futures_util::future::join_all(items.iter().map(|media| app.state(media))).await;
    let claimed = states.iter().filter(|state| *state == "collecting").count();
    assert_eq!((claimed, states.len()), (4, 10), "a claim cannot be taken back: {states:?}");
    faults(&app).clear();
    let report = app.run_at(now + TimeDelta::minutes(1), false).await.expect("a run");
    assert_eq!(counts(&report), (10, 10, 0, 0), "{report:?}");
}

#[tokio::test]
async fn looks_that_are_refused_for_being_too_many_claim_nothing() {
    let app = TestApp::start_embedded(|raw| raw.s3_parallel_requests = Some("4".to_owned())).await;
    let items = uploaded(&app, 12).await;
    faults(&app).add(Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Operation::HeadObject));
    let now = Utc::now() + TimeDelta::days(30);
    let report = app.run_at(now, false).await.expect("a run");
    assert_eq!((counts(&report), report.more), ((12, 0, 0, 12), true), "{report:?}");
    assert_eq!(report.items[0].code.as_deref(), Some("slow-down"));
    assert_eq!(app.state(&items[0]).await, "pending");
    faults(&app).clear();
    // Those that were asked about in vain wait. Four are enough; while one ends another begins.
    let report = app.run_at(now, false).await.expect("a run");
    let waiting = 12 - report.due;
    assert!((4..8).contains(&waiting) && counts(&report) == (12 - waiting, 12 - waiting, 0, 0), "{report:?}");
    let report = app.run_at(now + TimeDelta::minutes(1), false).await.expect("a run");
    assert_eq!(counts(&report), (waiting, waiting, 0, 0), "{report:?}");
}

#[tokio::test]
async fn where_but_a_few_looks_are_answered_pages_get_smaller_until_something_is_collected() {
    let app = TestApp::start_embedded(|raw| raw.s3_parallel_requests = Some("8".to_owned())).await;
    let items = in_order(uploaded(&app, 60).await);
    for item in &items[10..] {
        refuse_looks(&app, item);
    }
    let now = Utc::now() + TimeDelta::days(30);
    let mut report = app.run_at(now, false).await.expect("a run");
    assert_eq!(report.collected, 0, "{report:?}");
    for _ in 0..8 {
        if report.collected == 0 {
            report = app.run_at(now, false).await.expect("a run");
        }
    }
    // While others are left that nobody had asked about: had the pages kept their size, all of those had been asked first.
    assert!(report.collected == 10 && report.unknown > 0, "{report:?}");
    assert_eq!(app.state(&items[9]).await, "collected");
}

#[tokio::test]
async fn a_key_that_is_never_answered_holds_up_no_other() {
    let app = TestApp::start_embedded(|_| {}).await;
    let items = in_order(uploaded(&app, 3).await);
    refuse_looks(&app, &items[0]);
    let now = Utc::now() + TimeDelta::days(30);
    // Where its answer is the last one, the bucket itself may be meant, and nothing is claimed at first.
    for _ in 0..2 {
        app.run_at(now, false).await.expect("a run");
    }
    for other in &items[1..] {
        assert_eq!(app.state(other).await, "collected");
        assert!(!app.in_bucket(other).await);
    }
}

/// As they are due.
fn in_order(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by_key(|item| ["collectable_at", "id"].map(|name| item[name].as_str().map(str::to_owned)));
    items
}

fn refuse_looks(app: &TestApp, item: &Value) {
    let key = item["object_key"].as_str().expect("a key");
    faults(app).add(Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Operation::HeadObject).key(key));
}
