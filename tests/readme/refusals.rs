//! What the embedded S3 server says to uploads that it refuses, against the tables of docs/troubleshooting.md.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    document::table,
    place::{Place, Serving},
};

const BYTES: &[u8] = b"hello";

async fn ticket(client: &Client, serving: &Serving, more: Value) -> Value {
    let mut body = json!({"owner": "ann", "content_type": "text/plain", "content_length": BYTES.len()});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = client.post(format!("http://{}/v1/media", serving.api)).json(&body).send().await.expect("an answer");
    answer.json::<Value>().await.expect("JSON")["upload"].clone()
}

/// The upload, as the ticket says, but for the headers of the given names.
fn put(client: &Client, ticket: &Value, without: &[&str]) -> RequestBuilder {
    let headers = ticket["headers"].as_object().expect("headers").iter();
    let headers = headers.filter(|(name, _)| !without.contains(&name.as_str()));
    headers.fold(client.put(ticket["url"].as_str().expect("a URL")), |request, (name, value)| {
        request.header(name, value.as_str().expect("text"))
    })
}

/// Status, code and message of the answer.
async fn answer(request: RequestBuilder, bytes: &'static [u8]) -> (u16, String, String) {
    let answer = request.body(bytes).send().await.expect("an answer");
    let (status, body) = (answer.status().as_u16(), answer.text().await.expect("text"));
    let member = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>")).unwrap_or_default();
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    (status, member("Code"), member("Message"))
}

#[tokio::test]
async fn every_upload_that_is_refused_gets_the_answer_that_is_listed() {
    let place = Place::new();
    let serving = place.serve("cargo run");
    let client = Client::builder().no_proxy().build().expect("a client");

    let refusals = table("refusals");
    let listed = |code: &str, message: &str| {
        assert!(
            refusals.iter().any(|row| row[0] == code && row[1].to_lowercase().starts_with(message)),
            "{code}, {message}"
        );
    };
    let fresh = ticket(&client, &serving, json!({})).await;
    let (status, code, _) =
        answer(put(&client, &fresh, &["content-type"]).header("content-type", "image/png"), BYTES).await;
    assert_eq!((status, code.as_str()), (403, "SignatureDoesNotMatch"), "another type");
    listed(&code, "the request signature");
    let (status, code, message) = answer(put(&client, &fresh, &[]).header("x-amz-acl", "public-read"), BYTES).await;
    assert_eq!((status, code.as_str()), (403, "AccessDenied"), "a header that was not signed");
    assert!(message.starts_with("there were headers present in the request which were not signed"), "{message}");
    listed(&code, "there were headers present in the request which were not signed");

    assert_eq!(answer(put(&client, &fresh, &[]), BYTES).await.0, 200);
    let (status, code, _) = answer(put(&client, &fresh, &[]), BYTES).await;
    assert_eq!((status, code.as_str()), (412, "PreconditionFailed"), "a repeat");
    assert_eq!(table("refused repeats")[0][0], code);

    let others = table("other refusals");
    let is_listed = |status: u16, code: &str| {
        assert!(others.iter().any(|row| row[0] == status.to_string() && row[1] == code), "{status} {code}");
    };
    // The SHA-256 of no bytes.
    let empty = json!({"checksum_sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="});
    let declared = ticket(&client, &serving, empty).await;
    let (status, code, _) = answer(put(&client, &declared, &[]), BYTES).await;
    assert_eq!((status, code.as_str()), (400, "BadDigest"), "other bytes than declared");
    is_listed(status, &code);
    serving.stop();

    let serving = place.serve("cargo run -- --ticket-ttl 1s");
    let short = ticket(&client, &serving, json!({})).await;
    // The first may be in time, and those after it are repeats.
    let (status, code, message) = loop {
        let answer = answer(put(&client, &short, &[]), BYTES).await;
        if answer.0 == 403 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((status, code.as_str(), message.as_str()), (403, "AccessDenied", "Request has expired"));
    listed(&code, "request has expired");
    serving.stop();
}
