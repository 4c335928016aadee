//! Appends that give way: the collector's, which must not crowd out tickets.
//!
//! While others append they go in a small batch from time to time, with those of the others that are there: rare, since each
//! commit writes whole pages, however few events are in it, and small, so that whoever comes meets none that takes long.
//! It grows with what the others append, so that what they leave to be collected is collected beside them.
//! Only when nobody else has come for a while do they go on as fast as the database can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use zeroload_clock::Sleeper;

use super::batch::{Backlog, Request};

/// Events of one batch, soon after others have appended.
const SMALL: usize = 16;

/// Or one for so many of theirs. Two end an item, so one may be collected where eight events were appended.
const FOR_EACH: usize = 4;

/// Between two such batches: rare enough that few of the others meet one, or the deletes that follow it.
const PAUSE: Duration = Duration::from_millis(100);

/// Such batches without others, after which nobody else is expected: a third of a second.
const CALM: u32 = 3;

/// The waiting appends that give way.
pub(super) struct LowPriorityQueue {
    queue: mpsc::Receiver<Request>,
    backlog: Backlog,
    /// Batches of their own since others have appended.
    alone: u32,
    /// Events of others since the last batch that these could be part of.
    others: usize,
    share: Arc<AtomicUsize>,
    /// While it lasts they take no part in any batch.
    pause: Option<BoxFuture<'static, ()>>,
    sleeper: Sleeper,
}

impl LowPriorityQueue {
    /// `share` shows how many events go with a batch at present: [`usize::MAX`] where nobody else has come for a while.
    pub fn new(queue: mpsc::Receiver<Request>, share: Arc<AtomicUsize>, sleeper: Sleeper) -> Self {
        Self { queue, backlog: Backlog::default(), alone: CALM, others: 0, share, pause: None, sleeper }
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

    /// Waits until there is something, and the pause is over. False when nothing comes any more. Dropped while it waits, it
    /// has lost nothing.
    pub async fn is_ready(&mut self) -> bool {
        if self.backlog.is_empty() {
            match self.queue.recv().await {
                Some(request) => self.backlog.push(request),
                None => return false,
            }
        }
        if let Some(pause) = &mut self.pause {
            pause.await;
            self.pause = None;
        }
        true
    }

    /// Adds its part to a batch of the others' appends, which may be empty.
    pub fn add_to(&mut self, batch: &mut Vec<Request>, most: usize) {
        let others: usize = batch.iter().map(|request| request.append.event_count()).sum();
        if others > 0 {
            self.alone = 0;
            self.others += others;
            self.share.fetch_min(SMALL, Ordering::AcqRel);
        }
        if self.is_pausing() {
            return;
        }
        let is_calm = self.alone >= CALM;
        let met = std::mem::take(&mut self.others);
        let share = if is_calm { usize::MAX } else { SMALL.max(met / FOR_EACH) };
        self.share.store(share, Ordering::Release);
        let own = self.backlog.take_beside(&mut self.queue, share.min(most), batch);
        if others == 0 {
            self.alone = self.alone.saturating_add(1);
        }
        if !is_calm && !own.is_empty() {
            self.begin_pause();
        }
        batch.extend(own);
    }

    fn begin_pause(&mut self) {
        let sleeper = self.sleeper.clone();
        self.pause = Some(async move { sleeper.sleep(PAUSE).await }.boxed());
        // Its time runs from the first poll on.
        self.is_pausing();
    }

    fn is_pausing(&mut self) -> bool {
        self.pause.take_if(|pause| pause.now_or_never().is_some());
        self.pause.is_some()
    }
}

#[cfg(test)]
mod tests;
