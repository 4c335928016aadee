//! Servers that do things their own way: what they cannot do is said, what they say is taken for what it proves, and what they
//! do not understand is asked for in another way.

use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::{
    background::{collector::RunError, reconciler::WalkRequest},
    settings::RawSettings,
    storage::Deletes,
};
use zeroload_embedded_s3::{Effect, Fault, Manner, Operation, Refusal};

use crate::app::{TestApp, embedded_keys, id, s3_client, wish};

const BYTES: &[u8] = b"some bytes";
const OTHERS: &[u8] = b"same size.";

/// A service on a server with manners of its own: the embedded one of another service, which is told so before this one sees it.
struct Guest {
    app: TestApp,
    host: TestApp,
}

impl Guest {
    async fn on(faults: Vec<Fault>, change: impl FnOnce(&mut RawSettings)) -> Self {
        let host = TestApp::start_embedded(|_| {}).await;
        let (endpoint, access, secret) = embedded_keys(&host);
        faults.into_iter().for_each(|fault| host.parts.faults.as_ref().expect("the embedded server").add(fault));
        let bucket = host.parts.gateway.bucket().to_string();
        let app = TestApp::start_embedded(|raw| {
            raw.s3_endpoint = Some(endpoint);
            raw.s3_access_key = Some(access);
            raw.s3_secret_key = Some(secret);
            raw.s3_region = Some("us-east-1".to_owned());
            raw.s3_bucket = Some(bucket);
            raw.s3_prefix = Some("guest".to_owned());
            change(raw);
        })
        .await;
        Self { app, host }
    }

    async fn with(manner: Manner) -> Self {
        Self::on(vec![Fault::new(Effect::Manner(manner))], |_| {}).await
    }

    fn forget_manners(&self) {
        self.host.parts.faults.as_ref().expect("the embedded server").clear();
    }
}

async fn check(app: &TestApp, name: &str) -> Value {
    let (_, ready) = app.get("/readyz").await;
    let checks = ready["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {ready}")).clone()
}

#[track_caller]
fn says(check: &Value, status: &str, word: &str) {
    assert_eq!(check["status"], status, "{check}");
    assert!(check["detail"].as_str().expect("a detail").contains(word), "{check}");
}

async fn confirm(app: &TestApp, media: &Value) -> (StatusCode, Value) {
    app.post_empty(&format!("/v1/media/{}/confirm", id(media))).await
}

#[tokio::test]
async fn a_404_of_a_proxy_is_no_word_of_the_server() {
    let app = TestApp::start_embedded(|_| {}).await;
    let (there, never, kept) = (app.uploaded(BYTES).await, app.ticket(BYTES).await, app.confirmed(BYTES).await);
    let collected = app.ticket(BYTES).await;
    app.delete(&format!("/v1/media/{}", id(&collected))).await;
    assert_eq!(app.run_at(Utc::now() + TimeDelta::minutes(21), false).await.expect("a run").absent, 1);
    let faults = app.parts.faults.clone().expect("the embedded server");
    faults.add(Fault::new(Effect::StandIn).on(Operation::HeadObject));
    for media in [&there, &never] {
        for call in ["confirm", "uploaded"] {
            let (status, problem) = app.post_empty(&format!("/v1/media/{}/{call}", id(media))).await;
            let unavailable = (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable"));
            assert_eq!((status, &problem["code"]), unavailable, "{call}: {problem}");
        }
    }
    says(&check(&app, "s3-absence").await, "degraded", "text/plain");
    let later = Utc::now() + TimeDelta::days(1);
    let inspected = app.inspect_at(later).await.expect("a report");
    assert_eq!((inspected.substituted, inspected.late), (0, 0), "{inspected:?}");
    assert!(inspected.put_aside >= 1, "{inspected:?}");
    assert_eq!(app.history(&kept).await, ["MediaRequested", "Uploaded", "Confirmed"]);

    faults.clear();
    assert_eq!(confirm(&app, &there).await.0, StatusCode::OK);
    let (status, problem) = confirm(&app, &never).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("not-uploaded")));
    let inspected = app.inspect_at(later + TimeDelta::hours(12)).await.expect("a report");
    assert_eq!((inspected.sealed, inspected.substituted), (2, 0), "{inspected:?}");
}

#[tokio::test]
async fn a_server_whose_404s_could_be_anybody_s_is_believed_beside_the_marker() {
    let guest = Guest::with(Manner::HasPlainNotFounds).await;
    let app = &guest.app;
    says(&check(app, "s3-absence").await, "degraded", "without x-amz-request-id, Content-Type \"text/html\"");
    let (never, lost) = (app.ticket(BYTES).await, app.confirmed(BYTES).await);
    let (status, problem) = confirm(app, &never).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("not-uploaded")));

    let (client, bucket) = (s3_client(app).await, app.parts.gateway.bucket().to_string());
    let key = lost["object_key"].as_str().expect("a key");
    client.delete_object().bucket(&bucket).key(key).send().await.expect("deleted");
    app.caught_up().await;
    let reconciler = app.parts.reconciler.clone();
    let walk = app.on_runtime(async move {
        let begun = reconciler.begin(&WalkRequest { caller: "test".to_owned(), delete_older_than: None }).await?;
        reconciler.run(begun, |_| {}).await
    });
    let walk = walk.await.expect("a walk to its end");
    assert_eq!((walk.counts.missing, walk.counts.differs), (1, 0));
    assert_eq!(app.collect_later().await.absent, 1);
    assert_eq!(app.state(&never).await, "collected");
}

#[tokio::test]
async fn a_server_that_refuses_conditions_is_served_without_them() {
    let guest = Guest::with(Manner::RefusesConditions).await;
    let app = &guest.app;
    let media = app.ticket(BYTES).await;
    assert!(media["upload"]["headers"].get("if-none-match").is_none(), "{media}");
    assert!(app.put(&media, BYTES).await.status().is_success());
    assert_eq!(confirm(app, &media).await.0, StatusCode::OK);
    says(&check(app, "s3-conditional-put").await, "degraded", "without it");
    says(&check(app, "bucket").await, "ok", "marker");
    let due = app.uploaded(BYTES).await;
    assert_eq!(app.collect_later().await.collected, 1, "the marker was written on, without a condition");
    assert!(!app.in_bucket(&due).await && app.in_bucket(&media).await);
}

#[tokio::test]
async fn a_server_without_bulk_deletes_is_collected_from_one_by_one() {
    for refusal in [Refusal::NotImplemented, Refusal::InvalidRequest] {
        let fault = Fault::new(Effect::Refuse(refusal)).on(Operation::DeleteObjects);
        let guest = Guest::on(vec![fault], |_| {}).await;
        let app = &guest.app;
        says(&check(app, "s3-delete").await, "degraded", "one by one");
        assert_eq!(app.parts.gateway.deletes(), Deletes::Single);
        let kept = app.confirmed(BYTES).await;
        let mut due = Vec::new();
        for _ in 0..3 {
            due.push(app.uploaded(BYTES).await);
        }
        let report = app.collect_later().await;
        assert_eq!((report.collected, report.failed, report.unknown), (3, 0, 0), "{report:?}");
        for media in &due {
            assert!(!app.in_bucket(media).await && app.state(media).await == "collected");
        }
        assert!(app.in_bucket(&kept).await);
    }
}

#[tokio::test]
async fn a_server_that_wants_content_md5_of_a_delete_gets_it() {
    let guest = Guest::with(Manner::WantsContentMd5).await;
    guest.app.uploaded(BYTES).await;
    assert_eq!(guest.app.collect_later().await.collected, 1);
    assert_eq!(guest.app.parts.gateway.deletes(), Deletes::Bulk);
}

#[tokio::test]
async fn a_server_that_does_not_say_whether_it_keeps_versions_is_collected_from_when_its_operator_does() {
    let silent = || vec![Fault::new(Effect::Manner(Manner::IgnoresTheVersioningQuery))];
    let guest = Guest::on(silent(), |_| {}).await;
    guest.app.uploaded(BYTES).await;
    let run = guest.app.run_at(Utc::now() + TimeDelta::days(30), false).await;
    let Err(RunError::Bucket(problem)) = run else { panic!("{run:?}") };
    assert!(problem.contains("<ListBucketResult>") && problem.contains("set s3_versioning to off"), "{problem}");
    says(&check(&guest.app, "bucket").await, "failed", "s3_versioning");

    let told = Guest::on(silent(), |raw| raw.s3_versioning = Some("off".to_owned())).await;
    let media = told.app.uploaded(BYTES).await;
    says(&check(&told.app, "s3-versioning").await, "ok", "s3_versioning");
    assert_eq!(told.app.collect_later().await.collected, 1);
    assert!(!told.app.in_bucket(&media).await);
}

/// An item whose declared checksum is that of [`BYTES`], after an upload of other bytes.
async fn falsely_uploaded(app: &TestApp) -> Value {
    let media = app.ticket(BYTES).await;
    assert_eq!(app.put(&media, OTHERS).await.status(), StatusCode::BAD_REQUEST);
    media
}

#[tokio::test]
async fn bytes_that_were_refused_and_kept_are_confirmed_as_unverified_or_not_at_all() {
    let keeps = || vec![Fault::new(Effect::Manner(Manner::KeepsRefusedBytes))];
    let trusting = Guest::on(keeps(), |_| {}).await;
    says(&check(&trusting.app, "s3-checksum-verified").await, "degraded", "kept all the same");
    let media = falsely_uploaded(&trusting.app).await;
    let (status, confirmed) = confirm(&trusting.app, &media).await;
    assert_eq!((status, &confirmed["checksum_verified"]), (StatusCode::OK, &json!(false)), "{confirmed}");
    let right = trusting.app.confirmed(BYTES).await;
    assert_eq!(right["checksum_verified"], true);

    let strict = Guest::on(keeps(), |raw| raw.checksum_policy = Some("require".to_owned())).await;
    let app = &strict.app;
    let media = falsely_uploaded(app).await;
    for call in ["uploaded", "confirm", "ticket"] {
        let (status, problem) = app.post_empty(&format!("/v1/media/{}/{call}", id(&media))).await;
        let unverified = (StatusCode::CONFLICT, &json!("checksum-unverified"));
        assert_eq!((status, &problem["code"]), unverified, "{call}: {problem}");
    }
    assert_eq!(app.history(&media).await, ["MediaRequested"]);
    assert_eq!(app.confirmed(BYTES).await["checksum_verified"], true);
    let mut undeclared = wish(OTHERS);
    undeclared.as_object_mut().expect("an object").remove("checksum_sha256");
    let (_, undeclared) = app.post("/v1/media", undeclared).await;
    assert!(app.put(&undeclared, OTHERS).await.status().is_success());
    let (status, confirmed) = confirm(app, &undeclared).await;
    assert_eq!((status, &confirmed["checksum_verified"]), (StatusCode::OK, &json!(false)), "none was declared");
}

#[tokio::test]
async fn an_upload_that_was_recorded_unverified_is_not_confirmed_once_checksums_are_required() {
    let guest = Guest::with(Manner::KeepsNoChecksums).await;
    let recorded = guest.app.uploaded(BYTES).await;
    let (status, uploaded) = guest.app.post_empty(&format!("/v1/media/{}/uploaded", id(&recorded))).await;
    assert_eq!((status, &uploaded["checksum_verified"]), (StatusCode::OK, &json!(false)));
    let kept = guest.app.confirmed(BYTES).await;
    let Guest { app, host: _host } = guest;
    let app = app.restart_with(|raw| raw.checksum_policy = Some("require".to_owned())).await;
    for (status, code) in [confirm(&app, &recorded).await, confirm(&app, &recorded).await]
        .map(|(status, problem)| (status, problem["code"].clone()))
    {
        assert_eq!((status, code), (StatusCode::CONFLICT, json!("checksum-unverified")));
    }
    assert_eq!(confirm(&app, &kept).await.0, StatusCode::OK, "what is in use stays in use");
}

#[tokio::test]
async fn a_server_that_checks_no_signature_is_called_what_it_is() {
    let guest = Guest::with(Manner::ChecksNoSignature).await;
    says(&check(&guest.app, "s3-ticket").await, "ok", "accepted");
    says(&check(&guest.app, "s3-signature").await, "degraded", "tickets protect nothing");
    says(&check(&guest.app, "s3-expiry").await, "degraded", "accepted");
    says(&check(&guest.app, "s3-length").await, "degraded", "accepted");
    guest.forget_manners();
    assert_eq!(guest.app.get("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn keys_of_others_are_reported_under_their_names_whatever_the_list_claims() {
    let guest = Guest::with(Manner::ListsKeysAsTheyAre).await;
    let app = &guest.app;
    says(&check(app, "s3-list-encoding").await, "degraded", "EncodingType=url");
    let (client, bucket) = (s3_client(app).await, app.parts.gateway.bucket().to_string());
    let put = client.put_object().bucket(&bucket).key("guest/a+b%20c").body(BYTES.to_vec().into());
    put.send().await.expect("written");
    app.caught_up().await;
    let reconciler = app.parts.reconciler.clone();
    let walk = app.on_runtime(async move {
        let begun = reconciler.begin(&WalkRequest { caller: "test".to_owned(), delete_older_than: None }).await?;
        reconciler.run(begun, |_| {}).await
    });
    let walk = walk.await.expect("a walk to its end");
    let (_, report) = app.get(&format!("/v1/reconciliations/{}", walk.id)).await;
    assert_eq!(report["findings"][0]["object_key"], "guest/a+b%20c", "{report}");
}
