use super::*;
use crate::storage::{
    Fault,
    test_s3::{RealServer, Scripted, answer, error_body, fresh_id, now},
};

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, MarkerError>) -> Fault {
    match outcome {
        Err(MarkerError::Unavailable(StorageError::Unavailable { kind, .. })) => kind,
        other => panic!("{other:?}"),
    }
}

fn anchor_of(outcome: Result<Marked, MarkerError>) -> Result<Option<MarkedCommit>, MarkerError> {
    outcome.map(|marked| marked.anchor)
}

fn anchor(commit_id: u64) -> MarkedCommit {
    MarkedCommit { commit_id, position: 2 * commit_id, hash: "ab".repeat(32) }
}

#[tokio::test]
async fn a_bucket_belongs_to_the_journal_that_claims_it_first() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let (ours, theirs) = (fresh_id(), fresh_id());
    assert_eq!(gateway.check_marker(ours).await, Err(MarkerError::Missing));
    assert_eq!(anchor_of(gateway.claim_marker(ours).await), Ok(None));
    assert_eq!(anchor_of(gateway.claim_marker(ours).await), Ok(None));
    assert_eq!(anchor_of(gateway.check_marker(ours).await), Ok(None));
    assert_eq!(gateway.claim_marker(theirs).await, Err(MarkerError::OtherJournal { found: Some(ours) }));
    assert_eq!(gateway.check_marker(theirs).await, Err(MarkerError::OtherJournal { found: Some(ours) }));
}

#[tokio::test]
async fn a_marker_says_how_far_its_journal_was() {
    let server = RealServer::start().await;
    let (gateway, ours) = (server.gateway().await, fresh_id());
    let claimed = gateway.claim_marker(ours).await.unwrap();
    gateway.advance_marker(ours, &claimed, Some(anchor(3))).await.unwrap();
    let marked = gateway.check_marker(ours).await.unwrap();
    assert_eq!(marked.anchor, Some(anchor(3)));
    assert_eq!(anchor_of(gateway.claim_marker(ours).await), Ok(Some(anchor(3))), "a claim changes nothing");
    gateway.advance_marker(ours, &marked, Some(anchor(4))).await.unwrap();
    assert_eq!(anchor_of(gateway.check_marker(ours).await), Ok(Some(anchor(4))));
}

#[tokio::test]
async fn a_marker_that_was_written_meanwhile_is_left_as_it_is() {
    let server = RealServer::start().await;
    let (gateway, ours) = (server.gateway().await, fresh_id());
    let claimed = gateway.claim_marker(ours).await.unwrap();
    gateway.advance_marker(ours, &claimed, Some(anchor(9))).await.unwrap();
    assert_eq!(gateway.advance_marker(ours, &claimed, Some(anchor(4))).await, Err(MarkerError::Moved));
    assert_eq!(anchor_of(gateway.check_marker(ours).await), Ok(Some(anchor(9))));
}

#[tokio::test]
async fn a_server_that_cannot_compare_gets_plain_writes() {
    let id = Uuid::from_u128(7);
    let seen = answer(200, "etag: \"e1\"\r\n", &format!("{{\"journal_id\": \"{id}\"}}"));
    let differs = answer(412, "", &error_body("PreconditionFailed"));
    let unknown = answer(501, "", &error_body("NotImplemented"));
    for (answers, conditions) in [
        (vec![unknown], vec!["\"e1\""]),
        (vec![answer(400, "", &error_body("InvalidArgument"))], vec!["\"e1\""]),
        (vec![differs.clone(), seen.clone(), differs, seen.clone()], vec!["\"e1\"", "e1"]),
    ] {
        let answers = [vec![seen.clone()], answers, vec![answer(200, "", "")]].concat();
        let server = Scripted::answering(answers).await;
        let gateway = server.gateway().await;
        let marked = gateway.check_marker(id).await.unwrap();
        assert_eq!(gateway.advance_marker(id, &marked, Some(anchor(1))).await, Ok(()));
        let written: Vec<_> = server.requests().into_iter().filter(|asked| asked.starts_with("PUT")).collect();
        assert_eq!(written.len(), conditions.len() + 1);
        for (written, condition) in written.iter().zip(conditions) {
            assert!(written.contains(&format!("if-match: {condition}\r\n")), "{written}");
        }
        assert!(!written.last().unwrap().contains("if-match"));
    }
}

#[tokio::test]
async fn a_marker_whose_conditional_write_is_refused_is_not_written_without() {
    let id = Uuid::from_u128(7);
    let seen = answer(200, "etag: \"e1\"\r\n", &format!("{{\"journal_id\": \"{id}\"}}"));
    let other = answer(200, "etag: \"e2\"\r\n", &format!("{{\"journal_id\": \"{id}\"}}"));
    let (busy, denied) = ("ConditionalRequestConflict", "AccessDenied");
    for (status, code, now, moved) in
        [(409, busy, Some(other), true), (409, busy, Some(seen.clone()), false), (403, denied, None, false)]
    {
        let refusal = answer(status, "", &error_body(code));
        let server = Scripted::answering([seen.clone(), refusal].into_iter().chain(now).collect()).await;
        let gateway = server.gateway().await;
        let marked = gateway.check_marker(id).await.unwrap();
        match gateway.advance_marker(id, &marked, Some(anchor(1))).await {
            Err(MarkerError::Moved) => assert!(moved, "{code}"),
            Err(MarkerError::Unavailable(error)) => assert_eq!((error.code(), moved), (Some(code), false)),
            other => panic!("{other:?}"),
        }
        assert_eq!(server.requests().iter().filter(|asked| asked.starts_with("PUT")).count(), 1);
    }
}

#[tokio::test]
async fn of_two_claims_at_once_one_wins() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let (a, b) = (fresh_id(), fresh_id());
    let (claim_a, claim_b) = tokio::join!(gateway.claim_marker(a), gateway.claim_marker(b));
    let winner = if claim_a.is_ok() { a } else { b };
    assert_eq!([claim_a, claim_b].into_iter().filter(Result::is_ok).count(), 1);
    assert_eq!(anchor_of(gateway.check_marker(winner).await), Ok(None));
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_marker() {
    let server = RealServer::start().await;
    let bucket = zeroload_domain::Bucket::parse(format!("absent-{}", now().timestamp_micros())).unwrap();
    let gateway =
        Gateway::connect(crate::storage::GatewaySettings { bucket, ..server.settings.clone() }).await.unwrap();
    assert_eq!(unavailable(gateway.check_marker(fresh_id()).await), Fault::Refused);
    assert_eq!(unavailable(gateway.claim_marker(fresh_id()).await), Fault::Refused);
}

#[tokio::test]
async fn only_an_answer_of_s3_says_that_the_marker_is_missing() {
    let id = Uuid::from_u128(7);
    for (status, body, expected) in [
        (404, "<html>not found</html>".to_owned(), Fault::Answer),
        (404, String::new(), Fault::Refused),
        (404, error_body("NoSuchBucket"), Fault::Refused),
        (403, error_body("AccessDenied"), Fault::Refused),
        (500, error_body("InternalError"), Fault::Server),
    ] {
        let server = Scripted::answering(vec![answer(status, "", &body)]).await;
        let found = unavailable(server.gateway().await.check_marker(id).await);
        // Either error will do for a page that is no XML, as long as it is not "missing".
        assert!(found == expected || body.contains("html"), "{status} {body}: {found:?}");
    }
    let server = Scripted::answering(vec![answer(404, "", &error_body("NoSuchKey"))]).await;
    assert_eq!(server.gateway().await.check_marker(id).await, Err(MarkerError::Missing));
}

#[tokio::test]
async fn what_is_no_marker_of_ours_belongs_to_somebody_else() {
    let id = Uuid::from_u128(7);
    let long = format!("{{\"journal_id\": \"{id}\", \"what\": \"{}\"}}", "x".repeat(MAX_BYTES));
    for (body, expected) in [
        (format!("{{\"journal_id\": \"{id}\", \"more\": 1}}"), Ok(None)),
        (String::new(), Err(MarkerError::OtherJournal { found: None })),
        ("hello".to_owned(), Err(MarkerError::OtherJournal { found: None })),
        ("{\"journal_id\": 7}".to_owned(), Err(MarkerError::OtherJournal { found: None })),
        (format!("[\"{id}\", null, \"\"]"), Err(MarkerError::OtherJournal { found: None })),
        (
            format!("{{\"journal_id\": \"{id}\", \"anchor\": [1, 2, \"ab\"]}}"),
            Err(MarkerError::OtherJournal { found: None }),
        ),
        (format!("{{\"journal_id\": \"{id}\"}}{{}}"), Err(MarkerError::OtherJournal { found: None })),
        (long, Err(MarkerError::OtherJournal { found: None })),
    ] {
        let server = Scripted::answering(vec![answer(200, "", &body)]).await;
        assert_eq!(anchor_of(server.gateway().await.check_marker(id).await), expected, "{body}");
    }
}

#[tokio::test]
async fn a_marker_whose_write_was_refused_is_not_claimed() {
    let missing = answer(404, "", &error_body("NoSuchKey"));
    let answers = vec![missing.clone(), answer(403, "", &error_body("AccessDenied")), missing];
    let server = Scripted::answering(answers).await;
    assert_eq!(unavailable(server.gateway().await.claim_marker(Uuid::from_u128(7)).await), Fault::Refused);
    assert!(server.requests()[1].contains("if-none-match: *"));
}

#[tokio::test]
async fn a_marker_that_is_cut_is_unavailable() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{\"journal_id\"".to_owned();
    let server = Scripted::answering(vec![cut]).await;
    assert_eq!(unavailable(server.gateway().await.check_marker(Uuid::from_u128(7)).await), Fault::Answer);
}
