//! What comes out of the journal: rows as stored, and the strict step from bytes to typed values.
//!
//! Strict means that what a reader accepts is what the hash covers: a UUID in upper case or a time out of
//! range is [`ReadError::Corrupt`], never silently read as something else. A [`DecisionEvent`] vouches for its own columns alone.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StreamKind;
use super::error::StoreError;
use super::hash::{Hash, Leaf};

/// One event as readers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Place in the one global order: 1, 2, 3 …
    pub position: u64,
    pub commit_id: u64,
    /// By the database's clock; the same for all events of a commit, never before that of an earlier one.
    pub recorded_at: DateTime<Utc>,
    pub leaf_hash: Hash,
    pub tenant: String,
    pub command_id: Uuid,
    pub kind: StreamKind,
    pub aggregate_id: Uuid,
    /// Place in its stream: 1, 2, 3 …
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    /// JSON, as its writer gave it.
    pub payload: String,
    /// JSON, as its writer gave it.
    pub metadata: String,
}

/// One event of a stream, as far as a decision asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionEvent {
    /// As in [`StoredEvent`]; so are the others.
    pub position: u64,
    pub command_id: Uuid,
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
}

/// What was committed last. Of an empty journal: position and commit 0, the genesis hash, and 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub position: u64,
    pub commit_id: u64,
    /// The chain's hash up to `position`.
    pub hash: Hash,
    /// Made once, with the journal.
    pub journal_id: Uuid,
    pub recorded_at: DateTime<Utc>,
}

/// Why nothing could be read, or nothing that may be believed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// An event is missing: whoever reads in order must stop here.
    #[error("the journal has a hole: expected position {expected}, found {}", or_nothing(.found))]
    Hole {
        expected: u64,
        /// `None`: nothing after it.
        found: Option<u64>,
    },
    /// A stored value is not what was ever written.
    #[error("position {position} of the journal is corrupt in column {column}")]
    Corrupt {
        /// 0 when it is the head.
        position: u64,
        column: &'static str,
    },
    /// The table of the head is empty.
    #[error("the journal has no head")]
    NoHead,
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

fn or_nothing(found: &Option<u64>) -> String {
    found.map_or_else(|| "nothing".to_owned(), |position| position.to_string())
}

/// A row of `events`, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    pub position: i64,
    pub commit_id: i64,
    /// µs since 1970-01-01T00:00:00Z.
    pub recorded_at: i64,
    pub leaf_hash: Vec<u8>,
    pub tenant: Vec<u8>,
    pub command_id: Vec<u8>,
    pub aggregate_type: Vec<u8>,
    pub aggregate_id: Vec<u8>,
    pub sequence: i64,
    pub event_type: Vec<u8>,
    pub event_version: Vec<u8>,
    pub payload: Vec<u8>,
    pub metadata: Vec<u8>,
}

/// What of a row of `events` a decision asks for, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDecisionEvent {
    pub position: i64,
    pub command_id: Vec<u8>,
    pub sequence: i64,
    pub event_type: Vec<u8>,
    pub event_version: Vec<u8>,
    pub payload: Vec<u8>,
}

/// A row of `commits`, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCommit {
    pub commit_id: i64,
    pub first_position: i64,
    pub event_count: i64,
    /// µs since 1970-01-01T00:00:00Z.
    pub recorded_at: i64,
    pub hash: Vec<u8>,
}

/// The row of `journal_head`, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawHead {
    pub position: i64,
    pub commit_id: i64,
    /// µs since 1970-01-01T00:00:00Z.
    pub recorded_at: i64,
    pub hash: Vec<u8>,
    pub journal_id: Vec<u8>,
}

/// The head, and how far both tables really reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges {
    pub head: RawHead,
    /// The highest position; 0 if there is no event.
    pub last_position: i64,
    /// The highest commit id; 0 if there is no commit.
    pub last_commit: i64,
    /// Rows of both tables with a key below 1: no commit was ever written so.
    pub strays: i64,
}

/// Turns one row's values into types, and names the column that is none.
#[derive(Clone, Copy)]
struct Decode {
    position: u64,
}

impl Decode {
    /// For the row at this position, with it.
    fn at(position: i64) -> Result<(Self, u64), ReadError> {
        match u64::try_from(position) {
            Ok(position @ 1..) => Ok((Self { position }, position)),
            _ => Err(Self { position: 0 }.corrupt("position")),
        }
    }

    fn corrupt(self, column: &'static str) -> ReadError {
        ReadError::Corrupt { position: self.position, column }
    }

    fn number(self, column: &'static str, value: i64) -> Result<u64, ReadError> {
        u64::try_from(value).map_err(|_| self.corrupt(column))
    }

    fn time(self, column: &'static str, micros: i64) -> Result<DateTime<Utc>, ReadError> {
        DateTime::from_timestamp_micros(micros).ok_or_else(|| self.corrupt(column))
    }

    fn text(self, column: &'static str, bytes: Vec<u8>) -> Result<String, ReadError> {
        String::from_utf8(bytes).map_err(|_| self.corrupt(column))
    }

    fn hash(self, column: &'static str, bytes: &[u8]) -> Result<Hash, ReadError> {
        bytes.try_into().map(Hash::from_bytes).map_err(|_| self.corrupt(column))
    }

    fn uuid(self, column: &'static str, bytes: &[u8]) -> Result<Uuid, ReadError> {
        let uuid = Uuid::try_parse_ascii(bytes).map_err(|_| self.corrupt(column))?;
        let mut canonical = Uuid::encode_buffer();
        if uuid.hyphenated().encode_lower(&mut canonical).as_bytes() == bytes {
            Ok(uuid)
        } else {
            Err(self.corrupt(column))
        }
    }
}

impl RawEvent {
    /// The hash of what is stored here, whatever `leaf_hash` says.
    pub(super) fn leaf(&self) -> Hash {
        Leaf {
            aggregate_type: &self.aggregate_type,
            aggregate_id: &self.aggregate_id,
            sequence: self.sequence,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
            tenant: &self.tenant,
            command_id: &self.command_id,
        }
        .hash()
    }
}

impl TryFrom<RawEvent> for StoredEvent {
    type Error = ReadError;

    fn try_from(raw: RawEvent) -> Result<Self, ReadError> {
        let (decode, position) = Decode::at(raw.position)?;
        let kind = StreamKind::ALL.into_iter().find(|kind| raw.aggregate_type == kind.as_str().as_bytes());
        Ok(Self {
            position,
            commit_id: decode.number("commit_id", raw.commit_id)?,
            recorded_at: decode.time("recorded_at", raw.recorded_at)?,
            leaf_hash: decode.hash("leaf_hash", &raw.leaf_hash)?,
            tenant: decode.text("tenant", raw.tenant)?,
            command_id: decode.uuid("command_id", &raw.command_id)?,
            kind: kind.ok_or_else(|| decode.corrupt("aggregate_type"))?,
            aggregate_id: decode.uuid("aggregate_id", &raw.aggregate_id)?,
            sequence: decode.number("sequence", raw.sequence)?,
            event_type: decode.text("event_type", raw.event_type)?,
            event_version: decode.text("event_version", raw.event_version)?,
            payload: decode.text("payload", raw.payload)?,
            metadata: decode.text("metadata", raw.metadata)?,
        })
    }
}

impl TryFrom<RawDecisionEvent> for DecisionEvent {
    type Error = ReadError;

    fn try_from(raw: RawDecisionEvent) -> Result<Self, ReadError> {
        let (decode, position) = Decode::at(raw.position)?;
        Ok(Self {
            position,
            command_id: decode.uuid("command_id", &raw.command_id)?,
            sequence: decode.number("sequence", raw.sequence)?,
            event_type: decode.text("event_type", raw.event_type)?,
            event_version: decode.text("event_version", raw.event_version)?,
            payload: decode.text("payload", raw.payload)?,
        })
    }
}

impl TryFrom<RawHead> for Head {
    type Error = ReadError;

    fn try_from(raw: RawHead) -> Result<Self, ReadError> {
        let decode = Decode { position: 0 };
        Ok(Self {
            position: decode.number("journal_head.position", raw.position)?,
            commit_id: decode.number("journal_head.commit_id", raw.commit_id)?,
            hash: decode.hash("journal_head.hash", &raw.hash)?,
            journal_id: decode.uuid("journal_head.journal_id", &raw.journal_id)?,
            recorded_at: decode.time("journal_head.recorded_at", raw.recorded_at)?,
        })
    }
}
