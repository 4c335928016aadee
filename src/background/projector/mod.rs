//! Feeds the read models from the journal, in order, and lets readers wait for a position.
//!
//! Keeps P-4: the checkpoint moves in the same transaction as the rows, so a crash repeats nothing and skips nothing.
//! A hole in the positions, an event that cannot be read, or a journal that is another one than the read models were fed
//! from stops it, which readiness shows: skipping is no option. Turns, batches and the check of the journal's past are the
//! consumers' engine's ([`zeroload_journal::consumers`]).

mod feed;
mod waker;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use zeroload_domain::DecodeError;
use zeroload_journal::{
    Journal, ReadError,
    consumers::{Engine, Restored},
};
use zeroload_projections::ReadModels;

use self::feed::Feed;
pub use self::{
    feed::{Batch, cursor_of, read_batch, to_recorded},
    waker::ProjectorActor,
};
use crate::media::recent::Recent;

/// Events that one transaction applies at most.
pub const BATCH: u32 = 1000;

/// Why the projector cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] ReadError),
    #[error("the event at position {position} cannot be read: {source}")]
    Unreadable { position: u64, source: DecodeError },
    #[error("the read models cannot be written: {0}")]
    ReadModels(#[from] zeroload_projections::Error),
    #[error(transparent)]
    Restored(#[from] Restored),
}

/// Applies the journal to the read models.
pub struct Projector {
    journal: Journal,
    engine: Engine<Feed>,
    /// A reader waits.
    wanted: Notify,
}

impl Projector {
    /// What is in `recent` need not be read from `journal`.
    pub fn new(journal: Journal, recent: Recent, read_models: ReadModels) -> Arc<Self> {
        let engine = Engine::new(journal.reader().clone(), Feed::new(recent, read_models));
        Arc::new(Self { journal, engine, wanted: Notify::new() })
    }

    /// Applies what has been recorded since the checkpoint by now, one batch at a time. Answers with the position up to which
    /// everything is applied.
    ///
    /// # Errors
    /// [`ProjectorError`]; all whole batches before it are applied.
    pub async fn run_once(&self) -> Result<u64, ProjectorError> {
        self.engine.run_once().await?;
        Ok(*self.engine.follower().applied().borrow())
    }

    /// Returns after `pause`, or as soon as a reader waits for a position that is not applied.
    pub async fn gather(&self, pause: Duration) {
        drop(tokio::time::timeout(pause, self.wanted.notified()).await);
    }

    /// Lets a batch that is under way end; none is begun after it.
    pub async fn stop(&self) {
        self.engine.stop().await;
    }

    pub fn is_stopped(&self) -> bool {
        self.engine.is_stopped()
    }

    /// As [`Projector::run_once`], for a caller that can go on with a stale projection.
    pub async fn catch_up(&self) {
        // Why it is behind stands in the log and in `/readyz`.
        let _behind = self.run_once().await;
    }

    /// Whether `position` is applied, waiting for it at most as long as `deadline`.
    pub async fn wait_for(&self, position: u64, deadline: Duration) -> bool {
        let mut applied = self.engine.follower().applied();
        if *applied.borrow() < position {
            self.wanted.notify_one();
        }
        let reached = applied.wait_for(|applied| *applied >= position);
        matches!(tokio::time::timeout(deadline, reached).await, Ok(Ok(_)))
    }

    /// Why it stands still, if it does.
    pub fn failure(&self) -> Option<String> {
        self.engine.failure()
    }

    /// Woken with the journal's newest position after each commit of this process.
    pub fn journal_watch(&self) -> watch::Receiver<u64> {
        self.journal.head_watch()
    }
}
