use zeroload_embedded_s3::{Effect, Fault as Script, Manner, Operation, Refusal};

use super::*;
use crate::storage::{
    Deletes, Location,
    test_s3::{Item, RealServer, Scripted, answer, bare, error_body, missing, now, send},
};

const KEYS: [&str; 3] = ["media/a", "media/b", "media/c"];

fn named() -> Vec<Named<'static>> {
    KEYS.iter().map(|key| (*key, None)).collect()
}

fn done() -> String {
    bare(204, "x-amz-request-id: 1\r\n")
}

/// The outcome for the one key.
async fn delete_with(answers: Vec<String>) -> Deletion {
    let server = Scripted::answering(answers).await;
    let gateway = server.gateway().await;
    gateway.delete_singly(&named()[..1]).await.of(KEYS[0], None).cloned().expect("it is named")
}

#[tokio::test]
async fn a_server_without_bulk_deletes_is_asked_key_by_key_from_then_on() {
    for (status, code) in [(501, "NotImplemented"), (405, "MethodNotAllowed"), (405, "x")] {
        let server = Scripted::answering(vec![answer(status, "", &error_body(code)), done()]).await;
        let gateway = server.gateway().await;
        assert_eq!(gateway.deletes(), Deletes::Untried);
        for round in 1..=2 {
            let deleted = gateway.delete_all(&named()).await;
            assert!(KEYS.iter().all(|key| deleted.of(key, None) == Some(Deletion::Gone)), "{deleted:?}");
            assert_eq!((gateway.deletes(), server.requests().len()), (Deletes::Single, 1 + 3 * round));
        }
        assert_eq!(server.requests().iter().filter(|request| request.starts_with("POST")).count(), 1);
    }
}

#[tokio::test]
async fn a_single_delete_counts_if_the_server_itself_has_answered_it() {
    assert_eq!(delete_with(vec![done()]).await, Deletion::Gone);
    assert_eq!(delete_with(vec![answer(404, "", &error_body("NoSuchKey"))]).await, Deletion::Gone);
    // A proxy answers 200 to everything, so the HEAD afterwards decides.
    assert_eq!(delete_with(vec![bare(200, "content-length: 0\r\n"), missing()]).await, Deletion::Gone);
    let there = bare(200, "content-length: 5\r\netag: \"e\"\r\n");
    for doubtful in [
        vec![bare(204, ""), there],
        vec![bare(204, ""), bare(404, "content-type: text/plain\r\n")],
        vec![answer(404, "", "404 page not found")],
        vec![answer(503, "", &error_body("SlowDown"))],
        vec![String::new()],
    ] {
        let deletion = delete_with(doubtful.clone()).await;
        assert!(matches!(deletion, Deletion::Unknown { .. }), "{doubtful:?}: {deletion:?}");
    }
    let hidden = bare(204, "x-amz-request-id: 1\r\nx-amz-delete-marker: true\r\nx-amz-version-id: m1\r\n");
    assert_eq!(delete_with(vec![hidden]).await, Deletion::failed(DELETE_MARKER));
    let denied = answer(403, "", &error_body("AccessDenied"));
    assert_eq!(delete_with(vec![denied]).await, Deletion::failed("AccessDenied"));
}

#[tokio::test]
async fn one_key_that_is_refused_holds_up_no_other_and_an_outage_ends_the_page() {
    let server = RealServer::with(&[]).await;
    let gateway = server.gateway().await;
    let faults = server.faults.as_ref().unwrap();
    faults.add(Script::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::DeleteObject).key(KEYS[1]));
    let answers = gateway.delete_singly(&named()).await;
    let outcomes = KEYS.map(|key| answers.of(key, None).cloned());
    assert_eq!(outcomes, [Some(Deletion::Gone), Some(Deletion::failed("AccessDenied")), Some(Deletion::Gone)]);

    let gateway = Gateway::connect(crate::storage::test_s3::settings(Some("http://127.0.0.1:1"))).await.unwrap();
    let many: Vec<String> = (0..500).map(|number| format!("media/{number}")).collect();
    let many: Vec<Named<'_>> = many.iter().map(|key| (key.as_str(), None)).collect();
    let answers = gateway.delete_singly(&many).await;
    assert!(many.iter().all(|(key, _)| matches!(answers.of(key, None), Some(Deletion::Unknown { .. }))));
}

#[tokio::test]
async fn a_bulk_delete_carries_both_digests_of_its_body() {
    let server = RealServer::with(&[Effect::Manner(Manner::WantsContentMd5)]).await;
    let gateway = server.gateway().await;
    let item = Item::fresh(&gateway);
    let upload = gateway.sign_ticket(&item.ticket(5), now(), now() + chrono::TimeDelta::minutes(5)).await.unwrap();
    assert_eq!(send(&upload, b"hello").await, 200);
    let at: Location<'_> = item.at();
    assert_eq!(gateway.delete(&[at]).await, [Deletion::Gone]);
    assert_eq!((gateway.head(&at).await, gateway.deletes()), (Ok(None), Deletes::Bulk));

    let server = Scripted::answering(vec![answer(403, "", &error_body("AccessDenied"))]).await;
    let _refused = server.gateway().await.delete_all(&named()).await;
    let request = server.requests()[0].to_ascii_lowercase();
    assert!(request.contains("\r\ncontent-md5: ") && request.contains("\r\nx-amz-checksum-crc32: "), "{request}");
    assert!(request.contains("signedheaders=content-") && request.contains("content-md5;"), "it is signed: {request}");
}
