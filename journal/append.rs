//! What a writer hands in and gets back, and the work that is done before the queue: serialising ids and
//! hashing leaves happens on the caller's thread, so the one writer task only moves bytes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StreamKind;
use super::error::StoreError;
use super::hash::{Hash, Leaf};

/// One event as its writer hands it over. The texts are stored as they are, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub event_type: &'static str,
    pub event_version: &'static str,
    /// JSON.
    pub payload: String,
}

/// The events of one command for one stream: stored together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    pub kind: StreamKind,
    pub stream: Uuid,
    /// The stream's last sequence as the writer knows it; 0 is a new stream. The events get the next ones.
    pub expected_sequence: u64,
    /// At least one.
    pub events: Vec<NewEvent>,
    /// JSON, the same for each event of the command.
    pub metadata: String,
    pub tenant: String,
    pub command_id: Uuid,
}

/// The append is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first_position: u64,
    pub last_position: u64,
    /// Of the stream, after this append.
    pub last_sequence: u64,
    /// By the database's clock; never before that of an earlier position.
    pub recorded_at: DateTime<Utc>,
}

/// Why there is no [`Appended`]. Only [`Unknown`](Self::Unknown) leaves open whether the events were written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Not written. Load the stream and decide again.
    #[error("stream {stream} is not at sequence {expected_sequence}")]
    Conflict { stream: Uuid, expected_sequence: u64 },
    /// Not written: there is nothing to write.
    #[error("an append to stream {stream} holds no event")]
    Empty { stream: Uuid },
    /// Not written: too much waits already. Try again later.
    #[error("the journal's queue of {capacity} appends is full")]
    QueueFull { capacity: usize },
    /// Not written: the database failed.
    #[error("the journal is unavailable: {source}")]
    Unavailable { source: StoreError },
    /// Not written: the writer is busy finding out what became of an earlier batch.
    #[error("the journal is finding out whether its last commit happened: {source}")]
    Settling { source: StoreError },
    /// Perhaps written, or still to be: the writer ended before it knew, or the database is away. Look for the command before repeating it.
    #[error("whether command {command_id} was written is unknown")]
    Unknown { command_id: Uuid },
    /// Not written: the writer has ended.
    #[error("the journal's writer has stopped")]
    Stopped,
}

impl AppendError {
    /// Whether the journal's writer has said it in the log, once for all appends that it concerns.
    pub const fn is_logged(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Settling { .. } | Self::Unknown { .. } | Self::Stopped => true,
            Self::Conflict { .. } | Self::Empty { .. } | Self::QueueFull { .. } => false,
        }
    }
}

/// An append ready to be stored: ids as text, leaves hashed.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub kind: StreamKind,
    pub stream: Uuid,
    pub stream_text: String,
    pub expected_sequence: i64,
    pub events: Vec<NewEvent>,
    /// One for each event, in order.
    pub leaves: Vec<Hash>,
    pub metadata: String,
    pub tenant: String,
    pub command_id: Uuid,
    pub command_text: String,
}

impl Prepared {
    /// The events with their sequences and leaves, in order.
    pub fn rows(&self) -> impl Iterator<Item = (i64, &NewEvent, &Hash)> {
        let sequences = self.expected_sequence + 1..;
        sequences.zip(&self.events).zip(&self.leaves).map(|((sequence, event), leaf)| (sequence, event, leaf))
    }

    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Of the stream, once this append is written.
    pub fn last_sequence(&self) -> i64 {
        self.expected_sequence + self.events.len() as i64
    }

    pub(super) fn conflict(&self) -> AppendError {
        AppendError::Conflict { stream: self.stream, expected_sequence: self.expected_sequence.unsigned_abs() }
    }
}

impl Append {
    pub(super) fn prepare(self) -> Result<Prepared, AppendError> {
        let Append { kind, stream, expected_sequence, events, metadata, tenant, command_id } = self;
        if events.is_empty() {
            return Err(AppendError::Empty { stream });
        }
        // No stream is as long as 2^62: whoever expects it is wrong about it.
        let Some(expected) = i64::try_from(expected_sequence).ok().filter(|expected| *expected < 1 << 62) else {
            return Err(AppendError::Conflict { stream, expected_sequence });
        };
        let (stream_text, command_text) = (stream.to_string(), command_id.to_string());
        let leaves = (expected + 1..).zip(&events).map(|(sequence, event)| {
            Leaf {
                aggregate_type: kind.as_str().as_bytes(),
                aggregate_id: stream_text.as_bytes(),
                sequence,
                event_type: event.event_type.as_bytes(),
                event_version: event.event_version.as_bytes(),
                payload: event.payload.as_bytes(),
                metadata: metadata.as_bytes(),
                tenant: tenant.as_bytes(),
                command_id: command_text.as_bytes(),
            }
            .hash()
        });
        let leaves = leaves.collect();
        Ok(Prepared {
            kind,
            stream,
            stream_text,
            expected_sequence: expected,
            events,
            leaves,
            metadata,
            tenant,
            command_id,
            command_text,
        })
    }
}
