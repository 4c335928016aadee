//! The two traits behind which everything lies that is particular to a database.
//!
//! [`WriteStore`] has one owner, the writer task. [`ReadStore`] is shared, and answers with bytes as they are
//! stored: what they must look like is decided once, in [`stored`](super::stored).

use std::future::Future;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::StreamKind;
use super::append::Prepared;
use super::error::StoreError;
use super::stored::{Edges, RawCommit, RawDecisionEvent, RawEvent, RawHead, ReadError};

/// Appends batches. One instance writes at a time; on a database that several processes write to, the row lock
/// on the head orders them.
pub trait WriteStore: Send + 'static {
    /// Appends the whole batch in one transaction, durable when it returns.
    ///
    /// An append whose stream is not exactly at its expected sequence, earlier or later, is left out and named
    /// in [`Outcome::lost`]; the others are written. At most one append per stream. Dropping the future leaves
    /// all of the batch or none of it.
    fn append(&mut self, batch: &[Prepared]) -> impl Future<Output = Result<Outcome, WriteError>> + Send;

    /// Which of the commands wrote events at positions after `after`. Answers only when every transaction that
    /// [`append`](Self::append) began has ended.
    fn find(&mut self, after: u64, batch: &[Prepared]) -> impl Future<Output = Result<Vec<Found>, StoreError>> + Send;

    /// Gives everything back: connection and locks.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a batch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `None` when every append was lost.
    pub commit: Option<Commit>,
    /// Indexes into the batch, ascending: conflicts, not written.
    pub lost: Vec<usize>,
}

/// A commit that happened: its events stand at consecutive positions, in the order of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub first_position: u64,
    pub recorded_at: DateTime<Utc>,
}

/// One append that was found in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub command_id: Uuid,
    pub stream: Uuid,
    pub first_position: u64,
    pub recorded_at: DateTime<Utc>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Nothing of the batch was or will be written.
    #[error("the batch was not written")]
    Failed(#[source] StoreError),
    /// The commit was sent and its answer is missing or an error: it may have happened, at positions after
    /// `after`.
    #[error("it is unknown whether the batch was written")]
    Unknown {
        /// The head's position that the batch began from.
        after: u64,
        source: StoreError,
    },
}

/// Reads bytes as stored. Positions are as the database holds them, even if they make no sense: `verify`
/// must see them.
pub trait ReadStore: Send + Sync + 'static {
    /// Events with a position above `after`, ascending; of one tenant if given.
    fn events<'a>(
        &'a self,
        after: i64,
        limit: u32,
        tenant: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RawEvent>, ReadError>>;
    /// At most `limit` events of a stream with a sequence above `after`, by sequence.
    fn stream(
        &self,
        kind: StreamKind,
        stream: Uuid,
        after: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RawEvent>, ReadError>>;
    /// The same, as far as a decision asks: many are read at once, so each column counts.
    fn facts(&self, kind: StreamKind, stream: Uuid) -> BoxFuture<'_, Result<Vec<RawDecisionEvent>, ReadError>>;
    /// Commits with an id above `after`, ascending.
    fn commits(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<RawCommit>, ReadError>>;
    fn head(&self) -> BoxFuture<'_, Result<RawHead, ReadError>>;
    /// Head and outermost keys of both tables, in one snapshot.
    fn edges(&self) -> BoxFuture<'_, Result<Edges, ReadError>>;
    /// The database's clock, by which `recorded_at` is given.
    fn now(&self) -> BoxFuture<'_, Result<DateTime<Utc>, ReadError>>;
    /// Every stored (event type, event version), ascending.
    fn event_versions(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, ReadError>>;
    /// Takes note of an event that was read and found sound, the highest of its reading, and of its command. Where another
    /// copy of the journal may take the place of this one, later reads fail with [`StoreErrorKind::WentBack`] if it lacks
    /// that event.
    fn seen(&self, _position: u64, _command: Uuid) {}
    /// Gives the connections back; later reads fail.
    fn close(&self) -> BoxFuture<'_, ()>;
}
