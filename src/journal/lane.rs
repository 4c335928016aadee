//! Appends that give way: the collector's, which must not crowd out tickets.
//!
//! Beside other appends they take a small part of each batch. Without any they wait a moment for some to come, and go
//! together in small batches, so that whoever comes meets none that takes long. Only when nobody else has come for a while
//! do they go on as fast as the database can.

use std::time::Duration;

use tokio::sync::mpsc;

use super::batch::{Backlog, Request};
use crate::clock::Sleeper;

/// Of a batch's other events, so many for one that gives way.
const FOR_EACH: usize = 8;

/// Events that give way and go with any batch, however small: so that they go on at all.
const AT_LEAST: usize = 4;

/// Events of a batch of their own, soon after others have appended.
const SMALL: usize = 32;

/// How long they wait for others before such a batch.
const MOMENT: Duration = Duration::from_millis(5);

/// Such batches, after which nobody else is expected: a quarter of a second or more.
const CALM: u32 = 50;

/// The waiting appends that give way.
pub(super) struct Lane {
    queue: mpsc::Receiver<Request>,
    backlog: Backlog,
    /// Batches of their own since others have appended.
    alone: u32,
    sleeper: Sleeper,
}

impl Lane {
    pub fn new(queue: mpsc::Receiver<Request>, sleeper: Sleeper) -> Self {
        Self { queue, backlog: Backlog::default(), alone: CALM, sleeper }
    }

    pub fn close(&mut self) {
        self.queue.close();
    }

    /// What waits, for the end of the writer.
    pub fn drain(&mut self) -> Vec<Request> {
        self.queue.close();
        let queued = std::iter::from_fn(|| self.queue.try_recv().ok());
        self.backlog.drain().chain(queued).collect()
    }

    /// Waits until there is something, and a moment more if others may come. False when nothing comes any more. Dropped
    /// while it waits, it has lost nothing.
    pub async fn is_ready(&mut self) -> bool {
        if self.backlog.is_empty() {
            match self.queue.recv().await {
                Some(request) => self.backlog.push(request),
                None => return false,
            }
        }
        if self.alone < CALM {
            self.sleeper.sleep(MOMENT).await;
        }
        true
    }

    /// Adds its part to a batch of the others' appends, which may be empty.
    pub fn add_to(&mut self, batch: &mut Vec<Request>, most: usize) {
        let others: usize = batch.iter().map(|request| request.append.event_count()).sum();
        let share = match others {
            0 if self.alone < CALM => SMALL.min(most),
            0 => most,
            _ => (others / FOR_EACH).max(AT_LEAST),
        };
        let own = self.backlog.take_beside(&mut self.queue, share, batch);
        self.alone = if others > 0 { 0 } else { self.alone.saturating_add(1) };
        batch.extend(own);
    }
}

#[cfg(test)]
mod tests;
