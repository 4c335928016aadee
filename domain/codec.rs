//! Stored text to event and back, over every version that was ever stored.
//!
//! An older version is upcast here when one exists; today every payload of an older version is one of the newest. A stored version that this table lacks is
//! an error which names it, so that a binary older than its journal refuses to start rather than misread.

use crate::event::{ContentSubstituted, Event};

/// Every `(event_type, event_version)` that [`decode`] reads.
pub const READABLE: [(&str, &str); 18] = [
    ("MediaRequested", V1),
    ("TicketRenewed", V1),
    ("Uploaded", V1),
    ("Uploaded", V1_1),
    ("Confirmed", V1),
    ("Released", V1),
    ("CollectionStarted", V1),
    ("CollectionStarted", V1_2),
    ("CollectionStarted", V1_1),
    ("Collected", V1),
    ("Trashed", V1),
    ("RestoreStarted", V1),
    ("Restored", V1),
    ("Restored", V1_1),
    ("Sealed", V1),
    ("Sealed", V1_1),
    ("ContentSubstituted", V1),
    ("ContentSubstituted", V1_1),
];

const V1: &str = "1.0";
/// Of a claim: names the time in the trash. Of what was seen: the type of an object is none. All else is still written as
/// 1.0, which older binaries read.
const V1_1: &str = "1.1";
/// Of a claim: when the object that was seen had been stored.
const V1_2: &str = "1.2";

/// Few events have more bytes of JSON.
const TYPICAL: usize = 1024;

/// A stored event that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("event type {event_type} version {event_version} is unknown to this binary; use a newer one")]
    Unknown { event_type: String, event_version: String },
    #[error("the payload of an event of type {event_type} version {event_version} is malformed")]
    Malformed { event_type: String, event_version: String, source: serde_json::Error },
}

/// Reads a stored event.
///
/// # Errors
/// [`DecodeError`] names the type and version.
pub fn decode(event_type: &str, event_version: &str, payload: &str) -> Result<Event, DecodeError> {
    let decoded = match (event_type, event_version) {
        ("MediaRequested", V1) => serde_json::from_str(payload).map(Event::MediaRequested),
        ("TicketRenewed", V1) => serde_json::from_str(payload).map(Event::TicketRenewed),
        ("Uploaded", V1 | V1_1) => serde_json::from_str(payload).map(Event::Uploaded),
        ("Confirmed", V1) => serde_json::from_str(payload).map(Event::Confirmed),
        ("Released", V1) => serde_json::from_str(payload).map(Event::Released),
        ("CollectionStarted", V1 | V1_1 | V1_2) => serde_json::from_str(payload).map(Event::CollectionStarted),
        ("Collected", V1) => serde_json::from_str(payload).map(Event::Collected),
        ("Trashed", V1) => serde_json::from_str(payload).map(Event::Trashed),
        ("RestoreStarted", V1) => serde_json::from_str(payload).map(Event::RestoreStarted),
        ("Restored", V1 | V1_1) => serde_json::from_str(payload).map(Event::Restored),
        ("Sealed", V1 | V1_1) => serde_json::from_str(payload).map(Event::Sealed),
        ("ContentSubstituted", V1 | V1_1) => serde_json::from_str(payload).map(Event::ContentSubstituted),
        _ => {
            return Err(DecodeError::Unknown {
                event_type: event_type.to_owned(),
                event_version: event_version.to_owned(),
            });
        }
    };
    decoded.map_err(|source| DecodeError::Malformed {
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        source,
    })
}

impl Event {
    /// The stored `event_type`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::MediaRequested(_) => "MediaRequested",
            Self::TicketRenewed(_) => "TicketRenewed",
            Self::Uploaded(_) => "Uploaded",
            Self::Confirmed(_) => "Confirmed",
            Self::Released(_) => "Released",
            Self::CollectionStarted(_) => "CollectionStarted",
            Self::Collected(_) => "Collected",
            Self::Trashed(_) => "Trashed",
            Self::RestoreStarted(_) => "RestoreStarted",
            Self::Restored(_) => "Restored",
            Self::Sealed(_) => "Sealed",
            Self::ContentSubstituted(_) => "ContentSubstituted",
        }
    }

    /// The stored `event_version` that new events of this type get.
    pub fn version(&self) -> &'static str {
        match self {
            Self::CollectionStarted(started) if started.seen.is_dated() => V1_2,
            Self::CollectionStarted(started) if started.trash_until.is_some() => V1_1,
            Self::Uploaded(uploaded) if !uploaded.facts.has_a_media_type() => V1_1,
            Self::Restored(restored) if !restored.facts.has_a_media_type() => V1_1,
            Self::Sealed(sealed) if !sealed.facts.has_a_media_type() => V1_1,
            Self::ContentSubstituted(ContentSubstituted { recorded, found })
                if !(recorded.has_a_media_type() && found.has_a_media_type()) =>
            {
                V1_1
            }
            Self::MediaRequested(_)
            | Self::TicketRenewed(_)
            | Self::Uploaded(_)
            | Self::Confirmed(_)
            | Self::Released(_)
            | Self::CollectionStarted(_)
            | Self::Collected(_)
            | Self::Trashed(_)
            | Self::RestoreStarted(_)
            | Self::Restored(_)
            | Self::Sealed(_)
            | Self::ContentSubstituted(_) => V1,
        }
    }

    /// The stored `payload`: one flat JSON object with its `type` in it.
    pub fn encode(&self) -> String {
        let mut json = Vec::with_capacity(TYPICAL);
        serde_json::to_writer(&mut json, self).expect("an event has string keys and plain values only");
        String::from_utf8(json).expect("JSON is text")
    }
}

#[cfg(test)]
mod tests;
