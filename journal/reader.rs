//! The reading side: typed events in order, and the alarm when one is missing (P-5).
//!
//! It needs no writer: a process that only reads opens a [`Reader`] beside the one that writes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StreamKind;
use super::hash::Hash;
use super::store::ReadStore;
use super::stored::{DecisionEvent, Head, RawEvent, ReadError, StoredEvent};

/// Reads a journal. A clone shares the connections.
#[derive(Clone)]
pub struct Reader {
    store: Arc<dyn ReadStore>,
    raw: Arc<dyn ReadStore>,
}

impl Reader {
    pub fn new(store: impl ReadStore) -> Self {
        let store = Arc::new(store);
        Self { raw: store.clone(), store }
    }

    /// `raw` answers with what there is, also where `store` finds that another copy of the journal took its place.
    pub fn with_raw(store: impl ReadStore, raw: impl ReadStore) -> Self {
        Self { store: Arc::new(store), raw: Arc::new(raw) }
    }

    /// The rows as they are stored, unchecked.
    pub fn store(&self) -> &dyn ReadStore {
        &*self.raw
    }

    /// The events of one media item by sequence; see [`Reader::stream_of`].
    pub async fn stream(&self, id: Uuid) -> Result<Vec<StoredEvent>, ReadError> {
        self.stream_of(StreamKind::Media, id).await
    }

    /// The events of one stream by sequence; empty if there is none of that id. A stream with a missing event
    /// is [`ReadError::Corrupt`]: state that is folded from it would be wrong.
    pub async fn stream_of(&self, kind: StreamKind, id: Uuid) -> Result<Vec<StoredEvent>, ReadError> {
        self.page_of(kind, id, 0, u32::MAX).await
    }

    /// At most `limit` events of one media item after sequence `after`; see [`Reader::stream_of`]. Fewer than `limit` means
    /// that the stream ended there.
    pub async fn stream_after(&self, id: Uuid, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        self.page_of(StreamKind::Media, id, after, limit).await
    }

    async fn page_of(&self, kind: StreamKind, id: Uuid, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        let after = key(after);
        let events = typed(self.store.stream(kind, id, after, limit).await?)?;
        whole(after.unsigned_abs(), events.iter().map(|event| (event.sequence, event.position)))?;
        Ok(self.seen(events))
    }

    /// The events of one media item by sequence, as far as a decision asks: what is read is checked as by
    /// [`Reader::stream`], the other columns are not read. Quicker where many ask at once.
    pub async fn facts(&self, id: Uuid) -> Result<Vec<DecisionEvent>, ReadError> {
        let raw = self.store.facts(StreamKind::Media, id).await?;
        let facts = raw.into_iter().map(DecisionEvent::try_from).collect::<Result<Vec<_>, _>>()?;
        whole(0, facts.iter().map(|fact| (fact.sequence, fact.position)))?;
        if let Some(last) = facts.last() {
            self.store.seen(last.position, last.command_id);
        }
        Ok(facts)
    }

    /// At most `limit` events after position `after`, in order and without a hole. Fewer than `limit` means
    /// the journal ended there.
    pub async fn read(&self, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut events = self.store.events(key(after), limit, None).await?;
        // Nothing there is either the end or a hole at the end. The head is read after the rows: only if it
        // is beyond are they read again.
        if events.is_empty() && self.head().await?.position > after {
            events = self.store.events(key(after), limit, None).await?;
            if events.is_empty() {
                return Err(ReadError::Hole { expected: after + 1, found: None });
            }
        }
        let events = typed(events)?;
        match (after + 1..).zip(&events).find(|(expected, event)| event.position != *expected) {
            None => Ok(self.seen(events)),
            Some((expected, event)) => Err(ReadError::Hole { expected, found: Some(event.position) }),
        }
    }

    /// At most `limit` events of one tenant after position `after`, in order. Read on from the last one's
    /// position; fewer than `limit` means there were no more.
    pub async fn read_tenant(&self, tenant: &str, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        typed(self.store.events(key(after), limit, Some(tenant)).await?)
    }

    pub async fn head(&self) -> Result<Head, ReadError> {
        self.store.head().await?.try_into()
    }

    /// The hash of a commit; nothing if there is none of that number.
    pub async fn commit_hash(&self, commit_id: u64) -> Result<Option<Hash>, ReadError> {
        let Some(before) = commit_id.checked_sub(1) else { return Ok(None) };
        let found = self.store.commits(key(before), 1).await?.into_iter().next();
        let Some(commit) = found.filter(|commit| commit.commit_id == key(commit_id)) else { return Ok(None) };
        let corrupt = ReadError::Corrupt { position: commit.first_position.unsigned_abs(), column: "hash" };
        Ok(Some(Hash::from_bytes(commit.hash.try_into().map_err(|_| corrupt)?)))
    }

    /// The clock by which `recorded_at` is given.
    pub async fn database_now(&self) -> Result<DateTime<Utc>, ReadError> {
        self.store.now().await
    }

    /// Every (event type, event version) that the journal holds, ascending. As quick on millions of events
    /// as on one.
    pub async fn event_versions(&self) -> Result<Vec<(String, String)>, ReadError> {
        self.store.event_versions().await
    }

    fn seen(&self, events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        if let Some(last) = events.last() {
            self.store.seen(last.position, last.command_id);
        }
        events
    }

    /// Gives the connections back; later reads fail.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

fn typed(events: Vec<RawEvent>) -> Result<Vec<StoredEvent>, ReadError> {
    events.into_iter().map(StoredEvent::try_from).collect()
}

/// Whether the sequences of a stream behind `after`, each with its position, have no gap.
fn whole(after: u64, mut events: impl Iterator<Item = (u64, u64)>) -> Result<(), ReadError> {
    match (after + 1..).zip(&mut events).find(|(expected, (sequence, _))| sequence != expected) {
        None => Ok(()),
        Some((_, (_, position))) => Err(ReadError::Corrupt { position, column: "sequence" }),
    }
}

/// No journal reaches 2^63 positions: after that there is nothing.
fn key(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
