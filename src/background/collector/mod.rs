//! Collects the items that are due: claims each in the journal, deletes its object from the bucket, records the proof.
//!
//! Keeps P-1 (a claim is won in the journal before a delete is sent), P-2 and P-8 (an item that a crash left claimed is
//! finished by the next run; every step may be repeated), P-7 (`Collected` only on the server's word for that key).
//!
//! ```text
//! finish   collecting items of earlier runs ──▶ delete ──▶ record
//! collect  due items ──▶ HEAD ──▶ claim ──▶ delete, or move into the trash ──▶ record
//! ```
//!
//! Before a run claims anything, the [`brake`] judges whether the due items are the sign of a broken confirm path;
//! items that are claimed already are finished all the same.
//!
//! The runs of several processes divide the work: each takes pages of items that no other run holds
//! ([`zeroload_projections::pages`]), and counts only its own appends.
//!
//! A run works page by page, so its memory does not grow with the backlog, and ends at a limit; `more` then says that
//! another run is due at once. While the deletes of one page are recorded, the next page is checked with HEAD and
//! claimed, so that both share commits:
//!
//! ```text
//! HEAD, claim 1 ─▶ delete 1 ─▶ record 1          ─▶ delete 2 ─▶ record 2          ─▶ …
//!                              HEAD, claim 2                    HEAD, claim 3
//! ```
//!
//! No page is claimed before the deletes of the page before it were answered: a claim cannot be taken back, so none is
//! appended for a bucket that has just stopped answering.

pub mod brake;
mod caution;
mod ending;
mod passes;
mod record;
mod report;
mod review;
mod run;
mod steps;
mod timer;
mod trash;

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};
use futures_util::future::{Either, join, join3, select};
use zeroload_clock::{
    Sleeper,
    watch::{ClockWatch, Moment},
};
use zeroload_journal::{AppendError, ReadError};

pub use self::brake::BrakeSettings;
pub use self::report::{ItemOutcome, ItemReport, RunReport};
use self::run::{FEWER_REQUESTS, Pass, Run};
pub use self::timer::{CollectorHandle, CollectorStopped};
use crate::{
    background::Handles,
    media::{bucket::Unready, commands::Origin},
    review::{ReviewError, Reviewer},
};

/// The caller of a run that the timer began, as the run's events name it.
const TIMER: &str = "timer";

/// Why a run did not take place, or broke off. Its work up to then is recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("nothing is collected: {0}")]
    Bucket(String),
    #[error("nothing is collected: {0}")]
    Marker(String),
    #[error("{UNREVIEWED}: {0}")]
    Review(#[from] ReviewError),
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] ReadError),
    #[error("the projection cannot be read: {0}")]
    Projection(#[from] zeroload_projections::Error),
    #[error("the run cannot be recorded: {0}")]
    Record(#[from] AppendError),
}

impl RunError {
    /// Whether the failure is in the log already: the bucket's guard and the journal's writer log their own.
    pub const fn is_logged(&self) -> bool {
        match self {
            Self::Bucket(_) => true,
            Self::Record(error) => error.is_logged(),
            Self::Marker(_) | Self::Review(_) | Self::Journal(_) | Self::Projection(_) => false,
        }
    }
}

impl From<Unready> for RunError {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Bucket(problem) => Self::Bucket(problem),
            Unready::Marker(problem) => Self::Marker(problem),
        }
    }
}

/// The settings of a [`Collector`].
pub struct Options {
    pub sleeper: Sleeper,
    /// Items of a page and keys per `DeleteObjects` call, 1 to 1000; fewer while others append.
    pub page: usize,
    /// HEADs under way at once.
    pub looks: usize,
    pub brake: BrakeSettings,
    /// Asks the backend which items are in use, if it is to be asked.
    pub reviewer: Option<Reviewer>,
}

/// The kind of run that is asked for.
#[derive(Clone, Debug, Default)]
pub struct CollectOptions {
    /// Change nothing, only report which items would be collected and why.
    pub dry_run: bool,
    /// Who lets this one run claim although the brake is on. The events of the run name this caller.
    pub override_brake: Option<Origin>,
    /// Who asks for the run: the name of an API key, or a subcommand; `None` for a run by the timer.
    pub caller: Option<String>,
}

impl CollectOptions {
    pub fn plain(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }
}

/// How the error of a run begins that had no answer from the backend; the run's record is recognised by it.
const UNREVIEWED: &str = "nothing more is claimed, since it is not known what is in use";

/// The collector as a plain value: the caller of [`Collector::run`] decides when a run takes place.
pub struct Collector {
    handles: Handles,
    options: Options,
    /// Part of the key of the object that is written into the bucket to see whether removing works; no other process
    /// has the same name.
    name: String,
    clock_watch: ClockWatch,
    stopping: AtomicBool,
    /// Whether the last run ended because the bucket asked for fewer requests.
    resting: AtomicBool,
}

impl Collector {
    pub fn new(handles: Handles, options: Options) -> Self {
        let began = Moment::of(&handles.clock);
        let (name, clock_watch) = (handles.ids.new_id(began.now).to_string(), ClockWatch::new(began));
        let (stopping, resting) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { handles, options, name, clock_watch, stopping, resting }
    }

    /// Ends a run that is under way after its current page; items that it has not reached stay due for the next
    /// process.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether a run may follow the last one at once: not after the bucket has asked for fewer requests.
    pub fn may_go_on(&self) -> bool {
        !self.resting.load(Ordering::Acquire)
    }

    /// One run at the present time, which is the earlier of this machine's clock and the database's: one clock that
    /// runs ahead makes no item due early.
    ///
    /// # Errors
    /// [`RunError`]; a later run goes on from what is recorded.
    pub async fn run(&self, wanted: CollectOptions) -> Result<RunReport, RunError> {
        let (ready, database_now) = join(self.preflight(&wanted), self.handles.journal.database_now()).await;
        let began = Moment::of(&self.handles.clock);
        let now = began.now.min(database_now?);
        ready?;
        self.run_on(now, began, wanted).await
    }

    /// One run as of `now`.
    ///
    /// # Errors
    /// As [`Collector::run`].
    pub async fn run_at(&self, now: DateTime<Utc>, dry_run: bool) -> Result<RunReport, RunError> {
        self.run_wanted(now, CollectOptions::plain(dry_run)).await
    }

    /// One run of any kind as of `now`.
    ///
    /// # Errors
    /// As [`Collector::run`].
    pub async fn run_wanted(&self, now: DateTime<Utc>, wanted: CollectOptions) -> Result<RunReport, RunError> {
        self.preflight(&wanted).await?;
        self.run_on(now, Moment::of(&self.handles.clock), wanted).await
    }

    /// Brings the projection up to date, and checks that the bucket may be changed. All requests are sent at once: a
    /// run that finds nothing due spends most of its time waiting for their answers.
    async fn preflight(&self, wanted: &CollectOptions) -> Result<(), RunError> {
        let caught_up = self.handles.projector.catch_up();
        if wanted.dry_run {
            caught_up.await;
            return Ok(());
        }
        let retries = self.handles.read_models.retries();
        // Forgets the retries of items that another process has finished.
        let pruned = retries.prune();
        let (checked, pruned, ()) = join3(self.handles.guard.check_and_advance(), pruned, caught_up).await;
        checked?;
        pruned?;
        Ok(())
    }

    async fn run_on(&self, now: DateTime<Utc>, began: Moment, wanted: CollectOptions) -> Result<RunReport, RunError> {
        let dry_run = wanted.dry_run;
        self.handles.gateway.reset_throttle();
        let run_id = self.handles.ids.new_id(now);
        let overrides = wanted.override_brake.is_some();
        let caller = wanted.caller.unwrap_or_else(|| TIMER.to_owned());
        let of_timer =
            || Origin { request_id: run_id.to_string(), caller: "collector".to_owned(), route: "collector run" };
        let origin = wanted.override_brake.unwrap_or_else(of_timer);
        let mut run = Run {
            now,
            began,
            origin,
            caller,
            started_at: began.now,
            report: RunReport::new(run_id, dry_run),
            recorded: false,
            handled: 0,
            page: 0,
            reached: 0,
            broken_off: None,
            judged_until: now,
        };
        let ended = match select(pin!(self.passes(overrides, &mut run)), pin!(self.be_heard_of(run_id))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        };
        if run.page > 0 {
            self.give_back(run.page, &run).await;
        }
        self.resting.store(run.broken_off == Some(FEWER_REQUESTS), Ordering::Release);
        if let Err(RunError::Review(_)) = ended {
            self.note_unreviewed(&mut run).await;
        }
        self.close_record(&run, ended.as_ref().err()).await;
        ended.map(|()| run.report)
    }
}
