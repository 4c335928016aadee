//! Whether the bucket is the one that belongs to this journal.
//!
//! Guards P-1: a HEAD cannot tell a wrong bucket from a missing key, so nothing is claimed, deleted or called absent
//! unless the marker object names this journal. Whatever is in doubt stops collection and fails readiness.

use std::{
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join3;
use uuid::Uuid;
use zeroload_clock::Clock;
use zeroload_journal::{Head, Journal, ReadError};

use self::probing::{Need, Probing};
use crate::storage::{
    Anchor, Check, Fault, Gateway, Marked, MarkerError, ProbeReport, Status, StorageError, Versioning,
    versioning::versioning_advice,
};

mod probing;

/// How old an answer may be where a fresh one is not needed.
const FRESH_FOR: TimeDelta = TimeDelta::seconds(2);

/// How often the marker is looked at anew when other processes write it at the same time.
const LOOKS: usize = 4;

/// How long it counts that something worked.
const LATELY: Duration = Duration::from_secs(600);

/// What the last look at the bucket showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketStatus {
    /// The marker names this journal.
    Ours,
    /// It is ours, but keeps versions, and they cannot be removed: a plain delete would free nothing.
    Versioned { detail: String },
    /// It is ours, but whether it keeps versions, or whether they can be listed, could not be found out.
    VersionsUnknown { detail: String },
    /// There is no marker, and the journal already has history.
    Unmarked,
    /// The marker has seen commits that this journal does not hold: it was restored from a backup, or rewritten.
    Rewound { marker: u64, head: u64 },
    /// The marker names another journal, or is none.
    Foreign { found: Option<Uuid> },
    /// The server did not answer, or refused.
    Unavailable {
        /// All of the sentence: what was asked, and whether there was an answer.
        detail: String,
    },
}

impl BucketStatus {
    /// Why the bucket cannot be worked with, and what to do; nothing when it is ours.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::Versioned { detail } => {
                Some(format!("the bucket keeps versions, and they cannot be removed: {detail}; collection is off"))
            }
            Self::VersionsUnknown { detail } => Some(format!(
                "whether the bucket keeps versions could not be found out, so nothing is collected: {detail}"
            )),
            Self::Unmarked => Some(
                "the bucket has no marker of this journal; check s3_bucket and s3_prefix, or start once with \
                 --adopt-bucket if this bucket is meant to be new"
                    .to_owned(),
            ),
            Self::Rewound { marker, head } => Some(format!(
                "the bucket has seen this journal at position {marker}, but what it saw is not in the journal, which ends \
                 at {head}: it was restored from a backup or rewritten, and may have forgotten confirms; confirm again \
                 what is in use, then start once with --adopt-bucket"
            )),
            Self::Foreign { found } => {
                let whose = found.map_or_else(|| "something else".to_owned(), |id| format!("journal {id}"));
                Some(format!("the bucket belongs to {whose}; check s3_bucket, s3_prefix and the journal"))
            }
            Self::Unavailable { detail } => Some(detail.clone()),
        }
    }

    /// It may be so only for now, and says nothing against the bucket.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::VersionsUnknown { .. })
    }

    /// Whether an absent object in it means that the object is absent.
    pub const fn can_be_believed(&self) -> bool {
        matches!(self, Self::Ours | Self::Versioned { .. } | Self::VersionsUnknown { .. } | Self::Rewound { .. })
    }
}

struct Last {
    status: BucketStatus,
    at: DateTime<Utc>,
    /// How far the server's clock was ahead, if it told.
    apart: Option<TimeDelta>,
    /// When the bucket has last deleted something, and moved something into the trash, by the clock that cannot be set.
    deleted: Option<Duration>,
    moved: Option<Duration>,
    /// The probe whose delete is counted in `deleted`.
    counted: Option<Arc<ProbeReport>>,
}

/// What a look shows.
struct Look {
    status: BucketStatus,
    /// The journal's, meanwhile.
    head: Result<Head, ReadError>,
    /// The marker that it read, if that named this journal.
    marked: Option<Marked>,
}

/// Why nothing may be claimed.
#[derive(Debug)]
pub enum Unready {
    /// What a look at the bucket has shown. The log says it already.
    Bucket(String),
    /// How far the journal is could not be written into the marker.
    Marker(String),
}

/// Looks at the marker, and remembers what it saw.
pub struct BucketGuard {
    gateway: Gateway,
    journal: Journal,
    journal_id: Uuid,
    adopt: AtomicBool,
    clock: Clock,
    last: RwLock<Last>,
    looking: tokio::sync::Mutex<()>,
    /// It has been seen to be ours.
    was_ours: AtomicBool,
    probing: Probing,
}

impl BucketGuard {
    /// `adopt` allows marking a bucket that is unmarked, or has seen commits that are gone, although the journal has history,
    /// until it is first seen to be ours.
    pub fn new(gateway: Gateway, journal: Journal, journal_id: Uuid, adopt: bool, clock: Clock) -> Self {
        let never = BucketStatus::Unavailable { detail: "the bucket was not looked at yet".to_owned() };
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

    /// One that takes the server as it is, for simulations: a probe would say nothing about them.
    #[cfg(test)]
    pub(crate) fn without_probe(self) -> Self {
        self.probing.never();
        self
    }

    /// Looks now.
    pub async fn check(&self) -> BucketStatus {
        let _one_at_a_time = self.looking.lock().await;
        self.look_and_remember(Need::Now).await.status
    }

    /// Looks now, and writes into the marker how far the journal is, unless it says so already. A run does this before it
    /// claims, so that a journal which is put back to before that run is noticed.
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
            // One that this look has made itself is read by the next one.
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

    /// What was seen a moment ago, or a look if that is too long ago.
    pub async fn recent(&self) -> BucketStatus {
        match self.remembered() {
            Some(status) => status,
            // Large, and seldom needed: whoever asks need not carry it along.
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

    /// What was seen last, however long ago: costs nothing.
    pub fn last(&self) -> BucketStatus {
        self.last.read().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// Whether this process has ever seen that the bucket is ours, and can be collected from.
    pub fn was_ours(&self) -> bool {
        self.was_ours.load(Ordering::Acquire)
    }

    /// What this server enforces, once it could be asked.
    pub fn report(&self) -> Option<Arc<ProbeReport>> {
        self.probing.report()
    }

    /// What this server enforces, each with what to do about it.
    pub fn checks(&self) -> Vec<Check> {
        self.probing.checks()
    }

    /// How far the server's clock was ahead of ours at the last look; nothing where it did not tell.
    pub fn apart(&self) -> Option<TimeDelta> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).apart
    }

    /// Whether the bucket has deleted something a short while ago.
    pub fn has_deleted(&self) -> bool {
        self.is_lately(self.last.read().unwrap_or_else(PoisonError::into_inner).deleted)
    }

    /// Whether something could be moved into the trash a short while ago.
    pub fn has_moved(&self) -> bool {
        self.is_lately(self.last.read().unwrap_or_else(PoisonError::into_inner).moved)
    }

    /// Deletes have worked, or none of several has.
    pub fn note_deletes(&self, worked: bool) {
        self.change().deleted = worked.then(|| self.clock.steady());
    }

    /// The same of moves into the trash.
    pub fn note_moves(&self, worked: bool) {
        self.change().moved = worked.then(|| self.clock.steady());
    }

    /// A probe deletes too; each is counted once.
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

    /// Whether tickets may be issued. An unreachable server is no reason against it, unless nobody has ever seen that
    /// the bucket is ours: then tickets might fill a stranger's.
    ///
    /// # Errors
    /// Says why not.
    pub async fn may_issue(&self) -> Result<(), String> {
        let may = match self.last() {
            status if status.can_be_believed() => return Ok(()),
            status @ BucketStatus::Unavailable { .. } => match self.has_history().await {
                Ok(true) => return Ok(()),
                Ok(false) => status.problem(),
                Err(error) => Some(error.to_string()),
            },
            status => status.problem(),
        };
        if self.recent().await.can_be_believed() {
            return Ok(());
        }
        Err(may.unwrap_or_default())
    }

    fn remembered(&self) -> Option<BucketStatus> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        let age = self.clock.now() - last.at;
        (age >= TimeDelta::zero() && age < FRESH_FOR).then(|| last.status.clone())
    }

    /// All of it is asked at once.
    async fn look_and_remember(&self, need: Need) -> Look {
        let began = self.clock.now();
        let marker = self.gateway.check_marker(self.journal_id);
        let (marker, versioning, head) = join3(marker, self.gateway.versioning(), self.journal.head()).await;
        let apart = self.gateway.server_date().map(|date| apart(date, began, self.clock.now()));
        let marked = marker.as_ref().ok().cloned();
        let mut status = self.status_of(marker, &head).await;
        if status == BucketStatus::Ours {
            let kept = versioning.as_ref().is_ok_and(|versioning| *versioning != Versioning::Never);
            self.probing.probe_if_due(kept, need).await;
            let report = self.report();
            self.count_delete_of(report.as_ref());
            status = match versioning {
                Ok(Versioning::Never) => without_versions(report.as_deref()),
                Ok(Versioning::Kept | Versioning::Suspended) => self.with_versions(report.as_deref()).await,
                Ok(Versioning::NeedsMfa) => {
                    BucketStatus::Versioned { detail: "their delete needs a second factor (MFA delete)".to_owned() }
                }
                Err(error) => BucketStatus::VersionsUnknown { detail: format!("{error}{}", versioning_advice(&error)) },
            };
        }
        if status == BucketStatus::Ours {
            self.was_ours.store(true, Ordering::Release);
        }
        let mut last = self.change();
        if last.status != status {
            match status.problem() {
                Some(problem) => tracing::warn!(bucket.problem = problem, "the bucket cannot be collected from"),
                None if last.at == DateTime::<Utc>::MIN_UTC => tracing::debug!("the bucket is this journal's"),
                None => tracing::info!("the bucket is this journal's again"),
            }
        }
        last.status.clone_from(&status);
        (last.at, last.apart) = (self.clock.now(), apart);
        Look { status, head, marked }
    }

    /// Ours, if versions can be listed and deleted.
    async fn with_versions(&self, report: Option<&ProbeReport>) -> BucketStatus {
        match self.gateway.can_list_versions().await {
            Ok(()) => {}
            Err(error @ StorageError::Unavailable { kind: Fault::Refused, .. }) => {
                let advice = error.advice("s3:ListBucketVersions");
                return BucketStatus::Versioned { detail: format!("{error}{advice}") };
            }
            Err(error) if error.code() == Some("NotImplemented") => {
                return BucketStatus::Versioned { detail: "the server does not list them".to_owned() };
            }
            Err(error) => return BucketStatus::VersionsUnknown { detail: error.to_string() },
        }
        match report.and_then(|report| report.check("s3-delete")) {
            Some(Check { status: Status::Failed, detail, .. }) => BucketStatus::Versioned { detail: detail.clone() },
            _ => BucketStatus::Ours,
        }
    }

    async fn status_of(&self, marker: Result<Marked, MarkerError>, head: &Result<Head, ReadError>) -> BucketStatus {
        let status = match marker {
            Ok(marked) => self.is_held(&marked, head).await,
            Err(MarkerError::Missing) => self.claim_if_allowed().await,
            Err(error) => refused(error),
        };
        if status == BucketStatus::Ours {
            // A marker that goes missing later, or sees commits go, is no longer what the setting was meant for.
            self.adopt.store(false, Ordering::Release);
        }
        status
    }

    /// Whether the journal still holds the commit that the marker saw. Positions alone would not do: a restored journal
    /// soon grows beyond them.
    async fn is_held(&self, marked: &Marked, head: &Result<Head, ReadError>) -> BucketStatus {
        let Some(anchor) = &marked.anchor else { return BucketStatus::Ours };
        let head = match head {
            Ok(head) => head,
            Err(error) => return unreadable(error),
        };
        let held = match head.commit_id == anchor.commit_id {
            true => Ok(Some(head.hash)),
            false => self.journal.reader().commit_hash(anchor.commit_id).await,
        };
        match held {
            Ok(Some(hash)) if hash.to_string() == anchor.hash => BucketStatus::Ours,
            Ok(_) if self.adopt.load(Ordering::Acquire) => match self.mark(marked, head).await {
                Ok(()) => BucketStatus::Ours,
                Err(error) => refused(error),
            },
            Ok(_) => BucketStatus::Rewound { marker: anchor.position, head: head.position },
            Err(error) => unreadable(&error),
        }
    }

    async fn mark(&self, seen: &Marked, head: &Head) -> Result<(), MarkerError> {
        let anchor = Anchor { commit_id: head.commit_id, position: head.position, hash: head.hash.to_string() };
        self.gateway.advance_marker(self.journal_id, seen, (head.commit_id > 0).then_some(anchor)).await
    }

    /// A bucket without a marker becomes ours only while nothing can be in it that we know of.
    async fn claim_if_allowed(&self) -> BucketStatus {
        match self.has_history().await {
            Ok(true) if !self.adopt.load(Ordering::Acquire) => BucketStatus::Unmarked,
            Ok(_) => match self.gateway.claim_marker(self.journal_id).await {
                Ok(_) => BucketStatus::Ours,
                Err(error) => refused(error),
            },
            Err(error) => unreadable(&error),
        }
    }

    async fn has_history(&self) -> Result<bool, ReadError> {
        Ok(self.journal.head().await?.position > 0)
    }
}

/// Ours, unless an upload has shown that versions are kept all the same.
fn without_versions(report: Option<&ProbeReport>) -> BucketStatus {
    match report.and_then(|report| report.check("s3-versioning")) {
        Some(Check { status: Status::Failed, detail, .. }) => BucketStatus::Versioned { detail: detail.clone() },
        _ => BucketStatus::Ours,
    }
}

/// How far a time that was told between two readings of our clock is ahead of them.
fn apart(told: DateTime<Utc>, before: DateTime<Utc>, after: DateTime<Utc>) -> TimeDelta {
    if told > after { told - after } else { (told - before).min(TimeDelta::zero()) }
}

fn refused(error: MarkerError) -> BucketStatus {
    match error {
        MarkerError::Missing => BucketStatus::Unmarked,
        MarkerError::OtherJournal { found } => BucketStatus::Foreign { found },
        MarkerError::Moved => BucketStatus::Unavailable { detail: error.to_string() },
        MarkerError::Unavailable(why) => {
            let cannot = if why.is_answer() { "used" } else { "reached" };
            BucketStatus::Unavailable { detail: format!("the bucket cannot be {cannot}: {why}") }
        }
    }
}

/// Of the journal.
fn unreadable(error: &ReadError) -> BucketStatus {
    let detail =
        format!("whether the bucket is this journal's is not known, since the journal cannot be read: {error}");
    BucketStatus::Unavailable { detail }
}
