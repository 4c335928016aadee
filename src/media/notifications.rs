//! Reads the messages that object stores send when an object was written. They are hints: they may come late, twice,
//! out of order or forged.
//!
//! | sender | shape |
//! |---|---|
//! | AWS S3, MinIO, Ceph | `Records[]` with `eventName` (`s3:` in front or not) and `s3.bucket.name`, `s3.object.key`; AWS and MinIO escape the key, Ceph does not |
//! | AWS S3, once | `Event: s3:TestEvent` without `Records` |
//! | AWS `EventBridge` | `detail-type: Object Created` and `detail.bucket.name`, `detail.object.key` |
//! | Cloudflare R2 | `action` (`PutObject`, …), `bucket` and `object.key` |
//! | Backblaze B2 | `events[]` with `eventType` (`b2:ObjectCreated:…`), `bucketName` and `objectName` |
//! | Google Cloud Storage | its resource of an object: `kind: storage#object`, `bucket` and `name` |
//!
//! Carriers, which contain any of these or another carrier ([`carried`]):
//!
//! | carrier | shape |
//! |---|---|
//! | AWS SNS | `Type: Notification` and a text in `Message`; first `Type: SubscriptionConfirmation`. For a function: `Records[].Sns` |
//! | AWS SQS, `EventBridge` Pipes, Cloudflare Queues | a `body`, as text or not, alone, in a list, in `Records[]` or in `messages[]` |
//! | Google Pub/Sub | `message.attributes` with `eventType: OBJECT_FINALIZE`, `bucketId` and `objectId`, else `message.data` in Base64 |
//!
//! A record that cannot be read is named, and stops no other: senders do not repeat a message that was refused.
//!
//! Sources: Amazon S3 user guide, "Event message structure" and "Using EventBridge"; Amazon SNS developer guide, "Parsing
//! message formats"; AWS Lambda developer guide, "Using Lambda with Amazon SQS" and "… SNS"; `EventBridge` user guide, "Pipes
//! batching"; Ceph, "S3 Bucket Notifications Compatibility"; Cloudflare R2, "Event notifications"; Backblaze B2, "Event
//! Notifications Reference Guide"; Google Cloud Storage, "Pub/Sub notifications"; Pub/Sub, "Push subscriptions".

mod carried;
mod told;

use serde_json::{Map, Value};
use zeroload_domain::ObjectKey;

use carried::Reader;

use crate::outside::unescaped;

/// An object that is said to have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub bucket: String,
    /// The key as it was sent: escaped or not.
    key: String,
}

impl Written {
    /// The key, if it has the form of an item's. Such keys need no escaping, so at most one of the two readings is such
    /// a key.
    pub fn object_key(&self) -> Option<ObjectKey> {
        ObjectKey::parse(self.key.as_str()).ok().or_else(|| ObjectKey::parse(unescaped(&self.key)?).ok())
    }
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Objects that were written, each once.
    pub objects: Vec<Written>,
    /// Records of other events than writes, or that name an object once more.
    pub others: u64,
    /// Records that cannot be read.
    pub malformed: Vec<Malformed>,
    /// SNS asks whether the subscription of a topic is wanted.
    pub subscription: Option<Subscription>,
}

/// A subscription that SNS asks about: opening the address `confirm_at` confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub topic: String,
    pub confirm_at: String,
}

/// A message, or a record in it, that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}")]
pub struct Malformed {
    /// The member at fault, such as `Records[0].s3.object.key`, or `body`.
    pub field: String,
    pub allowed: &'static str,
}

impl Notification {
    /// # Errors
    /// [`Malformed`] names the first member that is missing or wrong, where nothing in the message can be read.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        const ALLOWED: &str = "a JSON object, or a list of 1 to 1000 of them";
        let message = match serde_json::from_slice(body) {
            Ok(message @ Value::Object(_)) => message,
            Ok(Value::Array(messages)) if !messages.is_empty() => Value::Array(messages),
            Ok(_) | Err(_) => return Err(malformed("body", ALLOWED)),
        };
        let mut reader = Reader::default();
        reader.take(&message, "");
        let mut told = reader.told;
        let nothing_else = told.objects.is_empty() && told.others == 0 && told.subscription.is_none();
        if nothing_else && !told.malformed.is_empty() {
            return Err(told.malformed.swap_remove(0));
        }
        Ok(told)
    }
}

/// The path of a member of the value at `within`.
fn path(within: &str, member: &str) -> String {
    if within.is_empty() { member.to_owned() } else { format!("{within}.{member}") }
}

fn text<'a>(object: &'a Map<String, Value>, member: &str, within: &str) -> Result<&'a str, Malformed> {
    object.get(member).and_then(Value::as_str).ok_or_else(|| malformed(path(within, member), "a text"))
}

fn malformed(field: impl Into<String>, allowed: &'static str) -> Malformed {
    Malformed { field: field.into(), allowed }
}

#[cfg(test)]
mod tests;
