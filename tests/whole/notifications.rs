//! What the bucket itself says about uploads: `POST /v1/notifications/s3`.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use zeroload_embedded_s3::{Effect, Fault, Operation, Refusal};

use crate::{
    app::{TestApp, id, read},
    edge::wire::Answer,
    roles::{Keyed, secret},
};

const PATH: &str = "/v1/notifications/s3";
const BYTES: &[u8] = b"told by the bucket";

fn key(media: &Value) -> &str {
    media["object_key"].as_str().expect("a key")
}

fn record(app: &TestApp, key: &str) -> Value {
    let bucket = app.parts.gateway.bucket().as_str();
    json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": bucket }, "object": { "key": key } } })
}

fn records(app: &TestApp, keys: &[&str]) -> Value {
    json!({ "Records": keys.iter().map(|key| record(app, key)).collect::<Vec<_>>() })
}

/// Sends a message as its sender would, and reads how many objects were looked at and ignored.
async fn notify(app: &TestApp, content_type: &str, message: &Value) -> (u64, u64) {
    let call = app.call(Method::POST, PATH).header("Content-Type", content_type).body(message.to_string());
    let (status, result) = read(call).await;
    assert_eq!(status, StatusCode::OK, "{result}");
    (result["looked"].as_u64().expect("a count"), result["ignored"].as_u64().expect("a count"))
}

#[tokio::test]
async fn an_upload_that_the_bucket_tells_of_is_recorded_whoever_the_sender_is() {
    let app = TestApp::start().await;
    let bucket = app.parts.gateway.bucket().to_string();
    let escaped = |media: &Value| key(media).replace('/', "%2F");
    for (content_type, by_sns) in [("application/json", false), ("text/plain; charset=UTF-8", true), ("", false)] {
        let media = app.uploaded(BYTES).await;
        let mut message = records(&app, &[&escaped(&media)]);
        if by_sns {
            message = json!({ "Type": "Notification", "Message": message.to_string() });
        }
        assert_eq!(notify(&app, content_type, &message).await, (1, 0));
        assert_eq!(app.state(&media).await, "uploaded");
        let (_, history) = app.get(&format!("/v1/media/{}/events", id(&media))).await;
        let event = &history["events"][1];
        assert_eq!((&event["type"], &event["payload"]["seen_via"]), (&"Uploaded".into(), &"notification".into()));
        assert_eq!(event["metadata"]["route"], "POST /v1/notifications/s3");
    }
    let media = app.uploaded(BYTES).await;
    let bridge = json!({
        "detail-type": "Object Created", "detail": { "bucket": { "name": bucket }, "object": { "key": key(&media) } }
    });
    assert_eq!(notify(&app, "application/json", &bridge).await, (1, 0));
    for _ in 0..2 {
        let twice = records(&app, &[key(&media), key(&media)]);
        assert_eq!(notify(&app, "application/json", &twice).await, (1, 1), "as often as it likes");
    }
    assert_eq!(app.history(&media).await, ["MediaRequested", "Uploaded"]);
}

#[tokio::test]
async fn a_confirm_after_the_buckets_word_needs_no_look() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.uploaded(BYTES).await;
    assert_eq!(notify(&app, "application/json", &records(&app, &[key(&media)])).await, (1, 0));
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::HeadObject));
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_late_upload_that_the_bucket_tells_of_is_collected_again() {
    let app = TestApp::start().await;
    let media = app.ticket(BYTES).await;
    assert_eq!(app.collect_later().await.absent, 1);
    let message = records(&app, &[key(&media)]);
    assert_eq!(notify(&app, "application/json", &message).await, (1, 0), "forged: there is nothing");
    assert_eq!(app.state(&media).await, "collected");
    assert!(app.put(&media, BYTES).await.status().is_success());
    assert_eq!(notify(&app, "application/json", &message).await, (1, 0));
    assert_eq!(app.state(&media).await, "collecting");
    assert_eq!(app.metric("zeroload_late_uploads_total{found_by=\"notification\"}").await, 1);
    assert_eq!(app.collect_later().await.collected, 1);
    assert!(!app.in_bucket(&media).await);
}

#[tokio::test]
async fn what_is_not_ours_is_taken_note_of_and_nothing_else() {
    let app = TestApp::start().await;
    let media = app.uploaded(BYTES).await;
    let head = app.head().await.position;
    let stranger = key(&media).replace(id(&media), &uuid::Uuid::now_v7().to_string());
    let renamed = key(&media).replace(".jpg", ".png");
    let prefix = app.parts.gateway.prefix().as_str();
    let elsewhere = key(&media).replacen(prefix, "another/place", 1);
    let keys = ["photo+of+a+cat.jpg", "%FF%zz", "", &format!("{prefix}/.zeroload"), &stranger, &renamed, &elsewhere];
    assert_eq!(notify(&app, "application/json", &records(&app, &keys)).await, (0, 7));
    let mut other = record(&app, key(&media));
    other["s3"]["bucket"]["name"] = "another-bucket".into();
    let mut removed = record(&app, key(&media));
    removed["eventName"] = "s3:ObjectRemoved:Delete".into();
    assert_eq!(notify(&app, "application/json", &json!({ "Records": [other, removed] })).await, (0, 2));
    assert_eq!(notify(&app, "application/json", &json!({ "Event": "s3:TestEvent" })).await, (0, 0));
    let asked = json!({ "Type": "SubscriptionConfirmation", "TopicArn": "arn", "SubscribeURL": app.url.clone() });
    assert_eq!(notify(&app, "text/plain", &asked).await, (0, 0));
    assert_eq!(app.head().await.position, head, "nothing was recorded");
    assert_eq!(app.state(&media).await, "pending");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_refused_and_the_member_is_named() {
    let app = TestApp::start().await;
    let long = records(&app, &vec!["x"; 1001]).to_string();
    for (body, field) in [
        ("", "body"),
        ("{\"Records\":", "body"),
        ("{}", "Records"),
        (r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{}}]}"#, "Records[0].s3.bucket.name"),
        (r#"{"Type":"Notification","Message":"hello"}"#, "Message"),
        (&long, "Records"),
    ] {
        let call = app.call(Method::POST, PATH).header("Content-Type", "text/plain").body(body.to_owned());
        Answer::of(call).await.invalid(field, "must be", body.get(..40).unwrap_or(body));
    }
}

#[tokio::test]
async fn of_a_message_with_a_record_that_cannot_be_read_the_others_are_taken() {
    let app = TestApp::start().await;
    let (one, two) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    let mut keyless = record(&app, key(&one));
    keyless["s3"]["object"] = json!({});
    let queued = json!({ "messageId": "1", "body": records(&app, &[key(&two)]).to_string(), "eventSource": "aws:sqs" });
    let message = json!({ "Records": [keyless, record(&app, key(&one)), queued, { "body": "not JSON" }] });
    let (status, result) = app.post(PATH, message).await;
    assert_eq!((status, &result["looked"], &result["unreadable"]), (StatusCode::OK, &2.into(), &2.into()), "{result}");
    assert_eq!(result["problems"][0], "Records[0].s3.object.key must be a text");
    assert!(result["problems"][1].as_str().is_some_and(|problem| problem.starts_with("Records[3].body ")), "{result}");
    assert_eq!((app.state(&one).await, app.state(&two).await), ("uploaded".into(), "uploaded".into()));
    assert_eq!(app.metric("zeroload_notified_objects_total{outcome=\"unreadable\"}").await, 2);
    let mut many = vec![json!({}); 20];
    many.push(record(&app, key(&one)));
    let many = json!({ "Records": many });
    let (_, result) = app.post(PATH, many).await;
    assert_eq!(
        (&result["unreadable"], result["problems"].as_array().map(Vec::len)),
        (&20.into(), Some(10)),
        "{result}"
    );
}

#[tokio::test]
async fn while_the_bucket_does_not_answer_the_sender_is_asked_to_repeat() {
    let app = TestApp::start_embedded(|_| {}).await;
    let (one, two) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::HeadObject).key(key(&two)));
    let message = records(&app, &[key(&one), key(&two)]);
    let (status, problem) = app.post(PATH, message.clone()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"storage-unavailable".into()));
    assert_eq!((app.state(&one).await, app.state(&two).await), ("uploaded".into(), "pending".into()));
    faults.clear();
    assert_eq!(notify(&app, "application/json", &message).await, (2, 0));
    assert_eq!(app.state(&two).await, "uploaded");
}

#[tokio::test]
async fn the_buckets_key_comes_as_a_bearers_or_as_a_password_and_serves_all_tenants() {
    let keyed = Keyed::start().await;
    let media = keyed.ticket("rival-web").await;
    assert!(keyed.app.put(&media, b"\xff\xd8\xff\xe0 as good as any").await.status().is_success());
    let message = records(&keyed.app, &[key(&media)]);
    let answer = keyed.post("acme-s3", PATH, message.clone()).await;
    assert_eq!((answer.status, answer.json()["looked"].as_u64()), (200, Some(1)));
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("anyone:{password}")));
    let with = |path: &str, header: String| {
        Answer::of(keyed.app.call(Method::POST, path).header("Authorization", header).json(&message))
    };
    assert_eq!(with(PATH, basic(&secret("acme-s3"))).await.status, 200);
    assert_eq!(with(PATH, basic("wrong")).await.status, 401);
    assert_eq!(with(PATH, "Basic nothing".to_owned()).await.status, 401);
    assert_eq!(with("/v1/media", basic(&secret("acme-web"))).await.status, 401, "nowhere else");
    // SNS sends its password only when it was asked for one.
    let asked = keyed.app.call(Method::POST, PATH).json(&message).send().await.expect("an answer");
    let schemes: Vec<_> = asked.headers().get_all("WWW-Authenticate").iter().map(|value| value.as_bytes()).collect();
    assert!(schemes.iter().any(|scheme| scheme.starts_with(b"Basic ")), "{schemes:?}");
}
