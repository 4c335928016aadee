//! Opens the carriers of notifications, which may contain each other, down to the message of the object store.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{Malformed, Notification, Subscription, Written, malformed, path, text, told};

/// Records that a list may hold. S3 itself sends one.
const MAX_RECORDS: usize = 1000;

/// Messages within each other: a queue that subscribes to a topic has three.
const MAX_DEPTH: usize = 5;

const RECORDS: &str = "a list of at most 1000 records";

/// Collects what a message says.
#[derive(Default)]
pub(super) struct Reader {
    pub told: Notification,
    depth: usize,
    records: usize,
}

impl Reader {
    /// Reads a message, or a list of messages, at the path `field` of the body.
    pub(super) fn take(&mut self, message: &Value, field: &str) {
        if let Err(malformed) = self.open(message, field) {
            self.told.malformed.push(malformed);
        }
    }

    fn open(&mut self, message: &Value, field: &str) -> Result<(), Malformed> {
        if self.depth >= MAX_DEPTH {
            return Err(malformed(field, "at most 5 messages within each other"));
        }
        self.depth += 1;
        let opened = match message {
            Value::Array(_) => self.each(message, field, Self::take),
            Value::Object(message) => self.message(message, field),
            _ => Err(malformed(field, "an object")),
        };
        self.depth -= 1;
        opened
    }

    fn message(&mut self, message: &Map<String, Value>, field: &str) -> Result<(), Malformed> {
        if message.contains_key("Type") {
            return self.topic(message, field);
        }
        if let Some(records) = message.get("Records") {
            return self.each(records, &path(field, "Records"), Self::record);
        }
        if let Some(messages) = message.get("messages") {
            return self.each(messages, &path(field, "messages"), Self::take);
        }
        if let Some(events) = message.get("events") {
            return self.each(events, &path(field, "events"), |reader, event, field| {
                reader.note(told::b2(event, field));
            });
        }
        if let Some(body) = message.get("body") {
            return self.packed(body, &path(field, "body"));
        }
        if let Some(pushed) = message.get("message") {
            return self.pushed(pushed, &path(field, "message"));
        }
        if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return Ok(());
        }
        match told::single(message, field) {
            Some(written) => self.note(written),
            None => return Err(malformed(path(field, "Records"), "a list of S3 event records")),
        }
        Ok(())
    }

    /// Reads one record of a list, or the message that it carries.
    fn record(&mut self, record: &Value, field: &str) {
        match record {
            Value::Object(carrier) if !carrier.contains_key("s3") => {
                if let Some(topic) = carrier.get("Sns") {
                    self.take(topic, &path(field, "Sns"));
                } else if let Some(body) = carrier.get("body") {
                    self.packed(body, &path(field, "body")).unwrap_or_else(|error| self.told.malformed.push(error));
                } else {
                    self.note(told::s3(record, field));
                }
            }
            _ => self.note(told::s3(record, field)),
        }
    }

    /// Reads a message of SNS.
    fn topic(&mut self, message: &Map<String, Value>, field: &str) -> Result<(), Malformed> {
        match message.get("Type").and_then(Value::as_str) {
            Some("Notification") => {
                let inner = message.get("Message").unwrap_or(&Value::Null);
                let field = path(field, "Message");
                if !inner.is_string() {
                    return Err(malformed(field, "a text"));
                }
                self.packed(inner, &field)
            }
            Some("SubscriptionConfirmation") => {
                let topic = text(message, "TopicArn", field)?.to_owned();
                let confirm_at = text(message, "SubscribeURL", field)?.to_owned();
                self.told.subscription = Some(Subscription { topic, confirm_at });
                Ok(())
            }
            Some("UnsubscribeConfirmation") => Ok(()),
            Some(_) | None => {
                Err(malformed(path(field, "Type"), "Notification, SubscriptionConfirmation or UnsubscribeConfirmation"))
            }
        }
    }

    /// Reads a message that Pub/Sub pushes: its attributes name the object, or else its data describe the object.
    fn pushed(&mut self, message: &Value, field: &str) -> Result<(), Malformed> {
        let object = message.as_object().ok_or_else(|| malformed(field, "an object"))?;
        if let Some(attributes) = object.get("attributes").filter(|attributes| attributes.get("eventType").is_some()) {
            self.note(told::google(attributes, &path(field, "attributes")));
            return Ok(());
        }
        let (data, field) = (text(object, "data", field)?, path(field, "data"));
        let inner = STANDARD.decode(data).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let inner: Value = inner.ok_or_else(|| malformed(field.as_str(), "the Base64 of a JSON object"))?;
        self.open(&inner, &field)
    }

    /// Reads a message inside another one, as text or as JSON.
    fn packed(&mut self, body: &Value, field: &str) -> Result<(), Malformed> {
        let Some(text) = body.as_str() else { return self.open(body, field) };
        let inner: Option<Value> = serde_json::from_str(text).ok().filter(|inner: &Value| !inner.is_string());
        let inner =
            inner.ok_or_else(|| malformed(field, "the text of a JSON object, as the object store writes it"))?;
        self.open(&inner, field)
    }

    fn each(&mut self, list: &Value, field: &str, take: impl Fn(&mut Self, &Value, &str)) -> Result<(), Malformed> {
        let list = list.as_array().filter(|list| list.len() <= MAX_RECORDS).ok_or_else(|| malformed(field, RECORDS))?;
        for (index, one) in list.iter().enumerate() {
            self.records += 1;
            // The records of nested lists count too.
            if self.records > MAX_RECORDS {
                return Err(malformed(field, RECORDS));
            }
            take(self, one, &format!("{field}[{index}]"));
        }
        Ok(())
    }

    /// Notes each object once, however often it is named.
    fn note(&mut self, written: Result<Option<Written>, Malformed>) {
        match written {
            Ok(Some(written)) if !self.told.objects.contains(&written) => self.told.objects.push(written),
            Ok(_) => self.told.others += 1,
            Err(malformed) => self.told.malformed.push(malformed),
        }
    }
}
