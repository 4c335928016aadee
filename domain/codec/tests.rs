//! The golden JSON of every event and version. A line here is never changed: what it shows is stored for ever.

use super::*;
use serde_json::Value;

const GOLDEN: [(&str, &str, &str); 27] = [
    (
        "MediaRequested",
        "1.0",
        r#"{"type":"MediaRequested","tenant":"default","owner":"ann","store":"embedded","bucket":"media","object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg","content_type":"image/jpeg","content_length":10,"checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","fingerprint":"00ff","requested_at":"2026-01-02T03:04:05.000006Z","ticket_expires_at":"2026-01-02T03:09:06Z","confirm_by":"2026-01-03T03:04:05.000006Z","collectable_at":"2026-01-03T03:04:05.000006Z"}"#,
    ),
    (
        "MediaRequested",
        "1.0",
        r#"{"type":"MediaRequested","tenant":"default","owner":"ann","store":"embedded","bucket":"media","object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg","content_type":"image/jpeg","content_length":10,"fingerprint":"00ff","requested_at":"2026-01-02T03:04:05.000006Z","ticket_expires_at":"2026-01-02T03:09:06Z","confirm_by":"2026-01-03T03:04:05.000006Z","collectable_at":"2026-01-03T03:04:05.000006Z"}"#,
    ),
    (
        "TicketRenewed",
        "1.0",
        r#"{"type":"TicketRenewed","renewed_at":"2026-01-02T03:04:05.000006Z","ticket_expires_at":"2026-01-02T03:09:06Z","confirm_by":"2026-01-03T03:04:05.000006Z","collectable_at":"2026-01-03T03:04:05.000006Z"}"#,
    ),
    (
        "Uploaded",
        "1.0",
        r#"{"type":"Uploaded","etag":"e1","content_length":10,"content_type":"image/jpeg","checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","version_id":"v1","seen_via":"notice"}"#,
    ),
    ("Uploaded", "1.0", r#"{"type":"Uploaded","etag":"e1","content_length":10,"seen_via":"confirm"}"#),
    ("Uploaded", "1.0", r#"{"type":"Uploaded","etag":"e1","content_length":10,"seen_via":"notification"}"#),
    ("Uploaded", "1.0", r#"{"type":"Uploaded","etag":"e1","content_length":10,"seen_via":"recheck"}"#),
    ("Uploaded", "1.0", r#"{"type":"Uploaded","etag":"e1","content_length":10,"seen_via":"reconciliation"}"#),
    ("Confirmed", "1.0", r#"{"type":"Confirmed","attached_to":"post-1","etag":"e1"}"#),
    ("Released", "1.0", r#"{"type":"Released","reason":"cancelled","collectable_at":"2026-01-02T03:09:06Z"}"#),
    (
        "CollectionStarted",
        "1.0",
        r#"{"type":"CollectionStarted","claim":1,"reason":"expired","run_id":"00000000-0000-0000-0000-000000000001","seen":{"state":"present","etag":"e1","content_length":10}}"#,
    ),
    ("Collected", "1.0", r#"{"type":"Collected","claim":1,"outcome":"deleted","bytes_freed":10}"#),
    (
        "CollectionStarted",
        "1.1",
        r#"{"type":"CollectionStarted","claim":1,"reason":"expired","run_id":"00000000-0000-0000-0000-000000000001","seen":{"state":"absent"},"trash_until":"2026-01-09T03:04:05Z"}"#,
    ),
    (
        "CollectionStarted",
        "1.2",
        r#"{"type":"CollectionStarted","claim":1,"reason":"expired","run_id":"00000000-0000-0000-0000-000000000001","seen":{"state":"present","etag":"e1","content_length":10,"last_modified":"2026-01-02T03:04:09Z"},"trash_until":"2026-01-09T03:04:05Z"}"#,
    ),
    (
        "Trashed",
        "1.0",
        r#"{"type":"Trashed","claim":1,"kept_as":"copy","trash_key":"media/.trash/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","etag":"e1","content_length":10,"trash_until":"2026-01-09T03:04:05Z"}"#,
    ),
    (
        "Trashed",
        "1.0",
        r#"{"type":"Trashed","claim":1,"kept_as":"version","version_id":"v1","etag":"e1","content_length":10,"trash_until":"2026-01-09T03:04:05Z"}"#,
    ),
    (
        "RestoreStarted",
        "1.0",
        r#"{"type":"RestoreStarted","claim":1,"object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","attached_to":"post-1"}"#,
    ),
    (
        "Restored",
        "1.0",
        r#"{"type":"Restored","object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","etag":"e1","content_length":10,"content_type":"image/jpeg"}"#,
    ),
    (
        "Sealed",
        "1.0",
        r#"{"type":"Sealed","etag":"e1","content_length":10,"content_type":"image/jpeg","checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","version_id":"v1"}"#,
    ),
    ("Sealed", "1.0", r#"{"type":"Sealed","etag":"e1","content_length":10}"#),
    (
        "ContentSubstituted",
        "1.0",
        r#"{"type":"ContentSubstituted","recorded":{"etag":"e1","content_length":10},"found":{"state":"present","etag":"e2","content_length":11,"version_id":"v2"}}"#,
    ),
    (
        "ContentSubstituted",
        "1.0",
        r#"{"type":"ContentSubstituted","recorded":{"etag":"e1","content_length":10},"found":{"state":"absent"}}"#,
    ),
    (
        "Uploaded",
        "1.1",
        r#"{"type":"Uploaded","etag":"e1","content_length":10,"content_type":"no type","seen_via":"notice"}"#,
    ),
    (
        "Restored",
        "1.1",
        r#"{"type":"Restored","object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","etag":"e1","content_length":10,"content_type":"no type"}"#,
    ),
    ("Sealed", "1.1", r#"{"type":"Sealed","etag":"e1","content_length":10,"content_type":"no type"}"#),
    (
        "ContentSubstituted",
        "1.1",
        r#"{"type":"ContentSubstituted","recorded":{"etag":"e1","content_length":10},"found":{"state":"present","etag":"e2","content_length":11,"content_type":"no type"}}"#,
    ),
    (
        "ContentSubstituted",
        "1.1",
        r#"{"type":"ContentSubstituted","recorded":{"etag":"e1","content_length":10,"content_type":"no type"},"found":{"state":"absent"}}"#,
    ),
];

#[test]
fn every_event_reads_and_writes_its_golden_json() {
    for (event_type, version, golden) in GOLDEN {
        let event = decode(event_type, version, golden).expect("golden JSON is readable");
        assert_eq!((event.type_name(), event.version()), (event_type, version));
        assert_eq!(event.encode(), golden);
    }
}

#[test]
fn every_readable_type_and_version_has_a_golden_json() {
    for (event_type, version) in READABLE {
        assert!(GOLDEN.iter().any(|(t, v, _)| (*t, *v) == (event_type, version)), "{event_type} {version}");
    }
}

#[test]
fn stock_tools_that_read_only_the_payload_find_the_same_event() {
    for (event_type, version, golden) in GOLDEN {
        let value: Value = serde_json::from_str(golden).unwrap();
        let event: Event = serde_json::from_value(value).expect("the payload names its own type");
        assert_eq!(event, decode(event_type, version, golden).unwrap());
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let unknown = decode("Uploaded", "2.0", "{}").unwrap_err();
    assert_eq!(unknown.to_string(), "event type Uploaded version 2.0 is unknown to this binary; use a newer one");
    let malformed = decode("Uploaded", "1.0", "{}").unwrap_err();
    assert_eq!(malformed.to_string(), "the payload of an event of type Uploaded version 1.0 is malformed");
}
