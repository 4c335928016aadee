use chrono::TimeDelta;
use zeroload_domain::{Bucket, Store};

use super::*;
use crate::storage::{
    Fault, GatewaySettings, StaticKeys, TicketSpec,
    test_s3::{Item, RealServer, Scripted, bare, missing, now, send, settings},
};

const FOUND: &str = "content-length: 5\r\netag: \"abc\"\r\ncontent-type: image/jpeg\r\n";

async fn head_with(answer: String) -> Result<Option<ObjectFacts>, StorageError> {
    let server = Scripted::answering(vec![answer]).await;
    let gateway = server.gateway().await;
    gateway.head(&Item::fresh(&gateway).at()).await
}

fn fault(outcome: Result<Option<ObjectFacts>, StorageError>) -> (Fault, Option<u16>) {
    match outcome {
        Err(StorageError::Unavailable { kind, status, .. }) => (kind, status),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_ticket_uploads_what_it_says_and_once() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let item = Item::fresh(&gateway);
    let checksum = Sha256Digest::of(b"hello");
    let name = zeroload_domain::FileName::parse("Füße.jpg").unwrap();
    let ticket = TicketSpec { checksum_sha256: Some(checksum), file_name: Some(&name), ..item.ticket(5) };
    let (issued, expires_at) = (now(), now() + TimeDelta::minutes(5));
    let upload = gateway.sign_ticket(&ticket, issued, expires_at).await.unwrap();
    assert_eq!(gateway.head(&item.at()).await, Ok(None));

    let changed = |name: &'static str, value: Option<&str>| {
        let mut upload = upload.clone();
        upload.headers.remove(name);
        if let Some(value) = value {
            upload.headers.insert(name, value.to_owned());
        }
        upload
    };
    assert_eq!(send(&changed("content-type", Some("text/html")), b"hello").await, 403);
    assert_eq!(send(&changed("content-type", None), b"hello").await, 403);
    assert_eq!(send(&changed("content-length", Some("6")), b"hello!").await, 403);
    assert_eq!(send(&changed("if-none-match", None), b"hello").await, 403);
    assert_eq!(send(&changed("x-amz-checksum-sha256", None), b"hello").await, 403);
    assert_eq!(gateway.head(&item.at()).await, Ok(None));

    assert_eq!(send(&upload, b"hello").await, 200);
    let facts = gateway.head(&item.at()).await.unwrap().unwrap();
    assert_eq!(facts.content_length, ByteSize::new(5));
    assert_eq!(facts.content_type, Some(StoredType::from(&item.content_type)));
    assert!(facts.checksum_sha256.is_none_or(|found| found == checksum));
    assert_eq!(facts.version_id, None);
    assert_eq!(send(&upload, b"hello").await, 412);
}

#[tokio::test]
async fn a_url_that_has_ended_uploads_nothing() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let item = Item::fresh(&gateway);
    let issued = now() - TimeDelta::minutes(10);
    let upload = gateway.sign_ticket(&item.ticket(5), issued, issued + TimeDelta::minutes(9)).await.unwrap();
    assert_eq!(send(&upload, b"hello").await, 403);
    assert_eq!(gateway.head(&item.at()).await, Ok(None));
}

#[tokio::test]
async fn wrong_keys_are_refused_and_prove_nothing() {
    let keys = StaticKeys { access_key: "nobody".to_owned(), secret_key: "nothing".to_owned(), session_token: None };
    let server = RealServer::start().await;
    let gateway = Gateway::connect(GatewaySettings { keys: Some(keys), ..server.settings.clone() }).await.unwrap();
    let outcome = gateway.head(&Item::fresh(&gateway).at()).await;
    assert_eq!(fault(outcome), (Fault::Refused, Some(403)));
}

#[tokio::test]
async fn a_refusal_or_a_failure_proves_nothing() {
    for (answer, expected) in [
        (bare(404, "content-type: text/html; charset=utf-8\r\n"), (Fault::Answer, None)),
        (bare(404, "x-minio-error-code: NoSuchBucket\r\n"), (Fault::Refused, Some(404))),
        (bare(403, ""), (Fault::Refused, Some(403))),
        (bare(400, ""), (Fault::Refused, Some(400))),
        (bare(301, ""), (Fault::Refused, Some(301))),
        (bare(429, ""), (Fault::Throttled, Some(429))),
        (bare(500, ""), (Fault::Server, Some(500))),
        (bare(502, ""), (Fault::Server, Some(502))),
        (bare(503, ""), (Fault::Throttled, Some(503))),
        (String::new(), (Fault::Connection, None)),
        ("what?\r\n\r\n".to_owned(), (Fault::Connection, None)),
    ] {
        assert_eq!(fault(head_with(answer.clone()).await), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_proves_nothing() {
    let gateway = Gateway::connect(settings(Some("http://127.0.0.1:1"))).await.unwrap();
    let error = gateway.head(&Item::fresh(&gateway).at()).await.unwrap_err();
    assert!(error.to_string().starts_with("the connection to storage for HeadObject failed: "), "{error}");
    assert!(!error.to_string().contains("http"), "{error}");
    assert_eq!(error.reason(), "connection");
}

#[tokio::test]
async fn an_item_of_another_bucket_is_not_looked_for() {
    let server = Scripted::answering(vec![missing()]).await;
    let gateway = server.gateway().await;
    let (store, bucket) = (Store::parse("elsewhere").unwrap(), Bucket::parse("other").unwrap());
    let own = Item::fresh(&gateway);
    for at in [Location { store: &store, ..own.at() }, Location { bucket: &bucket, ..own.at() }] {
        let (store, bucket) = (at.store.clone(), at.bucket.clone());
        assert_eq!(gateway.head(&at).await, Err(StorageError::OtherBucket { store, bucket }));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn facts_are_read_as_they_are_meant() {
    let checksum = Sha256Digest::of(b"hello");
    let full = format!("{FOUND}x-amz-checksum-sha256: {checksum}\r\nx-amz-version-id: v1\r\n");
    let facts = head_with(bare(200, &full)).await.unwrap().unwrap();
    assert_eq!(facts.etag, ETag::parse("abc").unwrap());
    assert_eq!(facts.content_length, ByteSize::new(5));
    assert_eq!(facts.content_type, Some(StoredType::of("image/jpeg")));
    assert_eq!(facts.checksum_sha256, Some(checksum));
    assert_eq!(facts.version_id, Some(VersionId::parse("v1").unwrap()));

    let other = format!(
        "content-length: 5\r\netag: W/\"abc\"\r\nx-amz-checksum-sha256: {checksum}-3\r\nx-amz-version-id: null\r\n"
    );
    let facts = head_with(bare(200, &other)).await.unwrap().unwrap();
    assert_eq!(facts.etag, ETag::parse("abc").unwrap());
    assert_eq!((facts.content_type, facts.checksum_sha256, facts.version_id), (None, None, None));
}

#[tokio::test]
async fn facts_that_cannot_be_used_prove_nothing() {
    for headers in ["content-length: 5\r\ncontent-type: image/jpeg\r\n", "content-length: 5\r\netag: \"\"\r\n"] {
        assert_eq!(fault(head_with(bare(200, headers)).await).0, Fault::Answer, "{headers}");
    }
}

#[tokio::test]
async fn a_type_that_is_none_is_a_fact_and_no_fault() {
    let facts = head_with(bare(200, "content-length: 5\r\netag: \"a\"\r\ncontent-type: no type\r\n")).await;
    assert_eq!(facts.unwrap().unwrap().content_type, Some(StoredType::of("no type")));
}

#[tokio::test]
async fn a_failed_look_is_tried_once_more() {
    let server = Scripted::answering(vec![bare(500, ""), bare(200, FOUND)]).await;
    let gateway = server.gateway().await;
    assert!(matches!(gateway.head(&Item::fresh(&gateway).at()).await, Ok(Some(_))));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].contains("x-amz-checksum-mode: ENABLED"));
}
