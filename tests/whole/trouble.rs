//! A bucket that is down, refuses, or is the wrong one: nothing is collected, readiness says why, and when it is back
//! all goes on by itself.

use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::background::collector::RunError;
use zeroload_embedded_s3::{Effect, Fault, Refusal};

use crate::app::{TestApp, embedded_keys, id, is_foreign, read, s3_client, wish};

const BYTES: &[u8] = b"some bytes";

/// Readiness has failed, and its reason holds `word`.
async fn unready(app: &TestApp, word: &str) {
    // The last look may be a moment old.
    app.check_bucket().await;
    let (status, ready) = app.get("/readyz").await;
    assert_eq!((status, &ready["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)), "{ready}");
    let failed = |check: &&Value| check["status"] == "failed";
    let check = ready["checks"].as_array().expect("checks").iter().find(failed).expect("a failed check");
    assert!(check["detail"].as_str().expect("a detail").contains(word), "{check}");
}

/// A bucket that was seen to be ours is away: the process can do all that needs none, and says why it does no more.
async fn ready_without_its_bucket(app: &TestApp, word: &str) {
    app.check_bucket().await;
    let (status, ready) = app.get("/readyz").await;
    assert_eq!((status, &ready["ready"]), (StatusCode::OK, &json!(true)), "{ready}");
    let check = ready["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "bucket");
    let check = check.expect("a check of the bucket");
    assert_eq!(check["status"], "degraded");
    assert!(check["detail"].as_str().expect("a detail").contains(word), "{check}");
}

/// No run takes place, by HTTP or by the clock.
async fn nothing_is_collected(app: &TestApp) {
    let (status, problem) = app.post_empty("/v1/collections").await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable")));
    let later = chrono::Utc::now() + chrono::TimeDelta::days(30);
    let run = app.run_at(later, false).await;
    assert!(matches!(run, Err(RunError::Bucket(_))), "{run:?}");
}

#[tokio::test]
async fn a_server_that_is_down_or_refuses_stops_collection_until_it_is_back() {
    let denied =
        "the bucket cannot be used: storage answered GetObject with 403 AccessDenied: \"a scripted fault\" (request";
    for (effect, word) in [
        (Effect::CutRequest, "the bucket cannot be reached: the connection to storage for GetObject failed"),
        (Effect::Refuse(Refusal::AccessDenied), denied),
    ] {
        let app = TestApp::start_embedded(|_| {}).await;
        let (seen, unseen) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
        app.post_empty(&format!("/v1/media/{}/uploaded", id(&seen))).await;
        let faults = app.parts.faults.clone().expect("the embedded server");
        faults.add(Fault::new(effect));

        ready_without_its_bucket(&app, word).await;
        nothing_is_collected(&app).await;
        let answer = app.call(reqwest::Method::POST, &format!("/v1/media/{}/confirm", id(&unseen))).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "never called not uploaded");
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.expect("a problem");
        assert_eq!(problem["code"], "storage-unavailable");
        let (status, _) = app.post_empty(&format!("/v1/media/{}/confirm", id(&seen))).await;
        assert_eq!(status, StatusCode::OK, "a recorded upload needs no look");
        app.ticket(BYTES).await;

        faults.clear();
        app.check_bucket().await;
        let (status, ready) = app.get("/readyz").await;
        assert_eq!(status, StatusCode::OK, "{ready}");
        let (status, _) = app.post_empty(&format!("/v1/media/{}/confirm", id(&unseen))).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(app.collect_later().await.due, 1);
    }
}

#[tokio::test]
async fn a_server_that_breaks_in_the_middle_of_a_run_loses_nothing() {
    let app = TestApp::start_embedded(|raw| raw.delete_page = Some("5".to_owned())).await;
    let mut items = Vec::new();
    for _ in 0..12 {
        items.push(app.uploaded(BYTES).await);
    }
    let faults = app.parts.faults.clone().expect("the embedded server");
    let stall = faults.stall(Some(zeroload_embedded_s3::Operation::DeleteObjects), None);
    let (collector, runtime) = (app.parts.collector.clone(), app.parts.runtime.clone());
    let later = chrono::Utc::now() + chrono::TimeDelta::days(30);
    let run = runtime.spawn(async move { collector.run_at(later, false).await });
    stall.reached(1).await;
    faults.add(Fault::new(Effect::CutRequest));
    stall.release();
    let report = run.await.expect("the run does not panic").expect("the run ends");
    // The first page was under way; the second found nobody, and no third was claimed.
    assert_eq!((report.collected, report.unknown, report.failed, report.more), (5, 5, 0, true), "{report:?}");
    faults.clear();
    let report = app.run_at(later + chrono::TimeDelta::hours(1), false).await.expect("a run");
    assert_eq!((report.collected, report.unknown), (7, 0), "{report:?}");
    for media in &items {
        assert!(!app.in_bucket(media).await);
    }
}

#[tokio::test]
async fn a_first_start_without_its_bucket_issues_no_tickets_until_it_is_there() {
    let app = TestApp::start_with(|raw| {
        raw.s3_bucket = Some("nowhere".to_owned());
        raw.s3_endpoint = Some("http://127.0.0.1:1".to_owned());
        raw.s3_access_key = Some("a".to_owned());
        raw.s3_secret_key = Some("s".to_owned());
    })
    .await;
    unready(&app, "reached").await;
    nothing_is_collected(&app).await;
    let (status, problem) = app.post("/v1/media", wish(BYTES)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable")));
    assert_eq!(app.head().await.position, 0);
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_no_empty_bucket() {
    let host = TestApp::start().await;
    let app = on_the_server_of(&host, |raw| raw.s3_bucket = Some("no-such-bucket".to_owned())).await;
    unready(&app, "storage answered GetObject with 404 NoSuchBucket").await;
    nothing_is_collected(&app).await;
    let (status, _) = app.post("/v1/media", wish(BYTES)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_bucket_of_another_journal_is_left_alone() {
    let owner = TestApp::start().await;
    let media = owner.confirmed(BYTES).await;
    let app = on_the_server_of(&owner, |_| {}).await;
    let theirs = owner.head().await.journal_id.to_string();
    unready(&app, &theirs).await;
    nothing_is_collected(&app).await;
    let (status, problem) = app.post("/v1/media", wish(BYTES)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable")));
    assert!(owner.in_bucket(&media).await);
    assert_eq!(owner.get("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_bucket_whose_marker_is_gone_is_only_taken_over_when_told_so() {
    let app = TestApp::start().await;
    let (kept, due) = (app.confirmed(BYTES).await, app.uploaded(BYTES).await);
    // The run of the start has ended when this one has: it would write the marker that is taken away below.
    assert_eq!(app.post_empty("/v1/collections").await.0, StatusCode::OK);
    let (client, bucket) = (s3_client(&app).await, app.parts.gateway.bucket().to_string());
    let marker = app.parts.gateway.prefix().marker();
    client.delete_object().bucket(&bucket).key(&marker).send().await.expect("deleted");
    unready(&app, "marker").await;
    nothing_is_collected(&app).await;
    let (status, _) = app.post_empty(&format!("/v1/media/{}/confirm", id(&due))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "in a doubtful bucket nothing is called absent or present");

    let app = app.restart_with(|_| {}).await;
    unready(&app, "marker").await;
    let app = app.restart_with(|raw| raw.adopt_bucket = Some("true".to_owned())).await;
    assert_eq!(app.get("/readyz").await.0, StatusCode::OK);
    assert_eq!(app.collect_later().await.collected, 1);
    assert!(app.in_bucket(&kept).await);

    // The setting was meant for the marker that was missing then.
    let client = s3_client(&app).await;
    client.delete_object().bucket(&bucket).key(&marker).send().await.expect("deleted");
    unready(&app, "marker").await;
    nothing_is_collected(&app).await;
}

#[tokio::test]
async fn a_bucket_whose_versions_cannot_be_listed_is_not_collected_from() {
    let app = TestApp::start_embedded(|_| {}).await;
    app.parts.faults.as_ref().expect("the embedded server").add(Fault::new(Effect::ReportVersioned));
    let media = app.confirmed(BYTES).await;
    let due = app.uploaded(BYTES).await;
    unready(&app, "version").await;
    nothing_is_collected(&app).await;
    assert!(app.in_bucket(&media).await && app.in_bucket(&due).await);
    assert_eq!(app.state(&due).await, "pending", "nothing was claimed");
}

#[tokio::test]
async fn items_of_another_bucket_wait_for_it() {
    let app = TestApp::start_with(|raw| raw.ticket_ttl = Some("1s".to_owned())).await;
    let request = app.call(reqwest::Method::POST, "/v1/media").header("Idempotency-Key", "k").json(&wish(BYTES));
    let (_, media) = read(request).await;
    let prefix = app.parts.gateway.prefix().as_str().to_owned();
    let (client, other) = (s3_client(&app).await, format!("other-{}", id(&media)));
    client.create_bucket().bucket(&other).send().await.expect("a second bucket");
    let moved = on_its_data(app, |raw| {
        raw.s3_bucket = Some(other.clone());
        raw.s3_prefix = Some(prefix);
        raw.adopt_bucket = Some("true".to_owned());
    })
    .await;
    let (status, problem) = moved.app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable")));
    // Past half of the ticket's life, when a renewal would be recorded.
    let ends = media["upload"]["expires_at"].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>();
    while chrono::Utc::now() <= ends.expect("RFC 3339") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let repeat = moved.app.call(reqwest::Method::POST, "/v1/media").header("Idempotency-Key", "k").json(&wish(BYTES));
    let renewed = moved.app.post_empty(&format!("/v1/media/{}/ticket", id(&media))).await;
    for (status, problem) in [renewed, read(repeat).await] {
        assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable")));
    }
    assert_eq!(moved.app.history(&media).await, ["MediaRequested"], "no ticket could be signed, so none is recorded");
    let report = moved.app.collect_later().await;
    assert_eq!((report.collected, report.absent, report.failed), (0, 0, 1), "{report:?}");
    assert_eq!(report.items[0].code.as_deref(), Some("other-bucket"));
    assert_eq!(moved.app.state(&media).await, "pending", "it is not claimed: its own bucket may come back");
}

#[tokio::test]
async fn a_journal_that_was_restored_collects_nothing_until_told_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("journal.db");
    let mut app = TestApp::start_with(|raw| raw.database_url = Some(format!("sqlite:{}", journal.display()))).await;
    let media = app.uploaded(BYTES).await;
    app.end().await;
    let backup = std::fs::read(&journal).expect("a clean stop leaves the whole journal in one file");

    let app = app.restart_with(|_| {}).await;
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await.0, StatusCode::OK);
    assert_eq!(app.post_empty("/v1/collections").await.0, StatusCode::OK, "a run that leaves its mark");
    let app = app
        .restart_after(|| {
            std::fs::write(&journal, &backup).expect("restored");
            for stale in ["journal.db-wal", "journal.db-shm", "journal-projections.db", "journal-projections.db-wal"] {
                let _absent = std::fs::remove_file(folder.path().join(stale));
            }
        })
        .await;

    unready(&app, "restored from a backup").await;
    nothing_is_collected(&app).await;
    // It grows beyond what the bucket has seen, and is noticed all the same.
    for _ in 0..5 {
        app.ticket(BYTES).await;
    }
    unready(&app, "restored from a backup").await;
    nothing_is_collected(&app).await;
    let later = chrono::Utc::now() + chrono::TimeDelta::days(30);
    let said = app.run_at(later, true).await.expect("a dry run says what would go");
    assert_eq!((said.due, said.items.len()), (6, 6), "{said:?}");
    assert_eq!(app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await.0, StatusCode::OK);

    let app = app.restart_with(|raw| raw.adopt_bucket = Some("true".to_owned())).await;
    assert_eq!(app.get("/readyz").await.0, StatusCode::OK);
    let app = app.restart_with(|raw| raw.adopt_bucket = None).await;
    assert_eq!(app.collect_later().await.absent, 5);
    assert!(app.in_bucket(&media).await);
}

/// A service with a journal of its own, on the S3 server of `host`.
async fn on_the_server_of(host: &TestApp, change: impl FnOnce(&mut zeroload::settings::RawSettings)) -> TestApp {
    let prefix = host.parts.gateway.prefix().as_str().to_owned();
    let bucket = host.parts.gateway.bucket().to_string();
    let named = (!is_foreign()).then(|| embedded_keys(host));
    TestApp::start_with(|raw| {
        if let Some((endpoint, access, secret)) = named {
            raw.s3_endpoint = Some(endpoint);
            raw.s3_access_key = Some(access);
            raw.s3_secret_key = Some(secret);
        }
        raw.s3_bucket = Some(bucket);
        raw.s3_prefix = Some(prefix);
        change(raw);
    })
    .await
}

/// A service on the journal of one that has ended, and what keeps its old S3 server running.
struct Moved {
    app: TestApp,
    _server: Option<TestApp>,
}

/// The same journal on another bucket. The embedded server ends with its service, so a second one stands in for it.
async fn on_its_data(app: TestApp, change: impl FnOnce(&mut zeroload::settings::RawSettings)) -> Moved {
    if is_foreign() {
        return Moved { app: app.restart_with(change).await, _server: None };
    }
    let server = TestApp::start().await;
    let (endpoint, access, secret) = embedded_keys(&server);
    let mut raw = app.raw.clone();
    change(&mut raw);
    let bucket = raw.s3_bucket.clone().expect("a bucket");
    s3_client(&server).await.create_bucket().bucket(bucket).send().await.expect("the bucket");
    let app = app
        .restart_with(|old| {
            *old = raw;
            old.s3_endpoint = Some(endpoint);
            old.s3_access_key = Some(access);
            old.s3_secret_key = Some(secret);
        })
        .await;
    Moved { app, _server: Some(server) }
}

/// Runs a statement on the read models behind the service's back.
async fn in_read_models(folder: &tempfile::TempDir, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("journal-projections.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("they open");
    sqlx::Executor::execute(&mut connection, sql).await.expect("the statement is right");
    sqlx::Connection::close(connection).await.expect("closed");
}

/// Settings with which the journal is in SQLite, wherever that of the other tests is.
fn on_sqlite(folder: &tempfile::TempDir) -> Option<String> {
    Some(format!("sqlite:{}", folder.path().join("journal.db").display()))
}

#[tokio::test]
async fn read_models_of_another_past_are_noticed_although_the_journal_has_grown_beyond_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name);
    let mut app = TestApp::start_with(|raw| raw.database_url = on_sqlite(&folder)).await;
    app.ticket(BYTES).await;
    app.caught_up().await;
    app.end().await;
    let backup = std::fs::read(file("journal.db")).expect("a clean stop leaves the whole journal in one file");

    let mut app = app.restart_with(|_| {}).await;
    app.ticket(BYTES).await;
    app.caught_up().await;
    app.end().await;
    let of_that_past = std::fs::read(file("journal-projections.db")).expect("a clean stop leaves one file");
    let mut app = app
        .restart_after(|| {
            std::fs::write(file("journal.db"), &backup).expect("restored");
            std::fs::remove_file(file("journal-projections.db")).expect("removed");
        })
        .await;
    for _ in 0..3 {
        app.ticket(BYTES).await;
    }
    app.end().await;

    std::fs::write(file("journal-projections.db"), &of_that_past).expect("put back");
    let elsewhere = std::sync::Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let refused = TestApp::open(app.raw.clone(), elsewhere).await.err().expect("it does not start");
    assert!(refused.contains("another past") && refused.contains("projections rebuild"), "{refused}");
    std::fs::remove_file(file("journal-projections.db")).expect("removed");
    let app = app.restart_with(|_| {}).await;
    assert_eq!(app.get("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_projector_whose_journal_is_another_one_stands_still_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = TestApp::start_with(|raw| raw.database_url = on_sqlite(&folder)).await;
    app.ticket(BYTES).await;
    app.caught_up().await;
    // A failure has the past checked anew, as the first turn has.
    in_read_models(&folder, "ALTER TABLE projection_checkpoints RENAME TO hidden").await;
    let turn = || {
        let projector = app.parts.projector.clone();
        app.on_runtime(async move { projector.run_once().await.map_err(|error| error.to_string()) })
    };
    turn().await.expect_err("there is no checkpoint");
    let other = "0".repeat(64);
    in_read_models(&folder, &format!("UPDATE hidden SET commit_hash = '{other}'")).await;
    in_read_models(&folder, "ALTER TABLE hidden RENAME TO projection_checkpoints").await;
    app.ticket(BYTES).await;
    for _ in 0..2 {
        let said = turn().await.expect_err("it stands still");
        assert!(said.contains("position 1: it was restored from a backup"), "{said}");
        unready(&app, "zeroload projections rebuild").await;
    }
}
