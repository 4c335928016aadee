use serde_json::json;

use super::*;

const KEY: &str = "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg";

fn parse(message: &Value) -> Result<Notification, Malformed> {
    Notification::parse(message.to_string().as_bytes())
}

fn record(event: &str, key: &str) -> Value {
    json!({ "eventName": event, "s3": { "bucket": { "name": "photos" }, "object": { "key": key, "size": 1 } } })
}

/// The keys of ours that a message names.
fn keys(message: &Value) -> Vec<String> {
    match parse(message) {
        Ok(Notification::Written { objects, .. }) => {
            objects.iter().filter_map(Written::object_key).map(|key| key.to_string()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_sender_names_the_same_object() {
    let escaped = KEY.replace('/', "%2F");
    let aws = json!({ "Records": [record("ObjectCreated:Put", KEY)] });
    let minio = json!({ "EventName": "s3:ObjectCreated:Put", "Key": format!("photos/{KEY}"), "Records": [record("s3:ObjectCreated:Put", &escaped)] });
    let ceph = json!({ "Records": [record("ObjectCreated:CompleteMultipartUpload", KEY)] });
    let sns = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:x:1:t", "Message": aws.to_string() });
    let bridge = json!({
        "detail-type": "Object Created", "source": "aws.s3",
        "detail": { "bucket": { "name": "photos" }, "object": { "key": KEY }, "reason": "PutObject" }
    });
    let bridge_by_sns = json!({ "Type": "Notification", "Message": bridge.to_string() });
    for message in [aws, minio, ceph, sns, bridge, bridge_by_sns] {
        assert_eq!(keys(&message), [KEY], "{message}");
    }
}

#[test]
fn what_is_no_written_object_of_ours_is_left_out() {
    let message = json!({ "Records": [
        record("ObjectRemoved:Delete", KEY),
        record("s3:ObjectRemoved:DeleteMarkerCreated", KEY),
        record("ObjectCreated:Put", "photo+of+a+cat.jpg"),
        record("ObjectCreated:Put", "media/.zeroload"),
        record("ObjectCreated:Put", "%zz%2"),
        record("ObjectCreated:Put", "%FF"),
        record("ObjectCreated:Copy", KEY),
        record("ObjectCreated:Copy", KEY),
    ] });
    assert_eq!(keys(&message), [KEY]);
    let Ok(Notification::Written { objects, others }) = parse(&message) else { panic!("{message}") };
    assert_eq!((objects.len(), others), (5, 3), "an object is named once");
}

#[test]
fn a_test_and_the_end_of_a_subscription_mean_nothing() {
    let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos" });
    assert_eq!(parse(&test), Ok(Notification::Nothing));
    assert_eq!(parse(&json!({ "Type": "Notification", "Message": test.to_string() })), Ok(Notification::Nothing));
    assert_eq!(parse(&json!({ "Type": "UnsubscribeConfirmation" })), Ok(Notification::Nothing));
    assert_eq!(parse(&json!({ "Records": [] })), Ok(Notification::Written { objects: vec![], others: 0 }));
}

#[test]
fn a_subscription_is_told_and_not_confirmed() {
    let asked = json!({ "Type": "SubscriptionConfirmation", "TopicArn": "arn", "SubscribeURL": "https://sns/x" });
    assert_eq!(
        parse(&asked),
        Ok(Notification::Subscription { topic: "arn".to_owned(), confirm_at: "https://sns/x".to_owned() })
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    for body in ["", "nope", "[]", "7", "{\"Records\":[}"] {
        assert_eq!(Notification::parse(body.as_bytes()).unwrap_err().field, "body", "{body}");
    }
    let named = |message: Value| parse(&message).unwrap_err().field;
    assert_eq!(named(json!({})), "Records");
    assert_eq!(named(json!({ "Records": 7 })), "Records");
    assert_eq!(named(json!({ "Records": vec![record("ObjectCreated:Put", KEY); 1001] })), "Records");
    assert_eq!(named(json!({ "Records": [7] })), "Records[0]");
    assert_eq!(named(json!({ "Records": [record("ObjectCreated:Put", KEY), {}] })), "Records[1].eventName");
    assert_eq!(named(json!({ "Records": [{ "eventName": "ObjectCreated:Put" }] })), "Records[0].s3.bucket.name");
    let keyless = json!({ "eventName": "x", "s3": { "bucket": { "name": "b" }, "object": { "key": 7 } } });
    assert_eq!(named(json!({ "Records": [keyless] })), "Records[0].s3.object.key");
    assert_eq!(named(json!({ "detail": {} })), "detail-type");
    assert_eq!(named(json!({ "detail-type": "Object Created", "detail": {} })), "detail.bucket.name");
    assert_eq!(named(json!({ "Type": "Notification" })), "Message");
    assert_eq!(named(json!({ "Type": "Notification", "Message": "hello" })), "Message");
    assert_eq!(named(json!({ "Type": "Notification", "Message": "{}" })), "Message.Records");
    assert_eq!(named(json!({ "Type": "Other" })), "Type");
    assert_eq!(named(json!({ "Type": "SubscriptionConfirmation", "TopicArn": "arn" })), "SubscribeURL");
}
