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
        Ok(Notification { objects, malformed, .. }) if malformed.is_empty() => {
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
fn a_queue_or_topic_that_carries_a_message_changes_nothing_of_it() {
    let aws = json!({ "Records": [record("ObjectCreated:Put", KEY)] });
    let sns = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:x:1:t", "Message": aws.to_string() });
    let bridge = json!({ "detail-type": "Object Created", "detail": { "bucket": { "name": "photos" }, "object": { "key": KEY } } });
    let r2 = json!({
        "account": "3f4b7e3dcab231cbfdaa90a6a28bd548", "action": "CopyObject", "bucket": "photos",
        "object": { "key": KEY, "size": 1, "eTag": "c846ff7a18f28c2e262116d6e8719ef0" },
        "eventTime": "2024-05-24T19:36:44.379Z",
        "copySource": { "bucket": "other", "object": "x" }
    });
    for inner in [&aws, &sns, &bridge, &r2] {
        let queued =
            json!({ "messageId": "1", "body": inner.to_string(), "eventSource": "aws:sqs", "messageAttributes": {} });
        let topic = json!({ "EventSource": "aws:sns", "EventVersion": "1.0", "Sns": { "Type": "Notification", "Message": inner.to_string() } });
        for message in [
            inner.clone(),
            json!([inner]),
            queued.clone(),
            json!([queued.clone(), queued]),
            json!({ "Records": [queued.clone()] }),
            json!({ "Records": [topic] }),
            json!({ "messages": [{ "id": "1", "attempts": 1, "body": inner }, { "id": "2", "body": inner.to_string() }] }),
            json!({ "body": inner }),
        ] {
            assert_eq!(keys(&message), [KEY], "{message}");
        }
    }
}

#[test]
fn object_stores_that_are_not_s3_name_their_objects_in_their_own_words() {
    let b2 = |event: &str| {
        json!({ "events": [{
            "accountId": "e85c6a500333", "bucketId": "aea8c5bc362ae55070130333", "bucketName": "photos", "eventId": "1",
            "eventTimestamp": 1_684_793_309_123_u64, "eventType": event, "eventVersion": 1, "matchedRuleName": "rule-1",
            "objectName": KEY, "objectSize": 1, "objectVersionId": "4_z"
        }] })
    };
    let pushed = |event: &str| {
        json!({ "subscription": "projects/p/subscriptions/s", "message": {
            "attributes": { "bucketId": "photos", "eventType": event, "objectId": KEY, "payloadFormat": "NONE" },
            "messageId": "1", "publishTime": "2026-01-01T00:00:00Z"
        } })
    };
    let resource = json!({ "kind": "storage#object", "id": "x", "bucket": "photos", "name": KEY, "size": "1" });
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, resource.to_string());
    let bare = json!({ "message": { "data": data, "messageId": "1" }, "subscription": "s" });
    for message in
        [b2("b2:ObjectCreated:Upload"), b2("b2:ObjectCreated:Copy"), pushed("OBJECT_FINALIZE"), bare, resource]
    {
        assert_eq!(keys(&message), [KEY], "{message}");
    }
    let r2 = json!({ "action": "LifecycleDeletion", "bucket": "photos", "object": { "key": KEY } });
    for message in [b2("b2:ObjectDeleted:Delete"), b2("b2:TestEvent"), pushed("OBJECT_METADATA_UPDATE"), r2] {
        let told = parse(&message).unwrap();
        assert_eq!((told.objects, told.others, told.malformed), (vec![], 1, vec![]), "{message}");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_stops_no_other() {
    let keyless = json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "b" }, "object": {} } });
    let message = json!({ "Records": [keyless, record("ObjectCreated:Put", KEY), 7, { "body": "hello" }] });
    let told = parse(&message).unwrap();
    assert_eq!(told.objects.len(), 1);
    let named: Vec<_> = told.malformed.iter().map(|malformed| malformed.field.as_str()).collect();
    assert_eq!(named, ["Records[0].s3.object.key", "Records[2]", "Records[3].body"]);
    let message = json!([{}, { "Records": [record("ObjectRemoved:Delete", KEY)] }]);
    assert_eq!(parse(&message).unwrap().malformed[0].field, "[0].Records");
}

#[test]
fn messages_within_each_other_end_somewhere() {
    let mut message = json!({ "Records": [record("ObjectCreated:Put", KEY)] });
    for _ in 0..4 {
        message = json!({ "body": message });
    }
    assert_eq!(keys(&message), [KEY]);
    let deeper = parse(&json!({ "body": message })).unwrap_err();
    assert_eq!(
        (deeper.field.as_str(), deeper.allowed),
        ("body.body.body.body.body", "at most 5 messages within each other")
    );
    let wide = json!(vec![json!({ "Records": vec![record("ObjectCreated:Put", KEY); 400] }); 3]);
    let told = parse(&wide).unwrap();
    assert_eq!((told.objects.len(), told.malformed[0].field.as_str()), (1, "[2].Records"));
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
    let told = parse(&message).unwrap();
    assert_eq!((told.objects.len(), told.others), (5, 3), "an object is named once");
}

#[test]
fn a_test_and_the_end_of_a_subscription_mean_nothing() {
    let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos" });
    assert_eq!(parse(&test), Ok(Notification::default()));
    assert_eq!(parse(&json!({ "Type": "Notification", "Message": test.to_string() })), Ok(Notification::default()));
    assert_eq!(parse(&json!({ "Type": "UnsubscribeConfirmation" })), Ok(Notification::default()));
    assert_eq!(parse(&json!({ "Records": [] })), Ok(Notification::default()));
}

#[test]
fn a_subscription_is_told_and_not_confirmed() {
    let asked = json!({ "Type": "SubscriptionConfirmation", "TopicArn": "arn", "SubscribeURL": "https://sns/x" });
    let subscription = Subscription { topic: "arn".to_owned(), confirm_at: "https://sns/x".to_owned() };
    assert_eq!(parse(&asked), Ok(Notification { subscription: Some(subscription), ..Notification::default() }));
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
    assert_eq!(named(json!({ "Records": [{}] })), "Records[0].eventName");
    assert_eq!(named(json!([{}])), "[0].Records");
    assert_eq!(named(json!([[], 7])), "[1]");
    assert_eq!(named(json!({ "Type": 7 })), "Type");
    assert_eq!(named(json!({ "events": [{}] })), "events[0].eventType");
    assert_eq!(named(json!({ "events": [{ "eventType": "b2:ObjectCreated:Copy" }] })), "events[0].bucketName");
    assert_eq!(named(json!({ "message": { "data": "?" } })), "message.data");
    assert_eq!(
        named(json!({ "message": { "attributes": { "eventType": "OBJECT_FINALIZE" } } })),
        "message.attributes.bucketId"
    );
    assert_eq!(named(json!({ "action": "PutObject", "bucket": "b", "object": [] })), "object");
    assert_eq!(named(json!({ "Records": [{ "eventName": "ObjectCreated:Put" }] })), "Records[0].s3.bucket.name");
    let keyless =
        json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "b" }, "object": { "key": 7 } } });
    assert_eq!(named(json!({ "Records": [keyless] })), "Records[0].s3.object.key");
    assert_eq!(named(json!({ "detail": {} })), "detail-type");
    assert_eq!(named(json!({ "detail-type": "Object Created", "detail": {} })), "detail.bucket.name");
    assert_eq!(named(json!({ "Type": "Notification" })), "Message");
    assert_eq!(named(json!({ "Type": "Notification", "Message": "hello" })), "Message");
    assert_eq!(named(json!({ "Type": "Notification", "Message": "{}" })), "Message.Records");
    assert_eq!(named(json!({ "Type": "Other" })), "Type");
    assert_eq!(named(json!({ "Type": "SubscriptionConfirmation", "TopicArn": "arn" })), "SubscribeURL");
}
