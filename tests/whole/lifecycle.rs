//! The life of media items, as backends and clients live it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{TestApp, id, read, wish};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 as good as any";

#[tokio::test]
async fn a_ticket_an_upload_and_a_confirm_make_a_confirmed_item() {
    let app = TestApp::start().await;
    let (status, media) = app.post("/v1/media", wish(JPEG)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        (&media["state"], &media["attached_to"], &media["sequence"]),
        (&json!("pending"), &Value::Null, &json!(1))
    );
    let (upload, path) = (&media["upload"], format!("/v1/media/{}", id(&media)));
    assert_eq!(upload["method"], "PUT");
    assert_eq!(upload["headers"]["content-length"], JPEG.len().to_string());

    assert_eq!(app.put(&media, JPEG).await.status(), StatusCode::OK);
    let (status, confirmed) = app.post(&format!("{path}/confirm"), json!({ "attached_to": "post-1" })).await;
    assert_eq!(
        (status, &confirmed["state"], &confirmed["attached_to"]),
        (StatusCode::OK, &json!("confirmed"), &json!("post-1"))
    );
    assert_eq!(confirmed["collectable_at"], Value::Null);

    let (_, shown) = app.get(&path).await;
    assert_eq!(shown, confirmed);
    assert_eq!(app.history(&media).await, ["MediaRequested", "Uploaded", "Confirmed"]);
    assert!(app.collect_later().await.items.is_empty());
    assert!(app.in_bucket(&media).await);
}

/// Makes a call twice: the second answer is the first, but for the ticket's signature, and nothing is recorded by it.
async fn twice(app: &TestApp, what: &str, call: impl Fn() -> reqwest::RequestBuilder) -> (StatusCode, Value) {
    let mut first = read(call()).await;
    let head = app.head().await.position;
    let mut second = read(call()).await;
    for (_, answer) in [&mut first, &mut second] {
        if answer["upload"].is_object() {
            answer["upload"]["url"] = Value::Null;
        }
    }
    assert_eq!(second, first, "{what}");
    assert_eq!(app.head().await.position, head, "{what} records nothing twice");
    first
}

#[tokio::test]
async fn every_write_may_be_repeated_and_answers_the_same() {
    let app = TestApp::start_with(|raw| raw.trash = Some("7d".to_owned())).await;
    let post = |path: &str, body: Value| app.call(reqwest::Method::POST, path).json(&body);
    let request = || post("/v1/media", wish(JPEG)).header("Idempotency-Key", "k");
    let (status, media) = twice(&app, "request", request).await;
    assert_eq!(status, StatusCode::CREATED);
    let path = format!("/v1/media/{}", id(&media));
    let (status, ticket) = twice(&app, "ticket", || post(&format!("{path}/ticket"), json!({}))).await;
    assert_eq!((status, &ticket["upload"]["expires_at"]), (StatusCode::OK, &media["upload"]["expires_at"]));
    let (_, ticket) = app.post(&format!("{path}/ticket"), json!({})).await;
    assert_eq!(app.put(&ticket, JPEG).await.status(), StatusCode::OK);
    let bucket = app.parts.gateway.bucket().as_str();
    let object = json!({ "bucket": { "name": bucket }, "object": { "key": media["object_key"] } });
    let notification = json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": object }] });
    twice(&app, "notification", || post("/v1/notifications/s3", notification.clone())).await;
    for (call, body, expected) in [
        (format!("{path}/uploaded"), json!({}), StatusCode::OK),
        (format!("{path}/ticket"), json!({}), StatusCode::CONFLICT),
        (format!("{path}/confirm"), json!({ "attached_to": "post-1" }), StatusCode::OK),
        ("/v1/media/confirm".to_owned(), json!({ "ids": [id(&media)], "attached_to": "post-1" }), StatusCode::OK),
    ] {
        let (status, answer) = twice(&app, &call, || post(&call, body.clone()).header("X-Request-Id", "r")).await;
        assert_eq!(status, expected, "{call}: {answer}");
    }
    let (status, released) = twice(&app, "release", || app.call(reqwest::Method::DELETE, &path)).await;
    assert_eq!((status, &released["state"]), (StatusCode::ACCEPTED, &json!("released")));
    assert_eq!(app.collect_later().await.trashed, 1);
    let restore = || post(&format!("{path}/restore"), json!({ "attached_to": "post-2" }));
    assert_eq!(twice(&app, "restore", restore).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_file_name_cannot_be_guessed_back_from_the_journal() {
    let app = TestApp::start().await;
    let mut body = wish(JPEG);
    body["filename"] = json!("salary.pdf");
    let (_, media) = app.post("/v1/media", body.clone()).await;
    let (_, other) = app.post("/v1/media", body.clone()).await;
    let fingerprint = async |media: &Value| {
        let (_, history) = app.get(&format!("/v1/media/{}/events", id(media))).await;
        history["events"][0]["payload"]["fingerprint"].clone()
    };
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let length = JPEG.len().to_string();
    let fields = [text("owner"), text("content_type"), length, text("checksum_sha256"), text("filename")];
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    // All that is public of an item, as the key.
    for key in [id(&media), "", "default"] {
        let guessed = zeroload_domain::Fingerprint::of(key, &fields);
        assert_ne!(fingerprint(&media).await, serde_json::to_value(guessed).expect("text"), "{key}");
    }
    assert_ne!(fingerprint(&media).await, fingerprint(&other).await);
}

#[tokio::test]
async fn the_history_of_an_item_comes_page_by_page() {
    let app = TestApp::start().await;
    let media = app.confirmed(JPEG).await;
    let path = format!("/v1/media/{}/events", id(&media));
    let (_, whole) = app.get(&path).await;
    assert_eq!((whole["events"].as_array().map(Vec::len), &whole["next"]), (Some(3), &Value::Null));
    let (mut pages, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let (status, page) = app.get(&format!("{path}{query}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        pages.push(page["events"].as_array().expect("events").clone());
        let Some(next) = page["next"].as_u64() else { break };
        query = format!("?limit=2&after={next}");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(pages.concat(), *whole["events"].as_array().expect("events"));
    let (status, beyond) = app.get(&format!("{path}?after=3&limit=3")).await;
    assert_eq!((status, beyond), (StatusCode::OK, json!({ "events": [], "next": null })));
    let (_, exactly) = app.get(&format!("{path}?limit=3")).await;
    assert_eq!((exactly["events"].as_array().map(Vec::len), &exactly["next"]), (Some(3), &Value::Null));
    for bad in ["limit=0", "limit=1001", "after=-1", "after=x", "before=1"] {
        assert_eq!(app.get(&format!("{path}?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let stranger = "/v1/media/019a0d2e-7b1c-7000-8000-0123456789ab/events?after=1";
    assert_eq!(app.get(stranger).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_idempotency_key_names_one_item_for_ever() {
    let app = TestApp::start().await;
    let ask = |body: Value, key: &'static str| {
        read(app.call(reqwest::Method::POST, "/v1/media").header("Idempotency-Key", key).json(&body))
    };
    let (status, first) = ask(wish(JPEG), "post 1".split(' ').next().unwrap_or_default()).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, again) = ask(wish(JPEG), "post").await;
    assert_eq!((status, id(&again), &again["position"]), (StatusCode::CREATED, id(&first), &first["position"]));
    assert_eq!(app.put(&again, JPEG).await.status(), StatusCode::OK, "the repeated ticket works");

    let (status, problem) = ask(wish(b"other"), "post").await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("request-mismatch")));
    let (_, _) = app.post(&format!("/v1/media/{}/confirm", id(&first)), json!({})).await;
    let (status, confirmed) = ask(wish(JPEG), "post").await;
    assert_eq!(
        (status, &confirmed["state"], &confirmed["upload"]),
        (StatusCode::CREATED, &json!("confirmed"), &Value::Null)
    );
    app.delete(&format!("/v1/media/{}", id(&first))).await;
    let (status, problem) = ask(wish(JPEG), "post").await;
    assert_eq!((status, &problem["code"]), (StatusCode::GONE, &json!("gone")));
    let (status, other) = ask(wish(JPEG), "another").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_ne!(id(&other), id(&first));
}

#[tokio::test]
async fn a_confirm_before_the_upload_is_refused_and_works_after_it() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    let confirm = format!("/v1/media/{}/confirm", id(&media));
    let (status, problem) = app.post_empty(&confirm).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("not-uploaded")));
    assert_eq!(app.put(&media, JPEG).await.status(), StatusCode::OK);
    assert_eq!(app.post_empty(&confirm).await.0, StatusCode::OK);
    let (status, problem) = app.post(&confirm, json!({ "attached_to": "a" })).await;
    assert_eq!((status, &problem["attached_to"]), (StatusCode::OK, &json!("a")));
    let (status, problem) = app.post(&confirm, json!({ "attached_to": "b" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("attached-elsewhere")));
}

#[tokio::test]
async fn a_confirm_after_collection_began_is_refused_for_good() {
    let app = TestApp::start().await;
    let media = app.uploaded(JPEG).await;
    assert_eq!(app.collect_later().await.collected, 1);
    for _ in 0..2 {
        let (status, problem) = app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
        assert_eq!((status, &problem["code"]), (StatusCode::GONE, &json!("gone")));
    }
}

#[tokio::test]
async fn a_thousand_confirms_of_one_call_succeed_or_fail_alone() {
    let app = TestApp::start().await;
    let good = app.uploaded(JPEG).await;
    let pending = app.ticket(JPEG).await;
    let stranger = "019a0d2e-7b1c-7000-8000-0123456789ab";
    let ids = json!([id(&good), stranger, id(&pending), id(&good)]);
    let (status, answer) = app.post("/v1/media/confirm", json!({ "ids": ids, "attached_to": "p" })).await;
    assert_eq!(status, StatusCode::OK);
    let results = answer["results"].as_array().expect("results");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap_or_default()).collect();
    assert_eq!(statuses, [200, 404, 409, 200]);
    assert_eq!((&results[0]["state"], &results[0]["problem"]), (&json!("confirmed"), &Value::Null));
    assert_eq!((&results[2]["state"], &results[2]["problem"]["code"]), (&Value::Null, &json!("not-uploaded")));

    let malformed = json!({ "ids": [stranger, stranger, stranger, "7"] });
    let (status, problem) = app.post("/v1/media/confirm", malformed).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("ids[3]")));
    let (status, problem) = app.post("/v1/media/confirm", json!({ "ids": vec![stranger; 1001] })).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("ids")));
    let (status, answer) = app.post("/v1/media/confirm", json!({ "ids": vec![stranger; 1000] })).await;
    assert_eq!((status, answer["results"].as_array().map(Vec::len)), (StatusCode::OK, Some(1000)));
}

#[tokio::test]
async fn a_cancelled_item_stays_cancelled_and_a_detached_one_can_be_confirmed_again() {
    let app = TestApp::start().await;
    let cancelled = app.uploaded(JPEG).await;
    app.delete(&format!("/v1/media/{}", id(&cancelled))).await;
    let (status, problem) = app.post_empty(&format!("/v1/media/{}/confirm", id(&cancelled))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("cancelled")));

    let detached = app.confirmed(JPEG).await;
    app.delete(&format!("/v1/media/{}", id(&detached))).await;
    let (status, media) = app.post_empty(&format!("/v1/media/{}/confirm", id(&detached))).await;
    assert_eq!((status, &media["state"]), (StatusCode::OK, &json!("confirmed")));
    let report = app.collect_later().await;
    assert_eq!((report.collected, app.in_bucket(&detached).await, app.in_bucket(&cancelled).await), (1, true, false));
    assert_eq!(report.items[0].reason, Some("cancelled"));
}

#[tokio::test]
async fn a_notice_of_an_upload_is_checked_against_the_bucket() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    let notice = format!("/v1/media/{}/uploaded", id(&media));
    let (status, problem) = app.post_empty(&notice).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("not-uploaded")));
    assert_eq!(app.put(&media, JPEG).await.status(), StatusCode::OK);
    let (status, uploaded) = app.post_empty(&notice).await;
    assert_eq!((status, &uploaded["state"]), (StatusCode::OK, &json!("uploaded")));
    assert_eq!(app.history(&media).await, ["MediaRequested", "Uploaded"]);
}

#[tokio::test]
async fn history_is_the_same_in_every_way_it_is_read() {
    let app = TestApp::start().await;
    let request = app.call(reqwest::Method::POST, "/v1/media").header("X-Request-Id", "my-request").json(&wish(JPEG));
    let (_, media) = read(request).await;
    app.put(&media, JPEG).await;
    app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
    app.ticket(JPEG).await;

    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&media))).await;
    let events = history["events"].as_array().expect("events");
    let first = &events[0];
    assert_eq!((&first["position"], &first["sequence"], &first["version"]), (&json!(1), &json!(1), &json!("1.0")));
    assert_eq!(first["payload"]["object_key"], media["object_key"]);
    let metadata = &first["metadata"];
    assert_eq!(
        (&metadata["request_id"], &metadata["caller"], &metadata["route"]),
        (&json!("my-request"), &json!("anonymous"), &json!("POST /v1/media"))
    );
    assert!(metadata["command_id"].is_string());

    let lines = async |query: &str| -> Vec<Value> {
        let answer = app.call(reqwest::Method::GET, &format!("/v1/events{query}")).send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let text = answer.text().await.expect("lines");
        text.lines().map(|line| serde_json::from_str(line).expect("one event per line")).collect()
    };
    let all = lines("").await;
    assert_eq!(all.len(), 4);
    assert_eq!(&all[..3], &events[..]);
    let positions: Vec<_> = lines("?after=1&limit=2").await.iter().map(|event| event["position"].clone()).collect();
    assert_eq!(positions, [2, 3]);

    let (status, verified) = app.get("/v1/journal/verify").await;
    assert_eq!((status, &verified["position"]), (StatusCode::OK, &json!(4)));
}

#[tokio::test]
async fn the_pending_view_pages_filters_and_waits_for_a_position() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(id(&app.ticket(JPEG).await).to_owned());
    }
    let confirmed = app.confirmed(JPEG).await;
    let position = &confirmed["position"];
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = app.get(&format!("/v1/projections/pending?limit=2&min_position={position}{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        found.extend(page["items"].as_array().expect("items").iter().map(|item| id(item).to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, expected);
    let (_, none) = app.get("/v1/projections/pending?owner=bob").await;
    assert_eq!(none["items"], json!([]));
    let (_, none) = app.get("/v1/projections/pending?due_before=2020-01-01T00:00:00Z").await;
    assert_eq!(none["items"], json!([]));
    let (status, problem) = app.get("/v1/projections/pending?min_position=1000000").await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("projection-behind")));
    let (_, projections) = app.get("/v1/projections").await;
    assert_eq!((&projections["head"], &projections["projections"][0]["lag_events"]), (position, &json!(0)));
}

#[tokio::test]
async fn a_ticket_that_is_asked_for_once_more_can_be_used() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    let path = format!("/v1/media/{}", id(&media));
    let (status, renewed) = app.post(&format!("{path}/ticket"), json!({ "filename": "café crème.jpg" })).await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    assert_eq!(
        renewed["upload"]["expires_at"], media["upload"]["expires_at"],
        "in the first half of its life it is the same"
    );
    assert!(renewed["upload"]["headers"]["content-disposition"].is_string());
    assert_eq!(app.put(&renewed, JPEG).await.status(), StatusCode::OK);
    let (status, _) = app.post_empty(&format!("{path}/confirm")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = app.post_empty(&format!("{path}/ticket")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already-confirmed")));
    let (_, history) = app.get(&format!("{path}/events")).await;
    let history = history.to_string();
    assert!(!history.contains("crème") && !history.contains("%C3%A8"), "a file name is never recorded");
}
