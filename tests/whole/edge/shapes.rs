//! The members of every answer: all of them, always, and no others.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use zeroload_domain::{MediaId, Sha256Digest};

use super::{
    STRANGER,
    wire::{Answer, check_problem},
};
use crate::app::{TestApp, id, is_foreign, wish};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 as good as any";

const MEDIA: [&str; 15] = [
    "id",
    "state",
    "owner",
    "content_type",
    "content_length",
    "checksum_sha256",
    "checksum_verified",
    "object_key",
    "attached_to",
    "requested_at",
    "confirm_by",
    "collectable_at",
    "position",
    "sequence",
    "upload",
];

#[track_caller]
fn members(value: &Value, expected: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut found: Vec<_> = object.keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{value}");
}

/// RFC 3339 in UTC.
#[track_caller]
fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    assert!(text.ends_with('Z'), "{text}");
    DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_utc()
}

#[track_caller]
fn is_media(media: &Value, state: &str) {
    members(media, &MEDIA);
    assert_eq!(media["state"], state);
    assert!(MediaId::parse(id(media)).is_ok());
    assert_eq!((&media["owner"], &media["content_type"]), (&json!("ann"), &json!("image/jpeg")));
    assert_eq!(
        (&media["content_length"], &media["checksum_sha256"]),
        (&json!(JPEG.len()), &json!(Sha256Digest::of(JPEG).to_string()))
    );
    let last_byte = &id(media)[34..];
    let key = format!("/default/{last_byte}/{}.jpg", id(media));
    assert!(media["object_key"].as_str().is_some_and(|found| found.ends_with(&key)), "{media}");
    assert!(time(&media["requested_at"]) < time(&media["confirm_by"]));
    if state == "confirmed" {
        assert_eq!(media["collectable_at"], Value::Null);
    } else {
        assert!(time(&media["requested_at"]) < time(&media["collectable_at"]));
    }
    // A server that shows no SHA-256 leaves it open.
    let shown = ["uploaded", "confirmed", "released"].contains(&state) && !is_foreign();
    assert!(media["checksum_verified"] == shown || is_foreign() && media["checksum_verified"].is_boolean(), "{media}");
    assert!(media["position"].is_u64() && media["sequence"].is_u64(), "{media}");
}

#[track_caller]
fn is_upload(upload: &Value) {
    members(upload, &["method", "url", "headers", "expires_at", "shortened"]);
    assert_eq!(upload["method"], "PUT");
    assert!(upload["url"].as_str().is_some_and(|url| url.starts_with("http")));
    time(&upload["expires_at"]);
    let headers = upload["headers"].as_object().expect("headers");
    assert!(headers.values().all(Value::is_string), "{upload}");
    for name in ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"] {
        assert!(headers.contains_key(name), "{name} is signed");
    }
}

#[track_caller]
fn is_event(event: &Value, event_type: &str) {
    members(
        event,
        &["position", "media_id", "sequence", "type", "version", "recorded_at", "payload", "metadata", "hash"],
    );
    // A claim of an object that was seen tells the object's Last-Modified.
    let version = if event_type == "CollectionStarted" { "1.2" } else { "1.0" };
    assert_eq!((&event["type"], &event["version"]), (&json!(event_type), &json!(version)));
    assert!(event["position"].is_u64() && event["sequence"].is_u64(), "{event}");
    assert!(event["media_id"].as_str().is_some_and(|id| MediaId::parse(id).is_ok()));
    time(&event["recorded_at"]);
    members(&event["metadata"], &["request_id", "command_id", "caller", "route"]);
    assert!(event["hash"].as_str().is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())));
    let etag = &event["payload"]["etag"];
    assert!(etag.is_null() || etag.as_str().is_some_and(|etag| !etag.is_empty() && !etag.contains('"')), "{event}");
}

#[tokio::test]
async fn media_and_events_have_all_members_in_every_state() {
    let app = TestApp::start_with(|raw| raw.ticket_ttl = Some("4s".to_owned())).await;
    let media = app.ticket(JPEG).await;
    is_media(&media, "pending");
    is_upload(&media["upload"]);
    let path = format!("/v1/media/{}", id(&media));
    let (_, shown) = app.get(&path).await;
    is_media(&shown, "pending");
    assert_eq!(shown["upload"], Value::Null, "a ticket is given to whoever asks for one, not shown");

    let renewed = app.renewed(&media).await;
    is_media(&renewed, "pending");
    is_upload(&renewed["upload"]);

    assert!(app.put(&renewed, JPEG).await.status().is_success());
    let (_, uploaded) = app.post_empty(&format!("{path}/uploaded")).await;
    is_media(&uploaded, "uploaded");
    assert_eq!((&uploaded["upload"], &uploaded["attached_to"]), (&Value::Null, &Value::Null));
    let (_, confirmed) = app.post(&format!("{path}/confirm"), json!({ "attached_to": "post-1" })).await;
    is_media(&confirmed, "confirmed");
    assert_eq!(confirmed["attached_to"], "post-1");
    let (_, released) = app.delete(&path).await;
    is_media(&released, "released");
    assert_eq!(released["attached_to"], Value::Null, "it is attached to nothing any more");
    assert_eq!(app.collect_later().await.collected, 1);
    let (_, collected) = app.get(&path).await;
    is_media(&collected, "collected");

    let (_, history) = app.get(&format!("{path}/events")).await;
    members(&history, &["events", "next"]);
    let events = history["events"].as_array().expect("events");
    let types =
        ["MediaRequested", "TicketRenewed", "Uploaded", "Confirmed", "Released", "CollectionStarted", "Collected"];
    assert_eq!(events.len(), types.len());
    for ((event, event_type), sequence) in events.iter().zip(types).zip(1..) {
        is_event(event, event_type);
        assert_eq!((&event["sequence"], event["media_id"].as_str()), (&json!(sequence), Some(id(&media))));
    }
    assert_eq!((&collected["sequence"], &collected["position"]), (&json!(7), &events[6]["position"]));
    let seen = &events[2]["payload"];
    assert!(seen.to_string().contains("etag") && !seen.to_string().contains("\\\""), "{seen}");
}

#[tokio::test]
async fn confirms_of_many_have_all_members_each() {
    let app = TestApp::start().await;
    let good = app.uploaded(JPEG).await;
    let body = json!({ "ids": [id(&good), STRANGER] });
    let answer = Answer::of(app.call(Method::POST, "/v1/media/confirm").json(&body)).await;
    let results = answer.json();
    members(&results, &["results"]);
    let results = results["results"].as_array().expect("results").clone();
    for result in &results {
        members(result, &["id", "status", "state", "problem"]);
    }
    assert_eq!((&results[0]["status"], &results[0]["problem"]), (&json!(200), &Value::Null));
    assert_eq!((&results[1]["status"], &results[1]["state"]), (&json!(404), &Value::Null));
    check_problem(&results[1]["problem"], "the second");
    assert_eq!(results[1]["problem"]["request_id"], answer.header("x-request-id"));
    assert_eq!(results[1]["problem"]["status"], 404);
}

#[tokio::test]
async fn projections_collections_and_checks_have_all_members() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    let (_, pending) = app.get(&format!("/v1/projections/pending?min_position={}", media["position"])).await;
    members(&pending, &["items", "next_cursor", "position"]);
    let item = &pending["items"][0];
    let names =
        ["id", "owner", "state", "object_key", "content_length", "requested_at", "confirm_by", "collectable_at"];
    members(item, &names);
    for name in names {
        assert_eq!(item[name], media[name], "{name}");
    }
    let (_, projections) = app.get("/v1/projections").await;
    members(&projections, &["head", "projections"]);
    let projection = &projections["projections"][0];
    members(projection, &["name", "version", "status", "position", "lag_events", "lag_seconds", "complete"]);
    assert!(projection["name"].is_string() && projection["status"].is_string(), "{projection}");
    assert!(projection["version"].is_u64() && projection["position"].is_u64(), "{projection}");
    assert!(projection["lag_events"].is_u64() && projection["lag_seconds"].is_number(), "{projection}");

    app.delete(&format!("/v1/media/{}", id(&media))).await;
    let report = serde_json::to_value(app.collect_later().await).expect("JSON");
    let (_, nothing) = app.post("/v1/collections", json!({ "dry_run": true })).await;
    let counts = ["due", "collected", "absent", "in_use", "failed", "unknown", "bytes_freed"];
    for report in [&report, &nothing] {
        let others = ["run_id", "dry_run", "more", "braked", "withheld", "trashed", "reasons", "failures", "items"];
        members(report, &[counts.as_slice(), &others].concat());
        assert!(counts.iter().all(|name| report[name].is_u64()) && report["items"].is_array(), "{report}");
    }
    assert_eq!((&report["dry_run"], &nothing["dry_run"]), (&json!(false), &json!(true)));
    app.caught_up().await;
    let (_, listed) = app.get("/v1/collections").await;
    members(&listed, &["runs", "next_cursor"]);
    let of_run =
        ["status", "caller", "started_at", "ended_at", "duration_seconds", "reasons", "failures", "broken_off"];
    let of_run = [counts.as_slice(), &of_run, &["run_id", "more", "position", "trashed"]].concat();
    members(&listed["runs"][0], &of_run);
    let (_, whole) = app.get(&format!("/v1/collections/{}", report["run_id"].as_str().expect("an id"))).await;
    members(&whole, &["run", "items"]);
    assert_eq!(whole["run"], listed["runs"][0]);
    members(&whole["items"][0], &["id", "claim", "reason", "outcome", "position"]);
    members(&report["items"][0], &["id", "object_key", "reason", "outcome", "code"]);
    assert_eq!(report["items"][0]["object_key"], media["object_key"]);

    let (_, verified) = app.get("/v1/journal/verify").await;
    members(&verified, &["position", "hash"]);
    let (status, ready) = app.get("/readyz").await;
    members(&ready, &["ready", "checks"]);
    assert_eq!((status.as_u16(), &ready["ready"]), (200, &json!(true)), "{ready}");
    for check in ready["checks"].as_array().expect("checks") {
        members(check, &["name", "status", "detail"]);
        assert!(["ok", "degraded", "failed"].contains(&check["status"].as_str().unwrap_or_default()), "{check}");
    }
    let (_, alive) = app.get("/livez").await;
    members(&alive, &["alive"]);
}

#[tokio::test]
async fn a_wish_without_optional_members_shows_them_as_null() {
    let app = TestApp::start().await;
    let mut without = wish(JPEG);
    without.as_object_mut().expect("an object").remove("checksum_sha256");
    let (_, media) = app.post("/v1/media", without).await;
    members(&media, &MEDIA);
    assert_eq!((&media["checksum_sha256"], &media["attached_to"]), (&Value::Null, &Value::Null));
}
