//! Feeds the read models from the journal, in order, and lets readers wait for a position.
//!
//! Keeps P-4: the checkpoint moves in the same transaction as the rows, so a crash repeats nothing and skips nothing.
//! A hole in the positions or an event that cannot be read stops it, which readiness shows: skipping is no option.

mod waker;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::future::try_join;
use tokio::sync::{Notify, watch};
use zeroload_domain::DecodeError;
use zeroload_journal::{Journal, ReadError, Reader, StoredEvent, StreamKind};
use zeroload_projections::{ReadModels, RecordedBody, RecordedEvent};

pub use self::waker::ProjectorActor;
use crate::media::{
    commands::{decode, decode_run},
    recent::Recent,
};

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
}

/// How far a projection is behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    pub events: u64,
    /// The age of the first event that is not applied yet.
    pub seconds: f64,
}

/// Applies the journal to the read models.
pub struct Projector {
    journal: Journal,
    recent: Recent,
    read_models: ReadModels,
    applied: watch::Sender<u64>,
    failure: watch::Sender<Option<String>>,
    turn: tokio::sync::Mutex<()>,
    /// A reader waits.
    wanted: Notify,
    stopped: AtomicBool,
}

impl Projector {
    /// What is in `recent` need not be read from `journal`.
    pub fn new(journal: Journal, recent: Recent, read_models: ReadModels) -> Arc<Self> {
        Arc::new(Self {
            journal,
            recent,
            read_models,
            applied: watch::Sender::new(0),
            failure: watch::Sender::new(None),
            turn: tokio::sync::Mutex::new(()),
            wanted: Notify::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Applies what has been recorded since the checkpoint by now, one batch at a time.
    ///
    /// # Errors
    /// [`ProjectorError`]; all whole batches before it are applied.
    pub async fn run_once(&self) -> Result<u64, ProjectorError> {
        let _turn = self.turn.lock().await;
        if self.is_stopped() {
            return Ok(*self.applied.borrow());
        }
        let result = self.drain().await;
        let failure = result.as_ref().err().map(ToString::to_string);
        // Here and once for each reason: the next turn comes within a second, and fails for the same.
        match (&failure, self.failure()) {
            (Some(error), last) if last.as_ref() != Some(error) => tracing::error!(error, "the projector stands still"),
            (None, Some(_)) => tracing::info!("the projector goes on"),
            _ => {}
        }
        self.failure.send_replace(failure);
        result
    }

    async fn drain(&self) -> Result<u64, ProjectorError> {
        let (mut checkpoint, mut head) = try_join(self.checkpoint(), self.head()).await?;
        while !self.is_stopped() {
            self.applied.send_replace(checkpoint);
            let batch = self.next(checkpoint, head).await?;
            let (Some(last), count) = (batch.last().map(|event| event.position), batch.len()) else { break };
            checkpoint = self.read_models.apply(batch).await?.position;
            self.applied.send_replace(checkpoint);
            // What came while it was applied is left to the next turn, so that under load batches do not get small; and
            // what another process is applying right now is left to that one.
            if count < BATCH as usize || checkpoint < last {
                break;
            }
            head = self.head().await?;
        }
        Ok(checkpoint)
    }

    async fn checkpoint(&self) -> Result<u64, ProjectorError> {
        Ok(self.read_models.checkpoint().await?.position)
    }

    async fn head(&self) -> Result<u64, ProjectorError> {
        Ok(self.journal.head().await?.position)
    }

    /// The events after `checkpoint` where the journal reaches `head`, from memory if they are there.
    async fn next(&self, checkpoint: u64, head: u64) -> Result<Vec<RecordedEvent>, ProjectorError> {
        if self.recent.holds_after(checkpoint) {
            // What this process remembers counts as far as the database that answers now holds it: it may be a copy that
            // took the place of another.
            let events = self.recent.take(checkpoint, head, BATCH as usize);
            if !events.is_empty() {
                return Ok(events);
            }
        }
        if head <= checkpoint {
            return Ok(Vec::new());
        }
        read_batch(self.journal.reader(), checkpoint, BATCH).await
    }

    /// Returns after `pause`, or as soon as a reader waits for a position that is not applied.
    pub async fn gather(&self, pause: Duration) {
        drop(tokio::time::timeout(pause, self.wanted.notified()).await);
    }

    /// Lets a batch that is under way end; none is begun after it.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let _last_turn_has_ended = self.turn.lock().await;
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// As [`Projector::run_once`], for a caller that can go on with a stale projection.
    pub async fn catch_up(&self) {
        // Why it is behind stands in the log and in `/readyz`.
        let _behind = self.run_once().await;
    }

    /// Whether `position` is applied, waiting for it at most as long as `deadline`.
    pub async fn wait_for(&self, position: u64, deadline: Duration) -> bool {
        let mut applied = self.applied.subscribe();
        if *applied.borrow() < position {
            self.wanted.notify_one();
        }
        let reached = applied.wait_for(|applied| *applied >= position);
        matches!(tokio::time::timeout(deadline, reached).await, Ok(Ok(_)))
    }

    /// Why it stands still, if it does.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Woken with the journal's newest position after each commit of this process.
    pub fn journal_watch(&self) -> watch::Receiver<u64> {
        self.journal.head_watch()
    }
}

/// How far `checkpoint` is behind the journal's head.
///
/// # Errors
/// [`ReadError`].
pub async fn lag(journal: &Journal, head: u64, checkpoint: u64, now: DateTime<Utc>) -> Result<Lag, ReadError> {
    let events = head.saturating_sub(checkpoint);
    let oldest = if events == 0 { None } else { journal.read(checkpoint, 1).await?.into_iter().next() };
    let seconds = oldest.map_or(0.0, |event| (now - event.recorded_at).as_seconds_f64().max(0.0));
    Ok(Lag { events, seconds })
}

/// The events after `checkpoint`, at most `limit`, read and decoded.
///
/// # Errors
/// [`ProjectorError::Unreadable`] names the position.
pub async fn read_batch(journal: &Reader, checkpoint: u64, limit: u32) -> Result<Vec<RecordedEvent>, ProjectorError> {
    journal.read(checkpoint, limit).await?.into_iter().map(to_recorded).collect()
}

/// A stored event, decoded.
///
/// # Errors
/// As [`read_batch`].
pub(crate) fn to_recorded(stored: StoredEvent) -> Result<RecordedEvent, ProjectorError> {
    let what = match stored.kind {
        StreamKind::Media => decode(&stored).map(|event| RecordedBody::Media(stored.aggregate_id.into(), event)),
        StreamKind::CollectionRun => decode_run(&stored).map(RecordedBody::Run),
    };
    let what = what.map_err(|source| ProjectorError::Unreadable { position: stored.position, source })?;
    Ok(RecordedEvent {
        position: stored.position,
        recorded_at: stored.recorded_at,
        tenant: stored.tenant,
        sequence: stored.sequence,
        what,
    })
}
