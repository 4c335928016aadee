//! Compares the bucket with the journal, both ways: finds objects that no live item owns, and confirmed items without
//! their object.
//!
//! ```text
//! listing, page by page ──┐
//!                         ├─▶ compare (merge) ─▶ suspicions ─▶ verify (HEAD, the item's stream) ─▶ findings
//! confirmed items, in ────┘                                        └─▶ collect again, delete
//! the same order
//! ```
//!
//! Keeps P-7 (bytes that came back after a collection are found and claimed again) and P-1: listing and read model are
//! hints. No finding about an item is made, and nothing of an item is claimed or deleted, before the item's own stream
//! says so, and for a confirmed or collected item a HEAD too. An item that changed between the listing and the check is
//! no finding. A confirmed item is never touched; if its object is missing or another one, that is an alarm.
//!
//! A walk holds one page of the listing and one of the items in memory, however large the bucket and however long a gap
//! in the listing. The walk is saved every few pages and after each batch of suspicions, and goes on from there after a
//! stop or a crash; keys that are walked again give the same findings again, and each finding is counted once.
//!
//! On failure: while the bucket does not answer, the walk stops where it is, and is taken up later. An entry whose
//! HEADs fail while the marker can be read is put aside as a finding. A listing that is not in order ends the walk for
//! good: the next listing would be out of order too. A bucket that is not ours is not walked. A bucket whose marker
//! names a commit that the journal does not hold (a restored backup), or whose versions cannot be removed, is walked
//! and only reported on.

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

/// Pages after which a walk is saved even without a suspicion.
const SAVE_EVERY: u64 = 16;

/// Findings that one query reads.
const FINDINGS: u32 = 1000;

/// Characters of a foreign text that an error or a finding shows.
const SHOWN: usize = 200;

/// The least age of an unknown object, or of a copy in the trash that no item names, before it may be deleted; a
/// request cannot lower it.
pub const LEAST_AGE: TimeDelta = TimeDelta::hours(24);

/// Why a walk did not take place, or stopped before its end. Its findings up to then are saved.
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
    /// Whether the failure is in the log already: the bucket's guard and the journal's writer log their own.
    pub const fn is_logged(&self) -> bool {
        match self {
            Self::Bucket(_) => true,
            Self::Command(CommandError::Append(error)) => error.is_logged(),
            _ => false,
        }
    }

    /// Whether the walk cannot go on, since a repeat would fail in the same way.
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

/// The settings of a [`Reconciler`].
pub struct Options {
    pub listing: Arc<dyn Listing>,
    /// Requests to S3 per second at most.
    pub rate: u32,
    /// Whether other processes may work on the same read models.
    pub shared: bool,
}

/// The request for a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkRequest {
    pub caller: String,
    /// Delete unknown objects that are older than this, or than [`LEAST_AGE`] if that is longer; `None` deletes none.
    pub delete_older_than: Option<TimeDelta>,
}

/// The estimated cost of a walk, before it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub objects: u64,
    /// LIST requests; HEADs for what does not fit come on top.
    pub requests: u64,
    /// The duration at the rate that is set.
    pub seconds: u64,
    /// US dollars at AWS's price.
    pub usd: f64,
}

/// Walks the bucket. The caller decides when.
pub struct Reconciler {
    handles: Handles,
    options: Options,
    /// Names this process in the walks that it works on.
    me: Uuid,
    stopping: AtomicBool,
    /// Held by the walk that is under way here: one walk at a time, and none is taken over meanwhile.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A walk that this process holds, so that no other works on it.
pub struct Begun {
    pub walk: Walk,
    turn: OwnedMutexGuard<()>,
}

/// A walk that is under way in this process.
struct Step {
    walk: Walk,
    /// Pages since the walk was last saved.
    unsaved: u64,
    /// Findings, by key, that were saved when an earlier try broke off, for keys after the place of the walk: not
    /// counted yet.
    uncounted: HashMap<String, Finding>,
    origin: Origin,
    /// When the last request was sent to S3, as the pace counts it.
    asked_at: DateTime<Utc>,
}

impl Reconciler {
    pub fn new(handles: Handles, options: Options) -> Self {
        let me = handles.ids.new_id(handles.clock.now());
        Self { handles, options, me, stopping: AtomicBool::new(false), turn: Arc::default() }
    }

    /// Stops a walk that is under way after its current HEADs; the next process goes on with the walk.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Walks to the end of the bucket, or until [`Reconciler::stop`]. `progress` is called with the walk at each place
    /// that the walk reaches.
    ///
    /// # Errors
    /// [`ReconcileError`]; the walk is saved at its place and has no holder, so that it can be taken up, unless another
    /// process has taken it over.
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
            // The end of the walk was saved with its last findings.
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

    /// Findings, by key, that an earlier try has saved for keys after the place of the walk.
    async fn uncounted(&self, walk: &Walk) -> Result<HashMap<String, Finding>, ReconcileError> {
        let (mut found, mut after) = (HashMap::new(), Some(walk.after_key.clone()));
        while let Some(from) = after {
            let page = self.handles.read_models.walks().findings(walk.id, &from, FINDINGS).await?;
            found.extend(page.items.into_iter().map(|finding| (finding.object_key.clone(), finding)));
            after = page.next;
        }
        Ok(found)
    }

    /// Checks the bucket: the reason why findings may only be reported, or `None` if objects may be collected and
    /// deleted too.
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

/// The beginning of a foreign text, on one line.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}

/// Missing objects are found by the gaps of a listing, so a listing out of order would make objects missing that are
/// there.
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
