//! Collection: what goes, what stays, and what happens when S3 answers badly in the middle of it.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use futures_util::{StreamExt, future::join_all, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::background::collector::{ItemOutcome, RunReport};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use crate::app::{TestApp, id, s3_client, wish};

const BYTES: &[u8] = b"some bytes";

/// Items that were requested, every tenth of them uploaded.
async fn crowd(app: &TestApp, count: usize) -> Vec<Value> {
    stream::iter(0..count)
        .map(|number| async move { if number % 10 == 0 { app.uploaded(BYTES).await } else { app.ticket(BYTES).await } })
        .buffered(32)
        .collect()
        .await
}

fn counts(report: &RunReport) -> (u64, u64, u64, u64, u64, u64) {
    (report.due, report.collected, report.absent, report.in_use, report.failed, report.unknown)
}

#[tokio::test]
async fn any_number_of_due_items_is_collected() {
    for count in [0, 1, 999, 1000, 1001] {
        let app = TestApp::start_with(|raw| raw.brake_share = Some("100%".to_owned())).await;
        let items = crowd(&app, count).await;
        let uploaded = count.div_ceil(10) as u64;
        let report = app.collect_later().await;
        assert_eq!(counts(&report), (count as u64, uploaded, count as u64 - uploaded, 0, 0, 0));
        assert_eq!(report.bytes_freed, uploaded * BYTES.len() as u64);
        assert_eq!((report.items.len(), report.more), (count.min(1000), false));
        assert_eq!(counts(&app.collect_later().await), (0, 0, 0, 0, 0, 0), "a second run has nothing to do");
        for media in items.iter().take(3) {
            assert_eq!(app.state(media).await, "collected");
            assert!(!app.in_bucket(media).await);
        }
    }
}

#[tokio::test]
async fn five_thousand_due_items_are_collected_page_by_page() {
    let app = TestApp::start_with(|raw| {
        raw.delete_page = Some("1000".to_owned());
        raw.brake_share = Some("100%".to_owned());
    })
    .await;
    crowd(&app, 5000).await;
    assert_eq!(counts(&app.collect_later().await), (5000, 500, 4500, 0, 0, 0));
    let (_, verified) = app.get("/v1/journal/verify").await;
    assert_eq!(verified["position"], 15_002, "three events of each item and two of the run");
    let (_, pending) = app.get("/v1/projections/pending?min_position=15000").await;
    assert_eq!(pending["items"], json!([]));
}

#[tokio::test]
async fn each_item_says_why_it_went() {
    let app = TestApp::start().await;
    let vanished = app.uploaded(BYTES).await;
    let never = app.ticket(BYTES).await;
    let cancelled = app.uploaded(BYTES).await;
    app.delete(&format!("/v1/media/{}", id(&cancelled))).await;
    let detached = app.confirmed(BYTES).await;
    app.delete(&format!("/v1/media/{}", id(&detached))).await;
    let kept = app.confirmed(BYTES).await;

    let report = app.collect_later().await;
    let said: BTreeMap<_, _> =
        report.items.iter().map(|item| (item.id.to_string(), (item.reason, item.outcome))).collect();
    let expected = [
        (&vanished, "expired", ItemOutcome::Deleted),
        (&never, "expired", ItemOutcome::Absent),
        (&cancelled, "cancelled", ItemOutcome::Deleted),
        (&detached, "detached", ItemOutcome::Deleted),
    ];
    assert_eq!(said, expected.iter().map(|(media, why, how)| (id(media).to_owned(), (Some(*why), *how))).collect());
    assert!(app.in_bucket(&kept).await);
    assert_eq!(app.history(&never).await, ["MediaRequested", "CollectionStarted", "Collected"]);
}

#[tokio::test]
async fn nothing_is_collected_before_its_time() {
    let app = TestApp::start().await;
    let media = app.uploaded(BYTES).await;
    let (status, report) = app.post_empty("/v1/collections").await;
    assert_eq!((status, &report["due"]), (StatusCode::OK, &json!(0)));
    let due = media["collectable_at"].as_str().expect("a time").parse::<chrono::DateTime<Utc>>().expect("RFC 3339");
    let just_before = due - TimeDelta::microseconds(1);
    assert_eq!(app.run_at(just_before, false).await.expect("a run").due, 0);
    assert_eq!(app.run_at(due, false).await.expect("a run").collected, 1);
}

#[tokio::test]
async fn by_the_clock_an_unconfirmed_item_goes_and_a_confirmed_one_stays() {
    let app = TestApp::start_with(|raw| {
        raw.ticket_ttl = Some("1s".to_owned());
        raw.grace = Some("2s".to_owned());
        raw.late_write_margin = Some("0s".to_owned());
        raw.collect_every = Some("1s".to_owned());
    })
    .await;
    let (goes, stays) = (app.uploaded(BYTES).await, app.confirmed(BYTES).await);
    while app.state(&goes).await != "collected" {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(!app.in_bucket(&goes).await);
    assert!(app.in_bucket(&stays).await);
    assert_eq!(app.state(&stays).await, "confirmed");
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_changes_nothing() {
    let app = TestApp::start().await;
    let media = app.uploaded(BYTES).await;
    app.confirmed(BYTES).await;
    let head = app.head().await.position;
    let later = Utc::now() + TimeDelta::days(30);
    for _ in 0..2 {
        let report = app.run_at(later, true).await.expect("a run");
        assert_eq!((report.dry_run, report.due, report.collected, report.bytes_freed), (true, 1, 0, 0));
        assert_eq!(report.items[0].outcome, ItemOutcome::WouldCollect);
        assert_eq!((report.items[0].id.to_string().as_str(), report.items[0].reason), (id(&media), Some("expired")));
    }
    assert_eq!(app.head().await.position, head);
    assert!(app.in_bucket(&media).await);
    let (status, report) = app.post("/v1/collections", json!({ "dry_run": true })).await;
    assert_eq!((status, &report["dry_run"]), (StatusCode::OK, &json!(true)));
}

#[tokio::test]
async fn confirms_that_race_a_collection_leave_each_item_on_exactly_one_side() {
    let app = TestApp::start().await;
    let items: Vec<Value> = stream::iter(0..200).map(|_| app.uploaded(BYTES)).buffered(16).collect().await;
    app.caught_up().await;
    let confirms = stream::iter(&items)
        .map(|media| async { app.post_empty(&format!("/v1/media/{}/confirm", id(media))).await })
        .buffered(8)
        .collect::<Vec<_>>();
    let (confirms, report) = tokio::join!(confirms, app.collect_later());
    let mut confirmed = 0;
    for (media, (status, answer)) in items.iter().zip(confirms) {
        let kept = app.in_bucket(media).await;
        match status {
            StatusCode::OK => {
                confirmed += 1;
                assert!(kept, "a confirmed object is gone");
                assert_eq!(app.state(media).await, "confirmed");
            }
            _ => {
                assert_eq!((status, &answer["code"]), (StatusCode::GONE, &json!("gone")));
                assert!(!kept);
                assert_eq!(app.state(media).await, "collected");
            }
        }
    }
    assert_eq!(confirmed + report.collected, 200, "{report:?}");
}

#[tokio::test]
async fn two_collectors_at_once_collect_each_item_once() {
    let app = TestApp::start().await;
    let items = crowd(&app, 60).await;
    app.caught_up().await;
    let (one, two) = tokio::join!(app.collect_later(), app.collect_later());
    assert_eq!((one.failed, one.unknown, two.failed, two.unknown), (0, 0, 0, 0), "{one:?} {two:?}");
    for history in join_all(items.iter().map(|media| app.history(media))).await {
        assert_eq!(history, ["MediaRequested", "CollectionStarted", "Collected"]);
    }
}

#[tokio::test]
async fn bytes_that_arrive_after_the_collection_are_collected_again() {
    let app = TestApp::start().await;
    let media = app.ticket(BYTES).await;
    assert_eq!(app.collect_later().await.absent, 1);
    // The ticket has not ended yet: nobody can take it back.
    assert_eq!(app.put(&media, BYTES).await.status(), StatusCode::OK);
    let notice = format!("/v1/media/{}/uploaded", id(&media));
    let (status, problem) = app.post_empty(&notice).await;
    assert_eq!((status, &problem["code"]), (StatusCode::GONE, &json!("gone")));
    assert_eq!(app.state(&media).await, "collecting");
    let report = app.collect_later().await;
    assert_eq!((report.collected, report.items[0].reason), (1, Some("late_upload")));
    assert!(!app.in_bucket(&media).await);
    let expected = ["MediaRequested", "CollectionStarted", "Collected", "CollectionStarted", "Collected"];
    assert_eq!(app.history(&media).await, expected);
    assert_eq!(app.post_empty(&notice).await.0, StatusCode::GONE, "and nothing comes of a second notice");
    assert_eq!(app.history(&media).await, expected);
}

#[tokio::test]
async fn a_confirm_whose_item_is_collected_while_it_looks_is_told_that_it_is_gone() {
    let app = TestApp::start_embedded(|_| {}).await;
    for call in ["confirm", "uploaded"] {
        let media = app.uploaded(BYTES).await;
        let faults = app.parts.faults.clone().expect("the embedded server");
        let stall = faults.stall_next(Operation::HeadObject, media["object_key"].as_str().expect("a key"));
        let path = format!("/v1/media/{}/{call}", id(&media));
        let asked = tokio::spawn(app.call(reqwest::Method::POST, &path).send());
        stall.reached(1).await;
        assert_eq!(app.collect_later().await.collected, 1);
        stall.release();
        let answer = asked.await.expect("joined").expect("an answer");
        assert_eq!(answer.status(), StatusCode::GONE, "{call}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_deleted_delays_no_other_and_is_tried_again_later() {
    let app = TestApp::start_embedded(|_| {}).await;
    let items = [app.uploaded(BYTES).await, app.uploaded(BYTES).await, app.uploaded(BYTES).await];
    let key = items[1]["object_key"].as_str().expect("a key");
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::RefuseKey(Refusal::AccessDenied)).on(Operation::DeleteObjects).key(key));

    let now = Utc::now() + TimeDelta::days(30);
    let run = async |after: TimeDelta| app.run_at(now + after, false).await.expect("a run");
    let report = run(TimeDelta::zero()).await;
    assert_eq!(counts(&report), (3, 2, 0, 0, 1, 0));
    let failed = report.items.iter().find(|item| item.outcome == ItemOutcome::Failed).expect("the refused key");
    assert_eq!((failed.object_key.as_str(), failed.code.as_deref()), (key, Some("AccessDenied")));
    assert_eq!(app.state(&items[1]).await, "collecting");
    assert!(app.in_bucket(&items[1]).await, "what could not be deleted is not called collected");

    assert_eq!(run(TimeDelta::seconds(1)).await.due, 0, "it waits for its own time");
    assert_eq!(counts(&run(TimeDelta::seconds(31)).await), (1, 0, 0, 0, 1, 0));
    assert_eq!(run(TimeDelta::seconds(62)).await.due, 0, "and longer each time");
    faults.clear();
    assert_eq!(counts(&run(TimeDelta::seconds(120)).await), (1, 1, 0, 0, 0, 0));
    assert!(!app.in_bucket(&items[1]).await);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_delete_is_no_proof_and_the_next_run_finds_it() {
    for effect in [
        Effect::CutAnswer,
        Effect::CutRequest,
        Effect::Refuse(Refusal::InternalError),
        Effect::Refuse(Refusal::SlowDown),
    ] {
        let app = TestApp::start_embedded(|_| {}).await;
        let media = app.uploaded(BYTES).await;
        let faults = app.parts.faults.clone().expect("the embedded server");
        faults.add(Fault::new(effect).on(Operation::DeleteObjects));
        let now = Utc::now() + TimeDelta::days(30);
        let report = app.run_at(now, false).await.expect("a run");
        assert_eq!(counts(&report), (1, 0, 0, 0, 0, 1), "{effect:?}");
        assert_eq!(app.state(&media).await, "collecting", "{effect:?}");
        assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await.0, StatusCode::GONE);

        faults.clear();
        let report = app.run_at(now + TimeDelta::minutes(1), false).await.expect("a run");
        assert_eq!(counts(&report), (1, 1, 0, 0, 0, 0), "{effect:?}");
        assert_eq!(app.history(&media).await, ["MediaRequested", "CollectionStarted", "Collected"]);
        assert!(!app.in_bucket(&media).await);
    }
}

#[tokio::test]
async fn a_look_that_fails_leaves_what_was_seen_unknown() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.uploaded(BYTES).await;
    app.parts
        .faults
        .as_ref()
        .expect("the embedded server")
        .add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::HeadObject));
    assert_eq!(counts(&app.collect_later().await), (1, 1, 0, 0, 0, 0));
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&media))).await;
    assert_eq!(history["events"][1]["payload"]["seen"], json!({ "state": "unknown" }));
    assert_eq!(history["events"][2]["payload"]["outcome"], "deleted");
}

#[tokio::test]
async fn claims_of_an_earlier_process_are_finished_by_the_next() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.uploaded(BYTES).await;
    app.parts
        .faults
        .as_ref()
        .expect("the embedded server")
        .add(Fault::new(Effect::CutRequest).on(Operation::DeleteObjects));
    assert_eq!(app.collect_later().await.unknown, 1);
    let app = app.restart_with(|_| {}).await;
    assert_eq!(app.state(&media).await, "collecting");
    let later = Utc::now() + TimeDelta::days(31);
    assert_eq!(app.run_at(later, false).await.expect("a run").collected, 1);
    assert!(!app.in_bucket(&media).await);
}

#[tokio::test]
async fn what_is_not_ours_in_the_bucket_is_left_alone() {
    let app = TestApp::start().await;
    let media = app.uploaded(BYTES).await;
    let (client, bucket) = (s3_client(&app).await, app.parts.gateway.bucket().to_string());
    let neighbours = [
        format!("{}x", media["object_key"].as_str().expect("a key")),
        format!("{}/default/readme.txt", app.parts.gateway.prefix().as_str()),
        format!("elsewhere-{}", id(&media)),
    ];
    for key in &neighbours {
        client.put_object().bucket(&bucket).key(key).body(b"mine".to_vec().into()).send().await.expect("written");
    }
    assert_eq!(app.collect_later().await.collected, 1);
    for key in &neighbours {
        client.head_object().bucket(&bucket).key(key).send().await.expect("still there");
    }
}

#[tokio::test]
async fn a_renewed_ticket_moves_the_time_and_a_stale_list_does_not_collect_it() {
    let app = TestApp::start_with(|raw| raw.ticket_ttl = Some("1s".to_owned())).await;
    let (status, media) = app.post("/v1/media", wish(BYTES)).await;
    assert_eq!(status, StatusCode::CREATED);
    let due = media["collectable_at"].as_str().expect("a time").parse::<chrono::DateTime<Utc>>().expect("RFC 3339");
    let renewed = app.renewed(&media).await;
    assert!(renewed["collectable_at"].as_str() > media["collectable_at"].as_str());
    assert_eq!(app.run_at(due, false).await.expect("a run").collected, 0);
    assert_eq!(app.state(&media).await, "pending");
}

#[tokio::test]
async fn where_deletes_do_not_work_nothing_more_is_claimed_and_what_is_not_claimed_can_be_confirmed() {
    let app = TestApp::start_embedded(|raw| raw.delete_page = Some("2".to_owned())).await;
    let mut items = Vec::new();
    for _ in 0..10 {
        items.push(app.uploaded(BYTES).await);
    }
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::DeleteObjects));
    let now = Utc::now() + TimeDelta::days(30);
    // That deletes have worked at the start is known no better.
    let report = app.run_at(now, false).await.expect("a run");
    assert_eq!((report.due, report.collected), (2, 0), "{report:?}");
    let why = report.withheld.expect("a reason");
    assert!(why.contains("a delete has failed") && why.contains("AccessDenied"), "{why}");

    let claimed = app.head().await.position;
    for _ in 0..2 {
        let report = app.run_at(now + TimeDelta::seconds(1), false).await.expect("a run");
        assert!(report.due == 0 && report.withheld.is_some(), "{report:?}");
    }
    assert_eq!(app.head().await.position, claimed, "and nothing was recorded");
    assert_eq!(probes_left(&app).await, 1, "each try is made on what the first has left");
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&items[9]))).await.0, StatusCode::OK);

    faults.clear();
    let report = app.run_at(now + TimeDelta::minutes(10), false).await.expect("a run");
    assert_eq!((report.collected, report.withheld), (9, None));
}

async fn probes_left(app: &TestApp) -> usize {
    let (client, bucket) = (s3_client(app).await, app.parts.gateway.bucket().to_string());
    let folder = format!("{}/.zeroload-probe/", app.parts.gateway.prefix().as_str());
    let listed = client.list_objects_v2().bucket(bucket).prefix(folder).send().await.expect("a list");
    listed.contents().len()
}
