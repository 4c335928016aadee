//! The read models as a follower of the journal: a batch and the checkpoint behind it are one transaction.

use tokio::sync::watch;
use zeroload_journal::{
    Reader, StoredEvent, StreamKind,
    consumers::{Cursor, Follower, Mark, Moved, Standing, mark_of},
};
use zeroload_projections::{Checkpoint, Error, Mark as NotedMark, ReadModels, RecordedBody, RecordedEvent};

use super::{BATCH, ProjectorError};
use crate::media::{
    commands::{decode, decode_run},
    recent::Recent,
};

/// Decoded events, and the commit of the last one.
pub struct Batch {
    pub events: Vec<RecordedEvent>,
    pub mark: Option<NotedMark>,
}

pub(super) struct Feed {
    recent: Recent,
    read_models: ReadModels,
    applied: watch::Sender<u64>,
}

impl Feed {
    pub(super) fn new(recent: Recent, read_models: ReadModels) -> Self {
        Self { recent, read_models, applied: watch::Sender::new(0) }
    }

    /// The position up to which everything is applied.
    pub(super) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }
}

impl Follower for Feed {
    type Event = RecordedEvent;
    type Error = ProjectorError;

    const REMEDY: &'static str = "build the read models anew (`zeroload projections rebuild`)";
    // Whoever else moves the checkpoint is a projector too, or a rebuild from this journal.
    const CHECKS_EACH_TURN: bool = false;

    fn name(&self) -> &str {
        "the projector"
    }

    fn batch(&self) -> u32 {
        BATCH
    }

    async fn stand(&self) -> Result<Standing, ProjectorError> {
        let cursor = cursor_of(&self.read_models.checkpoint().await?)?;
        self.applied.send_replace(cursor.position);
        Ok(Standing::At(cursor))
    }

    fn remembered(&self, after: u64, head: u64) -> Vec<RecordedEvent> {
        match self.recent.holds_after(after) {
            true => self.recent.take(after, head, BATCH as usize),
            false => Vec::new(),
        }
    }

    fn decode(&self, event: StoredEvent) -> Result<RecordedEvent, ProjectorError> {
        to_recorded(event)
    }

    fn position(event: &RecordedEvent) -> u64 {
        event.position
    }

    async fn apply(&self, batch: Vec<RecordedEvent>, mark: Option<Mark>) -> Result<Moved, ProjectorError> {
        let last = batch.last().map_or(0, |event| event.position);
        let position = self.read_models.apply(batch, mark.map(noted).as_ref()).await?.position;
        self.applied.send_replace(position);
        // What another process is applying right now is left to that one.
        Ok(Moved { position, goes_on: position >= last })
    }
}

/// A mark as the read models keep it.
fn noted(mark: Mark) -> NotedMark {
    NotedMark { commit_id: mark.commit_id, commit_hash: mark.hash.to_string() }
}

/// Where a version of the read models stands in the journal.
///
/// # Errors
/// [`Error::Unreadable`]: somebody has changed the checkpoint.
pub fn cursor_of(checkpoint: &Checkpoint) -> Result<Cursor, Error> {
    let mark = checkpoint.mark().map(|NotedMark { commit_id, commit_hash }| match commit_hash.parse() {
        Ok(hash) => Ok(Mark { commit_id, hash }),
        Err(_) => Err(Error::Unreadable { column: "commit_hash", value: commit_hash }),
    });
    Ok(Cursor { position: checkpoint.position, mark: mark.transpose()? })
}

/// The events after `checkpoint`, at most `limit`, read and decoded.
///
/// # Errors
/// [`ProjectorError::Unreadable`] names the position.
pub async fn read_batch(journal: &Reader, checkpoint: u64, limit: u32) -> Result<Batch, ProjectorError> {
    let stored = journal.read(checkpoint, limit).await?;
    let mark = match stored.last() {
        Some(last) => mark_of(journal, last).await?.map(noted),
        None => None,
    };
    let events = stored.into_iter().map(to_recorded).collect::<Result<_, _>>()?;
    Ok(Batch { events, mark })
}

/// A stored event, decoded.
///
/// # Errors
/// As [`read_batch`].
pub fn to_recorded(stored: StoredEvent) -> Result<RecordedEvent, ProjectorError> {
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
