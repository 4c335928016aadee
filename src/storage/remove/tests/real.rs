//! Removals on a real server. The embedded server keeps no versions and has no multipart uploads, so these tests need
//! the server that the environment names; without one they say so and end.

use aws_sdk_s3::{
    primitives::{ByteStream, DateTime},
    types::{
        BucketVersioningStatus, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention,
        ObjectLockRetentionMode, VersioningConfiguration,
    },
};
use zeroload_domain::Bucket;

use super::*;
use crate::storage::{
    GatewaySettings, Versioning,
    test_s3::{RealServer, fresh_id, learn_not_found, now},
};

/// A gateway to a bucket of its own with versions on, if the server has them.
async fn versioned(locks: bool) -> Option<Gateway> {
    let server = RealServer::start().await;
    if server.versioned().await.is_none() {
        eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
        return None;
    }
    let name = format!("versions-{}", fresh_id());
    let settings = GatewaySettings { bucket: Bucket::parse(name.clone()).unwrap(), ..server.settings.clone() };
    let gateway = Gateway::connect(settings).await.unwrap();
    gateway.client().create_bucket().bucket(&name).object_lock_enabled_for_bucket(locks).send().await.unwrap();
    learn_not_found(&gateway).await;
    if !locks {
        set_versioning(&gateway, BucketVersioningStatus::Enabled).await;
    }
    assert_eq!(gateway.versioning().await, Ok(Versioning::Kept));
    Some(gateway)
}

async fn set_versioning(gateway: &Gateway, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    let set = gateway.client().put_bucket_versioning().bucket(gateway.bucket().as_str());
    set.versioning_configuration(configuration).send().await.unwrap();
}

async fn put(gateway: &Gateway, key: &str, body: &'static [u8]) -> Option<String> {
    let put = gateway.client().put_object().bucket(gateway.bucket().as_str()).key(key);
    put.body(ByteStream::from_static(body)).send().await.unwrap().version_id
}

/// A plain delete, as by somebody else: adds a delete marker.
async fn hide(gateway: &Gateway, key: &str) {
    gateway.client().delete_object().bucket(gateway.bucket().as_str()).key(key).send().await.unwrap();
}

/// How many versions and markers a key has.
async fn count(gateway: &Gateway, key: &str) -> usize {
    gateway.versions_of(key).await.unwrap().len()
}

#[tokio::test]
async fn all_versions_and_markers_of_the_key_go_and_nothing_else() {
    let Some(gateway) = versioned(false).await else { return };
    let (item, hidden, never) = (Item::fresh(&gateway), Item::fresh(&gateway), Item::fresh(&gateway));
    let key = item.object_key.as_str();
    let neighbour = format!("{key}x");
    for body in [b"one".as_slice(), b"three"] {
        put(&gateway, key, body).await;
    }
    put(&gateway, &neighbour, b"mine").await;
    put(&gateway, hidden.object_key.as_str(), b"hidden").await;
    for key in [key, hidden.object_key.as_str(), neighbour.as_str()] {
        hide(&gateway, key).await;
    }
    put(&gateway, key, b"again").await;
    // A delete marker is on top: a client sees no object, and the version below is billed.
    assert_eq!(gateway.head(&hidden.at()).await, Ok(None));

    let removals = gateway.remove(&[item.at(), hidden.at(), never.at()]).await;
    assert_eq!(removals, [gone(13), gone(6), Removal::Gone { freed: None }]);
    assert_eq!((count(&gateway, key).await, count(&gateway, hidden.object_key.as_str()).await), (0, 0));
    assert_eq!(count(&gateway, &neighbour).await, 2);
    assert_eq!(gateway.remove(&[item.at()]).await, [Removal::Gone { freed: None }], "again changes nothing");
}

#[tokio::test]
async fn versions_from_before_and_after_a_suspension_go_together() {
    let Some(gateway) = versioned(false).await else { return };
    let (item, marked) = (Item::fresh(&gateway), Item::fresh(&gateway));
    let (key, other) = (item.object_key.as_str(), marked.object_key.as_str());
    for key in [key, other] {
        put(&gateway, key, b"before").await;
    }
    set_versioning(&gateway, BucketVersioningStatus::Suspended).await;
    assert_eq!(gateway.versioning().await, Ok(Versioning::Suspended));
    put(&gateway, key, b"now").await;
    hide(&gateway, other).await;
    assert_eq!((count(&gateway, key).await, count(&gateway, other).await), (2, 2));
    assert_eq!(gateway.remove(&[item.at(), marked.at()]).await, [gone(9), gone(6)]);
    assert_eq!((count(&gateway, key).await, count(&gateway, other).await), (0, 0));
}

#[tokio::test]
async fn a_locked_version_stays_and_says_why_and_the_others_go() {
    let Some(gateway) = versioned(true).await else { return };
    let (held, kept, free) = (Item::fresh(&gateway), Item::fresh(&gateway), Item::fresh(&gateway));
    let mut versions = Vec::new();
    for item in [&held, &kept, &free] {
        put(&gateway, item.object_key.as_str(), b"old").await;
        versions.push(put(&gateway, item.object_key.as_str(), b"new").await.unwrap());
    }
    let (client, bucket) = (gateway.client(), gateway.bucket().as_str());
    let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
    let set = client.put_object_legal_hold().bucket(bucket).key(held.object_key.as_str()).version_id(&versions[0]);
    set.legal_hold(hold).send().await.unwrap();
    let until = DateTime::from_secs((now() + chrono::TimeDelta::hours(1)).timestamp());
    let retention = ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Compliance).retain_until_date(until);
    let set = client.put_object_retention().bucket(bucket).key(kept.object_key.as_str()).version_id(&versions[1]);
    set.retention(retention.build()).send().await.unwrap();

    let removals = gateway.remove(&[held.at(), kept.at(), free.at()]).await;
    assert_eq!(removals, [failure(LEGAL_HOLD), failure(RETAINED), gone(6)]);
    assert_eq!(
        (count(&gateway, held.object_key.as_str()).await, count(&gateway, kept.object_key.as_str()).await),
        (1, 1)
    );
}

#[tokio::test]
async fn an_unfinished_upload_of_the_key_is_aborted_and_another_one_is_not() {
    if std::env::var_os("ZEROLOAD_TEST_S3_ENDPOINT").is_none() {
        return eprintln!("skipped: the embedded server has no multipart uploads");
    }
    let gateway = RealServer::start().await.gateway().await;
    let item = Item::fresh(&gateway);
    let (client, bucket) = (gateway.client(), gateway.bucket().as_str());
    let mut begun = Vec::new();
    for key in [item.object_key.to_string(), format!("{}x", item.object_key)] {
        let upload = client.create_multipart_upload().bucket(bucket).key(&key).send().await.unwrap().upload_id.unwrap();
        let part = client.upload_part().bucket(bucket).key(&key).upload_id(&upload).part_number(1);
        part.body(ByteStream::from_static(b"part")).send().await.unwrap();
        begun.push((key, upload));
    }
    assert_eq!(gateway.remove(&[item.at()]).await, [Removal::Gone { freed: None }]);
    let mut parts = Vec::new();
    for (key, upload) in begun {
        let listed = client.list_parts().bucket(bucket).key(key).upload_id(upload).send().await;
        parts.push(listed.map(|parts| parts.parts().len()).map_err(|error| StorageError::from(&error)));
    }
    assert!(matches!(&parts[0], Err(error) if error.status() == Some(404)), "{parts:?}");
    assert_eq!(parts[1], Ok(1));
}
