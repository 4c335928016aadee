//! Collects what was never confirmed: claims it in the journal, deletes it from the bucket, records the proof.
//!
//! Keeps P-1 (a claim is won in the journal before a delete is sent), P-2 and P-8 (what a crash left claimed is
//! finished by the next run; every step may be repeated), P-7 (`Collected` only on the server's word for that key).
//!
//! ```text
//! finish   collecting items of earlier runs ──▶ delete ──▶ record
//! collect  due items ──▶ look (HEAD) ──▶ claim ──▶ delete, or move into the trash ──▶ record
//! ```
//!
//! Before it claims anything, a run asks the [`brake`] whether what is due looks like a broken confirm path; what is claimed
//! already is finished all the same.
//!
//! The runs of several processes divide the work: each takes its pages from what no other holds
//! ([`zeroload_projections::pages`]), and counts only what it has appended itself.
//!
//! A run works page by page, so its memory does not grow with the backlog, and ends at a limit; `more` then says that
//! another run is due at once. While one page is recorded the next is looked at and claimed, so that both share commits:
//!
//! ```text
//! look, claim 1 ─▶ delete 1 ─▶ record 1          ─▶ delete 2 ─▶ record 2          ─▶ …
//!                              look, claim 2                    look, claim 3
//! ```
//!
//! Nothing is claimed before the deletes of the page before it were answered: claims cannot be taken back, and none is made
//! for a bucket that has just stopped answering.

pub mod brake;
mod caution;
mod ending;
mod record;
mod report;
mod review;
mod steps;
mod timer;
mod trash;

use std::{
    convert::Infallible,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, join, join3, select, try_join};
use uuid::Uuid;
use zeroload_clock::{
    Sleeper,
    watch::{ClockWatch, Moment},
};
use zeroload_journal::{AppendError, ReadError};
use zeroload_projections::{DueItem, PageOf, PageRequest};

pub use self::brake::BrakeSettings;
use self::ending::Gone;
pub use self::report::{ItemOutcome, ItemReport, RunReport};
pub use self::timer::{CollectorHandle, CollectorStopped};
use crate::{
    background::Handles,
    media::{bucket::Unready, commands::Origin},
    review::{ReviewError, Reviewer},
};

/// Who asks for a run when its time has come.
const TIMER: &str = "timer";

/// Items that one run handles at most.
const RUN_LIMIT: usize = 20_000;

/// Items of one page while others append a little: each delete makes the disk and the server busy for a moment. Where they
/// append much, as many as claims go with one commit.
const SMALL_PAGE: usize = 25;

/// How long a page is held when nothing is heard of its run.
const HELD_FOR: TimeDelta = TimeDelta::seconds(20);

/// How often a run is heard of.
const HEARD_EVERY: Duration = Duration::from_secs(5);

/// Why a run did not take place, or broke off. What it had done by then is recorded.
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
    /// Whether the log holds it already: the bucket's guard and the journal's writer tell what they meet.
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

/// How a collector works.
pub struct Options {
    pub sleeper: Sleeper,
    /// Keys per `DeleteObjects` call, 1 to 1000; fewer while others append.
    pub page: usize,
    /// Looks under way at once.
    pub looks: usize,
    pub brake: BrakeSettings,
    /// Says what is in use, where the backend is to be asked.
    pub reviewer: Option<Reviewer>,
}

/// What kind of run is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Change nothing, only say what would go and why.
    pub dry_run: bool,
    /// Who says that this one run takes place although the brake is on. It stands in the events that the run makes.
    pub override_brake: Option<Origin>,
    /// Who asks: the name of an API key, or a subcommand; nobody where its time has come.
    pub caller: Option<String>,
}

impl Wanted {
    pub fn plain(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }
}

/// How the text of a run begins that had no answer from the backend.
const UNREVIEWED: &str = "nothing more is claimed, since it is not known what is in use";

/// Why a run is broken off.
const FEWER_REQUESTS: &str = "the bucket asked for fewer requests";
const WITHHELD: &str = "it was not certain that what is claimed can be deleted, or that it is due";

/// The collector as a plain value: whoever calls [`Collector::run`] decides when.
pub struct Collector {
    handles: Handles,
    options: Options,
    /// Of what it writes into the bucket to see whether that can be removed; no other process has it.
    name: String,
    clock_watch: ClockWatch,
    stopping: AtomicBool,
    /// The last run has ended because the bucket asked for fewer requests.
    resting: AtomicBool,
}

/// One run: the time and identity that all its decisions share.
struct Run {
    now: DateTime<Utc>,
    /// When `now` was read.
    began: Moment,
    origin: Origin,
    caller: String,
    started_at: DateTime<Utc>,
    report: RunReport,
    /// That it has begun is in the journal.
    recorded: bool,
    handled: usize,
    /// Its last page.
    page: u32,
    /// All that it has recorded is at or before this position.
    reached: u64,
    /// Why it ends before its work is done.
    broken_off: Option<&'static str>,
    /// What is due later was not judged, and waits.
    judged_until: DateTime<Utc>,
}

impl Run {
    fn reach(&mut self, position: u64) {
        self.reached = self.reached.max(position);
    }

    /// Ends the run, with nothing more claimed.
    fn withhold(&mut self, why: String) {
        self.broken_off.get_or_insert(WITHHELD);
        self.report.withheld = Some(why);
    }

    /// It ends after its page.
    fn leave_the_bucket_alone(&mut self) {
        self.broken_off.get_or_insert(FEWER_REQUESTS);
        self.report.more = true;
    }
}

/// Which items a pass is about.
#[derive(Clone, Copy)]
enum Pass {
    Finish,
    Collect,
}

impl Collector {
    pub fn new(handles: Handles, options: Options) -> Self {
        let began = Moment::of(&handles.clock);
        let (name, clock_watch) = (handles.ids.new_id(began.now).to_string(), ClockWatch::new(began));
        let (stopping, resting) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { handles, options, name, clock_watch, stopping, resting }
    }

    /// Lets a run that is under way end after its page; what it has not reached is due in the next process.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether a run may follow the last one at once: not where the bucket wants to be left alone for a while.
    pub fn may_go_on(&self) -> bool {
        !self.resting.load(Ordering::Acquire)
    }

    /// One run at the present time: the earlier of this machine's and the database's, so that one wrong clock cannot
    /// make anything due early.
    ///
    /// # Errors
    /// [`RunError`]; a later run goes on from what is recorded.
    pub async fn run(&self, wanted: Wanted) -> Result<RunReport, RunError> {
        let (ready, database_now) = join(self.get_ready(&wanted), self.handles.journal.database_now()).await;
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
        self.run_wanted(now, Wanted::plain(dry_run)).await
    }

    /// One run of any kind as of `now`.
    ///
    /// # Errors
    /// As [`Collector::run`].
    pub async fn run_wanted(&self, now: DateTime<Utc>, wanted: Wanted) -> Result<RunReport, RunError> {
        self.get_ready(&wanted).await?;
        self.run_on(now, Moment::of(&self.handles.clock), wanted).await
    }

    /// Brings the projection up to date, and finds out whether anything may be changed. All is asked at once: of a run that
    /// finds nothing due the waits are the most of it.
    async fn get_ready(&self, wanted: &Wanted) -> Result<(), RunError> {
        let caught_up = self.handles.projector.catch_up();
        if wanted.dry_run {
            caught_up.await;
            return Ok(());
        }
        let retries = self.handles.read_models.retries();
        // Of items that have ended otherwise meanwhile.
        let pruned = retries.prune();
        let (checked, pruned, ()) = join3(self.handles.guard.check_and_advance(), pruned, caught_up).await;
        checked?;
        pruned?;
        Ok(())
    }

    async fn run_on(&self, now: DateTime<Utc>, began: Moment, wanted: Wanted) -> Result<RunReport, RunError> {
        let dry_run = wanted.dry_run;
        self.handles.gateway.has_rested();
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

    async fn passes(&self, overrides: bool, run: &mut Run) -> Result<(), RunError> {
        let (unfinished, verdict) = try_join(self.list(Pass::Finish, run.now, None, 1), self.judge(run.now)).await?;
        let verdict = if unfinished.is_empty() {
            verdict
        } else {
            self.pass(Pass::Finish, run).await?;
            self.judge(run.now).await?
        };
        run.judged_until = verdict.judged_until;
        run.report.braked = verdict.braked.as_ref().map(ToString::to_string);
        if !run.report.dry_run && !overrides && verdict.braked.is_some() {
            run.broken_off.get_or_insert("the brake is on");
        }
        if run.broken_off.is_none() && verdict.due && !run.report.dry_run {
            self.look_at_the_clock(run);
        }
        if run.broken_off.is_none() && verdict.due {
            self.pass(Pass::Collect, run).await?;
        }
        Ok(())
    }

    async fn pass(&self, pass: Pass, run: &mut Run) -> Result<(), RunError> {
        let mut gone = Gone::default();
        let ended = self.pages(pass, &mut gone, run).await;
        // However it ended, what is gone by now is recorded.
        let unknown = run.report.unknown;
        let recorded = self.record_page(gone, run).await;
        let closed = self.close_page(recorded, run).await;
        self.look_whether_to_stop(unknown, run).await;
        ended.and(closed)
    }

    /// Page after page. What is gone of the last one is left in `gone`, still to be recorded.
    async fn pages(&self, pass: Pass, gone: &mut Gone, run: &mut Run) -> Result<(), RunError> {
        let mut after = None;
        while run.broken_off.is_none() {
            if self.stopping.load(Ordering::Acquire) {
                run.broken_off = Some("the service was stopping");
                break;
            }
            let room = RUN_LIMIT.saturating_sub(run.handled).min(self.page_size());
            if room == 0 {
                run.report.more |= !self.list(pass, run.now, after, 1).await?.is_empty();
                break;
            }
            if matches!(pass, Pass::Collect) && !run.report.dry_run {
                self.see_a_removal(run).await;
                if run.broken_off.is_some() {
                    break;
                }
            }
            let mut items = self.next_page(pass, after, room, run).await?;
            if let Pass::Collect = pass {
                let listed = items.len();
                items.retain(|item| item.collectable_at <= run.judged_until);
                run.report.more |= items.len() < listed;
            }
            let Some(last) = items.last() else { break };
            after = Some((last.collectable_at, last.media_id));
            run.handled += items.len();
            run.report.due += items.len() as u64;
            let unknown = run.report.unknown;
            let items = match pass {
                Pass::Finish if run.report.dry_run => items,
                Pass::Finish => {
                    self.open_record(run).await?;
                    self.end_restores(items, run).await?
                }
                Pass::Collect => self.review(items, run).await?,
            };
            if run.report.dry_run {
                self.consider(items, run).await;
            } else {
                self.open_record(run).await?;
                self.page(pass, items, gone, run).await?;
            }
            self.look_whether_to_stop(unknown, run).await;
        }
        Ok(())
    }

    /// Claims and deletes one page, while what is gone of the page before it is recorded.
    async fn page(&self, pass: Pass, items: Vec<DueItem>, gone: &mut Gone, run: &mut Run) -> Result<(), RunError> {
        let before = self.record_page(std::mem::take(gone), run);
        let (opened, recorded) = join(self.open(pass, items, run), before).await;
        let closed = self.close_page(recorded, run).await;
        self.give_back(run.page - 1, run).await;
        let mut postponed = Vec::new();
        *gone = self.delete_page(opened, &mut postponed, run).await;
        closed.and(self.postpone_all(postponed, run.now).await)
    }

    /// The next items that no other run is at. A dry run changes nothing, so it keeps nobody from anything.
    async fn next_page(
        &self,
        pass: Pass,
        after: Option<(DateTime<Utc>, zeroload_domain::MediaId)>,
        limit: usize,
        run: &mut Run,
    ) -> Result<Vec<DueItem>, RunError> {
        if run.report.dry_run {
            return self.list(pass, run.now, after, limit).await;
        }
        run.page += 1;
        let wanted = PageRequest {
            list: match pass {
                Pass::Finish => PageOf::Unfinished,
                Pass::Collect => PageOf::Due,
            },
            now: run.now,
            after,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            run_id: run.report.run_id,
            page: run.page,
            held_for: HELD_FOR,
            clock: self.handles.clock.now(),
        };
        Ok(self.handles.read_models.pages().take(wanted).await?)
    }

    /// Lets others have what is left of the pages up to this one. Where that fails they have it a little later.
    async fn give_back(&self, page: u32, run: &Run) {
        let given = self.handles.read_models.pages().give_back(run.report.run_id, page, run.reached).await;
        if let Err(error) = given {
            tracing::debug!(run.id = %run.report.run_id, %error, "a page could not be given back");
        }
    }

    /// Keeps the pages of a run as long as it goes on.
    async fn be_heard_of(&self, run_id: Uuid) -> Infallible {
        loop {
            self.options.sleeper.sleep(HEARD_EVERY).await;
            let kept = self.handles.read_models.pages().keep(run_id, HELD_FOR, self.handles.clock.now()).await;
            if let Err(error) = kept {
                tracing::debug!(run.id = %run_id, %error, "other processes may take over what this run is at");
            }
        }
    }

    /// Claims cannot be taken back: none is made for a bucket that has just stopped answering. `unknown` is how many items
    /// without an answer there were before the last page.
    async fn look_whether_to_stop(&self, unknown: u64, run: &mut Run) {
        if run.broken_off.is_some() {
            return;
        }
        if self.handles.gateway.wants_rest() {
            run.leave_the_bucket_alone();
        } else if run.report.unknown > unknown && self.handles.guard.check().await.problem().is_some() {
            run.broken_off = Some("the bucket stopped answering");
        }
        run.report.more |= run.broken_off.is_some();
    }

    /// No larger than one delete call: a server that takes but a few requests is not asked about more than it then deletes.
    fn page_size(&self) -> usize {
        let share = self.handles.journal.share().max(SMALL_PAGE);
        self.options.page.min(share).min(self.handles.gateway.keys_per_call())
    }

    async fn list(
        &self,
        pass: Pass,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, zeroload_domain::MediaId)>,
        limit: usize,
    ) -> Result<Vec<DueItem>, RunError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Ok(match pass {
            Pass::Finish => self.handles.read_models.unfinished(now, after, limit).await?,
            Pass::Collect => self.handles.read_models.due(now, after, limit).await?,
        })
    }
}
