//! Seals: a confirmed object is compared with the confirmed one after its last ticket has ended.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::background::inspector::{RunError, RunReport};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use crate::app::{TestApp, id, s3_client};

const BYTES: &[u8] = b"what was confirmed";

/// A time by which no ticket that is issued now can write any more: 5 and 15 minutes, and the second that it is rounded up.
fn after_its_ticket() -> DateTime<Utc> {
    Utc::now() + TimeDelta::minutes(20) + TimeDelta::seconds(2)
}

/// How many were sealed, found to be others, and put aside.
async fn inspected(app: &TestApp, now: DateTime<Utc>) -> (u64, u64, u64) {
    let RunReport { sealed, substituted, put_aside, .. } = app.inspect_at(now).await.expect("a report");
    (sealed, substituted, put_aside)
}

fn key(media: &Value) -> &str {
    media["object_key"].as_str().expect("a key")
}

/// Writes the object behind the service's back, as a replayed ticket would where the server does not refuse it.
async fn overwrite(app: &TestApp, media: &Value, bytes: &[u8]) {
    let (client, bucket) = (s3_client(app).await, app.parts.gateway.bucket().as_str());
    let put = client.put_object().bucket(bucket).key(key(media)).content_type("image/jpeg");
    put.body(bytes.to_vec().into()).send().await.expect("written");
}

async fn seal_of(app: &TestApp, media: &Value) -> Value {
    let (status, explanation) = app.get(&format!("/v1/media/{}/explain", id(media))).await;
    assert_eq!(status, StatusCode::OK, "{explanation}");
    assert_eq!(explanation["fate"], "kept", "{explanation}");
    explanation["seal"].clone()
}

async fn content(app: &TestApp) -> String {
    app.caught_up().await;
    let (status, ready) = app.get("/readyz").await;
    assert_eq!(status, StatusCode::OK, "{ready}");
    let checks = ready["checks"].as_array().expect("checks");
    let content = checks.iter().find(|check| check["name"] == "content").expect("the check");
    content["status"].as_str().expect("a status").to_owned()
}

#[tokio::test]
async fn an_object_that_is_still_the_confirmed_one_is_sealed_once_no_ticket_can_write_it() {
    let app = TestApp::start().await;
    let (media, pending) = (app.confirmed(BYTES).await, app.uploaded(BYTES).await);
    assert_eq!(seal_of(&app, &media).await, "open");
    let early = Utc::now() + TimeDelta::minutes(19);
    assert_eq!(inspected(&app, early).await, (0, 0, 0));
    assert_eq!(inspected(&app, after_its_ticket()).await, (1, 0, 0));
    assert_eq!(app.history(&media).await, ["MediaRequested", "Uploaded", "Confirmed", "Sealed"]);
    assert_eq!(seal_of(&app, &media).await, "sealed");
    assert_eq!(inspected(&app, after_its_ticket() + TimeDelta::days(30)).await, (0, 0, 0), "once for ever");
    assert_eq!(app.history(&pending).await, ["MediaRequested"], "what is not confirmed is none of its business");
    assert_eq!(content(&app).await, "ok");
}

#[tokio::test]
async fn an_object_that_was_overwritten_is_told_and_never_deleted_until_it_is_released() {
    let app = TestApp::start().await;
    let media = app.confirmed(BYTES).await;
    overwrite(&app, &media, b"what was not confirmed").await;
    let now = after_its_ticket();
    assert_eq!(inspected(&app, now).await, (0, 1, 0));
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&media))).await;
    let told = &history["events"][3];
    assert_eq!((&told["type"], &told["metadata"]["route"]), (&"ContentSubstituted".into(), &"seal".into()));
    let (recorded, found) = (&told["payload"]["recorded"], &told["payload"]["found"]);
    assert_eq!((&recorded["content_length"], &found["state"]), (&json!(BYTES.len()), &"present".into()));
    assert_eq!(found["content_length"], 22);
    assert_eq!((seal_of(&app, &media).await, content(&app).await), ("substituted".into(), "degraded".to_owned()));
    assert_eq!(app.metric("zeroload_substituted_objects").await, 1);

    assert_eq!(inspected(&app, now + TimeDelta::minutes(59)).await, (0, 0, 0));
    assert_eq!(inspected(&app, now + TimeDelta::hours(1)).await, (0, 0, 0), "it is told once");
    assert_eq!(app.history(&media).await.len(), 4);
    let confirm = format!("/v1/media/{}/confirm", id(&media));
    assert_eq!(app.post_empty(&confirm).await.0, StatusCode::OK, "it stays in use");
    assert_eq!(app.collect_later().await.due, 0);
    assert!(app.in_bucket(&media).await);

    assert_eq!(app.delete(&format!("/v1/media/{}", id(&media))).await.0, StatusCode::ACCEPTED);
    assert_eq!(content(&app).await, "ok", "nobody wants it any more");
    assert_eq!(app.post_empty(&confirm).await.0, StatusCode::OK, "a release can be undone");
    assert_eq!(content(&app).await, "degraded", "with all that is known");
    app.delete(&format!("/v1/media/{}", id(&media))).await;
    assert_eq!(app.collect_later().await.collected, 1);
    assert!(!app.in_bucket(&media).await);
}

#[tokio::test]
async fn an_object_that_is_gone_is_told_and_sealed_when_it_is_back() {
    let app = TestApp::start().await;
    let media = app.confirmed(BYTES).await;
    let (client, bucket) = (s3_client(&app).await, app.parts.gateway.bucket().as_str());
    client.delete_object().bucket(bucket).key(key(&media)).send().await.expect("deleted");
    let now = after_its_ticket();
    assert_eq!(inspected(&app, now).await, (0, 1, 0));
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&media))).await;
    assert_eq!(history["events"][3]["payload"]["found"], json!({ "state": "absent" }));
    assert_eq!((app.state(&media).await, content(&app).await), ("confirmed".to_owned(), "degraded".to_owned()));
    overwrite(&app, &media, BYTES).await;
    assert_eq!(inspected(&app, now + TimeDelta::hours(1)).await, (1, 0, 0));
    assert_eq!((seal_of(&app, &media).await, content(&app).await), ("sealed".into(), "ok".to_owned()));
}

#[tokio::test]
async fn a_look_that_fails_is_no_alarm_and_is_made_again() {
    let app = TestApp::start_embedded(|_| {}).await;
    let (one, two) = (app.confirmed(BYTES).await, app.confirmed(BYTES).await);
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::HeadObject).key(key(&one)));
    let now = after_its_ticket();
    assert_eq!(inspected(&app, now).await, (1, 0, 1));
    assert_eq!((seal_of(&app, &one).await, seal_of(&app, &two).await), ("open".into(), "sealed".into()));
    faults.clear();
    assert_eq!(inspected(&app, now + TimeDelta::seconds(59)).await, (0, 0, 0), "it waits for its own time");
    let app = app.restart_with(|_| {}).await;
    assert_eq!(inspected(&app, now + TimeDelta::seconds(60)).await, (1, 0, 0));
    assert_eq!(seal_of(&app, &one).await, "sealed");
}

#[tokio::test]
async fn while_the_bucket_cannot_be_believed_nothing_is_sealed_and_nothing_raises_an_alarm() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.confirmed(BYTES).await;
    let (client, bucket) = (s3_client(&app).await, app.parts.gateway.bucket().as_str());
    let marker = app.parts.gateway.prefix().marker();
    let kept = client.get_object().bucket(bucket).key(&marker).send().await.expect("the marker");
    let kept = kept.body.collect().await.expect("its bytes").into_bytes();
    for key in [marker.as_str(), key(&media)] {
        client.delete_object().bucket(bucket).key(key).send().await.expect("deleted");
    }
    let now = after_its_ticket();
    let refused = app.inspect_at(now).await;
    assert!(matches!(refused, Err(RunError::Bucket(_))), "{refused:?}");
    assert_eq!(app.history(&media).await, ["MediaRequested", "Uploaded", "Confirmed"]);
    client.put_object().bucket(bucket).key(&marker).body(kept.into()).send().await.expect("written");
    assert_eq!(inspected(&app, now).await, (0, 1, 0));
}
