//! What a consumer is to the engine.

use std::future::Future;

use super::error::Restored;
use super::mark::{Cursor, Mark};
use crate::stored::{ReadError, StoredEvent};

/// Whether a follower may go on, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    At(Cursor),
    Paused,
    /// Another process is at it.
    HeldByAnother,
}

/// What applying a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The cursor after it.
    pub position: u64,
    /// Whether this process should read on: another one may be at it, or it was paused.
    pub goes_on: bool,
}

/// Follows the journal: makes an effect of each event, in order, and keeps a cursor.
pub trait Follower: Send + Sync + 'static {
    /// An event as [`Follower::apply`] takes it.
    type Event: Send;
    type Error: std::error::Error + From<ReadError> + From<Restored> + Send + Sync;

    /// What an operator can do about a journal that was restored.
    const REMEDY: &'static str;

    /// Whether each turn checks the mark, not only the first of a process and one after a failure: for a cursor that others
    /// may move.
    const CHECKS_EACH_TURN: bool;

    /// For the log.
    fn name(&self) -> &str;

    /// Events that one call of [`Follower::apply`] takes at most; at least 1.
    fn batch(&self) -> u32;

    /// Where the follower stands.
    fn stand(&self) -> impl Future<Output = Result<Standing, Self::Error>> + Send;

    /// Events after position `after` that need not be read, without gaps, none beyond `head` and at most a batch. None where
    /// reading is better.
    fn remembered(&self, _after: u64, _head: u64) -> Vec<Self::Event> {
        Vec::new()
    }

    /// # Errors
    /// The event is none that this follower can read.
    fn decode(&self, event: StoredEvent) -> Result<Self::Event, Self::Error>;

    fn position(event: &Self::Event) -> u64;

    /// Makes the effect of a batch that is not empty and moves the cursor behind it: in one transaction, or the effect first,
    /// which is then repeated after a crash. `mark` is the commit of the last event, where that is known; without it the
    /// cursor keeps the mark that it has.
    ///
    /// May be dropped at any await, and may be called with events that were applied before.
    fn apply(
        &self,
        batch: Vec<Self::Event>,
        mark: Option<Mark>,
    ) -> impl Future<Output = Result<Moved, Self::Error>> + Send;

    /// Takes note of why a turn has failed. The engine has logged it.
    fn failed(&self, _error: &Self::Error) -> impl Future<Output = ()> + Send {
        async {}
    }
}
