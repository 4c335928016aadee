//! PUTs that land after their item was collected, or while it was: found by re-checks, and collected again.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::Value;
use zeroload::{
    background::inspector::{RunError, RunReport},
    media::{
        commands::{Commands, Origin},
        recent::Recent,
    },
    settings::Settings,
};
use zeroload_clock::Ids;
use zeroload_domain::{Claim, Command, MediaId};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use crate::app::{TestApp, id, s3_client};

const BYTES: &[u8] = b"better late than never";

/// A time by which every item that is collected now was collected more than an hour ago.
fn in_an_hour() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

async fn inspected(app: &TestApp, now: DateTime<Utc>) -> (u64, u64, u64) {
    let RunReport { rechecked, late, put_aside, more, .. } = app.inspect_at(now).await.expect("a report");
    assert!(!more);
    (rechecked, late, put_aside)
}

/// An item that was collected without ever having had an object. Its ticket still lives: nobody can take it back.
async fn collected(app: &TestApp) -> Value {
    let media = app.ticket(BYTES).await;
    assert_eq!(app.collect_later().await.absent, 1);
    media
}

async fn lands(app: &TestApp, media: &Value) {
    assert!(app.put(media, BYTES).await.status().is_success());
    assert!(app.in_bucket(media).await);
}

#[tokio::test]
async fn a_late_upload_that_nobody_reports_is_found_at_the_planned_time() {
    let app = TestApp::start().await;
    let media = collected(&app).await;
    lands(&app, &media).await;
    let early = Utc::now() + TimeDelta::minutes(59);
    assert_eq!(inspected(&app, early).await, (0, 0, 0), "it is not its time");
    assert_eq!(inspected(&app, in_an_hour()).await, (1, 1, 0));
    assert_eq!(app.state(&media).await, "collecting");
    assert_eq!(app.metric("zeroload_late_uploads_total{found_by=\"recheck\"}").await, 1);

    let report = app.collect_later().await;
    assert_eq!((report.collected, report.items[0].reason), (1, Some("late_upload")));
    assert!(!app.in_bucket(&media).await);
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&media))).await;
    let again = &history["events"][3];
    assert_eq!((&again["type"], &again["payload"]["reason"]), (&"CollectionStarted".into(), &"late_upload".into()));
    assert_eq!((&again["metadata"]["caller"], &again["metadata"]["route"]), (&"inspector".into(), &"re-check".into()));

    // Collected once more, it is looked at once more, at the same planned times.
    assert_eq!(inspected(&app, in_an_hour()).await, (1, 0, 0));
    assert_eq!(inspected(&app, in_an_hour()).await, (0, 0, 0), "once for each planned time");
    lands(&app, &media).await;
    assert_eq!(inspected(&app, in_an_hour() + TimeDelta::hours(22)).await, (0, 0, 0));
    assert_eq!(inspected(&app, in_an_hour() + TimeDelta::hours(23)).await, (1, 1, 0), "the last of them, after 24 h");
}

#[tokio::test]
async fn a_put_that_lands_while_its_item_is_collected_and_is_told_of_too_early_is_found_by_a_re_check() {
    let app = TestApp::start().await;
    let media = app.uploaded(BYTES).await;
    let media_id = MediaId::parse(id(&media)).expect("an id");
    // This one comes after the service's first run, which would finish the claim that is made here.
    assert_eq!(app.post_empty("/v1/collections").await.0, StatusCode::OK);
    // A collector, step by step, so that something can happen between its delete and its record.
    let settings = Settings::try_from(app.raw.clone()).expect("settings");
    let commands = Commands::new(app.parts.journal.clone(), Recent::default(), settings.policy, Ids::from_os());
    let later = Utc::now() + TimeDelta::days(30);
    let decide = async |command: Command| {
        let commands = commands.clone();
        let origin = Origin { request_id: "run".to_owned(), caller: "collector".to_owned(), route: "collector run" };
        let work = async move { commands.execute_internal(media_id, command, &origin, later).await };
        app.on_runtime(work).await.expect("it is recorded");
    };
    decide(Command::StartCollection { run_id: uuid::Uuid::now_v7(), looked: None }).await;
    let (client, bucket) = (s3_client(&app).await, app.parts.gateway.bucket().to_string());
    let key = media["object_key"].as_str().expect("a key");
    client.delete_object().bucket(&bucket).key(key).send().await.expect("deleted");
    lands(&app, &media).await;
    let (status, told) = app.post_empty(&format!("/v1/media/{}/uploaded", id(&media))).await;
    assert_eq!((status, &told["state"]), (StatusCode::OK, &"collecting".into()), "the only notice comes too early");
    decide(Command::FinishCollection { claim: Claim::FIRST, freed: None }).await;
    assert_eq!(app.state(&media).await, "collected");
    assert!(app.in_bucket(&media).await, "and nobody will ever say so again");

    assert_eq!(inspected(&app, in_an_hour()).await, (1, 1, 0));
    assert_eq!(app.collect_later().await.collected, 1);
    assert!(!app.in_bucket(&media).await);
}

#[tokio::test]
async fn any_number_of_items_is_looked_at_once_for_all_planned_times_that_have_come() {
    let app = TestApp::start().await;
    let items: Vec<_> = stream::iter(0..600).map(|_| app.ticket(BYTES)).buffered(32).collect().await;
    assert_eq!(app.collect_later().await.absent, 600);
    for media in [&items[0], &items[599]] {
        lands(&app, media).await;
    }
    let tomorrow = Utc::now() + TimeDelta::hours(24);
    assert_eq!(inspected(&app, tomorrow).await, (600, 2, 0), "not once for each of both times");
    assert_eq!(inspected(&app, tomorrow).await, (0, 0, 0));
    assert_eq!(app.collect_later().await.collected, 2);
    assert_eq!(inspected(&app, tomorrow).await, (2, 0, 0), "collected anew");
    let app = app.restart_with(|_| {}).await;
    assert_eq!(inspected(&app, tomorrow).await, (0, 0, 0), "what was looked at is remembered");
    let app = app.restart_with(|raw| raw.recheck_after = Some("2h".to_owned())).await;
    assert_eq!(inspected(&app, tomorrow).await, (600, 0, 0), "for another time there was no look yet");
}

#[tokio::test]
async fn without_planned_times_nothing_is_looked_at_again() {
    let app = TestApp::start_with(|raw| raw.recheck_after = Some(String::new())).await;
    let media = collected(&app).await;
    lands(&app, &media).await;
    assert_eq!(inspected(&app, Utc::now() + TimeDelta::days(365)).await, (0, 0, 0));
    assert_eq!(app.state(&media).await, "collected");
}

#[tokio::test]
async fn an_item_that_cannot_be_looked_at_delays_no_other_and_is_tried_again() {
    let app = TestApp::start_embedded(|_| {}).await;
    let (one, two) = (app.ticket(BYTES).await, app.ticket(BYTES).await);
    assert_eq!(app.collect_later().await.absent, 2);
    lands(&app, &one).await;
    lands(&app, &two).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    let key = one["object_key"].as_str().expect("a key");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::HeadObject).key(key));
    let now = in_an_hour();
    assert_eq!(inspected(&app, now).await, (1, 1, 1));
    assert_eq!((app.state(&one).await, app.state(&two).await), ("collected".into(), "collecting".into()));
    assert_eq!(inspected(&app, now + TimeDelta::seconds(59)).await, (0, 0, 0), "it waits for its own time");
    assert_eq!(inspected(&app, now + TimeDelta::seconds(60)).await, (0, 0, 1), "and longer each time");
    assert_eq!(inspected(&app, now + TimeDelta::seconds(179)).await, (0, 0, 0));
    faults.clear();
    // Before the restart: else its first run might do it, or not yet.
    assert_eq!(app.collect_later().await.collected, 1);
    let app = app.restart_with(|_| {}).await;
    assert_eq!(
        inspected(&app, now + TimeDelta::seconds(180)).await,
        (2, 1, 0),
        "and the other, which was collected anew"
    );
    assert_eq!(app.state(&one).await, "collecting");
}

#[tokio::test]
async fn looks_that_are_refused_for_being_too_many_are_made_again_later() {
    let app = TestApp::start_embedded(|raw| raw.s3_parallel_requests = Some("4".to_owned())).await;
    let mut items = Vec::new();
    for _ in 0..40 {
        items.push(app.ticket(BYTES).await);
    }
    assert_eq!(app.collect_later().await.absent, 40);
    for media in &items {
        lands(&app, media).await;
    }
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Operation::HeadObject));
    let now = in_an_hour();
    let (rechecked, late, put_aside) = inspected(&app, now).await;
    assert!((rechecked, late) == (0, 0) && (4..8).contains(&put_aside), "{put_aside}");
    faults.clear();
    assert_eq!(inspected(&app, now).await, (40 - put_aside, 40 - put_aside, 0), "nobody had asked about these");
    assert_eq!(inspected(&app, now + TimeDelta::seconds(60)).await, (put_aside, put_aside, 0));
}

#[tokio::test]
async fn while_the_bucket_cannot_be_believed_nothing_is_looked_at_and_nothing_is_passed_over() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = collected(&app).await;
    lands(&app, &media).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)));
    let now = in_an_hour();
    let refused = app.inspect_at(now).await;
    assert!(matches!(refused, Err(RunError::Bucket(_))), "{refused:?}");
    faults.clear();
    assert_eq!(inspected(&app, now).await, (1, 1, 0));
}
