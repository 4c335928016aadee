//! The bucket against the journal, both ways: objects that no live item owns, and confirmed items without their object.
//!
//! ```text
//! listing, page by page ──┐
//!                         ├─▶ compare (merge) ─▶ suspicions ─▶ verify (HEAD, the item's stream) ─▶ findings
//! confirmed items, in ────┘                                        └─▶ collect again, delete
//! the same order
//! ```
//!
//! Keeps P-7 (bytes that came back after a collection are found and claimed again) and P-1: listing and read model are
//! hints, and nothing is found, claimed or deleted before the item's own stream and a HEAD say so. What changed between
//! the list and the look is no finding. A confirmed item is never touched; what is wrong with it is an alarm.
//!
//! A walk holds one page of the listing and one of the items, however large the bucket and however long a gap in it. It is
//! saved every few pages and after every few suspicions, and goes on from there after a stop or a crash; what is walked again
//! finds the same again, and is counted once.
//!
//! On failure: while the bucket does not answer, the walk ends where it is, to be taken up later. An entry that the bucket
//! answers badly for, while it answers for its marker, is put aside as a finding. A listing that is not in order ends the
//! walk for good: it would lie again. A bucket that is not ours is not walked; one that has seen more than this journal (a
//! restored backup), or that nothing may be deleted from, is walked and only reported on.

mod begin;
mod compare;
mod count;
mod orphans;
mod page;
mod timer;
mod unknown;
mod verify;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;
use zeroload_journal::ReadError;
use zeroload_projections::{Finding, Walk, WalkStatus};

pub use self::timer::{ReconcilerHandle, ReconcilerStopped};
use crate::{
    background::Handles,
    media::{
        commands::{CommandError, Origin},
        late_uploads::LookError,
    },
    storage::{ListedPage, Listing, ListingError, StorageError},
};

/// Pages after which a walk is saved though nothing was found.
const SAVE_EVERY: u64 = 16;

/// Findings that are read at once.
const FINDINGS: u32 = 1000;

/// Characters of what others have sent that an error or a finding shows.
const SHOWN: usize = 200;

/// No unknown object that is younger may be deleted, whatever is asked for.
pub const LEAST_AGE: TimeDelta = TimeDelta::hours(24);

/// Why a walk did not take place, or stopped before its end. What it had found by then is saved.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("another reconciliation is under way")]
    Running,
    #[error("nothing is reconciled: {0}")]
    Bucket(String),
    #[error("the bucket cannot be walked: {0}")]
    Storage(#[from] StorageError),
    #[error("the bucket's listing cannot be used: {0}")]
    Listing(&'static str),
    /// The key is shortened and escaped.
    #[error(
        "the bucket's listing is not in order, or repeats itself, at \"{key}\"; where the server does not list keys in the \
         order of their UTF-8 bytes its bucket cannot be reconciled"
    )]
    Disorder { key: String },
    #[error("another process has taken the reconciliation over")]
    TakenOver,
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] ReadError),
    #[error("the read models cannot be used: {0}")]
    ReadModels(#[from] zeroload_projections::Error),
}

impl ReconcileError {
    /// Whether the log holds it already: the bucket's guard and the journal's writer tell what they meet.
    pub const fn is_logged(&self) -> bool {
        match self {
            Self::Bucket(_) => true,
            Self::Command(CommandError::Append(error)) => error.is_logged(),
            _ => false,
        }
    }

    /// Whether the walk cannot be gone on with: a repeat would show the same.
    pub const fn ends_the_walk(&self) -> bool {
        match self {
            Self::Listing(_) | Self::Disorder { .. } => true,
            Self::Running
            | Self::Bucket(_)
            | Self::Storage(_)
            | Self::TakenOver
            | Self::Command(_)
            | Self::Journal(_)
            | Self::ReadModels(_) => false,
        }
    }
}

impl From<ListingError> for ReconcileError {
    fn from(error: ListingError) -> Self {
        match error {
            ListingError::Storage(error) => error.into(),
            ListingError::Unusable(why) => Self::Listing(why),
        }
    }
}

impl From<LookError> for ReconcileError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Storage(error) => error.into(),
            LookError::Command(error) => error.into(),
        }
    }
}

/// How a reconciliation works.
pub struct Options {
    pub listing: Arc<dyn Listing>,
    /// Requests to S3 per second at most.
    pub rate: u32,
    /// Whether other processes may work on the same read models.
    pub shared: bool,
}

/// What is asked of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkRequest {
    pub caller: String,
    /// Delete unknown objects that are older; at least [`LEAST_AGE`].
    pub delete_older_than: Option<TimeDelta>,
}

/// What a walk will take, as far as can be said before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub objects: u64,
    /// LIST requests; each finding takes a HEAD more.
    pub requests: u64,
    /// At the rate that is set.
    pub seconds: u64,
    /// US dollars at AWS's price.
    pub usd: f64,
}

/// Walks the bucket: whoever calls it decides when.
pub struct Reconciler {
    handles: Handles,
    options: Options,
    /// Names this process in the walks that it works on.
    me: Uuid,
    stopping: AtomicBool,
    /// One walk at a time, and nobody takes over what is under way here.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A walk that nobody else works on.
pub struct Begun {
    pub walk: Walk,
    turn: OwnedMutexGuard<()>,
}

/// A walk that is under way here.
struct Step {
    walk: Walk,
    /// Pages since it was last saved.
    unsaved: u64,
    /// Saved when an earlier try broke off, for keys behind the place of the walk: not counted yet.
    uncounted: HashMap<String, Finding>,
    origin: Origin,
    /// When S3 was last asked.
    asked_at: DateTime<Utc>,
}

impl Reconciler {
    pub fn new(handles: Handles, options: Options) -> Self {
        let me = handles.ids.new_id(handles.clock.now());
        Self { handles, options, me, stopping: AtomicBool::new(false), turn: Arc::default() }
    }

    /// Lets a walk that is under way end after the looks that it is at; it goes on in the next process.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Walks to the end of the bucket, or until it is told to stop. `progress` sees the walk at each place that it reaches.
    ///
    /// # Errors
    /// [`ReconcileError`]; the walk is saved where it was, and nobody's.
    pub async fn run(&self, begun: Begun, mut progress: impl FnMut(&Walk) + Send) -> Result<Walk, ReconcileError> {
        let Begun { walk, turn: _until_it_has_ended } = begun;
        let origin =
            Origin { request_id: walk.id.to_string(), caller: "reconciliation".to_owned(), route: "reconciliation" };
        let (uncounted, asked_at) = (HashMap::new(), DateTime::<Utc>::MIN_UTC);
        let mut step = Step { walk, unsaved: 0, uncounted, origin, asked_at };
        step.walk.broken_off = None;
        let ended = self.walk(&mut step, &mut progress).await;
        match &ended {
            Err(ReconcileError::TakenOver) => return ended.map(|()| step.walk),
            Err(error) => {
                step.walk.broken_off = Some(error.to_string());
                if error.ends_the_walk() {
                    step.walk.status = WalkStatus::Failed;
                    step.walk.ended_at = Some(self.handles.clock.now());
                }
            }
            // Saved as such, with the last of its findings.
            Ok(()) if step.walk.status == WalkStatus::Ended => return Ok(step.walk),
            Ok(()) => {}
        }
        self.save(&mut step, &[], None).await?;
        ended.map(|()| step.walk)
    }

    async fn walk(&self, step: &mut Step, progress: &mut (impl FnMut(&Walk) + Send)) -> Result<(), ReconcileError> {
        step.walk.report_only = self.look_at_bucket().await?;
        self.handles.projector.catch_up().await;
        step.uncounted = self.uncounted(&step.walk).await?;
        while step.walk.status == WalkStatus::Running && !self.is_stopping() {
            self.pace(step).await;
            let page = self.options.listing.page(&step.walk.after_key).await?;
            in_order(&page, &step.walk.after_key)?;
            self.page(&page, step, progress).await?;
        }
        Ok(())
    }

    /// What an earlier try has found and saved without getting past it.
    async fn uncounted(&self, walk: &Walk) -> Result<HashMap<String, Finding>, ReconcileError> {
        let (mut found, mut after) = (HashMap::new(), Some(walk.after_key.clone()));
        while let Some(from) = after {
            let page = self.handles.read_models.walks().findings(walk.id, &from, FINDINGS).await?;
            found.extend(page.items.into_iter().map(|finding| (finding.object_key.clone(), finding)));
            after = page.next;
        }
        Ok(found)
    }

    /// Why nothing may be done about what is found; nothing if something may.
    async fn look_at_bucket(&self) -> Result<Option<String>, ReconcileError> {
        let status = self.handles.guard.check().await;
        match status.problem() {
            Some(problem) if !status.absence_is_proof() => Err(ReconcileError::Bucket(problem)),
            problem => Ok(problem),
        }
    }

    /// # Errors
    /// [`ReconcileError::TakenOver`]: nothing was saved, since another process works on the walk.
    async fn save(&self, step: &mut Step, findings: &[Finding], holder: Option<Uuid>) -> Result<(), ReconcileError> {
        step.walk.saved_at = self.handles.clock.now();
        step.unsaved = 0;
        let saved = self.handles.read_models.walks().save(&step.walk, findings, holder, self.me).await?;
        if saved { Ok(()) } else { Err(ReconcileError::TakenOver) }
    }
}

/// The beginning of what others have sent, on one line.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}

/// What is missing is told by the gaps of a listing, so one that jumps would tell lies.
fn in_order(page: &ListedPage, after: &str) -> Result<(), ReconcileError> {
    let mut last = after;
    for object in &page.objects {
        if object.key.as_str() <= last {
            return Err(ReconcileError::Disorder { key: shown(&object.key) });
        }
        last = &object.key;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Listed;

    #[test]
    fn a_listing_that_jumps_or_repeats_is_refused() {
        let page = |keys: &[&str]| {
            let listed =
                |key: &&str| Listed { key: (*key).to_owned(), size: 1, etag: String::new(), last_modified: None };
            ListedPage { objects: keys.iter().map(listed).collect(), ..ListedPage::default() }
        };
        for good in [page(&[]), page(&["b"]), page(&["b", "c", "ca"])] {
            assert!(in_order(&good, "a").is_ok(), "{good:?}");
        }
        for bad in [page(&["a"]), page(&["b", "b"]), page(&["c", "b"])] {
            assert!(matches!(in_order(&bad, "a"), Err(ReconcileError::Disorder { .. })), "{bad:?}");
        }
    }
}
