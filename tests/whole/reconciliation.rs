//! The bucket against the journal, both ways.

use aws_sdk_s3::primitives::ByteStream;
use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use zeroload::{
    background::reconciler::{ReconcileError, WalkRequest},
    media::{
        commands::{Commands, Origin},
        recent::Recent,
    },
    settings::Settings,
};
use zeroload_clock::Ids;
use zeroload_domain::{
    ByteSize, Command, ContentType, ETag, Fingerprint, MediaId, ObjectFacts, ObjectKey, Owner, Tenant,
    command::RequestMedia,
};
use zeroload_embedded_s3::{Effect, Fault, Faults, Operation, Refusal};
use zeroload_projections::{Walk, WalkStatus};

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

    /// With a type that no ticket can ask for.
    async fn put_as(&self, key: &str, content_type: &str, bytes: &'static [u8]) {
        let body = ByteStream::from_static(bytes);
        let put = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type).body(body);
        put.send().await.expect("written");
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

fn wanted() -> WalkRequest {
    WalkRequest { caller: "test".to_owned(), delete_older_than: None }
}

async fn try_to_walk(app: &TestApp, wanted: WalkRequest) -> Result<Walk, ReconcileError> {
    app.caught_up().await;
    let reconciler = app.parts.reconciler.clone();
    let walked = app.on_runtime(async move {
        let begun = reconciler.begin(&wanted).await?;
        reconciler.run(begun, |_| {}).await
    });
    walked.await
}

async fn walk_as(app: &TestApp, wanted: WalkRequest) -> Walk {
    try_to_walk(app, wanted).await.expect("a walk to the end")
}

/// The walk that was saved last.
async fn last_walk(app: &TestApp) -> Value {
    app.get("/v1/reconciliations").await.1["reconciliations"][0].clone()
}

fn faults(app: &TestApp) -> Faults {
    app.parts.faults.clone().expect("the embedded server")
}

fn fault_at(key: &str, refusal: Refusal) -> Fault {
    Fault::new(Effect::Refuse(refusal)).on(Operation::HeadObject).key(key)
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
    let (own, outside) = (format!("{}/.zeroload-probe/x", behind.prefix), format!("{}-2/x", behind.prefix));
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
    let hasty = WalkRequest { delete_older_than: Some(TimeDelta::zero()), ..wanted() };
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
    let (odd, own, old_marker) = ("media/odd name.txt", "media/.zeroload-probe/x", "media/.zeroload");
    let (control, in_trash) = ("media/odd \u{1}.txt", "media/.trash/x");
    for key in [stranger, derived, odd, own, control, in_trash] {
        behind.put(key, b"whose?").await;
    }
    // XML cannot carry such a key, so a server cannot read the call that names it.
    let unreadable = Effect::RefuseCall(Refusal::InvalidRequest);
    faults(&app).add(Fault::new(unreadable).on(Operation::DeleteObjects).key(control));
    age_objects(&app).await;
    let walk = walk_as(&app, WalkRequest { delete_older_than: Some(TimeDelta::days(7)), ..wanted() }).await;
    let expected = [
        found("unknown", in_trash, "kept: may be another service's"),
        found("unknown", stranger, "deleted"),
        found("unknown", derived, "kept: may be requested again"),
        found("unknown", control, "deleted"),
        found("unknown", odd, "deleted"),
    ];
    assert_eq!(findings(&app, &walk).await, expected);
    assert_eq!((walk.counts.unknown, walk.counts.deleted), (5, 3));
    for key in [derived, own, in_trash, old_marker, key(&kept)] {
        assert!(behind.holds(key).await, "{key}");
    }
    for key in [stranger, odd, control] {
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
    let walk = walk_as(&app, WalkRequest { delete_older_than: Some(TimeDelta::days(7)), ..wanted() }).await;
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
    assert_eq!((cut.ended_at, cut.after_key.as_str()), (None, "media/left/00098"));

    let app = app.restart_with(|_| {}).await;
    let (mut done, path) = (Value::Null, format!("/v1/reconciliations/{}?limit=1000", cut.id));
    while done["reconciliation"]["status"] != "ended" {
        done = app.get(&path).await.1;
    }
    let reconciliation = &done["reconciliation"];
    assert_eq!([&reconciliation["unknown"], &reconciliation["missing"]], [1100, 1], "{reconciliation}");
    assert_eq!(reconciliation["requests"], 4, "three pages and one look: {reconciliation}");
    assert_eq!(reconciliation["objects"], 1101, "each once: {reconciliation}");
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

/// Items that are confirmed as far as the journal knows. Nothing of them is in the bucket.
async fn confirmed_in_the_journal(app: &TestApp, count: usize) -> Vec<String> {
    let settings = Settings::try_from(app.raw.clone()).expect("settings");
    let (gateway, ids) = (app.parts.gateway.clone(), Ids::from_os());
    let commands = Commands::new(app.parts.journal.clone(), Recent::default(), settings.policy, ids.clone());
    let confirm = move |_: usize| {
        let (gateway, commands, ids) = (gateway.clone(), commands.clone(), ids.clone());
        async move {
            let (now, tenant) = (chrono::Utc::now(), Tenant::parse("default").expect("a tenant"));
            let id = MediaId::from(ids.new_id(now));
            let content_type = ContentType::parse("image/jpeg").expect("a type");
            let object_key = ObjectKey::new(gateway.prefix(), &tenant, id, &content_type);
            let request = RequestMedia {
                tenant: tenant.clone(),
                owner: Owner::parse("ann").expect("an owner"),
                store: gateway.store().clone(),
                bucket: gateway.bucket().clone(),
                object_key: object_key.clone(),
                content_length: ByteSize::new(7),
                fingerprint: Fingerprint::of(&id.to_string(), &[]),
                content_type,
                checksum_sha256: None,
            };
            let facts = ObjectFacts {
                etag: ETag::parse("one").expect("a tag"),
                content_length: ByteSize::new(7),
                content_type: None,
                checksum_sha256: None,
                version_id: None,
            };
            let origin = Origin { request_id: "r".to_owned(), caller: "test".to_owned(), route: "a test" };
            commands.execute_new(id, &tenant, Command::Request(request), &origin, now).await.expect("requested");
            let confirm = Command::Confirm { attached_to: None, facts: Some(facts) };
            commands.execute(id, &tenant, confirm, &origin, now).await.expect("confirmed");
            object_key.to_string()
        }
    };
    let made = stream::iter(0..count).map(confirm).buffer_unordered(256).collect::<Vec<_>>();
    let mut keys: Vec<String> = app.on_runtime(made).await;
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_gap_of_any_length_is_walked_a_bounded_part_after_the_other_and_each_is_saved() {
    let app = TestApp::start_embedded(|raw| raw.reconcile_rate = Some("1000".to_owned())).await;
    let keys = confirmed_in_the_journal(&app, 1150).await;
    app.caught_up().await;
    let reconciler = app.parts.reconciler.clone();
    let (walk, places) = app
        .on_runtime(async move {
            let begun = reconciler.begin(&wanted()).await.expect("begun");
            let mut places = Vec::new();
            let walk = reconciler.run(begun, |walk| places.push((walk.after_key.clone(), walk.counts.missing))).await;
            (walk.expect("a walk to the end"), places)
        })
        .await;
    // A hundred at once, and no more than a thousand are held.
    let expected = [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100].map(|n| (keys[n - 1].clone(), n as u64));
    assert_eq!(places[..11], expected);
    assert_eq!((places.len(), walk.status, walk.counts.missing), (12, WalkStatus::Ended, 1150));
}

#[tokio::test]
async fn a_walk_that_is_stopped_inside_a_gap_goes_on_there_and_finds_each_thing_once() {
    let app = TestApp::start_embedded(|raw| raw.reconcile_rate = Some("1000".to_owned())).await;
    let keys = confirmed_in_the_journal(&app, 40).await;
    app.caught_up().await;
    let stall = faults(&app).stall(Some(Operation::HeadObject), Some(&keys[3]));
    let reconciler = app.parts.reconciler.clone();
    let walking = app.parts.runtime.spawn(async move {
        let begun = reconciler.begin(&wanted()).await?;
        reconciler.run(begun, |_| {}).await
    });
    stall.reached(1).await;
    app.parts.reconciler.stop();
    stall.release();
    let cut = walking.await.expect("it does not panic").expect("it is saved");
    // The looks that were under way are made, and no others.
    assert_eq!((cut.ended_at, cut.counts.missing, cut.after_key.as_str()), (None, 16, keys[15].as_str()));

    let app = app.restart_with(|_| {}).await;
    let (mut done, path) = (Value::Null, format!("/v1/reconciliations/{}?limit=1000", cut.id));
    while done["reconciliation"]["status"] != "ended" {
        done = app.get(&path).await.1;
    }
    assert_eq!((&done["reconciliation"]["missing"], done["findings"].as_array().map(Vec::len)), (&json!(40), Some(40)));
    assert_eq!(done["reconciliation"]["requests"], 42, "two lists, and one look at each: {done}");
}

#[tokio::test]
async fn an_entry_that_the_bucket_does_not_describe_is_put_aside_and_stops_no_other() {
    for (refusal, reason) in [
        (Refusal::AccessDenied, "403"),
        (Refusal::InvalidRequest, "400"),
        (Refusal::InternalError, "500"),
        (Refusal::SlowDown, "503"),
    ] {
        let app = TestApp::start_embedded(|_| {}).await;
        let behind = Behind::of(&app).await;
        let (odd, lost) = (app.confirmed(BYTES).await, app.confirmed(BYTES).await);
        let (late, kept) = (app.ticket(BYTES).await, app.confirmed(BYTES).await);
        app.collect_later().await;
        assert!(app.put(&late, BYTES).await.status().is_success());
        behind.put(key(&odd), b"replacing!").await;
        behind.delete(key(&lost)).await;
        for key in [key(&odd), key(&late)] {
            faults(&app).add(fault_at(key, refusal));
        }
        let walk = walk(&app).await;
        let found: Vec<_> = findings(&app, &walk).await;
        let of = |media: &Value| found.iter().find(|(_, object, _)| object == key(media)).cloned();
        assert_eq!((found.len(), of(&lost).map(|(kind, ..)| kind), of(&kept)), (3, Some("missing".to_owned()), None));
        for media in [&odd, &late] {
            let (kind, _, action) = of(media).expect("it is found");
            assert!(kind == "unreadable" && action.starts_with("skipped: ") && action.contains(reason), "{action}");
        }
        assert_eq!((walk.counts.objects, walk.counts.unreadable, walk.counts.missing), (4, 2, 1));
        assert_eq!((app.state(&odd).await, app.state(&late).await), ("confirmed".into(), "collected".into()));
    }
}

#[tokio::test]
async fn while_the_bucket_as_a_whole_does_not_answer_the_walk_waits_and_counts_nothing_twice() {
    let app = TestApp::start_embedded(|_| {}).await;
    let behind = Behind::of(&app).await;
    let (one, two) = (app.confirmed(BYTES).await, app.confirmed(BYTES).await);
    for media in [&one, &two] {
        behind.delete(key(media)).await;
    }
    let late = app.ticket(BYTES).await;
    app.collect_later().await;
    assert!(app.put(&late, BYTES).await.status().is_success());
    // The one key fails, and then the marker too.
    let stall = faults(&app).stall(Some(Operation::ListObjectsV2), None);
    faults(&app).add(fault_at(key(&two), Refusal::AccessDenied));
    let reconciler = app.parts.reconciler.clone();
    app.caught_up().await;
    let walking = app.parts.runtime.spawn(async move {
        let begun = reconciler.begin(&wanted()).await?;
        reconciler.run(begun, |_| {}).await
    });
    stall.reached(1).await;
    faults(&app).add(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Operation::GetObject));
    stall.release();
    let cut = walking.await.expect("it does not panic");
    assert!(matches!(cut, Err(ReconcileError::Bucket(_))), "{cut:?}");
    let waiting = last_walk(&app).await;
    assert_eq!(
        (&waiting["status"], &waiting["objects"], &waiting["missing"]),
        (&json!("running"), &json!(0), &json!(0))
    );
    assert_eq!(app.state(&late).await, "collecting", "what was found by then is claimed");

    faults(&app).clear();
    let walk = walk(&app).await;
    assert_eq!(waiting["id"], walk.id.to_string(), "it is the same one");
    let counts = walk.counts;
    assert_eq!((counts.objects, counts.missing, counts.came_back, counts.unreadable), (2, 2, 1, 0));
    assert_eq!(findings(&app, &walk).await.len(), 3);
}

#[tokio::test]
async fn an_object_whose_type_is_none_is_compared_and_collected_like_any_other() {
    let app = TestApp::start().await;
    let behind = Behind::of(&app).await;
    let (replaced, late, told) = (app.confirmed(BYTES).await, app.ticket(BYTES).await, app.ticket(BYTES).await);
    app.collect_later().await;
    for (media, bytes) in [(&replaced, b"replacing!".as_slice()), (&late, BYTES), (&told, BYTES)] {
        behind.put_as(key(media), "no type at all", bytes).await;
    }
    let (status, gone) = app.post_empty(&format!("/v1/media/{}/uploaded", id(&told))).await;
    assert_eq!((status, &gone["code"]), (StatusCode::GONE, &json!("gone")));
    let walk = walk(&app).await;
    let mut expected =
        [found("differs", key(&replaced), "reported"), found("came_back", key(&late), "collected_again")];
    expected.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(findings(&app, &walk).await, expected);
    assert_eq!(app.collect_later().await.collected, 2);
    for media in [&late, &told] {
        assert!(!app.in_bucket(media).await);
    }
}

#[tokio::test]
async fn a_listing_that_is_out_of_order_or_repeats_itself_ends_the_walk_as_failed() {
    let app = TestApp::start_embedded(|raw| raw.reconcile_rate = Some("1000".to_owned())).await;
    let behind = Behind::of(&app).await;
    let keys: Vec<String> = (0..1100).map(|number| format!("media/left/{number:05}")).collect();
    stream::iter(&keys).map(|key| behind.put(key, b"x")).buffer_unordered(64).collect::<Vec<()>>().await;
    for (effect, at) in [(Effect::ListBackwards, "media/left/00997"), (Effect::ListAnew, "media/.zeroload")] {
        faults(&app).add(Fault::new(effect).on(Operation::ListObjectsV2));
        let failed = try_to_walk(&app, wanted()).await;
        assert!(matches!(&failed, Err(ReconcileError::Disorder { key }) if key == at), "{failed:?}");
        let walk = last_walk(&app).await;
        assert!(walk["status"] == "failed" && walk["ended_at"].is_string(), "{walk}");
        assert!(
            walk["broken_off"].as_str().is_some_and(|why| why.contains("not in order") && why.contains(at)),
            "{walk}"
        );
        let reconciler = app.parts.reconciler.clone();
        let left = app.on_runtime(async move { reconciler.take_over().await.expect("read").is_none() }).await;
        assert!(left, "nobody takes it up again");
        faults(&app).clear();
    }
    let whole = walk(&app).await;
    assert_eq!((whole.status, whole.counts.unknown), (WalkStatus::Ended, 1100));
}

#[tokio::test]
async fn a_copy_in_the_trash_that_its_item_does_not_name_is_told_and_once_it_is_old_removed() {
    let app = TestApp::start_embedded(|raw| raw.trash = Some("7d".to_owned())).await;
    let behind = Behind::of(&app).await;
    // One in the trash, one that was restored, and one that nothing was kept of.
    let (kept, restored) = (app.confirmed(BYTES).await, app.confirmed(BYTES).await);
    let never = app.ticket(BYTES).await;
    for media in [&kept, &restored] {
        assert_eq!(app.delete(&format!("/v1/media/{}", id(media))).await.0, StatusCode::ACCEPTED);
    }
    app.collect_later().await;
    assert_eq!(app.post_empty(&format!("/v1/media/{}/restore", id(&restored))).await.0, StatusCode::OK);
    let states = [app.state(&kept).await, app.state(&restored).await, app.state(&never).await];
    assert_eq!(states, ["trashed", "confirmed", "collected"]);
    let in_trash = |media: &Value, claim: u32| {
        let folder = key(media).replace("media/", "media/.trash/");
        folder.replace(".jpg", &format!(".{claim}.jpg"))
    };
    // What a process leaves that has lost its claim to another one, and of a claim that there never was.
    let left: Vec<String> = [&restored, &never].map(|media| in_trash(media, 1)).into();
    let strange = in_trash(&never, 7);
    for key in left.iter().chain([&strange]) {
        behind.put(key, b"left over").await;
    }
    assert!(behind.holds(&in_trash(&kept, 1)).await);
    let told = |action: &str| {
        let mut told: Vec<_> = left.iter().map(|key| found("orphaned", key, action)).collect();
        told.push(found("unknown", &strange, "reported"));
        told.sort_by(|one, other| one.1.cmp(&other.1));
        told
    };
    let young = walk(&app).await;
    assert_eq!(findings(&app, &young).await, told("kept: too young"));
    age_objects(&app).await;
    let old = walk(&app).await;
    assert_eq!(findings(&app, &old).await, told("deleted"));
    assert_eq!((old.counts.orphaned, old.counts.deleted), (2, 2));
    for key in &left {
        assert!(!behind.holds(key).await, "{key}");
    }
    assert!(behind.holds(&in_trash(&kept, 1)).await && behind.holds(&strange).await);
    assert_eq!(app.post_empty(&format!("/v1/media/{}/restore", id(&kept))).await.0, StatusCode::OK);
}
