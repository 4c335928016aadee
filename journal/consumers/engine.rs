//! One turn of a consumer: from where it stands to the journal's head.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join;
use tokio::sync::{Mutex, watch};

use super::error::Restored;
use super::follower::{Follower, Standing};
use super::mark::{Cursor, Mark, holds, mark_at};
use crate::reader::Reader;
use crate::stored::Head;

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The cursor is at this position, at the head that was read or where this process has to leave off.
    Reached(u64),
    Paused,
    HeldByAnother,
    /// [`Engine::stop`] came before.
    Stopped,
}

/// Runs a [`Follower`] over a journal, one turn at a time.
pub struct Engine<F> {
    reader: Reader,
    follower: F,
    turn: Mutex<()>,
    /// The journal was found to hold the mark, and no turn has failed since.
    checked: AtomicBool,
    failure: watch::Sender<Option<String>>,
    stopped: AtomicBool,
}

/// Events on their way to the follower.
struct Batch<E> {
    events: Vec<E>,
    last: u64,
    /// Of the last event, where that was read.
    commit_id: Option<u64>,
}

impl<F: Follower> Engine<F> {
    pub fn new(reader: Reader, follower: F) -> Self {
        Self {
            reader,
            follower,
            turn: Mutex::new(()),
            checked: AtomicBool::new(false),
            failure: watch::Sender::new(None),
            stopped: AtomicBool::new(false),
        }
    }

    pub fn follower(&self) -> &F {
        &self.follower
    }

    /// Applies what has been recorded since the cursor by now, one batch at a time. A turn that is under way is waited for.
    ///
    /// # Errors
    /// [`Restored`] and others, as the follower tells them; all whole batches before it are applied.
    pub async fn run_once(&self) -> Result<Turn, F::Error> {
        let _turn = self.turn.lock().await;
        if self.is_stopped() {
            return Ok(Turn::Stopped);
        }
        // Until this turn has ended well: it may be dropped.
        let checked = self.checked.swap(false, Ordering::AcqRel);
        let result = self.drain(checked && !F::CHECKS_EACH_TURN).await;
        self.checked.store(result.is_ok(), Ordering::Release);
        self.tell(result.as_ref().err());
        if let Err(error) = &result {
            self.follower.failed(error).await;
        }
        result
    }

    async fn drain(&self, checked: bool) -> Result<Turn, F::Error> {
        let (standing, mut head) = try_join(self.follower.stand(), self.head()).await?;
        let cursor = match standing {
            Standing::At(cursor) => cursor,
            Standing::Paused => return Ok(Turn::Paused),
            Standing::HeldByAnother => return Ok(Turn::HeldByAnother),
        };
        let is_behind = head.position < cursor.position;
        if is_behind {
            // Another process may have moved the cursor on after the head was read.
            head = self.head().await?;
        }
        if is_behind || !checked {
            self.check(&head, &cursor).await?;
        }
        let mut position = cursor.position;
        while !self.is_stopped() {
            let Some(batch) = self.next(position, &head).await? else { break };
            let is_full = batch.events.len() >= self.follower.batch() as usize;
            let mark = self.mark(&batch, &head).await?;
            let moved = self.follower.apply(batch.events, mark).await?;
            position = moved.position;
            // What came while it was applied is left to the next turn, so that under load batches do not get small.
            if !is_full || !moved.goes_on {
                break;
            }
            head = self.head().await?;
        }
        Ok(Turn::Reached(position))
    }

    async fn check(&self, head: &Head, cursor: &Cursor) -> Result<(), F::Error> {
        if holds(&self.reader, head, cursor).await? {
            return Ok(());
        }
        Err(Restored { position: cursor.position, head: head.position, remedy: F::REMEDY }.into())
    }

    /// The events after `position` where the journal reaches `head`.
    async fn next(&self, position: u64, head: &Head) -> Result<Option<Batch<F::Event>>, F::Error> {
        // What a process remembers counts as far as the database that answers now holds it: it may be a copy that took the
        // place of another.
        let events = self.follower.remembered(position, head.position);
        if let Some(last) = events.last().map(F::position) {
            return Ok(Some(Batch { events, last, commit_id: None }));
        }
        let missing = u32::try_from(head.position.saturating_sub(position)).unwrap_or(u32::MAX);
        // Not beyond the head, whose hash is the mark of a batch that ends there.
        let stored = self.reader.read(position, self.follower.batch().min(missing)).await?;
        let Some((last, commit_id)) = stored.last().map(|event| (event.position, event.commit_id)) else {
            return Ok(None);
        };
        let events = stored.into_iter().map(|event| self.follower.decode(event)).collect::<Result<_, _>>()?;
        Ok(Some(Batch { events, last, commit_id: Some(commit_id) }))
    }

    /// Asks the journal only for a batch that ends before the head: one look at a key, and one more where the batch came from
    /// memory.
    async fn mark(&self, batch: &Batch<F::Event>, head: &Head) -> Result<Option<Mark>, F::Error> {
        Ok(mark_at(&self.reader, head, batch.last, batch.commit_id).await?)
    }

    async fn head(&self) -> Result<Head, F::Error> {
        Ok(self.reader.head().await?)
    }

    /// Logs a failure here and once for each reason: the next turn comes soon, and fails for the same.
    fn tell(&self, error: Option<&F::Error>) {
        let failure = error.map(ToString::to_string);
        match (&failure, self.failure()) {
            (Some(error), last) if last.as_ref() != Some(error) => {
                tracing::error!(error, "{} stands still", self.follower.name());
            }
            (None, Some(_)) => tracing::info!("{} goes on", self.follower.name()),
            _ => {}
        }
        self.failure.send_replace(failure);
    }

    /// Why it stands still, if it does.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Lets a batch that is under way end; none is begun after it.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let _last_turn_has_ended = self.turn.lock().await;
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}
