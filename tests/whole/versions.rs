//! Collection from a bucket that keeps versions. The embedded server keeps none, so these need the server that the
//! environment names; without it they say so and end.

use aws_sdk_s3::{
    Client,
    types::{BucketVersioningStatus, ObjectLockLegalHold, ObjectLockLegalHoldStatus as Hold, VersioningConfiguration},
};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;
use zeroload::background::collector::ItemOutcome;

use crate::app::{TestApp, id, is_foreign, s3_client};

const BYTES: &[u8] = b"some bytes";

/// A service on a bucket of its own that keeps versions, and a client for what others do there.
struct Versioned {
    app: TestApp,
    client: Client,
    bucket: String,
}

impl Versioned {
    async fn start(locks: bool) -> Option<Self> {
        if !is_foreign() {
            eprintln!("skipped: no server with versions is named (ZEROLOAD_TEST_S3_ENDPOINT)");
            return None;
        }
        let host = TestApp::start().await;
        let (client, bucket) = (s3_client(&host).await, format!("versions-{}", Uuid::now_v7()));
        client.create_bucket().bucket(&bucket).object_lock_enabled_for_bucket(locks).send().await.expect("a bucket");
        if !locks {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            let set = client.put_bucket_versioning().bucket(&bucket).versioning_configuration(on);
            set.send().await.expect("versions");
        }
        let app = TestApp::start_with(|raw| raw.s3_bucket = Some(bucket.clone())).await;
        Some(Self { app, client, bucket })
    }

    /// How many versions and delete markers begin with this.
    async fn count(&self, prefix: &str) -> usize {
        let listed = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix).send().await;
        let listed = listed.expect("a list");
        listed.versions().len() + listed.delete_markers().len()
    }

    async fn write(&self, key: &str, body: &'static [u8]) {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(body.to_vec().into())
            .send()
            .await
            .expect("written");
    }

    async fn hide(&self, key: &str) {
        self.client.delete_object().bucket(&self.bucket).key(key).send().await.expect("hidden");
    }

    async fn hold(&self, key: &str, status: Hold) {
        let hold = ObjectLockLegalHold::builder().status(status).build();
        let set = self.client.put_object_legal_hold().bucket(&self.bucket).key(key).legal_hold(hold);
        set.send().await.expect("the hold is set");
    }
}

fn key(media: &serde_json::Value) -> &str {
    media["object_key"].as_str().expect("a key")
}

#[tokio::test]
async fn what_is_collected_from_a_bucket_with_versions_leaves_nothing_of_its_key() {
    let Some(world) = Versioned::start(false).await else { return };
    let app = &world.app;
    let (plain, overwritten, hidden) =
        (app.uploaded(BYTES).await, app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    let (never, kept) = (app.ticket(BYTES).await, app.confirmed(BYTES).await);
    world.write(key(&overwritten), b"more").await;
    world.hide(key(&hidden)).await;
    let neighbour = format!("{}x", key(&plain));
    world.write(&neighbour, b"mine").await;

    let (status, ready) = app.get("/readyz").await;
    assert_eq!(status, reqwest::StatusCode::OK, "{ready}");
    let report = app.collect_later().await;
    assert_eq!((report.collected, report.absent, report.failed, report.unknown), (3, 1, 0, 0), "{report:?}");
    assert_eq!(report.bytes_freed, 3 * BYTES.len() as u64 + 4);
    for gone in [&plain, &overwritten, &hidden, &never] {
        assert_eq!(app.state(gone).await, "collected");
        assert_eq!(world.count(&format!("{}.", key(gone).trim_end_matches(".jpg"))).await, usize::from(gone == &plain));
    }
    assert_eq!(world.count(&neighbour).await, 1);
    assert!(app.in_bucket(&kept).await);
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&hidden))).await;
    let seen = ["seen", "outcome", "bytes_freed"].map(|member| {
        history["events"].as_array().expect("events").iter().find_map(|event| event["payload"].get(member)).cloned()
    });
    // To a look it was absent; what was under the marker was billed, and is counted.
    assert_eq!(json!(seen), json!([{ "state": "absent" }, "deleted", BYTES.len()]));
}

#[tokio::test]
async fn an_object_under_a_legal_hold_is_parked_with_its_reason_and_goes_when_it_is_lifted() {
    let Some(world) = Versioned::start(true).await else { return };
    let app = &world.app;
    let (held, free) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    world.hold(key(&held), Hold::On).await;
    let now = Utc::now() + TimeDelta::days(30);
    let report = app.run_at(now, false).await.expect("a run");
    assert_eq!((report.collected, report.failed), (1, 1), "{report:?}");
    let failed = report.items.iter().find(|item| item.outcome == ItemOutcome::Failed).expect("the held one");
    assert_eq!((failed.id.to_string().as_str(), failed.code.as_deref()), (id(&held), Some("legal-hold")));
    assert_eq!((app.state(&held).await.as_str(), app.state(&free).await.as_str()), ("collecting", "collected"));
    assert!(app.in_bucket(&held).await);

    let (_, explanation) = app.get(&format!("/v1/media/{}/explain", id(&held))).await;
    let obstacle = &explanation["obstacle"];
    assert_eq!(obstacle["code"], "legal-hold");
    assert!(obstacle["detail"].as_str().expect("a detail").contains("legal hold"), "{explanation}");
    assert!(obstacle["next_try_at"].as_str() > Some((now + TimeDelta::hours(5)).to_rfc3339().as_str()));
    assert_eq!(
        app.run_at(now + TimeDelta::hours(5), false).await.expect("a run").due,
        0,
        "it is not tried all the time"
    );

    world.hold(key(&held), Hold::Off).await;
    let report = app.run_at(now + TimeDelta::hours(7), false).await.expect("a run");
    assert_eq!((report.collected, report.bytes_freed), (1, BYTES.len() as u64), "{report:?}");
    assert_eq!(world.count(key(&held)).await, 0);
}

#[tokio::test]
async fn versions_that_went_before_a_crash_are_recorded_by_the_next_run() {
    let Some(world) = Versioned::start(false).await else { return };
    let app = &world.app;
    let media = app.uploaded(BYTES).await;
    let report = app.collect_later().await;
    assert_eq!(report.collected, 1);
    // Bytes that arrive later, of which another process has removed every version and died before it said so.
    world.write(key(&media), BYTES).await;
    assert_eq!(app.post_empty(&format!("/v1/media/{}/uploaded", id(&media))).await.0, reqwest::StatusCode::GONE);
    assert_eq!(app.state(&media).await, "collecting");
    let listed = world.client.list_object_versions().bucket(&world.bucket).prefix(key(&media)).send().await;
    for version in listed.expect("a list").versions() {
        let delete = world.client.delete_object().bucket(&world.bucket).key(key(&media));
        delete.set_version_id(version.version_id.clone()).send().await.expect("deleted");
    }
    let report = app.collect_later().await;
    assert_eq!((report.collected, report.bytes_freed), (1, BYTES.len() as u64), "as it was seen at the claim");
}

#[tokio::test]
async fn the_marker_is_kept_in_one_version() {
    let Some(world) = Versioned::start(false).await else { return };
    for _ in 0..3 {
        world.app.ticket(BYTES).await;
        world.app.collect_later().await;
    }
    assert_eq!(world.count(&world.app.parts.gateway.prefix().marker()).await, 1);
    assert_eq!(world.count(&world.app.parts.gateway.prefix().probe("")).await, 0);
}
