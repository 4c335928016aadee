//! What S3 servers send when an object was written: read as hints, since they come late, twice, out of order and forged.
//!
//! | sender | shape |
//! |---|---|
//! | AWS S3, MinIO, Ceph | `Records[]` with `eventName` (`s3:` in front or not) and `s3.bucket.name`, `s3.object.key`; AWS and MinIO escape the key, Ceph does not |
//! | AWS S3, once | `Event: s3:TestEvent` without `Records` |
//! | AWS SNS | `Type: Notification` and any of these as text in `Message`; first `Type: SubscriptionConfirmation` |
//! | AWS `EventBridge` | `detail-type: Object Created` and `detail.bucket.name`, `detail.object.key` |
//!
//! Sources: Amazon S3 user guide, "Event message structure" and "Using EventBridge"; Amazon SNS developer guide, "Parsing
//! message formats"; Ceph, "S3 Bucket Notifications Compatibility".

use serde_json::{Map, Value};
use zeroload_domain::ObjectKey;

/// Records that one message may hold. S3 itself sends one.
const MAX_RECORDS: usize = 1000;

/// An object that is said to have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub bucket: String,
    /// As it was sent: escaped or not.
    key: String,
}

impl Written {
    /// The key, if it is one of ours. None of these needs escaping, so at most one reading is.
    pub fn object_key(&self) -> Option<ObjectKey> {
        ObjectKey::parse(self.key.as_str()).ok().or_else(|| ObjectKey::parse(unescaped(&self.key)?).ok())
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Objects that were written; what happened to others was left out, and counted.
    Written { objects: Vec<Written>, others: u64 },
    /// SNS asks whether the subscription of a topic is wanted: whoever opens the address says yes.
    Subscription { topic: String, confirm_at: String },
    /// Nothing of interest: a test, or the end of a subscription.
    Nothing,
}

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}")]
pub struct Malformed {
    /// The member at fault, such as `Records[0].s3.object.key`, or `body`.
    pub field: String,
    pub allowed: &'static str,
}

impl Notification {
    /// # Errors
    /// [`Malformed`] names the member that is missing or wrong.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let object = object(body).ok_or_else(|| malformed("body", "a JSON object"))?;
        match object.get("Type").and_then(Value::as_str) {
            None => Self::of_s3(&object, ""),
            Some("Notification") => {
                let message = text(&object, "Message", "Message")?;
                let inner = self::object(message.as_bytes())
                    .ok_or_else(|| malformed("Message", "the text of a JSON object, as S3 writes it"))?;
                Self::of_s3(&inner, "Message.")
            }
            Some("SubscriptionConfirmation") => Ok(Self::Subscription {
                topic: text(&object, "TopicArn", "TopicArn")?,
                confirm_at: text(&object, "SubscribeURL", "SubscribeURL")?,
            }),
            Some("UnsubscribeConfirmation") => Ok(Self::Nothing),
            Some(_) => Err(malformed("Type", "Notification, SubscriptionConfirmation or UnsubscribeConfirmation")),
        }
    }

    fn of_s3(message: &Map<String, Value>, within: &str) -> Result<Self, Malformed> {
        if let Some(records) = message.get("Records") {
            return Self::of_records(records, &format!("{within}Records"));
        }
        if message.get("detail").is_some() {
            let name = text(message, "detail-type", &format!("{within}detail-type"))?;
            let written = written(message.get("detail"), &format!("{within}detail"))?;
            return Ok(Self::of([(name == "Object Created", written)]));
        }
        match message.get("Event").and_then(Value::as_str) {
            Some("s3:TestEvent") => Ok(Self::Nothing),
            _ => Err(malformed(format!("{within}Records"), "a list of S3 event records")),
        }
    }

    fn of_records(records: &Value, field: &str) -> Result<Self, Malformed> {
        let records = records.as_array().filter(|records| records.len() <= MAX_RECORDS);
        let records = records.ok_or_else(|| malformed(field, "a list of at most 1000 records"))?;
        let mut all = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let object = record.as_object().ok_or_else(|| malformed(field.as_str(), "an object"))?;
            let name = text(object, "eventName", &format!("{field}.eventName"))?;
            let name = name.strip_prefix("s3:").unwrap_or(&name);
            all.push((name.starts_with("ObjectCreated"), written(object.get("s3"), &format!("{field}.s3"))?));
        }
        Ok(Self::of(all))
    }

    /// Each object once, however often it is named.
    fn of(all: impl IntoIterator<Item = (bool, Written)>) -> Self {
        let (mut objects, mut others) = (Vec::new(), 0);
        for (is_written, written) in all {
            if is_written && !objects.contains(&written) {
                objects.push(written);
            } else {
                others += 1;
            }
        }
        Self::Written { objects, others }
    }
}

fn written(part: Option<&Value>, field: &str) -> Result<Written, Malformed> {
    let name = |part: Option<&Value>, of: &str, member: &str| {
        let found = part.and_then(|part| part.get(of)).and_then(|of| of.get(member)).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| malformed(format!("{field}.{of}.{member}"), "a text"))
    };
    Ok(Written { bucket: name(part, "bucket", "name")?, key: name(part, "object", "key")? })
}

fn text(object: &Map<String, Value>, member: &str, field: &str) -> Result<String, Malformed> {
    object.get(member).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| malformed(field, "a text"))
}

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

fn malformed(field: impl Into<String>, allowed: &'static str) -> Malformed {
    Malformed { field: field.into(), allowed }
}

/// Percent escapes read back. A plus would be a space, which no key of ours has, so it may stay.
fn unescaped(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
