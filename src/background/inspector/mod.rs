//! Looks again at items whose story seemed to have ended.
//!
//! Keeps P-7: a PUT that lands after its item was collected, or while it was, is found at the planned times after the
//! collection, whoever gives notice of it or does not. And an object that is not the confirmed one is noticed, once no
//! ticket can write it any more.
//!
//! A run does bounded work page by page and asks S3 nothing where nothing is to be looked at. Whatever it is doing when
//! the process dies is done again by the next run, and a repeat changes nothing.
//!
//! Of several processes that share a journal one looks at a bucket at a time ([`zeroload_projections::turns`]).

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

/// Items that one run looks at for each of its purposes, at most.
const RUN_LIMIT: usize = 20_000;

/// Items in memory at a time.
const PAGE: usize = 500;

/// Per item that could not be looked at: doubles from a minute to six hours.
const BACKOFF: Backoff = Backoff { first: TimeDelta::minutes(1), cap: TimeDelta::hours(6) };

/// Why a run did not take place, or broke off. What it had looked at by then is noted.
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
    /// Whether the log holds it already: the bucket's guard tells what it sees.
    pub const fn is_logged(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }
}

/// How an inspector works.
pub struct Options {
    pub sleeper: Sleeper,
    /// When an item is looked at again, counted from its collection.
    pub recheck_after: Vec<Duration>,
    /// HEADs under way at once.
    pub looks: usize,
    /// How long after its end a ticket may still write.
    pub late_write_margin: TimeDelta,
}

/// The inspector as a plain value: whoever calls [`Inspector::run`] decides when.
pub struct Inspector {
    handles: Handles,
    options: Options,
    stopping: AtomicBool,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Collected items that were looked at.
    pub rechecked: u64,
    /// Those whose bytes had come back; they are claimed.
    pub late: u64,
    /// Confirmed items whose object was proven to be the confirmed one.
    pub sealed: u64,
    /// Confirmed items whose object was found to be another one, or gone, for the first time.
    pub substituted: u64,
    /// Items that could not be looked at; each is tried again at a time of its own.
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
    /// Asked once, and only if there is something to look at.
    believed: bool,
    /// The same for seals, which ask for less.
    sealing: bool,
    seal_origin: Origin,
    /// The turns that it has had.
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

    /// Lets a run that is under way end after its page.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// One run at the present time: the earlier of this machine's and the database's, so that one wrong clock cannot
    /// make anything due early.
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
        // A limit for each, so that a backlog of the one never keeps the other waiting.
        run.looked = 0;
        let sealed = self.seal(run).await;
        rechecked.and(sealed)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A look is worth nothing in a bucket that is not ours, and a journal that was set back decides nothing.
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
