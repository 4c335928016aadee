//! Reads the messages of each object store: which object was written, or `None` for any other event.

use serde_json::{Map, Value};

use super::{Malformed, Written, malformed, path, text};

type Told = Result<Option<Written>, Malformed>;

/// The actions of R2 that write an object.
const R2_WRITES: [&str; 3] = ["PutObject", "CopyObject", "CompleteMultipartUpload"];

/// A record of S3, and of the stores that use its format.
pub(super) fn s3(record: &Value, field: &str) -> Told {
    let record = object(record, field)?;
    let event = text(record, "eventName", field)?;
    if !event.strip_prefix("s3:").unwrap_or(event).starts_with("ObjectCreated") {
        return Ok(None);
    }
    named(record.get("s3"), &path(field, "s3")).map(Some)
}

/// An event of Backblaze B2.
pub(super) fn b2(event: &Value, field: &str) -> Told {
    let event = object(event, field)?;
    if !text(event, "eventType", field)?.starts_with("b2:ObjectCreated:") {
        return Ok(None);
    }
    written(text(event, "bucketName", field)?, text(event, "objectName", field)?)
}

/// The attributes of a message of Google Cloud Storage.
pub(super) fn google(attributes: &Value, field: &str) -> Told {
    let attributes = object(attributes, field)?;
    if text(attributes, "eventType", field)? != "OBJECT_FINALIZE" {
        return Ok(None);
    }
    written(text(attributes, "bucketId", field)?, text(attributes, "objectId", field)?)
}

/// A message about one object; `None` if its format is not known.
pub(super) fn single(message: &Map<String, Value>, field: &str) -> Option<Told> {
    if message.contains_key("detail") {
        return Some(bridge(message, field));
    }
    if message.contains_key("action") && message.contains_key("object") {
        return Some(r2(message, field));
    }
    let is_googles = message.get("kind").and_then(Value::as_str) == Some("storage#object");
    is_googles.then(|| written(text(message, "bucket", field)?, text(message, "name", field)?))
}

fn bridge(message: &Map<String, Value>, field: &str) -> Told {
    if text(message, "detail-type", field)? != "Object Created" {
        return Ok(None);
    }
    named(message.get("detail"), &path(field, "detail")).map(Some)
}

fn r2(message: &Map<String, Value>, field: &str) -> Told {
    if !R2_WRITES.contains(&text(message, "action", field)?) {
        return Ok(None);
    }
    let (part, within) = (message.get("object").unwrap_or(&Value::Null), path(field, "object"));
    written(text(message, "bucket", field)?, text(object(part, &within)?, "key", &within)?)
}

/// Bucket and key, as S3 names them.
fn named(part: Option<&Value>, field: &str) -> Result<Written, Malformed> {
    let name = |of: &str, member: &str| {
        let found = part.and_then(|part| part.get(of)).and_then(|of| of.get(member)).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| malformed(format!("{field}.{of}.{member}"), "a text"))
    };
    Ok(Written { bucket: name("bucket", "name")?, key: name("object", "key")? })
}

fn written(bucket: &str, key: &str) -> Told {
    Ok(Some(Written { bucket: bucket.to_owned(), key: key.to_owned() }))
}

fn object<'a>(value: &'a Value, field: &str) -> Result<&'a Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(|| malformed(field, "an object"))
}
