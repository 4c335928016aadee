//! Headers with a meaning of ours: idempotency keys and request ids.

use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};

use super::{
    Untouched,
    paths::ROUTES,
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
        "/",
        "/docs",
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
async fn a_name_that_a_page_may_have_made_to_lead_here_is_not_answered() {
    let untouched = Untouched::start().await;
    for (path, methods) in ROUTES {
        let target = path.replace("{id}", &untouched.item);
        for method in methods.iter().filter(|method| **method != "HEAD") {
            for headers in ["Host: evil.example\r\n", "Host: evil.example:8080\r\nContent-Type: application/json\r\n"] {
                let mut wire = Wire::to(&untouched.app).await;
                wire.send(format!("{method} {target} HTTP/1.1\r\n{headers}Content-Length: 2\r\n\r\n{{}}")).await;
                let problem = wire.answer(true).await.problem(421, path);
                assert_eq!(problem["code"], "misdirected");
                assert!(!problem.to_string().contains("evil"), "{problem}");
            }
        }
    }
    for (host, status) in
        [("Host: 127.0.0.1:1\r\n", 200), ("Host: [::1]\r\n", 200), ("", 400), ("Host: a\r\nHost: a\r\n", 400)]
    {
        let mut wire = Wire::to(&untouched.app).await;
        wire.send(format!("GET /livez HTTP/1.1\r\n{host}\r\n")).await;
        assert_eq!(wire.answer(true).await.status, status, "{host}");
    }
    untouched.check().await;

    let named = TestApp::start_with(|raw| raw.allowed_hosts = Some("zeroload, media.example".to_owned())).await;
    let any = TestApp::start_with(|raw| raw.allowed_hosts = Some("*".to_owned())).await;
    for (app, host, status) in [
        (&named, "zeroload:80", 200),
        (&named, "MEDIA.example", 200),
        (&named, "evil.example", 421),
        (&any, "evil.example", 200),
    ] {
        let mut wire = Wire::to(app).await;
        wire.send(format!("GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(wire.answer(true).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_header_that_decides_and_comes_twice_is_refused() {
    let untouched = Untouched::start().await;
    for (name, value) in [("Authorization", "Bearer k"), ("Content-Type", "application/json")] {
        for second in [value, "other"] {
            let headers = format!("{name}: {value}\r\n{name}: {second}\r\n");
            ask(&untouched.app, "POST", "/v1/media", &headers, WISH).await.invalid(name, "given once", name);
        }
    }
    let codings = "Content-Type: application/json\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n";
    ask(&untouched.app, "POST", "/v1/media", codings, WISH).await.problem(415, "two codings");
    let ids = "X-Request-Id: one\r\nX-Request-Id: two\r\n";
    assert_eq!(ask(&untouched.app, "GET", "/livez", ids, b"").await.header("x-request-id").len(), 36);
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
