//! Headers with a meaning of ours: idempotency keys and request ids.

use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};

use super::{
    Untouched,
    wire::{Answer, Wire, ask, request},
};
use crate::app::{TestApp, id, wish};

const WISH: &[u8] = br#"{"owner":"ann","content_type":"image/jpeg","content_length":5}"#;

#[tokio::test]
async fn an_idempotency_key_that_is_none_is_refused_by_name() {
    let untouched = Untouched::start().await;
    let long = "k".repeat(256);
    let huge = "k".repeat(20_000);
    for key in [
        b"".as_slice(),
        long.as_bytes(),
        huge.as_bytes(),
        b"a b",
        b"a\tb",
        "schlüssel".as_bytes(),
        b"\xff",
        b"\x80\x81",
    ] {
        let call = untouched.app.call(Method::POST, "/v1/media").json(&wish(b"bytes"));
        let answer = Answer::of(call.header("Idempotency-Key", HeaderValue::from_bytes(key).expect("a header"))).await;
        answer.invalid("Idempotency-Key", "Idempotency-Key must be", &format!("{key:?}"));
    }
    let twice = "Content-Type: application/json\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n";
    ask(&untouched.app, "POST", "/v1/media", twice, WISH).await.invalid("Idempotency-Key", "given once", "two keys");
    untouched.check().await;
}

#[tokio::test]
async fn an_idempotency_key_of_any_visible_characters_is_taken() {
    let app = TestApp::start().await;
    for key in ["k", &"k".repeat(255), "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"] {
        let call =
            || Answer::of(app.call(Method::POST, "/v1/media").json(&wish(b"bytes")).header("Idempotency-Key", key));
        let (first, again) = (call().await, call().await);
        assert_eq!((first.status, again.status), (201, 201), "{key}");
        assert_eq!(id(&first.json()), id(&again.json()), "{key}");
        assert_eq!(first.header("location"), format!("/v1/media/{}", id(&first.json())));
    }
}

#[tokio::test]
async fn a_request_id_is_given_back_and_kept_in_the_history() {
    let app = TestApp::start().await;
    for given in ["r", "my-request/1:2_3", &"r".repeat(128)] {
        let answer =
            Answer::of(app.call(Method::POST, "/v1/media").json(&wish(b"bytes")).header("X-Request-Id", given)).await;
        assert_eq!((answer.status, answer.header("x-request-id")), (201, given));
        let (_, history) = app.get(&format!("/v1/media/{}/events", id(&answer.json()))).await;
        assert_eq!(history["events"][0]["metadata"]["request_id"], given);
        let refused = Answer::of(app.call(Method::GET, "/v1/media/7").header("X-Request-Id", given)).await;
        assert_eq!(refused.problem(400, given)["request_id"], given);
    }
}

#[tokio::test]
async fn a_request_id_that_would_hurt_a_log_is_replaced() {
    let app = TestApp::start().await;
    let long = "r".repeat(129);
    let mut seen = Vec::new();
    for weird in [b"".as_slice(), b"a b", b"a\tb", long.as_bytes(), "ü".as_bytes(), b"\xff"] {
        let value = HeaderValue::from_bytes(weird).expect("a header");
        let answer =
            Answer::of(app.call(Method::POST, "/v1/media").json(&wish(b"bytes")).header("X-Request-Id", value)).await;
        let given = answer.header("x-request-id").to_owned();
        assert_eq!((answer.status, given.len()), (201, 36), "{weird:?}");
        let (_, history) = app.get(&format!("/v1/media/{}/events", id(&answer.json()))).await;
        assert_eq!(history["events"][0]["metadata"]["request_id"], given);
        seen.push(given);
    }
    seen.push(Answer::of(app.call(Method::GET, "/livez")).await.header("x-request-id").to_owned());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7, "each call has an id of its own");
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let untouched = Untouched::start().await;
    let item = format!("/v1/media/{}", untouched.item);
    let events = format!("{item}/events");
    let mut wire = Wire::to(&untouched.app).await;
    for target in [
        item.as_str(),
        &events,
        "/v1/events",
        "/v1/journal/verify",
        "/v1/projections",
        "/v1/projections/pending",
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/nothing",
        "/v1/media/7",
    ] {
        // On one connection: a body that came all the same would be taken for the next answer.
        wire.send(request("HEAD", target, "", b"")).await;
        let head = wire.answer(false).await;
        wire.send(request("GET", target, "", b"")).await;
        let get = wire.answer(true).await;
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{target}");
        if !matches!(target, "/metrics" | "/readyz") {
            assert_eq!(head.header("content-length"), get.header("content-length"), "{target}");
        }
        assert!(!get.body.is_empty(), "{target}");
    }
    untouched.check().await;
}

#[tokio::test]
async fn counters_name_routes_and_never_what_clients_make_up() {
    let app = TestApp::start().await;
    for target in ["/made-up-path", "/v1/media/made-up-id"] {
        ask(&app, "GET", target, "", b"").await;
    }
    ask(&app, "MADEUPMETHOD", "/livez", "", b"").await;
    let text = Answer::of(app.call(Method::GET, "/metrics")).await;
    let text = String::from_utf8(text.body).expect("text");
    assert!(text.contains(r#"method="GET",route="/v1/media/{id}",status="400""#), "{text}");
    assert!(text.contains(r#"method="other",route="/livez",status="405""#), "{text}");
    assert!(!text.to_lowercase().contains("made"), "{text}");
    assert_eq!(text.lines().last(), Some("# EOF"));
}

#[tokio::test]
async fn an_unknown_body_member_of_null_is_still_unknown() {
    let untouched = Untouched::start().await;
    let call = untouched.app.call(Method::POST, "/v1/media").json(&json!({ "owner": "a", "etag": Value::Null }));
    Answer::of(call).await.invalid("etag", "no member", "null");
    untouched.check().await;
}
