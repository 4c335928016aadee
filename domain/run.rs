//! The record of a collection run: a stream of its own, named by the run's id.
//!
//! Why each item went stands in the item's own events, which name the run; here stands what the run was as a whole. A run
//! that found nothing due leaves no record. Nothing is decided on these events: a run that has begun and never ended was
//! cut off, and whatever it had claimed is finished by another.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{codec::DecodeError, values::ByteSize};

/// Every `(event_type, event_version)` that [`RunEvent::decode`] reads.
pub const READABLE: [(&str, &str); 3] =
    [("CollectionRunStarted", V1), ("CollectionRunEnded", V1), ("CollectionRunEnded", V1_1)];

const V1: &str = "1.0";
/// Counts what went into the trash; what has nothing of it is still written as 1.0, which older binaries read.
const V1_1: &str = "1.1";

/// One thing that has happened to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum RunEvent {
    /// The run has found something due, and is about to claim it.
    CollectionRunStarted(CollectionRunStarted),
    /// The run is over, and this is what it did.
    CollectionRunEnded(Box<CollectionRunEnded>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionRunStarted {
    pub run_id: Uuid,
    /// Who asked: `timer`, the name of an API key, or the subcommand.
    pub caller: String,
    pub started_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionRunEnded {
    pub run_id: Uuid,
    pub caller: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    /// Items that the run handled.
    pub due: u64,
    /// Items whose object was deleted.
    pub collected: u64,
    /// Items whose object was moved into the trash. Since version 1.1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trashed: u64,
    /// Items that turned out never to have had an object.
    pub absent: u64,
    /// Items that were confirmed, renewed or taken over meanwhile.
    pub in_use: u64,
    /// Items whose delete the server refused.
    pub failed: u64,
    /// Items for which no answer came.
    pub unknown: u64,
    pub bytes_freed: ByteSize,
    /// It ended at its limit, with more due.
    pub more: bool,
    /// Why items went: how many of those that are gone for each reason.
    pub reasons: BTreeMap<String, u64>,
    /// Why items did not go: how many of the failed and unknown ones for each code.
    pub failures: BTreeMap<String, u64>,
    /// Why the run ended before it had done its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_off: Option<String>,
}

impl RunEvent {
    /// Reads a stored event.
    ///
    /// # Errors
    /// [`DecodeError`] names the type and version.
    pub fn decode(event_type: &str, event_version: &str, payload: &str) -> Result<Self, DecodeError> {
        let decoded = match (event_type, event_version) {
            ("CollectionRunStarted", V1) => serde_json::from_str(payload).map(Self::CollectionRunStarted),
            ("CollectionRunEnded", V1 | V1_1) => serde_json::from_str(payload).map(Self::CollectionRunEnded),
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

    pub const fn run_id(&self) -> Uuid {
        match self {
            Self::CollectionRunStarted(started) => started.run_id,
            Self::CollectionRunEnded(ended) => ended.run_id,
        }
    }

    /// The stored `event_type`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::CollectionRunStarted(_) => "CollectionRunStarted",
            Self::CollectionRunEnded(_) => "CollectionRunEnded",
        }
    }

    /// The stored `event_version` that new events of this type get.
    pub const fn version(&self) -> &'static str {
        match self {
            Self::CollectionRunEnded(ended) if ended.trashed > 0 => V1_1,
            Self::CollectionRunStarted(_) | Self::CollectionRunEnded(_) => V1,
        }
    }

    /// The stored `payload`: one flat JSON object with its `type` in it.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("an event has string keys and plain values only")
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line here is never changed: what it shows is stored for ever.
    const GOLDEN: [(&str, &str, &str); 4] = [
        (
            "CollectionRunStarted",
            "1.0",
            r#"{"type":"CollectionRunStarted","run_id":"00000000-0000-0000-0000-000000000001","caller":"timer","started_at":"2026-01-02T03:04:05.000006Z"}"#,
        ),
        (
            "CollectionRunEnded",
            "1.0",
            r#"{"type":"CollectionRunEnded","run_id":"00000000-0000-0000-0000-000000000001","caller":"timer","started_at":"2026-01-02T03:04:05.000006Z","ended_at":"2026-01-02T03:04:06Z","due":6,"collected":2,"absent":1,"in_use":1,"failed":1,"unknown":1,"bytes_freed":20,"more":true,"reasons":{"expired":2,"late_upload":1},"failures":{"AccessDenied":1,"timeout":1},"broken_off":"the bucket stopped answering"}"#,
        ),
        (
            "CollectionRunEnded",
            "1.0",
            r#"{"type":"CollectionRunEnded","run_id":"00000000-0000-0000-0000-000000000001","caller":"ops","started_at":"2026-01-02T03:04:05Z","ended_at":"2026-01-02T03:04:06Z","due":1,"collected":1,"absent":0,"in_use":0,"failed":0,"unknown":0,"bytes_freed":10,"more":false,"reasons":{"cancelled":1},"failures":{}}"#,
        ),
        (
            "CollectionRunEnded",
            "1.1",
            r#"{"type":"CollectionRunEnded","run_id":"00000000-0000-0000-0000-000000000001","caller":"ops","started_at":"2026-01-02T03:04:05Z","ended_at":"2026-01-02T03:04:06Z","due":3,"collected":1,"trashed":2,"absent":0,"in_use":0,"failed":0,"unknown":0,"bytes_freed":10,"more":false,"reasons":{"cancelled":1,"expired":2},"failures":{}}"#,
        ),
    ];

    #[test]
    fn every_event_of_a_run_reads_and_writes_its_golden_json() {
        for (event_type, version, golden) in GOLDEN {
            assert!(READABLE.contains(&(event_type, version)));
            let event = RunEvent::decode(event_type, version, golden).expect("it reads");
            assert_eq!((event.type_name(), event.version()), (event_type, version));
            assert_eq!(event.encode(), golden);
        }
        for readable in READABLE {
            assert!(GOLDEN.iter().any(|(event_type, version, _)| (*event_type, *version) == readable), "{readable:?}");
        }
    }

    #[test]
    fn an_unknown_event_of_a_run_is_an_error_that_names_it() {
        let error = RunEvent::decode("CollectionRunPaused", "1.0", "{}").expect_err("it is unknown");
        assert!(error.to_string().contains("CollectionRunPaused version 1.0"), "{error}");
        assert!(matches!(RunEvent::decode("CollectionRunEnded", "1.0", "{}"), Err(DecodeError::Malformed { .. })));
    }
}
