//! The trash: what is collected can be brought back for a while, and goes for good after it.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, future::join_all, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::background::collector::{ItemOutcome, RunReport};
use zeroload_domain::{ByteSize, Claim, CollectOutcome, Event, ObjectKey, event::Collected};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};
use zeroload_journal::{Append, NewEvent, StreamKind};

use crate::app::{TestApp, id, is_foreign, s3_client};

const BYTES: &[u8] = b"some bytes";

async fn keeping(change: impl FnOnce(&mut zeroload::settings::RawSettings)) -> TestApp {
    TestApp::start_with(|raw| {
        raw.trash = Some("7d".to_owned());
        change(raw);
    })
    .await
}

fn key(media: &Value) -> ObjectKey {
    ObjectKey::parse(media["object_key"].as_str().expect("a key")).expect("ours")
}

/// Whether the bucket holds exactly this key.
async fn holds(app: &TestApp, key: &ObjectKey) -> bool {
    app.in_bucket(&json!({ "object_key": key.as_str() })).await
}

async fn restore(app: &TestApp, media: &Value) -> (StatusCode, Value) {
    app.post(&format!("/v1/media/{}/restore", id(media)), json!({ "attached_to": "post-7" })).await
}

/// The bucket shows that a move works: else nothing would be claimed.
async fn moves_one(app: &TestApp) {
    app.uploaded(BYTES).await;
    assert_eq!(app.run_at(later(), false).await.expect("a run").trashed, 1);
}

fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(30)
}

#[tokio::test]
async fn a_collected_item_comes_back_under_a_new_key_and_stays() {
    let app = keeping(|_| {}).await;
    let (media, other) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    let report = app.run_at(later(), false).await.expect("a run");
    assert_eq!((report.trashed, report.collected, report.bytes_freed), (2, 0, 0), "{report:?}");
    assert_eq!(app.state(&media).await, "trashed");
    app.caught_up().await;
    let (_, run) = app.get(&format!("/v1/collections/{}", report.run_id)).await;
    assert_eq!(
        (&run["run"]["due"], &run["run"]["trashed"], &run["run"]["collected"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert!(run["items"].as_array().expect("items").iter().all(|item| item["outcome"] == "trashed"), "{run}");
    let (own, kept, back) = (key(&media), key(&media).in_trash(Claim::FIRST), key(&media).restored(Claim::FIRST));
    assert!(!holds(&app, &own).await && holds(&app, &kept).await);
    let (_, explanation) = app.get(&format!("/v1/media/{}/explain", id(&media))).await;
    assert_eq!((&explanation["fate"], &explanation["reason"]), (&json!("trashed"), &json!("expired")));
    let confirm = app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
    assert_eq!((confirm.0, &confirm.1["code"]), (StatusCode::GONE, &json!("gone")));

    let (status, restored) = restore(&app, &media).await;
    assert_eq!((status, &restored["state"]), (StatusCode::OK, &json!("confirmed")), "{restored}");
    assert_eq!((&restored["object_key"], &restored["attached_to"]), (&json!(back.as_str()), &json!("post-7")));
    assert!(holds(&app, &back).await && !holds(&app, &own).await && !holds(&app, &kept).await);
    assert_eq!(restore(&app, &media).await, (StatusCode::OK, restored.clone()), "a repeat changes nothing");
    let expected = ["MediaRequested", "CollectionStarted", "Trashed", "RestoreStarted", "Restored"];
    assert_eq!(app.history(&media).await, expected);
    let (status, pending) = app.get(&format!("/v1/projections/pending?min_position={}", restored["position"])).await;
    assert_eq!((status, &pending["items"]), (StatusCode::OK, &json!([])));

    let report = app.run_at(later() + TimeDelta::days(8), false).await.expect("a run");
    assert_eq!((report.trashed, report.collected, report.bytes_freed), (0, 1, BYTES.len() as u64), "{report:?}");
    assert_eq!((app.state(&media).await.as_str(), app.state(&other).await.as_str()), ("confirmed", "collected"));
    assert!(holds(&app, &back).await);
    assert!(!holds(&app, &key(&other).in_trash(Claim::FIRST)).await);
    assert_eq!(restore(&app, &other).await.1["code"], "gone");

    // Its second collection is another one, with a place of its own in the trash.
    app.delete(&format!("/v1/media/{}", id(&media))).await;
    assert_eq!(app.run_at(later() + TimeDelta::days(60), false).await.expect("a run").trashed, 1);
    assert!(!holds(&app, &back).await && holds(&app, &own.in_trash(Claim::FIRST.next())).await);
    let (_, again) = restore(&app, &media).await;
    assert_eq!(again["object_key"], own.restored(Claim::FIRST.next()).as_str());
    assert_eq!(app.get("/v1/journal/verify").await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_in_the_trash_is_not_restored() {
    let app = keeping(|_| {}).await;
    let (pending, confirmed, never) = (app.ticket(BYTES).await, app.confirmed(BYTES).await, app.ticket(BYTES).await);
    let told = async |media: &Value| {
        let (status, answer) = app.post_empty(&format!("/v1/media/{}/restore", id(media))).await;
        (status.as_u16(), answer.get("code").or(answer.get("state")).cloned())
    };
    assert_eq!(told(&pending).await, (409, Some(json!("not-trashed"))));
    assert_eq!(told(&confirmed).await, (200, Some(json!("confirmed"))));
    app.delete(&format!("/v1/media/{}", id(&never))).await;
    let report = app.run_at(Utc::now() + TimeDelta::hours(1), false).await.expect("a run");
    assert_eq!((report.absent, report.trashed), (1, 0), "{report:?}");
    assert_eq!(told(&never).await, (410, Some(json!("gone"))), "there was nothing to keep");
    let unknown = json!({ "id": uuid::Uuid::now_v7() });
    assert_eq!(told(&unknown).await, (404, Some(json!("not-found"))));
}

#[tokio::test]
async fn a_trash_that_somebody_has_emptied_has_nothing_to_give_back() {
    let app = keeping(|_| {}).await;
    let media = app.uploaded(BYTES).await;
    app.run_at(later(), false).await.expect("a run");
    let (client, bucket) = (s3_client(&app).await, app.parts.gateway.bucket().to_string());
    let kept = key(&media).in_trash(Claim::FIRST);
    client.delete_object().bucket(bucket).key(kept.as_str()).send().await.expect("deleted");
    assert_eq!(restore(&app, &media).await.0, StatusCode::GONE);
    assert_eq!(app.state(&media).await, "trashed", "nothing was begun");
    assert_eq!(app.run_at(later() + TimeDelta::days(8), false).await.expect("a run").collected, 1);
}

#[tokio::test]
async fn a_setting_that_is_turned_off_deletes_what_comes_and_keeps_what_was_promised() {
    let app = keeping(|_| {}).await;
    let before = app.uploaded(BYTES).await;
    app.run_at(later(), false).await.expect("a run");
    let app = app.restart_with(|raw| raw.trash = None).await;
    let after = app.uploaded(BYTES).await;
    assert_eq!(app.run_at(later() + TimeDelta::days(1), false).await.expect("a run").collected, 1);
    assert_eq!((app.state(&before).await.as_str(), app.state(&after).await.as_str()), ("trashed", "collected"));
    assert_eq!(restore(&app, &before).await.0, StatusCode::OK);
}

#[tokio::test]
async fn whatever_breaks_on_the_way_into_the_trash_is_mended_by_the_next_process() {
    for (effect, operation) in [
        (Effect::CutRequest, Operation::CopyObject),
        (Effect::CutAnswer, Operation::CopyObject),
        (Effect::Refuse(Refusal::SlowDown), Operation::CopyObject),
        (Effect::CutRequest, Operation::DeleteObjects),
        (Effect::CutAnswer, Operation::DeleteObjects),
    ] {
        let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
        moves_one(&app).await;
        let media = app.uploaded(BYTES).await;
        app.parts.faults.as_ref().expect("the embedded server").add(Fault::new(effect).on(operation));
        let report = app.run_at(later(), false).await.expect("a run");
        assert_eq!((report.trashed, report.unknown), (0, 1), "{effect:?} {operation:?}: {report:?}");
        assert_eq!(app.state(&media).await, "collecting");
        assert_eq!(restore(&app, &media).await.1["code"], "not-trashed", "not while it is under way");
        // Also where the setting has changed meanwhile: what was promised at the claim holds.
        let app = app.restart_with(|raw| raw.trash = None).await;
        assert_eq!(app.run_at(later() + TimeDelta::minutes(1), false).await.expect("a run").trashed, 1);
        assert_eq!(app.state(&media).await, "trashed", "{effect:?} {operation:?}");
        let (status, restored) = restore(&app, &media).await;
        assert_eq!(status, StatusCode::OK, "{restored}");
        assert!(app.in_bucket(&restored).await);
    }
}

#[tokio::test]
async fn copies_that_are_refused_for_being_too_many_are_left_to_a_later_run() {
    let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
    moves_one(&app).await;
    let items: Vec<Value> = stream::iter(0..24).map(|_| app.uploaded(BYTES)).buffered(8).collect().await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    let refusals = Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Operation::CopyObject);
    let left_alone = |report: &RunReport| {
        assert_eq!(report.unknown, 24, "{report:?}");
        report.items.iter().filter(|item| item.code.as_deref() == Some("slow-down")).count()
    };

    faults.add(refusals.clone());
    let report = app.run_at(later(), false).await.expect("a run");
    assert!(left_alone(&report) > 0, "{report:?}");
    faults.clear();
    // Those that were asked for in vain wait for a time of their own.
    let next = app.run_at(later(), false).await.expect("a run");
    assert!(next.due == next.trashed && next.trashed >= left_alone(&report) as u64, "{next:?}");
    let report = app.run_at(later() + TimeDelta::minutes(1), false).await.expect("a run");
    assert_eq!(next.trashed + report.trashed, 24, "{report:?}");

    faults.add(Fault::new(Effect::CutRequest).on(Operation::CopyObject));
    join_all(items.iter().map(|media| restore(&app, media))).await;
    faults.clear();
    faults.add(refusals);
    let report = app.run_at(later(), false).await.expect("a run");
    assert!(left_alone(&report) > 0, "{report:?}");
    faults.clear();
    app.run_at(later() + TimeDelta::minutes(1), false).await.expect("a run");
    for media in &items {
        assert_eq!(app.state(media).await, "confirmed");
        assert!(holds(&app, &key(media).restored(Claim::FIRST)).await);
    }
}

#[tokio::test]
async fn a_restore_that_breaks_is_ended_by_a_repeat_or_by_the_collector() {
    for (effect, operation) in [
        (Effect::CutRequest, Operation::CopyObject),
        (Effect::CutRequest, Operation::DeleteObjects),
        (Effect::CutAnswer, Operation::DeleteObjects),
    ] {
        let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
        let items = [app.uploaded(BYTES).await, app.uploaded(BYTES).await];
        app.run_at(later(), false).await.expect("a run");
        app.parts.faults.as_ref().expect("the embedded server").add(Fault::new(effect).on(operation));
        for media in &items {
            let (status, problem) = restore(&app, media).await;
            assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("storage-unavailable")), "{operation:?}");
            assert_eq!(app.state(media).await, "restoring");
            let (_, problem) = app.post_empty(&format!("/v1/media/{}/confirm", id(media))).await;
            assert_eq!(problem["code"], "restoring");
            assert_eq!(app.delete(&format!("/v1/media/{}", id(media))).await.1["code"], "restoring");
            let (_, explanation) = app.get(&format!("/v1/media/{}/explain", id(media))).await;
            assert_eq!(explanation["fate"], "kept");
        }
        let app = app.restart_with(|_| {}).await;
        assert_eq!(restore(&app, &items[0]).await.1["state"], "confirmed", "{effect:?} {operation:?}");
        // Long after its time in the trash: it is in use.
        app.first_run_has_ended().await;
        app.run_at(later() + TimeDelta::days(30), false).await.expect("a run");
        for media in &items {
            assert_eq!(app.state(media).await, "confirmed", "{effect:?} {operation:?}");
            assert!(holds(&app, &key(media).restored(Claim::FIRST)).await);
            assert!(!holds(&app, &key(media)).await && !holds(&app, &key(media).in_trash(Claim::FIRST)).await);
        }
    }
}

#[tokio::test]
async fn a_copy_whose_answer_was_lost_is_found_by_the_look_after_it() {
    let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
    let media = app.uploaded(BYTES).await;
    app.run_at(later(), false).await.expect("a run");
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::CutAnswer).on(Operation::CopyObject));
    let (status, restored) = restore(&app, &media).await;
    assert_eq!((status, &restored["state"]), (StatusCode::OK, &json!("confirmed")), "{restored}");
    assert!(app.in_bucket(&restored).await);
}

#[tokio::test]
async fn a_repeat_beside_a_restore_that_is_under_way_answers_the_same() {
    let app = keeping(|_| {}).await;
    let items: Vec<Value> = stream::iter(0..10).map(|_| app.uploaded(BYTES)).buffered(8).collect().await;
    assert_eq!(app.run_at(later(), false).await.expect("a run").trashed, 10);
    let restores = items.iter().flat_map(|media| (0..4).map(|_| restore(&app, media)));
    for (status, restored) in join_all(restores).await {
        assert_eq!((status, &restored["state"]), (StatusCode::OK, &json!("confirmed")), "{restored}");
        assert!(app.in_bucket(&restored).await);
    }
}

#[tokio::test]
async fn restores_that_race_the_end_of_the_trash_leave_each_item_on_exactly_one_side() {
    let app = keeping(|_| {}).await;
    let items: Vec<Value> = stream::iter(0..60).map(|_| app.uploaded(BYTES)).buffered(16).collect().await;
    assert_eq!(app.run_at(later(), false).await.expect("a run").trashed, 60);
    app.caught_up().await;
    let restores = stream::iter(&items).map(|media| restore(&app, media)).buffered(8).collect::<Vec<_>>();
    let (restores, report) = tokio::join!(restores, app.run_at(later() + TimeDelta::days(8), false));
    let report = report.expect("a run");
    let mut restored = 0;
    for (media, (status, answer)) in items.iter().zip(restores) {
        let back = holds(&app, &key(media).restored(Claim::FIRST)).await;
        if status == StatusCode::OK {
            restored += 1;
            assert!(back, "a restored object is gone");
            assert_eq!(app.state(media).await, "confirmed");
        } else {
            assert!(["gone", "not-trashed"].contains(&answer["code"].as_str().expect("a code")), "{answer}");
            assert!(!back && !holds(&app, &key(media).in_trash(Claim::FIRST)).await);
            assert_eq!(app.state(media).await, "collected");
        }
    }
    assert_eq!(restored + report.collected, 60, "{report:?}");
}

#[tokio::test]
async fn where_versions_are_kept_the_version_stays_until_the_end_of_the_trash() {
    if !is_foreign() {
        return eprintln!("skipped: no server with versions is named (ZEROLOAD_TEST_S3_ENDPOINT)");
    }
    let bucket = std::env::var("ZEROLOAD_TEST_S3_VERSIONED_BUCKET").expect("a bucket with versions");
    let app = keeping(|raw| raw.s3_bucket = Some(bucket.clone())).await;
    let client = s3_client(&app).await;
    let count = async |prefix: String| {
        let listed = client.list_object_versions().bucket(&bucket).prefix(prefix).send().await.expect("a list");
        (listed.versions().len(), listed.delete_markers().len())
    };
    let (media, other) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    assert_eq!(app.run_at(later(), false).await.expect("a run").trashed, 2);
    assert_eq!(count(key(&media).to_string()).await, (1, 1));
    assert!(!app.in_bucket(&media).await);
    let (status, restored) = restore(&app, &media).await;
    assert_eq!((status, &restored["state"]), (StatusCode::OK, &json!("confirmed")), "{restored}");
    assert_eq!((count(key(&media).to_string()).await, count(key(&restored).to_string()).await), ((0, 0), (1, 0)));
    let report = app.run_at(later() + TimeDelta::days(8), false).await.expect("a run");
    assert_eq!((report.collected, report.bytes_freed), (1, BYTES.len() as u64), "{report:?}");
    assert_eq!(count(key(&other).to_string()).await, (0, 0));
    assert!(app.in_bucket(&restored).await);
}

/// Records the end of an open claim, as another process would that had found nothing under the item's key.
async fn collected_by_another(app: &TestApp, media: &Value) {
    let outcome = CollectOutcome::Absent;
    let collected = Event::Collected(Collected { claim: Claim::FIRST, outcome, bytes_freed: ByteSize::new(0) });
    let event =
        NewEvent { event_type: collected.type_name(), event_version: collected.version(), payload: collected.encode() };
    let command_id = uuid::Uuid::now_v7();
    let append = Append {
        kind: StreamKind::Media,
        stream: id(media).parse().expect("an id"),
        expected_sequence: 2,
        events: vec![event],
        metadata: json!({ "request_id": "r", "command_id": command_id, "caller": "another", "route": "collector run" })
            .to_string(),
        tenant: "default".to_owned(),
        command_id,
    };
    let journal = app.parts.journal.clone();
    app.on_runtime(async move { journal.append(append).await }).await.expect("recorded");
}

async fn put_at(app: &TestApp, key: &ObjectKey) {
    let (client, bucket) = (s3_client(app).await, app.parts.gateway.bucket().to_string());
    client.put_object().bucket(bucket).key(key.as_str()).body(BYTES.to_vec().into()).send().await.expect("written");
}

#[tokio::test]
async fn what_is_moved_into_the_trash_when_others_have_collected_the_item_is_taken_out_again() {
    let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
    let media = app.ticket(BYTES).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    // A first run claims it, and its delete is refused; another's works.
    app.uploaded(BYTES).await;
    faults.add(
        Fault::new(Effect::RefuseKey(Refusal::InternalError)).on(Operation::DeleteObjects).key(key(&media).as_str()),
    );
    app.run_at(later(), false).await.expect("a run");
    assert_eq!(app.state(&media).await, "collecting");
    faults.clear();

    let stall = faults.stall_next(Operation::HeadObject, key(&media).as_str());
    let (collector, at) = (app.parts.collector.clone(), later() + TimeDelta::minutes(5));
    let run = app.parts.runtime.spawn(async move { collector.run_at(at, false).await });
    stall.reached(1).await;
    collected_by_another(&app, &media).await;
    put_at(&app, &key(&media)).await;
    stall.release();
    let report = run.await.expect("joined").expect("a run");
    let outcome = report.items.iter().find(|item| item.id.to_string() == id(&media)).expect("it was looked at");
    assert_eq!(outcome.outcome, ItemOutcome::InUse, "{report:?}");
    assert_eq!(app.history(&media).await, ["MediaRequested", "CollectionStarted", "Collected"]);
    assert!(!holds(&app, &key(&media)).await && !holds(&app, &key(&media).in_trash(Claim::FIRST)).await);
}

#[tokio::test]
async fn what_a_killed_process_has_left_in_the_trash_of_a_collected_item_is_found_by_a_notice_and_collected() {
    let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
    let media = app.ticket(BYTES).await;
    assert_eq!(app.run_at(later(), false).await.expect("a run").absent, 1);
    let left = key(&media).in_trash(Claim::FIRST);
    put_at(&app, &left).await;

    let uploaded = format!("/v1/media/{}/uploaded", id(&media));
    assert_eq!(app.post_empty(&uploaded).await.0, StatusCode::GONE);
    assert_eq!(app.state(&media).await, "collecting");
    let report = app.run_at(later(), false).await.expect("a run");
    assert_eq!((report.collected + report.absent, report.trashed), (1, 0), "{report:?}");
    let history = app.history(&media).await;
    let once = ["CollectionStarted", "Collected"];
    assert_eq!(history, [&["MediaRequested"], &once[..], &once[..]].concat());
    assert!(!holds(&app, &left).await && !holds(&app, &key(&media)).await);

    assert_eq!(app.post_empty(&uploaded).await.0, StatusCode::GONE);
    assert_eq!(app.history(&media).await, history, "nothing is left, so nothing is claimed once more");
}
