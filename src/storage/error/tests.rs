use aws_sdk_s3::{operation::head_object::HeadObjectError, primitives::SdkBody};
use tokio::io::AsyncWriteExt;

use super::*;
use crate::storage::test_s3::{Scripted, answer, settings};

fn of(error: &SdkError<HeadObjectError, HttpResponse>) -> (Fault, String) {
    match StorageError::from(error) {
        StorageError::Unavailable { kind, detail, .. } => (kind, detail),
        other @ StorageError::OtherBucket { .. } => panic!("{other:?}"),
    }
}

#[test]
fn a_time_out_is_told_from_a_refusal() {
    let (kind, detail) = of(&SdkError::timeout_error("http://secret.example/key?X-Amz-Signature=1"));
    assert_eq!((kind, detail.as_str()), (Fault::Timeout, "storage gave no answer to HeadObject in time"));
}

#[test]
fn missing_credentials_are_named() {
    let nothing = CredentialsError::provider_error("http://169.254.169.254/secret");
    let (kind, detail) = of(&SdkError::construction_failure(nothing));
    assert_eq!((kind, detail.as_str()), (Fault::Credentials, "no credentials for HeadObject could be had"));
}

#[test]
fn a_text_of_the_sdk_is_never_taken_over() {
    let raw = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
    let (kind, detail) = of(&SdkError::response_error("http://secret.example/key?X-Amz-Signature=1", raw));
    let said = "the answer of storage to HeadObject is not understood (200)";
    assert_eq!((kind, detail.as_str()), (Fault::Answer, said));
}

/// The error of a GET that a server answers like this, read by the SDK.
async fn answered(answer: String) -> StorageError {
    let server = Scripted::answering(vec![answer]).await;
    let gateway = server.gateway().await;
    let asked = gateway.client().get_object().bucket("photos").key("k").send().await;
    StorageError::from(&asked.expect_err("a refusal"))
}

#[tokio::test]
async fn what_s3_says_is_kept_with_its_code_and_the_id_of_the_request() {
    let body = "<Error><Code>AccessDenied</Code><Message>User ann is not authorized\u{202e} to
        perform: s3:GetObject</Message></Error>";
    let error = answered(answer(403, "x-amz-request-id: 4442587FB7D0A2F9\r\n", body)).await;
    let said = "storage answered GetObject with 403 AccessDenied: \"User ann is not authorized\\u{202e} to\\n        \
                perform: s3:GetObject\" (request 4442587FB7D0A2F9)";
    assert_eq!(error.to_string(), said);
    assert_eq!((error.code(), error.status()), (Some("AccessDenied"), Some(403)));
    assert!(error.is_answer());
}

#[tokio::test]
async fn what_others_say_is_bounded_and_no_signature_is_repeated() {
    let long = format!("<Error><Code>InvalidArgument</Code><Message>{}</Message></Error>", "é".repeat(5000));
    let error = answered(answer(400, &format!("x-amz-request-id: {}\r\n", "x".repeat(500)), &long)).await.to_string();
    assert!(error.chars().count() < 300 && error.contains("é…\"") && !error.contains("request"), "{error}");
    let secret =
        "<Error><Code>AccessDenied</Code><Message>expired: http://host/key?X-Amz-Signature=f00</Message></Error>";
    let error = answered(answer(403, "", secret)).await.to_string();
    assert_eq!(error, "storage answered GetObject with 403 AccessDenied");
}

#[tokio::test]
async fn an_answer_that_is_not_s3s_is_named_by_its_type() {
    let error = answered(answer(502, "content-type: text/html; charset=utf-8\r\n", "<html>bad gateway</html>")).await;
    assert_eq!(error.to_string(), "storage answered GetObject with 502 and no code of S3's, but text/html");
    assert!(error.is_answer());
}

#[tokio::test]
async fn plain_http_on_a_port_for_tls_is_named() {
    for body in [
        "Client sent an HTTP request to an HTTPS server.\n",
        "<title>400 The plain HTTP request was sent to HTTPS port</title>",
    ] {
        let error = answered(answer(400, "content-type: text/plain\r\n", body)).await.to_string();
        assert!(error.ends_with("the port expects TLS: the endpoint must begin with https://"), "{error}");
    }
}

#[tokio::test]
async fn tls_on_a_plain_port_is_named() {
    // Answers whatever bytes come, as an HTTP server does on which TLS is spoken.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _sent = client.write_all(answer(400, "", "").as_bytes()).await;
        }
    });
    let gateway = crate::storage::Gateway::connect(settings(Some(&endpoint))).await.unwrap();
    let error = StorageError::from(&gateway.client().get_object().bucket("photos").key("k").send().await.unwrap_err());
    assert!(error.to_string().contains("does not speak TLS: begin the endpoint with http://"), "{error}");
    assert!(!error.is_answer());
}

#[tokio::test]
async fn nothing_that_listens_is_no_answer() {
    let gateway = crate::storage::Gateway::connect(settings(Some("http://127.0.0.1:1"))).await.unwrap();
    let error = StorageError::from(&gateway.client().get_object().bucket("photos").key("k").send().await.unwrap_err());
    assert!(error.to_string().contains("for GetObject failed: "), "{error}");
    assert!(!error.is_answer());
}

#[test]
fn a_grant_is_advised_for_a_denial_alone() {
    let answered = |status, code: &str| {
        let body = format!("<Error><Code>{code}</Code></Error>");
        StorageError::answered("PutObject", status, &http::HeaderMap::new(), body.as_bytes())
    };
    assert_eq!(answered(403, "AccessDenied").advice("s3:PutObject"), "; grant s3:PutObject");
    assert_eq!(answered(500, "InternalError").advice("s3:PutObject"), "");
    assert_eq!(answered(403, "InvalidAccessKeyId").advice("s3:PutObject"), "");
    assert_eq!(answered(403, "RequestTimeTooSkewed").advice("s3:PutObject"), "");
}

#[test]
fn a_code_is_a_short_word() {
    assert_eq!(clean_code("SlowDown"), Some("SlowDown".to_owned()));
    for bad in ["", "two words", "http://x", &"x".repeat(65)] {
        assert_eq!(clean_code(bad), None, "{bad:?}");
    }
}
