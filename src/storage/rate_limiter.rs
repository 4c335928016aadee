//! How fast the collector asks S3: so many requests at once, so many per second, and fewer when the server says so.
//!
//! The limiter is for work that can wait. A backend's call cannot, and goes through a gateway without a limiter.
//!
//! No clock is read: each start takes a permit, which returns a fixed span later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use zeroload_clock::{Ids, Sleeper};

use super::error::StorageError;

/// S3 refuses a delete that names more keys.
pub const MAX_KEYS: usize = 1000;

/// Parts that a second is divided into, so that a second's requests do not all begin at once.
const PARTS: u32 = 20;

/// Tries of one request that is answered with `SlowDown`, 503 or 429.
pub(super) const TRIES: u32 = 4;

/// The pause after the first such answer; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How far a pause is varied at random, so that several processes do not come back in step.
const JITTER: f64 = 0.5;

/// The fewest keys per delete call.
const FEWEST_KEYS: usize = 10;

/// How fast to send requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceSettings {
    /// At least 1.
    pub requests_per_second: u32,
    /// At least 1.
    pub parallel_requests: u32,
}

/// Limits all requests of one kind of work.
pub(super) struct RateLimiter {
    places: Arc<Semaphore>,
    starts: Arc<Semaphore>,
    /// How long a start keeps its permit.
    span: Duration,
    /// Locked for writing during a pause that the server asked for; counts these pauses.
    gate: RwLock<u64>,
    /// Answers in a row that asked for fewer requests.
    refused: AtomicU32,
    /// Keys per delete call: halved when the server asks for fewer, and a tenth more after each call that went well.
    keys: AtomicUsize,
    ids: Ids,
    sleeper: Sleeper,
}

/// The right to have one request under way.
pub(super) struct Turn {
    _place: Option<OwnedSemaphorePermit>,
    pauses: u64,
}

impl RateLimiter {
    pub(super) fn new(settings: PaceSettings, ids: Ids, sleeper: Sleeper) -> Self {
        let starts = (settings.requests_per_second / PARTS).max(1);
        Self {
            places: semaphore(settings.parallel_requests),
            starts: semaphore(starts),
            span: Duration::from_secs_f64(f64::from(starts) / f64::from(settings.requests_per_second.max(1))),
            gate: RwLock::new(0),
            refused: AtomicU32::new(0),
            keys: AtomicUsize::new(MAX_KEYS),
            ids,
            sleeper,
        }
    }

    /// Waits until a request may begin.
    pub(super) async fn turn(&self) -> Turn {
        // The semaphores are never closed, so `ok` drops no error.
        let place = self.places.clone().acquire_owned().await.ok();
        let start = self.starts.clone().acquire_owned().await.ok();
        let (span, sleeper) = (self.span, self.sleeper.clone());
        tokio::spawn(async move {
            sleeper.sleep(span).await;
            drop(start);
        });
        let pauses = *self.gate.read().await;
        Turn { _place: place, pauses }
    }

    /// The server asked for fewer requests: all requests pause. Of several requests that were refused at once, only the
    /// first one starts a pause.
    pub(super) async fn refused(&self, turn: Turn) {
        let mut pauses = self.gate.write().await;
        if *pauses != turn.pauses {
            return;
        }
        *pauses += 1;
        self.fewer_keys();
        let refused = self.refused.fetch_add(1, Ordering::AcqRel);
        let pause =
            FIRST_PAUSE.saturating_mul(1 << refused.min(16)).min(LONGEST_PAUSE).mul_f64(self.ids.jitter(JITTER));
        tracing::warn!(pause_ms = pause.as_millis(), keys = self.keys(), "S3 asks for fewer requests");
        self.sleeper.sleep(pause).await;
    }

    /// The server answered without asking for fewer requests.
    pub(super) fn answered(&self) {
        self.refused.store(0, Ordering::Release);
    }

    /// Whether the server has asked for fewer requests [`TRIES`] - 1 times or more, without another answer in between.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire) >= TRIES - 1
    }

    /// Keys that the next delete call may name.
    pub(super) fn keys(&self) -> usize {
        self.keys.load(Ordering::Acquire)
    }

    /// The server asked for fewer requests, for single keys of a call or for the whole call.
    pub(super) fn fewer_keys(&self) {
        self.keys.store((self.keys() / 2).max(FEWEST_KEYS), Ordering::Release);
    }

    /// No key of a delete call was answered with a wish for fewer requests.
    pub(super) fn more_keys(&self) {
        let keys = self.keys();
        self.keys.store((keys + keys.div_ceil(10)).min(MAX_KEYS), Ordering::Release);
    }
}

fn semaphore(permits: u32) -> Arc<Semaphore> {
    let permits = usize::try_from(permits.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

/// Whether an answer asks for fewer requests.
pub(super) fn asks_for_fewer(error: &StorageError) -> bool {
    matches!(error, StorageError::Unavailable { kind: super::error::Fault::Throttled, .. })
}

#[cfg(test)]
mod tests;
