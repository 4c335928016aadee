//! Answers that get lost on their way: a client whose upload arrived sends it again and gets 412, and no ticket helps. Whoever
//! asks for one is told that the bytes are there. And a server that says nothing at all: nobody waits for it for long.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{TestApp, id, put_directly, read, wish},
    network::Behind,
    proxy::Weather,
};

const BYTES: &[u8] = b"sent twice, stored once";

/// A request with an `Idempotency-Key`.
async fn keyed(app: &TestApp, key: &str) -> (StatusCode, Value) {
    read(app.call(Method::POST, "/v1/media").header("Idempotency-Key", key).json(&wish(BYTES))).await
}

/// Uploads, but the answer does not come; what sends the bytes again gets 412.
async fn upload_without_an_answer(behind: &Behind, media: &Value) {
    behind.proxy.turns(Weather::LosesAnswers, "PUT");
    behind.app.put_request(media, BYTES).send().await.expect_err("the connection breaks");
    behind.proxy.struck(1).await;
    behind.proxy.turns(Weather::Fine, "");
    assert_eq!(behind.app.put(media, BYTES).await.status(), StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_found_when_a_ticket_is_asked_for() {
    let behind = Behind::start_with(|_| {}).await;
    let app = &behind.app;
    let media = app.ticket(BYTES).await;
    upload_without_an_answer(&behind, &media).await;
    let path = format!("/v1/media/{}", id(&media));
    for _ in 0..2 {
        let (status, problem) = app.post_empty(&format!("{path}/ticket")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already-uploaded")), "{problem}");
        assert_eq!(app.state(&media).await, "uploaded");
    }
    let (status, confirmed) = app.post_empty(&format!("{path}/confirm")).await;
    assert_eq!((status, &confirmed["state"]), (StatusCode::OK, &json!("confirmed")));
    assert_eq!(app.history(&media).await, ["MediaRequested", "Uploaded", "Confirmed"]);
    let (_, history) = app.get(&format!("{path}/events")).await;
    assert_eq!(history["events"][1]["metadata"]["route"], "POST /v1/media/{id}/ticket");
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_found_when_its_request_is_repeated() {
    let behind = Behind::start_with(|_| {}).await;
    let (status, media) = keyed(&behind.app, "k").await;
    assert_eq!((status, &media["state"]), (StatusCode::CREATED, &json!("pending")));
    upload_without_an_answer(&behind, &media).await;
    for _ in 0..2 {
        let (status, again) = keyed(&behind.app, "k").await;
        assert_eq!(
            (status, id(&again), &again["state"], &again["upload"]),
            (StatusCode::CREATED, id(&media), &json!("uploaded"), &Value::Null)
        );
    }
    assert_eq!(behind.app.history(&media).await, ["MediaRequested", "Uploaded"]);
}

#[tokio::test]
async fn an_object_that_does_not_fit_is_told_to_who_asks_for_a_ticket() {
    let app = TestApp::start().await;
    let (_, media) = keyed(&app, "k").await;
    // Past the ticket, with the service's own credentials: what a server that enforces less would let through.
    put_directly(&app, &media, |put| put.content_type("image/jpeg").body(b"something else".to_vec().into())).await;
    let renewed = app.post_empty(&format!("/v1/media/{}/ticket", id(&media))).await;
    for (status, problem) in [renewed, keyed(&app, "k").await] {
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("upload-mismatch")), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("request a new")), "{problem}");
    }
    assert_eq!(app.history(&media).await, ["MediaRequested"]);
}

#[tokio::test]
async fn a_ticket_is_issued_although_the_bucket_says_nothing() {
    let behind = Behind::start_with(|raw| raw.s3_timeout = Some("1s".to_owned())).await;
    let (app, proxy) = (&behind.app, &behind.proxy);
    let (_, media) = keyed(app, "k").await;
    for weather in [Weather::BlackHole, Weather::Silence, Weather::Resets] {
        proxy.turns(weather, "HEAD");
        let renewed = app.post_empty(&format!("/v1/media/{}/ticket", id(&media))).await;
        proxy.struck(1).await;
        for ((status, answer), expected) in [(renewed, StatusCode::OK), (keyed(app, "k").await, StatusCode::CREATED)] {
            assert_eq!((status, &answer["state"]), (expected, &json!("pending")), "{weather:?}: {answer}");
            assert!(answer["upload"]["url"].is_string(), "{weather:?}");
        }
    }
    proxy.turns(Weather::Fine, "");
    assert_eq!(app.put(&media, BYTES).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_waits_for_a_silent_bucket_longer_than_is_set() {
    let behind = Behind::start_with(|raw| raw.s3_timeout = Some("1s".to_owned())).await;
    let (app, proxy) = (&behind.app, &behind.proxy);
    let (first, second) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    proxy.turns(Weather::BlackHole, "");
    for call in ["confirm", "uploaded"] {
        let answer =
            app.call(Method::POST, &format!("/v1/media/{}/{call}", id(&first))).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{call}");
        assert!(answer.headers().contains_key("retry-after"), "{call}");
        let problem: Value = answer.json().await.expect("a problem");
        assert_eq!(problem["code"], "storage-unavailable", "{call}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("s3_timeout")), "{call}: {problem}");
    }
    // More than are under way at once: the time is that of the call, not of each item.
    let ids: Vec<_> = [&first, &second].into_iter().cycle().take(200).map(id).collect();
    let (status, answer) = app.post("/v1/media/confirm", json!({ "ids": ids })).await;
    assert_eq!(status, StatusCode::OK);
    let results = answer["results"].as_array().expect("results");
    assert!(results.iter().all(|result| result["problem"]["code"] == "storage-unavailable"), "{answer}");

    proxy.turns(Weather::Fine, "");
    let (status, answer) = app.post("/v1/media/confirm", json!({ "ids": [id(&first), id(&second)] })).await;
    assert_eq!((status, &answer["results"][0]["status"]), (StatusCode::OK, &json!(200)), "{answer}");
}
