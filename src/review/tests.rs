use std::time::Duration;

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use uuid::Uuid;

use super::*;
use crate::outbound::{address::Reach, signature::Secret};

/// A backend that gives one answer, byte for byte, and the request that it got.
async fn backend(answer: String) -> (Url, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/review", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"]}") {
            assert!(connection.read_buf(&mut request).await.unwrap() > 0, "{}", String::from_utf8_lossy(&request));
        }
        // A client that has read enough hangs up.
        let _ = connection.write_all(answer.as_bytes()).await;
        String::from_utf8(request).unwrap()
    });
    (url, task)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn secret() -> Secret {
    Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn reviewer(url: Url) -> Reviewer {
    let settings = Recipient { url, reach: Reach::Loopback, secret: secret(), timeout: Duration::from_secs(60) };
    Reviewer::new(settings, Ids::seeded(1)).unwrap()
}

fn id(number: u128) -> MediaId {
    MediaId::from(Uuid::from_u128(0x019a_0d2e_7b1c_7000_8000_0000_0000_0000 + number))
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

async fn asked(answer: String) -> Result<Review, ReviewError> {
    let (url, backend) = backend(answer).await;
    let review = reviewer(url).ask(&[id(1), id(2)], now()).await;
    backend.await.unwrap();
    review
}

#[tokio::test]
async fn the_question_is_signed_and_the_answer_names_what_is_in_use() {
    let body = format!(r#"{{"in_use": {{"{}": "post-1", "{}": null}}}}"#, id(1), id(2));
    let (url, backend) = backend(answer("200 OK", &body)).await;
    let review = reviewer(url).ask(&[id(1), id(2)], now()).await.unwrap();
    let place = AttachedTo::parse("post-1").unwrap();
    assert_eq!(review.in_use, HashMap::from([(id(1), Some(place)), (id(2), None)]));

    let request = backend.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, format!(r#"{{"ids":["{}","{}"]}}"#, id(1), id(2)));
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name));
        line.unwrap_or_else(|| panic!("{name} in {head}")).1
    };
    assert_eq!(header("webhook-id"), review.message_id);
    assert_eq!(header("webhook-timestamp"), "1790000000");
    assert_eq!(header("webhook-signature"), secret().sign(&review.message_id, 1_790_000_000, body.as_bytes()));
    assert_eq!(header("content-type"), "application/json");
}

#[tokio::test]
async fn nothing_in_use_is_an_answer() {
    assert_eq!(asked(answer("200 OK", r#"{"in_use": {}}"#)).await.unwrap().in_use, HashMap::new());
}

#[tokio::test]
async fn whatever_is_no_such_answer_is_none() {
    let other = format!(r#"{{"in_use": {{"{}": "post-1"}}}}"#, id(3));
    assert!(matches!(asked(answer("200 OK", &other)).await, Err(ReviewError::NotAsked(found)) if found == id(3)));
    for status in ["204 No Content", "201 Created", "404 Not Found", "500 Internal Server Error", "202 Accepted"] {
        let expected: u16 = status[..3].parse().unwrap();
        let refused = asked(answer(status, if expected == 204 { "" } else { r#"{"in_use": {}}"# })).await;
        assert!(matches!(refused, Err(ReviewError::Status(found)) if found == expected), "{status}");
    }
    let long = "x".repeat(2000);
    let malformed = [
        "",
        "{}",
        "[]",
        "[{}]",
        "[[]]",
        "null",
        "<html>",
        r#"{"in_use": []}"#,
        r#"{"in_use": null}"#,
        r#"{"in_use": {}} more"#,
        r#"{"in_use": {}, "inuse": {}}"#,
        r#"{"in_use": {"x": null}}"#,
    ];
    let with_id = [r#""""#, "1", "true", "{}", &format!("\"{long}\"")]
        .map(|place| format!(r#"{{"in_use": {{"{}": {place}}}}}"#, id(1)));
    let twice = format!(r#"{{"in_use": {{"{0}": "post-1", "{0}": null}}}}"#, id(1));
    for body in malformed.into_iter().map(str::to_owned).chain(with_id).chain([twice]) {
        let refused = asked(answer("200 OK", &body)).await;
        assert!(matches!(refused, Err(ReviewError::Malformed(_))), "{body}: {refused:?}");
    }
}

#[tokio::test]
async fn an_error_quotes_nothing_of_the_answer_however_long_it_is() {
    let secret = "s3cr3t ".repeat(MAX_ANSWER / 10);
    for body in [
        format!("\"{secret}\""),
        secret.clone(),
        format!(r#"{{"{secret}": 1}}"#),
        format!(r#"{{"in_use": "{secret}"}}"#),
        format!(r#"{{"in_use": {{"{secret}": null}}}}"#),
        format!(r#"{{"in_use": {{"{}": "{secret}"}}}}"#, id(1)),
        format!(r#"{{"in_use": {{"{}": ["{secret}"]}}}}"#, id(1)),
        format!(r#"{{"in_use": {{}}}} {secret}"#),
    ] {
        let refused = asked(answer("200 OK", &body)).await.unwrap_err();
        let texts = format!("{refused} {refused:?}");
        assert!(!texts.contains("s3cr3t") && texts.len() < 1000, "{}", &texts[..texts.len().min(1000)]);
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_or_too_long_is_none() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{\"in_use\": {}}";
    assert!(matches!(asked(cut.to_owned()).await, Err(ReviewError::Unreachable(_))));
    assert!(matches!(asked(String::new()).await, Err(ReviewError::Unreachable(_))));
    let long = answer("200 OK", &format!("{{\"in_use\": {{}}{}}}", " ".repeat(MAX_ANSWER)));
    assert!(matches!(asked(long).await, Err(ReviewError::TooLong)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let redirect = "HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert!(matches!(asked(redirect.to_owned()).await, Err(ReviewError::Status(307))));
}

#[tokio::test]
async fn who_hangs_is_given_up_and_who_is_not_there_is_named_without_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/secret-path", listener.local_addr().unwrap()).parse().unwrap();
    let settings =
        Recipient { url: url.clone(), reach: Reach::Loopback, secret: secret(), timeout: Duration::from_millis(100) };
    let hanging = Reviewer::new(settings, Ids::seeded(1)).unwrap().ask(&[id(1)], now()).await;
    assert!(matches!(hanging, Err(ReviewError::Unreachable(_))), "{hanging:?}");
    drop(listener);
    let gone = reviewer(url).ask(&[id(1)], now()).await.unwrap_err().to_string();
    assert!(gone.starts_with("the backend was not reached: ") && !gone.contains("secret-path"), "{gone}");
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Like a public name that an attacker has pointed at this machine.
    let url: Url = format!("http://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    let settings = Recipient { url, reach: Reach::Public, secret: secret(), timeout: Duration::from_secs(60) };
    let refused = Reviewer::new(settings, Ids::seeded(1)).unwrap().ask(&[id(1)], now()).await.unwrap_err().to_string();
    assert!(refused.contains("private address"), "{refused}");
    assert!(futures_util::FutureExt::now_or_never(listener.accept()).is_none(), "nobody has knocked");
}
