//! What a ticket permits, and all that the S3 server itself refuses. Nothing of a refused upload is left behind.

use reqwest::StatusCode;
use serde_json::json;

use crate::app::{TestApp, id, is_foreign, wish};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a picture";

/// The refused upload left nothing, and the ticket still works.
async fn unharmed(app: &TestApp, media: &serde_json::Value) {
    assert!(!app.in_bucket(media).await);
    assert_eq!(app.put(media, JPEG).await.status(), StatusCode::OK);
}

/// A PUT whose headers are those of the ticket, but for one.
async fn put_with(
    app: &TestApp,
    media: &serde_json::Value,
    name: &str,
    value: Option<&str>,
    bytes: &[u8],
) -> StatusCode {
    let upload = &media["upload"];
    let mut request = app.client.put(upload["url"].as_str().expect("a url")).body(bytes.to_vec());
    for (header, signed) in upload["headers"].as_object().expect("headers") {
        if header != name && header != "content-length" {
            request = request.header(header, signed.as_str().expect("a value"));
        }
    }
    if let Some(value) = value {
        request = request.header(name, value);
    }
    request.send().await.expect("an answer").status()
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    assert_eq!(put_with(&app, &media, "content-type", Some("text/html"), JPEG).await, StatusCode::FORBIDDEN);
    assert_eq!(put_with(&app, &media, "content-type", None, JPEG).await, StatusCode::FORBIDDEN);
    unharmed(&app, &media).await;
}

#[tokio::test]
async fn another_length_is_refused() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    let longer = [JPEG, b"!"].concat();
    assert_eq!(put_with(&app, &media, "-", None, &longer).await, StatusCode::FORBIDDEN);
    assert_eq!(put_with(&app, &media, "-", None, &JPEG[1..]).await, StatusCode::FORBIDDEN);
    unharmed(&app, &media).await;
}

#[tokio::test]
async fn an_upload_without_the_condition_is_refused() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    assert_eq!(put_with(&app, &media, "if-none-match", None, JPEG).await, StatusCode::FORBIDDEN);
    unharmed(&app, &media).await;
}

#[tokio::test]
async fn a_second_upload_with_the_same_url_is_refused() {
    let app = TestApp::start().await;
    let media = app.uploaded(JPEG).await;
    let other = [b"X", &JPEG[1..]].concat();
    assert_eq!(app.put(&media, JPEG).await.status(), StatusCode::PRECONDITION_FAILED);
    assert!(app.put(&media, &other).await.status().is_client_error());
    let (status, _) = app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn of_twelve_uploads_at_once_one_wins() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    let attempts = (0..12).map(|_| app.put(&media, JPEG));
    let answers = futures_util::future::join_all(attempts).await;
    let won = answers.iter().filter(|answer| answer.status() == StatusCode::OK).count();
    assert_eq!(won, 1);
    assert!(answers.iter().all(|answer| matches!(answer.status().as_u16(), 200 | 409 | 412)));
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_upload_after_the_ticket_has_ended_is_refused() {
    let app = TestApp::start_with(|raw| raw.ticket_ttl = Some("1s".to_owned())).await;
    let media = app.ticket(JPEG).await;
    let ends = media["upload"]["expires_at"]
        .as_str()
        .expect("a time")
        .parse::<chrono::DateTime<chrono::Utc>>()
        .expect("RFC 3339");
    while chrono::Utc::now() <= ends + chrono::TimeDelta::milliseconds(1500) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(app.put(&media, JPEG).await.status(), StatusCode::FORBIDDEN);
    assert!(!app.in_bucket(&media).await);
    let (status, renewed) = app.post(&format!("/v1/media/{}/ticket", id(&media)), json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(app.put(&renewed, JPEG).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn other_bytes_than_the_checksum_says_are_refused() {
    // A server that keeps no SHA-256 accepts them; the probe says so, and size and type are all that is compared.
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.ticket(JPEG).await;
    let other = [b"X", &JPEG[1..]].concat();
    assert_eq!(app.put(&media, &other).await.status(), StatusCode::BAD_REQUEST);
    unharmed(&app, &media).await;
}

#[tokio::test]
async fn a_header_that_is_not_signed_is_refused() {
    let app = TestApp::start_embedded(|_| {}).await;
    let secret = app.confirmed(b"secret").await;
    let source = format!("/media/{}", secret["object_key"].as_str().expect("a key"));
    let media = app.ticket(JPEG).await;
    for (name, value) in [("x-amz-copy-source", source.as_str()), ("x-amz-meta-a", "b"), ("x-amz-acl", "public-read")] {
        let answer = app.put_request(&media, JPEG).header(name, value).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
    unharmed(&app, &media).await;
}

#[tokio::test]
async fn what_the_server_cannot_enforce_is_said_when_asked() {
    let app = TestApp::start().await;
    let (status, ready) = app.get("/readyz").await;
    assert_eq!((status, &ready["ready"]), (StatusCode::OK, &json!(true)), "{ready}");
    let degraded: Vec<_> = ready["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["status"] == "degraded")
        .map(|check| check["name"].as_str().unwrap_or_default())
        .collect();
    // The embedded server enforces all of it. Of a foreign one we know what radosgw lacks.
    if is_foreign() {
        assert!(degraded.contains(&"s3-unsigned-headers") && degraded.contains(&"s3-checksum"), "{degraded:?}");
    } else {
        assert!(degraded.is_empty(), "{degraded:?}");
    }
}

#[tokio::test]
async fn an_object_that_is_not_what_was_requested_is_never_confirmed() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    // Past the ticket, with the service's own credentials: what a server that enforces less would let through.
    put_directly(&app, &media, b"something else entirely", "image/jpeg").await;
    for call in ["confirm", "uploaded"] {
        let (status, problem) = app.post_empty(&format!("/v1/media/{}/{call}", id(&media))).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("upload-mismatch")), "{call}");
    }
    assert_eq!(app.history(&media).await, ["MediaRequested"]);
}

#[tokio::test]
async fn an_object_that_was_exchanged_after_the_confirm_is_noticed() {
    let app = TestApp::start().await;
    let media = app.confirmed(JPEG).await;
    let other = [b"X", &JPEG[1..]].concat();
    put_directly(&app, &media, &other, "image/jpeg").await;
    let (status, problem) = app.post_empty(&format!("/v1/media/{}/uploaded", id(&media))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("content-changed")));
}

async fn put_directly(app: &TestApp, media: &serde_json::Value, bytes: &[u8], content_type: &str) {
    let key = media["object_key"].as_str().expect("a key").to_owned();
    let client = crate::app::s3_client(app).await;
    let put = client.put_object().bucket(app.parts.gateway.bucket().as_str()).key(key).content_type(content_type);
    put.body(bytes.to_vec().into()).send().await.expect("written");
}

#[tokio::test]
async fn a_wish_without_a_checksum_is_compared_by_size_and_type() {
    let app = TestApp::start().await;
    let mut body = wish(JPEG);
    body.as_object_mut().expect("an object").remove("checksum_sha256");
    let (status, media) = app.post("/v1/media", body).await;
    assert_eq!((status, &media["checksum_sha256"]), (StatusCode::CREATED, &serde_json::Value::Null));
    assert!(media["upload"]["headers"].get("x-amz-checksum-sha256").is_none());
    assert_eq!(app.put(&media, JPEG).await.status(), StatusCode::OK);
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await.0, StatusCode::OK);
}
