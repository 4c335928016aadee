//! How requests travel: size, framing, order, and clients that break off.

use reqwest::{Body, Method};

use super::{
    Untouched,
    wire::{Answer, Wire, ask, request},
};
use crate::app::TestApp;

const JSON: &str = "Content-Type: application/json\r\n";
const WISH: &[u8] = br#"{"owner":"ann","content_type":"image/jpeg","content_length":5}"#;
const LIMIT: usize = 256 * 1024;

/// A wish of exactly `size` bytes.
fn padded(size: usize) -> Vec<u8> {
    let mut body = WISH.to_vec();
    body.resize(size, b' ');
    body
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(size) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_not_a_byte_more() {
    let app = TestApp::start().await;
    assert_eq!(ask(&app, "POST", "/v1/media", JSON, &padded(LIMIT)).await.status, 201);
    let head = app.head().await.position;
    let problem = ask(&app, "POST", "/v1/media", JSON, &padded(LIMIT + 1)).await.problem(413, "one byte more");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("262144 bytes")), "{problem}");
    assert_eq!(app.head().await.position, head);
}

#[tokio::test]
async fn a_client_that_is_still_sending_megabytes_gets_the_answer() {
    let untouched = Untouched::start().await;
    let large = vec![b'x'; 8 * 1024 * 1024];
    for (method, path, _) in untouched.writes() {
        let call = untouched.app.call(method.clone(), &path).header("Content-Type", "application/json");
        Answer::of(call.body(large.clone())).await.problem(413, &format!("{method} {path}"));
        // Of unknown length.
        let chunks = large.chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
        let call = untouched.app.call(method.clone(), &path).header("Content-Type", "application/json");
        let stream = Body::wrap_stream(futures_util::stream::iter(chunks));
        Answer::of(call.body(stream)).await.problem(413, &format!("{method} {path} in chunks"));
    }
    // Early refusals of other kinds drain the body too, and the connection goes on.
    let mut wire = Wire::to(&untouched.app).await;
    let some = vec![b'x'; LIMIT];
    for (method, target, status) in [("POST", "/nothing", 404), ("PUT", "/v1/media", 405), ("POST", "/v1/media", 415)] {
        wire.send(request(method, target, "", &some)).await;
        wire.answer(true).await.problem(status, target);
    }
    wire.send(request("POST", "/v1/media", "", &large)).await;
    wire.answer(true).await.problem(413, "large");
    wire.send(request("GET", "/livez", "", b"")).await;
    assert_eq!(wire.answer(true).await.status, 200);
    untouched.check().await;
}

#[tokio::test]
async fn a_body_may_come_in_chunks_of_any_size() {
    let app = TestApp::start().await;
    let mut wire = Wire::to(&app).await;
    for size in [1, 7, 1000] {
        wire.send(request("POST", "/v1/media", &format!("{JSON}Transfer-Encoding: chunked\r\n"), b"")).await;
        wire.send(chunked(WISH, size)).await;
        let answer = wire.answer(true).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    wire.send(request("POST", "/v1/media", &format!("{JSON}Transfer-Encoding: chunked\r\n"), b"")).await;
    wire.send(b"0\r\n\r\n").await;
    wire.answer(true).await.invalid("body", "a JSON object", "no chunk");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused_and_never_understood_as_far_as_it_came() {
    let untouched = Untouched::start().await;
    let whole = String::from_utf8_lossy(WISH);
    for (about, sent) in [
        (
            "shorter than announced",
            format!("POST /v1/media HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 500\r\n\r\n{whole}"),
        ),
        (
            "no last chunk",
            format!(
                "POST /v1/media HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{whole}\r\n",
                whole.len()
            ),
        ),
    ] {
        let mut wire = Wire::to(&untouched.app).await;
        wire.send(sent).await;
        wire.finish().await;
        wire.answer(true).await.invalid("body", "cannot be read", about);
    }
    let bad_chunk = format!(
        "POST /v1/media HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nzz\r\n{whole}\r\n0\r\n\r\n"
    );
    let mut wire = Wire::to(&untouched.app).await;
    wire.send(bad_chunk).await;
    let answer = wire.answer(true).await;
    answer.invalid("body", "cannot be read", "a chunk without a size");
    assert_eq!(answer.header("connection"), "close");
    // One answer for one request.
    wire.ended().await;
    untouched.check().await;
}

#[tokio::test]
async fn a_kept_connection_may_lie_idle_but_a_head_that_has_begun_must_come_to_its_end() {
    let app = TestApp::start().await;
    let mut idle = Wire::to(&app).await;
    idle.send(request("GET", "/livez", "", b"")).await;
    assert_eq!(idle.answer(true).await.status, 200);
    let slow = async |first: Vec<u8>, status, next: &str| {
        let mut wire = Wire::to(&app).await;
        wire.send(first).await;
        assert_eq!(wire.answer(true).await.status, status);
        wire.send(next).await;
        let answer = wire.answer(true).await;
        assert_eq!(answer.problem(408, next)["code"], "timeout");
        assert_eq!((answer.header("connection"), answer.header("date").ends_with(" GMT")), ("close", true));
        wire.ended().await;
    };
    let get = || request("GET", "/livez", "", b"");
    let together = |mut first: Vec<u8>| {
        first.extend_from_slice(b"GET /livez HTTP/1.1\r\n");
        first
    };
    tokio::join!(
        slow(get(), 200, "G"),
        slow(request("POST", "/v1/media", JSON, WISH), 201, "GET /livez HTTP/1.1\r\nHost: local"),
        slow(together(get()), 200, ""),
        slow(together(request("POST", "/v1/media", JSON, WISH)), 201, ""),
    );
    assert_eq!(app.metric("zeroload_http_requests_total{method=\"none\",route=\"\",status=\"408\"}").await, 4);
    idle.send(get()).await;
    assert_eq!(idle.answer(true).await.status, 200);
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let app = TestApp::start().await;
    let mut wire = Wire::to(&app).await;
    let head = format!(
        "POST /v1/media HTTP/1.1\r\nHost: localhost\r\n{JSON}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        WISH.len()
    );
    wire.send(head).await;
    assert_eq!(wire.answer(false).await.status, 100);
    wire.send(WISH).await;
    assert_eq!(wire.answer(true).await.status, 201);
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_order() {
    let app = TestApp::start().await;
    let mut wire = Wire::to(&app).await;
    let mut ahead = Vec::new();
    let mut expected = Vec::new();
    for round in 0..5 {
        for (method, target, body, status) in [
            ("POST", "/v1/media", WISH, 201),
            ("GET", "/v1/media/7", b"".as_slice(), 400),
            ("POST", "/v1/media", b"[]", 400),
            ("GET", "/v1/events", b"", 200),
            ("PUT", "/v1/media", b"{}", 405),
            ("GET", "/nothing", b"", 404),
            ("GET", "/livez", b"", 200),
        ] {
            let id = format!("{round}-{}", expected.len());
            ahead.extend(request(method, target, &format!("{JSON}X-Request-Id: {id}\r\n"), body));
            expected.push((status, id));
        }
    }
    wire.send(ahead).await;
    for (status, id) in expected {
        let answer = wire.answer(true).await;
        assert_eq!((answer.status, answer.header("x-request-id")), (status, id.as_str()));
    }
    assert_eq!(app.head().await.position, 5);
}

#[tokio::test]
async fn a_body_whose_length_is_said_in_two_ways_smuggles_no_request() {
    let untouched = Untouched::start().await;
    let smuggled = format!("0\r\n\r\nDELETE /v1/media/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", untouched.item);
    for lengths in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", smuggled.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", smuggled.len()),
        "Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Content-Length: -5\r\n".to_owned(),
        "Content-Length: 18446744073709551616\r\n".to_owned(),
        "Transfer-Encoding: gzip\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
    ] {
        let mut wire = Wire::to(&untouched.app).await;
        wire.send(format!("POST /v1/media HTTP/1.1\r\nHost: localhost\r\n{JSON}{lengths}\r\n{smuggled}")).await;
        let status = wire.answer(true).await.status;
        assert!((400..500).contains(&status), "{lengths:?}: {status}");
    }
    untouched.check().await;
}

#[tokio::test]
async fn what_is_no_http_ends_its_own_connection_alone() {
    let untouched = Untouched::start().await;
    let too_long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000));
    let too_many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(500));
    for sent in [
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
        "GET /livez HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nX: a\u{0}b\r\n\r\n",
        &too_long,
        &too_many,
    ] {
        let mut wire = Wire::to(&untouched.app).await;
        wire.send(sent).await;
        let (answer, about) = (wire.answer(true).await, sent.chars().take(40).collect::<String>());
        if sent == too_many {
            assert_eq!(answer.problem(431, &about)["code"], "headers-too-large");
        } else {
            answer.invalid("request", "RFC 9112", &about);
        }
        assert_eq!((answer.header("connection"), answer.header("x-request-id").len()), ("close", 36), "{about}");
        wire.ended().await;
    }
    let refused = async |status: u16| {
        let sample = format!("zeroload_http_requests_total{{method=\"none\",route=\"\",status=\"{status}\"}}");
        untouched.app.metric(&sample).await
    };
    assert_eq!((refused(400).await, refused(431).await), (8, 1));
    assert_eq!(Answer::of(untouched.app.call(Method::GET, "/livez")).await.status, 200);
    untouched.check().await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_behind_the_answers_to_what_came_before_it() {
    let app = TestApp::start().await;
    let mut wire = Wire::to(&app).await;
    let mut sent = request("GET", "/openapi.json", "", b"");
    sent.extend(request("GET", "/v1/events", "", b""));
    sent.extend(request("GET", "/livez", "bad header\r\n", b""));
    wire.send(sent).await;
    assert_eq!(wire.answer(true).await.status, 200);
    assert_eq!(wire.answer(true).await.status, 200);
    wire.answer(true).await.invalid("request", "RFC 9112", "a header without a colon");
    wire.ended().await;
}

#[tokio::test]
async fn a_head_that_is_far_too_long_is_told_so() {
    let app = TestApp::start().await;
    let mut wire = Wire::to(&app).await;
    wire.send(format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(200_000))).await;
    assert_eq!(wire.answer(true).await.problem(431, "200 kB")["code"], "headers-too-large");
}

#[tokio::test]
async fn a_stream_of_events_ends_where_the_journal_did_when_it_began() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        app.ticket(b"bytes").await;
    }
    let mut wire = Wire::to(&app).await;
    for (query, lines) in
        [("", 3), ("?after=1", 2), ("?after=3", 0), ("?after=100", 0), ("?limit=2", 2), ("?after=2&limit=9", 1)]
    {
        wire.send(request("GET", &format!("/v1/events{query}"), "", b"")).await;
        let answer = wire.answer(true).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{query}");
        let text = String::from_utf8(answer.body).expect("text");
        assert_eq!(text.lines().count(), lines, "{query}: {text}");
        assert!(text.is_empty() || text.ends_with('\n'), "{query}");
    }
}
