use std::num::NonZeroU32;

use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier};

use super::*;
use crate::{Effect, Fault, Operation, Refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_scripted_error_is_answered_as_often_as_said() {
    let (_dir, server) = server().await;
    let client = server.client();
    let head = || client.head_object().bucket(BUCKET).key("k").send();
    put(&client, "k", b"x").await;
    let faults = server.store.faults();
    let slow = Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Operation::HeadObject).key("k");
    faults.add(slow.clone().times(NonZeroU32::new(2).expect("two")));
    assert_eq!(refusal(client.head_object().bucket(BUCKET).key("other").send().await).0, 404);
    assert_eq!(get(&client, "k").await.as_deref(), Some(&b"x"[..]));
    assert_eq!(refusal(head().await).0, 503);
    assert_eq!(refusal(head().await).0, 503);
    head().await.expect("used up");
    faults.add(Fault::new(Effect::Refuse(Refusal::AccessDenied)));
    assert_eq!(refusal(head().await).0, 403);
    assert_eq!(refusal(client.list_buckets().send().await), refused(403, "AccessDenied"));
    faults.clear();
    head().await.expect("cleared");
    faults.add(Fault::new(Effect::Refuse(Refusal::InternalError)).on(Operation::PutObject).once());
    let call = client.put_object().bucket(BUCKET).key("new").body(vec![1; 100_000].into()).send().await;
    assert_eq!(refusal(call), refused(500, "InternalError"));
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_of_a_delete_can_fail() {
    let (_dir, server) = server().await;
    let client = server.client();
    for key in ["a", "b", "c"] {
        put(&client, key, b"x").await;
    }
    server.store.faults().add(Fault::new(Effect::RefuseKey(Refusal::InternalError)).key("b").once());
    let delete = || {
        let keys = ["a", "b", "c"].map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
        let delete = Delete::builder().set_objects(Some(keys.into())).build().expect("a delete");
        client.delete_objects().bucket(BUCKET).delete(delete).send()
    };
    let first = delete().await.expect("delete");
    assert_eq!(first.errors().len(), 1);
    assert_eq!((first.errors()[0].key(), first.errors()[0].code()), (Some("b"), Some("InternalError")));
    assert_eq!(first.deleted().len(), 2);
    assert_eq!(server.files().await, 1);
    assert!(delete().await.expect("delete").errors().is_empty());
    assert_eq!(server.files().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_comes_before_or_after_the_work() {
    let (_dir, server) = server().await;
    let client = server.client();
    let faults = server.store.faults();
    let call = |key: &str| client.put_object().bucket(BUCKET).key(key).body(vec![1; 10].into()).send();
    faults.add(Fault::new(Effect::CutRequest).on(Operation::PutObject).once());
    assert!(call("before").await.expect_err("cut").as_service_error().is_none());
    assert_eq!(get(&client, "before").await, None);
    faults.add(Fault::new(Effect::CutAnswer).on(Operation::PutObject).once());
    assert!(call("after").await.expect_err("cut").as_service_error().is_none());
    assert_eq!(get(&client, "after").await, Some(vec![1; 10]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_request_goes_on_when_it_is_released() {
    let (_dir, server) = server().await;
    let client = server.client();
    let stall = server.store.faults().stall(Some(Operation::PutObject), Some("k"));
    let stalled = tokio::spawn(client.put_object().bucket(BUCKET).key("k").body(vec![1].into()).send());
    stall.reached(1).await;
    put(&client, "other", b"x").await;
    assert_eq!(get(&client, "k").await, None);
    assert!(!stalled.is_finished());
    stall.release();
    stalled.await.expect("a task").expect("put");
    put(&client, "k", b"x").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_requests_under_way() {
    let (dir, server) = server().await;
    let client = server.client();
    let stall = server.store.faults().stall(Some(Operation::PutObject), None);
    let put = tokio::spawn(client.put_object().bucket(BUCKET).key("k").body(vec![1].into()).send());
    stall.reached(1).await;
    let stopping = tokio::spawn(server.stop());
    stall.release();
    put.await.expect("a task").expect("put");
    stopping.await.expect("stopped");
    let again = Server::start(dir.path()).await;
    assert_eq!(get(&again.client(), "k").await, Some(vec![1]));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_can_claim_to_be_versioned() {
    let (_dir, server) = server().await;
    server.store.faults().add(Fault::new(Effect::ReportVersioned));
    let client = server.client();
    put(&client, "k", b"x").await;
    let versioning = client.get_bucket_versioning().bucket(BUCKET).send().await.expect("versioning");
    assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled));
    server.stop().await;
}
