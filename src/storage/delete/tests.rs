use uuid::Uuid;
use zeroload_domain::{Bucket, KeyPrefix};

use super::*;
use crate::storage::{
    GatewaySettings,
    test_s3::{Item, RealServer, Scripted, answer, bare, error_body, fresh_id, now, send, settings, until_close},
};

const IDS: [u128; 3] = [0xa, 0xb, 0xc];

fn items(gateway: &Gateway) -> Vec<Item> {
    IDS.iter().map(|id| Item::with_id(gateway, Uuid::from_u128(*id))).collect()
}

fn key(id: u128) -> String {
    format!("media/default/{id:02x}/{}.jpg", Uuid::from_u128(id))
}

fn result(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</DeleteResult>"
    )
}

fn deleted(id: u128) -> String {
    format!("<Deleted><Key>{}</Key></Deleted>", key(id))
}

fn failed(id: u128, code: &str) -> String {
    format!("<Error><Key>{}</Key><Code>{code}</Code><Message>m</Message></Error>", key(id))
}

async fn delete_with(answers: Vec<String>) -> (Vec<Deletion>, Vec<String>) {
    let server = Scripted::answering(answers).await;
    let gateway = server.gateway().await;
    let items = items(&gateway);
    let at: Vec<Location<'_>> = items.iter().map(Item::at).collect();
    (gateway.delete(&at).await, server.requests())
}

fn all_unknown(answers: &[Deletion]) -> bool {
    answers.len() == IDS.len() && answers.iter().all(|answer| matches!(answer, Deletion::Unknown { .. }))
}

#[tokio::test]
async fn a_key_is_gone_only_if_the_answer_says_so() {
    let body = result(&format!("{}{}", failed(0xa, "AccessDenied"), deleted(0xc)));
    let (answers, requests) = delete_with(vec![answer(200, "", &body)]).await;
    assert_eq!(answers[0], Deletion::Failed { code: "AccessDenied".to_owned() });
    assert!(matches!(&answers[1], Deletion::Unknown { why } if why.to_string().contains("does not name the key")));
    assert_eq!(answers[2], Deletion::Gone);
    assert_eq!(requests.len(), 1);
    assert!(requests[0].contains("<Quiet>false</Quiet>"));
}

#[tokio::test]
async fn each_key_has_its_own_outcome() {
    let body =
        result(&format!("{}{}{}", failed(0xa, "NoSuchKey"), failed(0xb, "SlowDown"), failed(0xc, "InternalError")));
    let (answers, _) = delete_with(vec![answer(200, "", &body)]).await;
    assert_eq!(answers[0], Deletion::Gone);
    assert_eq!(answers[1], Deletion::Failed { code: "SlowDown".to_owned() });
    assert_eq!(answers[2], Deletion::Failed { code: "InternalError".to_owned() });
}

#[tokio::test]
async fn a_key_that_is_deleted_and_failed_has_failed() {
    let body = result(&format!("{}{}{}", deleted(0xa), failed(0xa, "AccessDenied"), deleted(0xb)));
    let (answers, _) = delete_with(vec![answer(200, "", &body)]).await;
    assert_eq!(answers[0], Deletion::Failed { code: "AccessDenied".to_owned() });
    assert_eq!(answers[1], Deletion::Gone);
}

#[tokio::test]
async fn a_delete_marker_is_no_delete() {
    let marker = format!("<Deleted><Key>{}</Key><DeleteMarker>true</DeleteMarker></Deleted>", key(0xa));
    let (answers, _) = delete_with(vec![answer(200, "", &result(&marker))]).await;
    assert_eq!(answers[0], Deletion::Failed { code: DELETE_MARKER.to_owned() });
}

#[tokio::test]
async fn an_answer_that_was_cut_proves_nothing() {
    let whole = result(&format!("{}{}{}", deleted(0xa), deleted(0xb), deleted(0xc)));
    for end in [whole.len() - 1, whole.len() - 20, whole.find("</Key>").unwrap(), whole.find("<Deleted>").unwrap(), 0] {
        let (answers, _) = delete_with(vec![until_close(&whole[..end])]).await;
        assert!(all_unknown(&answers), "cut at {end}: {answers:?}");
    }
    let (answers, _) = delete_with(vec![until_close(&whole)]).await;
    assert_eq!(answers, [Deletion::Gone, Deletion::Gone, Deletion::Gone]);
}

#[tokio::test]
async fn a_call_that_fails_as_a_whole_proves_nothing() {
    for (status, body) in [
        (403, error_body("AccessDenied")),
        (404, error_body("NoSuchBucket")),
        (500, error_body("InternalError")),
        (503, error_body("SlowDown")),
        (502, "<html>bad gateway</html>".to_owned()),
        (200, error_body("InternalError")),
        (200, "<html>hello</html>".to_owned()),
        (200, String::new()),
    ] {
        let (answers, _) = delete_with(vec![answer(status, "", &body)]).await;
        assert!(all_unknown(&answers), "{status} {body}: {answers:?}");
    }
    let (answers, _) = delete_with(vec![String::new()]).await;
    assert!(all_unknown(&answers), "{answers:?}");
    let (answers, _) = delete_with(vec![bare(200, "content-length: 500\r\n")]).await;
    assert!(all_unknown(&answers), "{answers:?}");
}

#[tokio::test]
async fn a_failed_call_is_tried_once_more() {
    let body = result(&format!("{}{}{}", deleted(0xa), deleted(0xb), deleted(0xc)));
    let (answers, requests) = delete_with(vec![answer(503, "", &error_body("SlowDown")), answer(200, "", &body)]).await;
    assert_eq!(answers, [Deletion::Gone, Deletion::Gone, Deletion::Gone]);
    assert_eq!(requests.len(), 2);
    let (answers, requests) = delete_with(vec![answer(503, "", &error_body("SlowDown"))]).await;
    assert!(all_unknown(&answers));
    assert!(matches!(&answers[0], Deletion::Unknown { why } if why.reason() == "SlowDown"));
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn what_is_not_ours_is_refused_without_asking() {
    let server = Scripted::answering(vec![answer(200, "", &result(""))]).await;
    let gateway = server.gateway().await;
    let other = GatewaySettings { prefix: KeyPrefix::parse("media2").unwrap(), ..settings(Some(&server.endpoint)) };
    let outside = Item::fresh(&Gateway::connect(other).await.unwrap());
    let own = Item::fresh(&gateway);
    let bucket = Bucket::parse("other").unwrap();
    let answers = gateway.delete(&[outside.at(), Location { bucket: &bucket, ..own.at() }]).await;
    assert_eq!(answers, [Deletion::failed(OUTSIDE_PREFIX), Deletion::failed(OTHER_BUCKET)]);
    assert_eq!(gateway.delete(&[]).await, []);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_real_server_deletes_what_is_there_and_what_is_not() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let there = Item::fresh(&gateway);
    let upload = gateway.sign_ticket(&there.ticket(5), now(), now() + chrono::TimeDelta::minutes(5)).await.unwrap();
    assert_eq!(send(&upload, b"hello").await, 200);
    let missing = Item::fresh(&gateway);
    let answers = gateway.delete(&[missing.at(), there.at(), missing.at()]).await;
    assert_eq!(answers, [Deletion::Gone, Deletion::Gone, Deletion::Gone]);
    assert_eq!(gateway.head(&there.at()).await, Ok(None));
    assert_eq!(gateway.delete(&[there.at()]).await, [Deletion::Gone]);
}

#[tokio::test]
async fn more_than_a_thousand_keys_are_several_calls() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let items: Vec<Item> = (0..1001).map(|_| Item::with_id(&gateway, fresh_id())).collect();
    let at: Vec<Location<'_>> = items.iter().map(Item::at).collect();
    let answers = gateway.delete(&at).await;
    assert_eq!(answers.len(), 1001);
    assert!(answers.iter().all(|answer| *answer == Deletion::Gone));
}
