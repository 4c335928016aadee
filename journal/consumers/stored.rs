//! A consumer whose effect is made elsewhere, and whose cursor is stored.

use std::future::Future;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::engine::Engine;
use super::error::{ConsumeError, ConsumerError};
use super::follower::{Follower, Moved, Standing};
use super::mark::{Cursor, Mark};
use super::store::ConsumerStore;
use crate::stored::StoredEvent;

/// Makes an effect of events, which may be repeated: after a crash, a failure or a move back the same events come again.
pub trait Consumer: Send + Sync + 'static {
    /// As it was registered.
    fn name(&self) -> &str;

    /// Events that one call takes at most; at least 1.
    fn batch(&self) -> u32;

    /// Makes the effect of all the events, which come in the journal's order and without gaps. May be dropped at any await,
    /// and should take less than half a minute: after a minute another process may take the consumer over.
    ///
    /// # Errors
    /// [`ConsumeError`]: the same events come again, at the head of a batch.
    fn consume(&self, events: &[StoredEvent]) -> impl Future<Output = Result<(), ConsumeError>> + Send;
}

/// A [`Consumer`] and its place in a [`ConsumerStore`], as the engine takes them.
pub struct Stored<C> {
    consumer: C,
    store: ConsumerStore,
    /// For the log.
    name: String,
    /// Where the next batch begins: what a save must find.
    cursor: Mutex<u64>,
}

impl<C: Consumer> Stored<C> {
    /// The consumer must be registered.
    pub fn engine(consumer: C, store: ConsumerStore) -> Engine<Self> {
        let name = format!("consumer {}", consumer.name());
        Engine::new(store.reader().clone(), Self { consumer, store, name, cursor: Mutex::new(0) })
    }

    pub fn consumer(&self) -> &C {
        &self.consumer
    }

    fn at(&self, position: u64) {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    fn position(&self) -> u64 {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Consumer> Follower for Stored<C> {
    type Event = StoredEvent;
    type Error = ConsumerError;

    const REMEDY: &'static str = "move the consumer to the position from which it is to go on";
    const CHECKS_EACH_TURN: bool = true;

    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> u32 {
        self.consumer.batch()
    }

    async fn stand(&self) -> Result<Standing, ConsumerError> {
        let standing = self.store.claim(self.consumer.name()).await?;
        if let Standing::At(cursor) = standing {
            self.at(cursor.position);
        }
        Ok(standing)
    }

    fn decode(&self, event: StoredEvent) -> Result<StoredEvent, ConsumerError> {
        Ok(event)
    }

    fn position(event: &StoredEvent) -> u64 {
        event.position
    }

    async fn apply(&self, batch: Vec<StoredEvent>, mark: Option<Mark>) -> Result<Moved, ConsumerError> {
        let from = self.position();
        let position = batch.last().map_or(from, |event| event.position);
        self.consumer.consume(&batch).await?;
        let goes_on = self.store.save(self.consumer.name(), from, &Cursor { position, mark }).await?;
        self.at(position);
        Ok(Moved { position, goes_on })
    }

    async fn failed(&self, error: &ConsumerError) {
        let name = self.consumer.name();
        // Where the cursors cannot be reached the log has said so; the lease ends by itself.
        let _kept = self.store.fail(name, &error.to_string()).await;
        if matches!(error, ConsumerError::Restored(_)) {
            // Whoever moves the consumer need not wait for us.
            let _given_back = self.store.release(name).await;
        }
    }
}
