//! Whether the bucket is the one that belongs to this journal.
//!
//! Guards P-1: a HEAD cannot tell a wrong bucket from a missing key, so nothing is claimed, deleted or called absent
//! unless the marker object names this journal. Any doubt about the bucket stops collection and fails readiness.

use std::{
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroload_clock::Clock;
use zeroload_journal::{Journal, ReadError};

pub use self::status::BucketStatus;
use self::{
    look::Look,
    probing::{Need, Probing},
};
use crate::storage::{Check, Gateway, MarkerError, ProbeReport, Status};

mod look;
mod probing;
mod status;

/// Age up to which a remembered status is used in place of a new check.
const FRESH_FOR: TimeDelta = TimeDelta::seconds(2);

/// How many times a run reads the marker while other processes write the marker at the same time.
const LOOKS: usize = 4;

/// How long a delete, or a move into the trash, that worked counts as recent.
const LATELY: Duration = Duration::from_secs(600);

struct Last {
    status: BucketStatus,
    at: DateTime<Utc>,
    /// How far the server's clock was ahead of ours, if its answer had a date.
    apart: Option<TimeDelta>,
    /// When a delete, and a move into the trash, last worked, by the steady clock, which nobody can set.
    deleted: Option<Duration>,
    moved: Option<Duration>,
    /// The probe whose delete is counted in `deleted`.
    counted: Option<Arc<ProbeReport>>,
}

/// Why nothing may be claimed.
#[derive(Debug)]
pub enum Unready {
    /// The problem that a check of the bucket has found; it is in the log already.
    Bucket(String),
    /// The journal's head could not be written into the marker.
    Marker(String),
}

/// Checks the bucket's marker, and remembers the status.
pub struct BucketGuard {
    gateway: Gateway,
    journal: Journal,
    journal_id: Uuid,
    adopt: AtomicBool,
    clock: Clock,
    last: RwLock<Last>,
    looking: tokio::sync::Mutex<()>,
    /// Whether a check has ever found the bucket to be ours.
    was_ours: AtomicBool,
    probing: Probing,
}

impl BucketGuard {
    /// `adopt` allows writing the marker although the journal has history and the bucket has no marker, or a marker
    /// that names a commit which the journal does not hold. It ends once the bucket is found to be ours.
    pub fn new(gateway: Gateway, journal: Journal, journal_id: Uuid, adopt: bool, clock: Clock) -> Self {
        let never = BucketStatus::Unavailable { detail: "the bucket was not checked yet".to_owned() };
        let last = Last {
            status: never,
            at: DateTime::<Utc>::MIN_UTC,
            apart: None,
            deleted: None,
            moved: None,
            counted: None,
        };
        let probing = Probing::new(gateway.clone(), clock.clone());
        Self {
            gateway,
            journal,
            journal_id,
            adopt: AtomicBool::new(adopt),
            clock,
            last: RwLock::new(last),
            looking: tokio::sync::Mutex::new(()),
            was_ours: AtomicBool::new(false),
            probing,
        }
    }

    /// A guard without a probe, for simulations: a probe would say nothing about a simulated server.
    #[cfg(test)]
    pub(crate) fn without_probe(self) -> Self {
        self.probing.never();
        self
    }

    /// Checks the bucket now.
    pub async fn check(&self) -> BucketStatus {
        let _one_at_a_time = self.looking.lock().await;
        self.look_and_remember(Need::Now).await.status
    }

    /// Checks the bucket now, and writes the journal's head into the marker, unless the marker names that commit or a
    /// later one. A run does this before it claims, so that a journal which is restored to before that run is noticed.
    ///
    /// # Errors
    /// The bucket is not ours, or the marker was not written.
    pub async fn check_and_advance(&self) -> Result<(), Unready> {
        let _one_at_a_time = self.looking.lock().await;
        for _ in 0..LOOKS {
            let Look { status, head, marked } = self.look_and_remember(Need::Now).await;
            if let Some(problem) = status.problem() {
                return Err(Unready::Bucket(problem));
            }
            let head = head.map_err(|error| Unready::Marker(error.to_string()))?;
            // A marker that this check has written itself is read by the next check.
            let Some(marked) = marked else { continue };
            // Another process may have marked a later commit than the head that was read here.
            if marked.anchor.as_ref().map_or(0, |anchor| anchor.commit_id) >= head.commit_id {
                return Ok(());
            }
            match self.mark(&marked, &head).await {
                Ok(()) => return Ok(()),
                Err(MarkerError::Moved | MarkerError::Missing) => {}
                Err(error) => return Err(Unready::Marker(error.to_string())),
            }
        }
        let busy = "other processes go on writing the bucket's marker; the next run tries again";
        Err(Unready::Marker(busy.to_owned()))
    }

    /// The remembered status if it is fresh, else the status of a new check.
    pub async fn recent(&self) -> BucketStatus {
        match self.remembered() {
            Some(status) => status,
            // Boxed: the future is large and seldom needed, and would be part of every caller's.
            None => Box::pin(self.look_again()).await,
        }
    }

    async fn look_again(&self) -> BucketStatus {
        let _one_at_a_time = self.looking.lock().await;
        match self.remembered() {
            Some(status) => status,
            None => self.look_and_remember(Need::Later).await.status,
        }
    }

    /// As [`BucketGuard::recent`], for a caller that cannot wait for a server that hangs.
    pub async fn within(&self, deadline: Duration) -> BucketStatus {
        tokio::time::timeout(deadline, self.recent()).await.unwrap_or_else(|_| BucketStatus::Unavailable {
            detail: format!("the bucket cannot be reached: no answer within {} s", deadline.as_secs()),
        })
    }

    /// The status of the last check, however old; sends S3 nothing.
    pub fn last(&self) -> BucketStatus {
        self.last.read().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// Whether any check of this process has found that the bucket is ours, and can be collected from.
    pub fn was_ours(&self) -> bool {
        self.was_ours.load(Ordering::Acquire)
    }

    /// What the last probe has found; `None` before the first one.
    pub fn report(&self) -> Option<Arc<ProbeReport>> {
        self.probing.report()
    }

    /// The checks of the last probe, each with the way to mend it.
    pub fn checks(&self) -> Vec<Check> {
        self.probing.checks()
    }

    /// How far the server's clock was ahead of ours at the last check; `None` if the answer had no date.
    pub fn apart(&self) -> Option<TimeDelta> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).apart
    }

    /// Whether a delete has worked within the last ten minutes.
    pub fn has_deleted(&self) -> bool {
        self.is_lately(self.last.read().unwrap_or_else(PoisonError::into_inner).deleted)
    }

    /// Whether a move into the trash has worked within the last ten minutes.
    pub fn has_moved(&self) -> bool {
        self.is_lately(self.last.read().unwrap_or_else(PoisonError::into_inner).moved)
    }

    /// Notes that deletes have worked, or that none of a page has.
    pub fn note_deletes(&self, worked: bool) {
        self.change().deleted = worked.then(|| self.clock.steady());
    }

    /// Notes that moves into the trash have worked, or that none of a page has.
    pub fn note_moves(&self, worked: bool) {
        self.change().moved = worked.then(|| self.clock.steady());
    }

    /// Notes whether the delete of a probe has worked; each probe counts once.
    fn count_delete_of(&self, report: Option<&Arc<ProbeReport>>) {
        let Some(report) = report else { return };
        let mut last = self.change();
        if !last.counted.as_ref().is_some_and(|counted| Arc::ptr_eq(counted, report)) {
            let worked = report.check("s3-delete").is_some_and(|check| check.status == Status::Ok);
            last.deleted = worked.then(|| self.clock.steady());
            last.counted = Some(report.clone());
        }
    }

    fn is_lately(&self, at: Option<Duration>) -> bool {
        at.is_some_and(|at| self.clock.steady().saturating_sub(at) < LATELY)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Last> {
        self.last.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether tickets may be issued. An unreachable server is no reason against tickets, unless the journal is empty:
    /// then no check has ever found the bucket to be ours, and tickets might fill a stranger's bucket.
    ///
    /// # Errors
    /// Says why not.
    pub async fn may_issue(&self) -> Result<(), String> {
        let may = match self.last() {
            status if status.absence_is_proof() => return Ok(()),
            status @ BucketStatus::Unavailable { .. } => match self.has_history().await {
                Ok(true) => return Ok(()),
                Ok(false) => status.problem(),
                Err(error) => Some(error.to_string()),
            },
            status => status.problem(),
        };
        if self.recent().await.absence_is_proof() {
            return Ok(());
        }
        Err(may.unwrap_or_default())
    }

    fn remembered(&self) -> Option<BucketStatus> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        let age = self.clock.now() - last.at;
        (age >= TimeDelta::zero() && age < FRESH_FOR).then(|| last.status.clone())
    }

    async fn has_history(&self) -> Result<bool, ReadError> {
        Ok(self.journal.head().await?.position > 0)
    }
}
