use uuid::Uuid;
use zeroload_embedded_s3::{Effect, Fault as Script, Manner, Operation};

use super::*;
use crate::storage::{
    Fault,
    test_s3::{Item, RealServer, Scripted, answer, bare, error_body, fresh_id, missing, now, send},
};

const PAGE: &str = "content-type: text/html; charset=utf-8\r\nserver: Werkzeug/3.1\r\n";
const FOUND: &str = "content-length: 5\r\netag: \"abc\"\r\n";

fn look(request_id: bool, content_type: &str, server: &str) -> NotFoundLook {
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    NotFoundLook { request_id, content_type: named(content_type), server: named(server) }
}

#[test]
fn a_404_counts_by_what_was_seen_of_this_server() {
    let s3 = look(true, "application/xml", "AmazonS3");
    let plain = look(false, "text/html", "Werkzeug/3.1");
    for (known, found, expected) in [
        (Some(&s3), s3.clone(), Proof::Absent),
        (Some(&s3), look(true, "application/xml", "a proxy"), Proof::Absent),
        (Some(&s3), look(true, "text/plain", "AmazonS3"), Proof::Nothing),
        (Some(&s3), look(false, "application/xml", "AmazonS3"), Proof::Nothing),
        (Some(&s3), look(false, "text/plain", ""), Proof::Nothing),
        (Some(&s3), look(false, "", ""), Proof::Nothing),
        (Some(&plain), plain.clone(), Proof::BesideMarker),
        (Some(&plain), look(false, "text/html", "nginx"), Proof::Nothing),
        (Some(&plain), look(false, "text/plain", "Werkzeug/3.1"), Proof::Nothing),
        (Some(&plain), s3.clone(), Proof::Nothing),
        (None, s3.clone(), Proof::BesideMarker),
        (None, plain.clone(), Proof::Nothing),
    ] {
        assert_eq!(proof(known, &found), expected, "{known:?} {found}");
    }
}

async fn head_with(known: Option<NotFoundLook>, answers: Vec<String>) -> (Result<bool, StorageError>, Vec<String>) {
    let server = Scripted::answering(answers).await;
    let gateway = Gateway::connect(crate::storage::test_s3::settings(Some(&server.endpoint))).await.unwrap();
    gateway.manners().note_marker_of(JOURNAL);
    if let Some(known) = known {
        gateway.expect_not_found(known);
    }
    let found = gateway.head(&Item::fresh(&gateway).at()).await.map(|facts| facts.is_some());
    let methods = server.requests().iter().map(|request| request.split(' ').next().unwrap().to_owned()).collect();
    (found, methods)
}

const JOURNAL: Uuid = Uuid::from_u128(7);

fn marker() -> String {
    answer(200, "etag: \"m\"\r\n", &format!("{{\"journal_id\": \"{JOURNAL}\"}}"))
}

#[tokio::test]
async fn a_404_of_this_server_with_a_request_id_is_enough() {
    let (found, requests) = head_with(Some(NotFoundLook::of_s3()), vec![missing()]).await;
    assert_eq!((found, requests), (Ok(false), vec!["HEAD".to_owned()]));
    let minio = bare(404, "x-amz-request-id: 1\r\nx-minio-error-code: NoSuchKey\r\n");
    assert_eq!(head_with(Some(NotFoundLook::of_s3()), vec![minio]).await.0, Ok(false));
}

#[tokio::test]
async fn a_404_of_somebody_else_proves_nothing_and_is_remembered() {
    for strange in [
        bare(404, "content-type: text/plain; charset=utf-8\r\n"),
        bare(404, PAGE),
        bare(404, ""),
        bare(404, "x-amz-request-id: 1\r\ncontent-type: text/plain\r\n"),
    ] {
        let server = Scripted::answering(vec![strange.clone()]).await;
        let gateway = server.gateway().await;
        let error = gateway.head(&Item::fresh(&gateway).at()).await.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable { kind: Fault::Answer, .. }), "{strange}: {error:?}");
        assert!(error.to_string().contains("proxy"), "{error}");
        assert!(gateway.strange_answer().is_some());
    }
    let (found, _) = head_with(None, vec![bare(404, PAGE)]).await;
    assert!(found.is_err(), "nothing is known of the server yet");
}

#[tokio::test]
async fn a_404_that_anybody_could_have_sent_counts_between_two_looks_at_the_marker() {
    let (plain, found) = (bare(404, PAGE), bare(200, FOUND));
    let moto = || Some(look(false, "text/html", "Werkzeug/3.1"));
    let no_marker = answer(404, "", &error_body("NoSuchKey"));
    let (absent, requests) = head_with(moto(), vec![plain.clone(), marker(), plain.clone(), marker()]).await;
    assert_eq!((absent, requests), (Ok(false), ["HEAD", "GET", "HEAD", "GET"].map(str::to_owned).to_vec()));
    let (there, _) = head_with(moto(), vec![plain.clone(), marker(), found]).await;
    assert_eq!(there, Ok(true), "the first 404 was somebody else's");
    for doubtful in [
        vec![plain.clone(), plain.clone()],
        vec![plain.clone(), no_marker],
        vec![plain.clone(), marker(), bare(404, "content-type: text/plain\r\n")],
        vec![plain.clone(), marker(), plain.clone(), plain.clone()],
        vec![plain.clone(), marker(), plain.clone(), answer(503, "", "")],
        vec![plain.clone(), marker(), bare(500, "")],
    ] {
        let (found, _) = head_with(moto(), doubtful.clone()).await;
        assert!(found.is_err(), "{doubtful:?}");
    }
}

#[tokio::test]
async fn what_a_missing_key_looks_like_is_learned_beside_a_key_that_is_there() {
    for (effects, has_request_id) in [(&[][..], true), (&[Effect::Manner(Manner::HasPlainNotFounds)][..], false)] {
        let server = RealServer::with(effects).await;
        let gateway = Gateway::connect(server.settings.clone()).await.unwrap();
        let item = Item::fresh(&gateway);
        let upload = gateway.sign_ticket(&item.ticket(5), now(), now() + chrono::TimeDelta::minutes(5)).await.unwrap();
        let (never, there) = (gateway.prefix().probe("never"), item.object_key.to_string());
        assert!(gateway.learn_not_found(&never, &there).await.is_err(), "nothing is there to compare with");
        assert_eq!(send(&upload, b"hello").await, 200);
        let learned = gateway.learn_not_found(&never, &there).await.unwrap().expect("it is missing");
        assert_eq!(learned.has_request_id(), has_request_id);
        assert_eq!(gateway.learn_not_found(&there, &there).await, Ok(None));

        let absent = Item::fresh(&gateway);
        assert_eq!(gateway.head(&absent.at()).await.is_ok(), has_request_id, "without a marker beside it");
        gateway.claim_marker(fresh_id()).await.unwrap();
        assert_eq!(gateway.head(&absent.at()).await, Ok(None));
        assert!(gateway.head(&item.at()).await.unwrap().is_some());

        // A proxy answers in the server's place: always, then for the first request alone.
        let faults = server.faults.as_ref().unwrap();
        faults.add(Script::new(Effect::StandIn).on(Operation::HeadObject));
        assert!(gateway.head(&item.at()).await.is_err() && gateway.head(&absent.at()).await.is_err());
        assert!(gateway.strange_answer().is_some());
        assert!(gateway.learn_not_found(&never, &there).await.is_err());
        assert_eq!(gateway.manners().known_not_found(), Some(learned));
    }
}

#[tokio::test]
async fn an_object_is_not_what_somebody_else_describes() {
    let found = bare(200, FOUND);
    let server =
        Scripted::answering(vec![found.clone(), bare(200, &format!("x-amz-request-id: 1\r\n{FOUND}")), found]).await;
    let gateway = server.gateway().await;
    let item = Item::fresh(&gateway);
    assert!(gateway.head(&item.at()).await.unwrap().is_some(), "of this server nothing is known yet");
    gateway.manners().note_not_found(NotFoundLook::of_s3(), true);
    assert!(gateway.head(&item.at()).await.unwrap().is_some());
    let error = gateway.head(&item.at()).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { kind: Fault::Answer, .. }), "{error:?}");
    assert_eq!(
        gateway.strange_answer().as_deref(),
        Some("200 without x-amz-request-id"),
        "the server is probed again for it"
    );
}
