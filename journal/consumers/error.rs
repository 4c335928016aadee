//! Why a consumer does not go on.

use std::time::Duration;

use crate::error::StoreError;
use crate::stored::ReadError;

/// The journal is not the one that was read up to `position`. Nothing is read on from here: what follows belongs to another
/// past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal, which ends at position {head}, does not hold what was read of it up to position {position}: it was \
     restored from a backup, rewritten, or is another one; {remedy}"
)]
pub struct Restored {
    pub position: u64,
    pub head: u64,
    /// What an operator can do.
    pub remedy: &'static str,
}

/// Why an effect was not made. Its batch is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ConsumeError {
    pub reason: String,
    /// How long to wait before the next turn.
    pub retry_after: Duration,
}

/// Why a stored consumer did not go on, or was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] ReadError),
    #[error("the cursors of consumers cannot be kept: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Restored(#[from] Restored),
    #[error(transparent)]
    Failed(#[from] ConsumeError),
    #[error("there is no consumer {name:?}")]
    Unknown { name: String },
    #[error("another process is at consumer {name:?}; pause the consumer, and try again when that process has noticed")]
    Held { name: String },
    /// Nothing was saved: the batch is repeated by whoever is at the consumer now.
    #[error("consumer {name:?} was moved, or taken over by another process, while a batch was under way")]
    Lost { name: String },
    #[error("position {position} is beyond the end of the journal, {head}")]
    Beyond { position: u64, head: u64 },
    #[error("a consumer has a name of 1 to 100 characters from a-z, 0-9, '.', '_' and '-'; {length} bytes are none")]
    Name { length: usize },
}

impl ConsumerError {
    /// How long to wait before the next turn, where the consumer has said.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(failed) => Some(failed.retry_after),
            _ => None,
        }
    }
}
