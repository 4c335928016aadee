//! The journal: the append-only store of every event, in one global order.
//!
//! ```text
//! Journal::append ─▶ queue ─▶ writer task ─▶ WriteStore (one transaction per batch)
//!    (append.rs)              (thread.rs, writer.rs,  (store.rs; sqlite/writer.rs,
//!                              batch.rs, low_priority.rs)     postgres/writer.rs)
//!
//! Journal::read, stream, head … ─▶ Reader ─▶ ReadStore
//!                            (reader.rs)    (store.rs; sqlite/reader.rs, postgres/reader.rs)
//! consumers ─▶ Reader: whatever follows the journal by a cursor (consumers/)
//! verify ─▶ Reader::store ─▶ every stored byte against the hash chain (verify.rs, hash.rs)
//! ```
//!
//! Promises kept here:
//! - P-3: an [`Appended`] is given only after the database has committed to disk. Every other answer says what
//!   is known: [`AppendError::Unavailable`] means not written, [`AppendError::Unknown`] that nobody knows yet.
//! - P-5: positions are 1, 2, 3 … without a gap; readers stop at a hole; [`verify`] finds any changed, added
//!   or missing event, and with a head that was kept elsewhere a rewritten or cut journal too.
//! - P-8: all events of a batch become durable together or not at all.
//!
//! On failure: a conflict fails its own append and none of its neighbours. A database that fails answers
//! [`AppendError::Unavailable`] and is tried again with the next batch. When it is unknown whether a commit
//! happened, the writer looks for its commands until it knows; until then it appends nothing, and new appends
//! get [`AppendError::Settling`]. A panic ends the writer, is logged, and every later append answers
//! [`AppendError::Stopped`].

mod append;
mod batch;
pub mod consumers;
mod error;
mod handle;
mod hash;
mod low_priority;
mod options;
pub mod postgres;
mod reader;
pub mod sqlite;
mod store;
mod stored;
mod streams;
mod thread;
mod verify;
mod writer;

#[cfg(test)]
mod contract;
#[cfg(any(test, feature = "memory"))]
pub mod memory;

pub use append::{Append, AppendError, Appended, NewEvent, Prepared};
pub use error::{StoreError, StoreErrorKind};
pub use handle::{Journal, WriterTask, assemble, start};
pub use hash::{Hash, ParseHashError};
pub use options::Options;
pub use reader::Reader;
pub use store::{Commit, Found, Outcome, ReadStore, WriteError, WriteStore};
pub use stored::{DecisionEvent, Edges, Head, RawCommit, RawDecisionEvent, RawEvent, RawHead, ReadError, StoredEvent};
pub use thread::WriterThread;
pub use verify::{Fault, Verified, VerifyError, verify};

/// What a stream is about; the first column of its key, so that ids of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    Media,
    CollectionRun,
}

impl StreamKind {
    pub const ALL: [Self; 2] = [Self::Media, Self::CollectionRun];

    /// The stored `aggregate_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::CollectionRun => "collection_run",
        }
    }
}
