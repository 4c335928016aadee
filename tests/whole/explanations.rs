//! `GET /v1/media/{id}/explain` in each state of an item.

use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use crate::app::{TestApp, id};

const BYTES: &[u8] = b"explained";

async fn explain(app: &TestApp, media: &Value) -> Value {
    let (status, explanation) = app.get(&format!("/v1/media/{}/explain", id(media))).await;
    assert_eq!(status, StatusCode::OK, "{explanation}");
    assert!(explanation["explanation"].as_str().is_some_and(|text| text.ends_with('.')), "{explanation}");
    explanation
}

fn told(explanation: &Value) -> [&Value; 4] {
    ["state", "fate", "reason", "obstacle"].map(|member| &explanation[member])
}

#[tokio::test]
async fn each_state_is_explained_with_what_becomes_of_it() {
    let app = TestApp::start().await;
    let (pending, kept) = (app.ticket(BYTES).await, app.confirmed(BYTES).await);
    let (cancelled, detached) = (app.uploaded(BYTES).await, app.confirmed(BYTES).await);
    for released in [&cancelled, &detached] {
        assert_eq!(app.delete(&format!("/v1/media/{}", id(released))).await.0, StatusCode::ACCEPTED);
    }
    for (media, expected) in [
        (&pending, json!(["pending", "waiting", "expired", null])),
        (&kept, json!(["confirmed", "kept", null, null])),
        (&cancelled, json!(["released", "waiting", "cancelled", null])),
        (&detached, json!(["released", "waiting", "detached", null])),
    ] {
        let explanation = explain(&app, media).await;
        assert_eq!(json!(told(&explanation)), expected, "{explanation}");
        let (_, shown) = app.get(&format!("/v1/media/{}", id(media))).await;
        assert_eq!(explanation["collectable_at"], shown["collectable_at"]);
    }
    app.collect_later().await;
    let explanation = explain(&app, &detached).await;
    assert_eq!(json!(told(&explanation)), json!(["collected", "gone", "detached", null]), "{explanation}");
    assert_eq!(explain(&app, &kept).await["fate"], "kept");
}

#[tokio::test]
async fn an_item_that_cannot_be_deleted_names_what_s3_said_and_when_it_is_tried_again() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.uploaded(BYTES).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::RefuseKey(Refusal::AccessDenied)).on(Operation::DeleteObjects));
    let later = Utc::now() + TimeDelta::days(30);
    app.run_at(later, false).await.expect("a report");

    let explanation = explain(&app, &media).await;
    assert_eq!(
        (&explanation["fate"], &explanation["obstacle"]["code"]),
        (&json!("collecting"), &json!("AccessDenied"))
    );
    let next = explanation["obstacle"]["next_try_at"].as_str().expect("a time");
    assert!(next > later.to_rfc3339().as_str(), "{explanation}");
}

#[tokio::test]
async fn an_id_that_was_never_requested_has_nothing_to_explain() {
    let app = TestApp::start().await;
    let path = format!("/v1/media/{}/explain", uuid::Uuid::now_v7());
    assert_eq!(app.get(&path).await.0, StatusCode::NOT_FOUND);
}
