//! The bucket against the journal, both ways.

use aws_sdk_s3::primitives::ByteStream;
use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::reconcile::{ReconcileError, Wanted};
use zeroload_projections::Walk;

use crate::app::{TestApp, id, s3_client};

const BYTES: &[u8] = b"reconciled";

/// What happens behind the service's back.
struct Behind {
    client: aws_sdk_s3::Client,
    bucket: String,
    prefix: String,
}

impl Behind {
    async fn of(app: &TestApp) -> Self {
        let gateway = &app.parts.gateway;
        let (bucket, prefix) = (gateway.bucket().to_string(), gateway.prefix().as_str().to_owned());
        Self { client: s3_client(app).await, bucket, prefix }
    }

    async fn put(&self, key: &str, bytes: &'static [u8]) {
        let body = ByteStream::from_static(bytes);
        self.client.put_object().bucket(&self.bucket).key(key).body(body).send().await.expect("written");
    }

    async fn delete(&self, key: &str) {
        self.client.delete_object().bucket(&self.bucket).key(key).send().await.expect("deleted");
    }

    async fn holds(&self, key: &str) -> bool {
        self.client.head_object().bucket(&self.bucket).key(key).send().await.is_ok()
    }
}

fn key(media: &Value) -> &str {
    media["object_key"].as_str().expect("a key")
}

fn wanted() -> Wanted {
    Wanted { caller: "test".to_owned(), delete_older_than: None }
}

async fn walk_as(app: &TestApp, wanted: Wanted) -> Walk {
    app.caught_up().await;
    let reconciler = app.parts.reconciler.clone();
    let walked = app.on_runtime(async move {
        let begun = reconciler.begin(&wanted).await?;
        reconciler.run(begun, |_| {}).await
    });
    walked.await.expect("a walk to the end")
}

async fn walk(app: &TestApp) -> Walk {
    walk_as(app, wanted()).await
}

/// Kind, key and action of each finding, in order of key.
async fn findings(app: &TestApp, walk: &Walk) -> Vec<(String, String, String)> {
    let (status, report) = app.get(&format!("/v1/reconciliations/{}", walk.id)).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    assert_eq!(report["reconciliation"]["status"], "ended", "{report}");
    let found = report["findings"].as_array().expect("findings").iter();
    found
        .map(|one| ["kind", "object_key", "action"].map(|name| one[name].as_str().expect("text").to_owned()).into())
        .collect()
}

fn found(kind: &str, key: &str, action: &str) -> (String, String, String) {
    (kind.to_owned(), key.to_owned(), action.to_owned())
}

#[tokio::test]
async fn a_bucket_that_fits_its_journal_has_no_findings() {
    let app = TestApp::start().await;
    app.confirmed(BYTES).await;
    app.uploaded(BYTES).await;
    app.ticket(BYTES).await;
    let released = app.confirmed(BYTES).await;
    assert_eq!(app.delete(&format!("/v1/media/{}", id(&released))).await.0, StatusCode::ACCEPTED);
    let walk = walk(&app).await;
    assert_eq!(findings(&app, &walk).await, []);
    // Three objects and the marker.
    assert_eq!((walk.counts.objects, walk.report_only), (4, None));
}

#[tokio::test]
async fn what_came_back_after_its_collection_is_collected_again() {
    let app = TestApp::start().await;
    let media = app.ticket(BYTES).await;
    app.collect_later().await;
    assert_eq!(app.state(&media).await, "collected");
    // The slow upload, which began in time.
    assert!(app.put(&media, BYTES).await.status().is_success());
    let first = walk(&app).await;
    assert_eq!(findings(&app, &first).await, [found("came_back", key(&media), "collected_again")]);
    assert_eq!(app.state(&media).await, "collecting");
    app.collect_later().await;
    assert!(!app.in_bucket(&media).await);
    let events = app.history(&media).await;
    assert_eq!(events[events.len() - 2..], ["CollectionStarted", "Collected"]);
    let second = walk(&app).await;
    assert_eq!(findings(&app, &second).await, []);
}

#[tokio::test]
async fn a_confirmed_item_whose_object_is_missing_or_another_one_is_an_alarm_and_nothing_else() {
    let app = TestApp::start().await;
    let behind = Behind::of(&app).await;
    let (kept, lost, replaced) = (app.confirmed(BYTES).await, app.confirmed(BYTES).await, app.confirmed(BYTES).await);
    behind.delete(key(&lost)).await;
    behind.put(key(&replaced), b"replacing!").await;
    let before = app.head().await.position;
    let walk = walk(&app).await;
    let mut expected = [found("missing", key(&lost), "reported"), found("differs", key(&replaced), "reported")];
    expected.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(findings(&app, &walk).await, expected);
    assert_eq!(app.head().await.position, before, "nothing was recorded");
    for media in [&kept, &lost, &replaced] {
        assert_eq!(app.state(media).await, "confirmed");
    }
    assert!(behind.holds(key(&replaced)).await);
}

#[tokio::test]
async fn what_belongs_to_no_item_is_reported_and_kept() {
    let app = TestApp::start().await;
    let behind = Behind::of(&app).await;
    let stranger = format!("{}/default/07/019a0d2e-7b1c-7000-8000-000000000007.jpg", behind.prefix);
    let odd = format!("{}/odd name+ü.txt", behind.prefix);
    let (own, outside) = (format!("{}/.trash/x", behind.prefix), format!("{}-2/x", behind.prefix));
    for key in [&stranger, &odd, &own, &outside] {
        behind.put(key, b"whose?").await;
    }
    let walk = walk(&app).await;
    assert_eq!(
        findings(&app, &walk).await,
        [found("unknown", &stranger, "reported"), found("unknown", &odd, "reported")]
    );
    for key in [&stranger, &odd, &own, &outside] {
        assert!(behind.holds(key).await, "{key}");
    }
    behind.delete(&outside).await;
}

/// A clock cannot be turned for another server's objects, so what is young stays, and the rest is shown in `unknown.rs`.
#[tokio::test]
async fn nothing_unknown_is_deleted_before_it_is_old_enough() {
    let app = TestApp::start().await;
    let behind = Behind::of(&app).await;
    let stranger = format!("{}/left behind.txt", behind.prefix);
    behind.put(&stranger, b"whose?").await;
    // Less than a day is not to be had.
    let hasty = Wanted { delete_older_than: Some(TimeDelta::zero()), ..wanted() };
    let walk = walk_as(&app, hasty).await;
    assert_eq!(walk.delete_older_than, Some(86_400));
    assert_eq!(findings(&app, &walk).await, [found("unknown", &stranger, "kept: too young")]);
    assert!(behind.holds(&stranger).await);
}

#[tokio::test]
async fn old_unknown_objects_are_deleted_on_demand_and_nothing_else_is() {
    let app = TestApp::start_embedded(|_| {}).await;
    let behind = Behind::of(&app).await;
    let kept = app.confirmed(BYTES).await;
    let stranger = "media/default/07/019a0d2e-7b1c-7000-8000-000000000007.jpg";
    // Of an id that an idempotency key may bring back.
    let derived = "media/default/07/019a0d2e-7b1c-8000-8000-000000000007.jpg";
    let (odd, own, old_marker) = ("media/odd name.txt", "media/.trash/x", "media/.zeroload");
    for key in [stranger, derived, odd, own] {
        behind.put(key, b"whose?").await;
    }
    age_objects(&app).await;
    let walk = walk_as(&app, Wanted { delete_older_than: Some(TimeDelta::days(7)), ..wanted() }).await;
    let expected = [
        found("unknown", stranger, "deleted"),
        found("unknown", derived, "kept: may be requested again"),
        found("unknown", odd, "deleted"),
    ];
    assert_eq!(findings(&app, &walk).await, expected);
    assert_eq!(walk.counts.deleted, 2);
    for key in [derived, own, old_marker, key(&kept)] {
        assert!(behind.holds(key).await, "{key}");
    }
    for key in [stranger, odd] {
        assert!(!behind.holds(key).await, "{key}");
    }
}

/// Makes every object of the embedded server eight days older.
async fn age_objects(app: &TestApp) {
    use sqlx::{ConnectOptions, Connection};
    let file = app.data_dir().join("s3/index.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.expect("the index opens");
    sqlx::query("UPDATE objects SET modified_at = modified_at - 8 * 86400 * 1000")
        .execute(&mut connection)
        .await
        .expect("changed");
    connection.close().await.expect("closed");
}

#[tokio::test]
async fn a_journal_that_was_restored_only_reports() {
    let app = TestApp::start_embedded(|_| {}).await;
    let media = app.ticket(BYTES).await;
    app.collect_later().await;
    assert!(app.put(&media, BYTES).await.status().is_success());
    // The marker has seen commits that this journal does not hold.
    let behind = Behind::of(&app).await;
    let head = app.head().await;
    let marker = json!({
        "journal_id": head.journal_id,
        "anchor": { "commit_id": head.commit_id + 7, "position": head.position + 7, "hash": "00" },
    });
    let body = ByteStream::from(marker.to_string().into_bytes());
    let put = behind.client.put_object().bucket(&behind.bucket).key("media/.zeroload").body(body);
    put.send().await.expect("written");
    let walk = walk_as(&app, Wanted { delete_older_than: Some(TimeDelta::days(7)), ..wanted() }).await;
    assert!(walk.report_only.as_ref().is_some_and(|why| why.contains("restored")), "{walk:?}");
    assert_eq!(findings(&app, &walk).await, [found("came_back", key(&media), "reported")]);
    assert_eq!(app.state(&media).await, "collected");
}

#[tokio::test]
async fn a_bucket_of_another_journal_is_not_walked() {
    let app = TestApp::start_embedded(|_| {}).await;
    let behind = Behind::of(&app).await;
    behind.put("media/.zeroload", br#"{"journal_id":"019a0d2e-7b1c-7000-8000-000000000007"}"#).await;
    let reconciler = app.parts.reconciler.clone();
    let walked = app.on_runtime(async move {
        let begun = reconciler.begin(&wanted()).await?;
        reconciler.run(begun, |_| {}).await
    });
    assert!(matches!(walked.await, Err(ReconcileError::Bucket(_))));
}

#[tokio::test]
async fn a_walk_that_is_cut_off_goes_on_where_it_was_and_finds_each_thing_once() {
    let app = TestApp::start_embedded(|raw| raw.reconcile_rate = Some("1000".to_owned())).await;
    let behind = Behind::of(&app).await;
    let keys: Vec<String> = (0..1100).map(|number| format!("media/left/{number:05}")).collect();
    stream::iter(&keys).map(|key| behind.put(key, b"x")).buffer_unordered(64).collect::<Vec<()>>().await;
    let lost = app.confirmed(BYTES).await;
    behind.delete(key(&lost)).await;
    app.caught_up().await;
    let reconciler = app.parts.reconciler.clone();
    let cut = app.on_runtime(async move {
        let begun = reconciler.begin(&wanted()).await?;
        let stopper = reconciler.clone();
        reconciler.run(begun, move |_| stopper.stop()).await
    });
    let cut = cut.await.expect("it is saved");
    assert_eq!((cut.ended_at, cut.after_key.as_str()), (None, "media/left/00998"));

    let app = app.restart_with(|_| {}).await;
    let (mut done, path) = (Value::Null, format!("/v1/reconciliations/{}?limit=1000", cut.id));
    while done["reconciliation"]["status"] != "ended" {
        done = app.get(&path).await.1;
    }
    let reconciliation = &done["reconciliation"];
    assert_eq!([&reconciliation["unknown"], &reconciliation["missing"]], [1100, 1], "{reconciliation}");
    assert_eq!(reconciliation["requests"], 3, "two pages and one look: {reconciliation}");
    let next = done["next_cursor"].as_str().expect("there are more").to_owned();
    let (_, rest) = app.get(&format!("{path}&cursor={next}")).await;
    let counted = |page: &Value| page["findings"].as_array().expect("findings").len();
    assert_eq!((counted(&done), counted(&rest), &rest["next_cursor"]), (1000, 101, &Value::Null));
}

#[tokio::test]
async fn one_walk_goes_on_at_a_time_and_all_are_listed() {
    let app = TestApp::start().await;
    let (status, begun) = app.post("/v1/reconciliations", json!({ "delete_unknown_older_than": "7d" })).await;
    assert_eq!((status, &begun["status"]), (StatusCode::ACCEPTED, &json!("running")), "{begun}");
    assert_eq!((&begun["caller"], &begun["delete_unknown_older_than"]), (&json!("anonymous"), &json!(604_800)));
    let mut listed = Value::Null;
    while listed["reconciliations"][0]["status"] != "ended" {
        listed = app.get("/v1/reconciliations").await.1;
    }
    assert_eq!(listed["reconciliations"][0]["id"], begun["id"]);
    for bad in ["1h", "soon", "-1d", "40000d"] {
        let (status, problem) = app.post("/v1/reconciliations", json!({ "delete_unknown_older_than": bad })).await;
        assert_eq!(
            (status, &problem["field"]),
            (StatusCode::BAD_REQUEST, &json!("delete_unknown_older_than")),
            "{bad}: {problem}"
        );
    }
}
