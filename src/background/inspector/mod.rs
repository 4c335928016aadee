//! Checks items again that seemed to be settled: collected items for late uploads, confirmed items for a changed
//! object.
//!
//! Keeps P-7: a PUT that lands during or after the collection of its item is found at the planned times after the
//! collection, even if nobody gives notice of it. And an object that is not the confirmed one is found, once no ticket
//! can write it any more.
//!
//! A run does bounded work page by page, and sends S3 nothing if no item is due. A page that was under way when the
//! process died is checked again by the next run, and a repeat changes nothing.
//!
//! Of several processes that share a journal, one at a time checks a bucket ([`zeroload_projections::turns`]).

mod recheck;
mod seal;
mod timer;
mod turn;

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, select};
use uuid::Uuid;
use zeroload_clock::Sleeper;
use zeroload_journal::ReadError;
use zeroload_projections::{Backoff, Inspected, Inspection};

pub use self::timer::InspectorHandle;
use crate::{background::Handles, media::commands::Origin, storage::Location};

/// Items that one run checks at most: so many for re-checks, and so many for seals.
const RUN_LIMIT: usize = 20_000;

/// Items in memory at a time.
const PAGE: usize = 500;

/// How long an item waits that could not be checked: the pause doubles from a minute to six hours.
const BACKOFF: Backoff = Backoff { first: TimeDelta::minutes(1), cap: TimeDelta::hours(6) };

/// Why a run did not take place, or broke off. Its checks up to then are noted.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("no item is checked again: {0}")]
    Bucket(String),
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] ReadError),
    #[error("the read models cannot be used: {0}")]
    ReadModels(#[from] zeroload_projections::Error),
}

impl RunError {
    /// Whether the failure is in the log already: the bucket's guard logs its own.
    pub const fn is_logged(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }
}

/// The settings of an [`Inspector`].
pub struct Options {
    pub sleeper: Sleeper,
    /// When an item is checked again, counted from its collection.
    pub recheck_after: Vec<Duration>,
    /// HEADs under way at once.
    pub looks: usize,
    /// How long after its end a ticket may still write.
    pub late_write_margin: TimeDelta,
}

/// The inspector as a plain value: the caller of [`Inspector::run`] decides when a run takes place.
pub struct Inspector {
    handles: Handles,
    options: Options,
    stopping: AtomicBool,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Collected items that were checked.
    pub rechecked: u64,
    /// Collected items whose bytes had come back, so that they are claimed.
    pub late: u64,
    /// Confirmed items whose object was proven to be the confirmed one.
    pub sealed: u64,
    /// Confirmed items whose object was found to be another one, or gone, for the first time.
    pub substituted: u64,
    /// Items that could not be checked; each is tried again at a time of its own.
    pub put_aside: u64,
    /// The run ended at its limit; more is due now.
    pub more: bool,
}

/// One run: the time and identity that all its decisions share.
struct Run {
    id: Uuid,
    now: DateTime<Utc>,
    origin: Origin,
    report: RunReport,
    looked: usize,
    /// Whether the bucket was found to be ours; checked once, and only if an item is due.
    believed: bool,
    /// The same for seals, which need less of the bucket.
    sealing: bool,
    seal_origin: Origin,
    /// The turns that the run has had.
    turns: Vec<Inspection>,
}

impl Run {
    fn room(&self) -> usize {
        RUN_LIMIT.saturating_sub(self.looked).min(PAGE)
    }
}

impl Inspector {
    pub fn new(handles: Handles, options: Options) -> Self {
        Self { handles, options, stopping: AtomicBool::new(false) }
    }

    /// Ends a run that is under way after its current page.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// One run at the present time, which is the earlier of this machine's clock and the database's: one clock that
    /// runs ahead makes no item due early.
    ///
    /// # Errors
    /// [`RunError`]; a later run goes on from what is noted.
    pub async fn run(&self) -> Result<RunReport, RunError> {
        let now = self.handles.clock.now().min(self.handles.journal.database_now().await?);
        self.run_at(now).await
    }

    /// One run as of `now`.
    ///
    /// # Errors
    /// As [`Inspector::run`].
    pub async fn run_at(&self, now: DateTime<Utc>) -> Result<RunReport, RunError> {
        let id = self.handles.ids.new_id(now);
        let origin = Origin { request_id: id.to_string(), caller: "inspector".to_owned(), route: "re-check" };
        let seal_origin = Origin { route: "seal", ..origin.clone() };
        let report = RunReport::default();
        let turns = Vec::new();
        let mut run = Run { id, now, origin, report, looked: 0, believed: false, sealing: false, seal_origin, turns };
        let ended = match select(pin!(self.look_at_all(&mut run)), pin!(self.be_heard_of(id))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        };
        self.give_turns_back(&run).await;
        ended.map(|()| run.report)
    }

    async fn look_at_all(&self, run: &mut Run) -> Result<(), RunError> {
        let rechecked = self.recheck(run).await;
        // Re-checks and seals have a limit each, so that a backlog of the one never keeps the other waiting.
        run.looked = 0;
        let sealed = self.seal(run).await;
        rechecked.and(sealed)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends re-checks unless the bucket is ours and the journal was not restored: a HEAD in a bucket that is not ours
    /// proves nothing, and a restored journal decides nothing.
    async fn believe(&self, run: &mut Run) -> Result<(), RunError> {
        if !run.believed {
            if let Some(problem) = self.handles.guard.check().await.problem() {
                return Err(RunError::Bucket(problem));
            }
            run.believed = true;
        }
        Ok(())
    }

    fn serves(&self, item: &Inspected) -> bool {
        self.handles.gateway.serves(&location(item))
    }
}

fn location(item: &Inspected) -> Location<'_> {
    Location { store: &item.store, bucket: &item.bucket, object_key: &item.object_key }
}
