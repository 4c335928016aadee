//! Whether the bucket is the one that belongs to this journal.
//!
//! Guards P-1: a HEAD cannot tell a wrong bucket from a missing key, so nothing is claimed, deleted or called absent
//! unless the marker object names this journal. Whatever is in doubt stops collection and fails readiness.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join3;
use uuid::Uuid;

use crate::{
    clock::Clock,
    journal::{Head, Journal, ReadError},
    storage::{Anchor, Check, Fault, Gateway, MarkerError, ProbeReport, Status, StorageError, Versioning},
};

/// How old an answer may be where a fresh one is not needed.
const FRESH_FOR: TimeDelta = TimeDelta::seconds(2);

/// Seconds after which a failed probe is repeated.
const PROBE_AGAIN: i64 = 60;

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
    Unavailable { detail: String },
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
                "whether the bucket keeps versions could not be found out ({detail}); grant s3:GetBucketVersioning"
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
            Self::Unavailable { detail } => Some(format!("the bucket cannot be reached: {detail}")),
        }
    }

    /// Whether an absent object in it means that the object is absent.
    pub const fn can_be_believed(&self) -> bool {
        matches!(self, Self::Ours | Self::Versioned { .. } | Self::VersionsUnknown { .. } | Self::Rewound { .. })
    }
}

struct Last {
    status: BucketStatus,
    at: DateTime<Utc>,
    report: Option<Arc<ProbeReport>>,
}

/// What a look shows.
struct Look {
    status: BucketStatus,
    /// The journal's, meanwhile.
    head: Result<Head, ReadError>,
    /// The commit that the marker named; 0 where it names none.
    marked: u64,
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
    /// The commit that this process has last written into the marker.
    marked: AtomicU64,
    /// When the server was last tried, in seconds since 1970; 0 where it never was.
    probed_at: AtomicI64,
}

impl BucketGuard {
    /// `adopt` allows marking a bucket that is unmarked, or has seen commits that are gone, although the journal has history.
    pub fn new(gateway: Gateway, journal: Journal, journal_id: Uuid, adopt: bool, clock: Clock) -> Self {
        let never = BucketStatus::Unavailable { detail: "not looked at yet".to_owned() };
        let last = RwLock::new(Last { status: never, at: DateTime::<Utc>::MIN_UTC, report: None });
        Self {
            gateway,
            journal,
            journal_id,
            adopt: AtomicBool::new(adopt),
            clock,
            last,
            looking: tokio::sync::Mutex::new(()),
            marked: AtomicU64::new(0),
            probed_at: AtomicI64::new(0),
        }
    }

    /// One that takes the server as it is, for simulations: a probe would say nothing about them.
    #[cfg(test)]
    pub(crate) fn without_probe(self) -> Self {
        let report = ProbeReport { checks: Vec::new(), versioned: false };
        self.last.write().unwrap_or_else(PoisonError::into_inner).report = Some(Arc::new(report));
        self
    }

    /// Looks now.
    pub async fn check(&self) -> BucketStatus {
        let _one_at_a_time = self.looking.lock().await;
        self.look_and_remember().await.status
    }

    /// Looks now, and writes into the marker how far the journal is, unless it says so already. A run does this before it
    /// claims, so that a journal which is put back to before that run is noticed.
    ///
    /// # Errors
    /// Says why nothing may be claimed: the bucket is not ours, or the marker was not written.
    pub async fn check_and_advance(&self) -> Result<(), String> {
        let _one_at_a_time = self.looking.lock().await;
        let Look { status, head, marked } = self.look_and_remember().await;
        let marked = match (status, head) {
            // Another process may have marked a later commit than the head that was read here.
            (BucketStatus::Ours, Ok(head)) if head.commit_id > marked => self.mark(head).await,
            (BucketStatus::Ours, Err(error)) => unreadable(&error),
            (status, _) => status,
        };
        marked.problem().map_or(Ok(()), Err)
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
            None => self.look_and_remember().await.status,
        }
    }

    /// As [`BucketGuard::recent`], for a caller that cannot wait for a server that hangs.
    pub async fn within(&self, deadline: Duration) -> BucketStatus {
        tokio::time::timeout(deadline, self.recent()).await.unwrap_or_else(|_| BucketStatus::Unavailable {
            detail: format!("no answer within {} s", deadline.as_secs()),
        })
    }

    /// What was seen last, however long ago: costs nothing.
    pub fn last(&self) -> BucketStatus {
        self.last.read().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// What this server enforces, once it could be asked.
    pub fn report(&self) -> Option<Arc<ProbeReport>> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).report.clone()
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
    async fn look_and_remember(&self) -> Look {
        let marker = self.gateway.check_marker(self.journal_id);
        let (marker, versioning, head) = join3(marker, self.gateway.versioning(), self.journal.head()).await;
        let marked = marker.as_ref().ok().and_then(Option::as_ref).map_or(0, |anchor| anchor.commit_id);
        let mut status = self.status_of(marker, &head).await;
        let mut report = self.report();
        if status == BucketStatus::Ours {
            let kept = versioning.as_ref().is_ok_and(|versioning| *versioning != Versioning::Never);
            if self.should_probe(kept) {
                let fresh = self.gateway.probe(self.clock.now()).await;
                for check in &fresh.checks {
                    tracing::info!(check.name = check.name, check.status = check.status.as_str(), "{}", check.detail);
                }
                report = Some(Arc::new(fresh));
                self.probed_at.store(self.clock.now().timestamp(), Ordering::Release);
            }
            status = match versioning {
                Ok(Versioning::Never) => BucketStatus::Ours,
                Ok(Versioning::Kept | Versioning::Suspended) => self.with_versions(report.as_deref()).await,
                Ok(Versioning::NeedsMfa) => {
                    BucketStatus::Versioned { detail: "their delete needs a second factor (MFA delete)".to_owned() }
                }
                Err(error) => BucketStatus::VersionsUnknown { detail: error.to_string() },
            };
        }
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        if last.status != status {
            match status.problem() {
                Some(problem) => tracing::warn!(bucket.problem = problem, "the bucket cannot be collected from"),
                None => tracing::info!("the bucket is this journal's"),
            }
        }
        *last = Last { status: status.clone(), at: self.clock.now(), report };
        Look { status, head, marked }
    }

    /// Ours, if versions can be listed and deleted.
    async fn with_versions(&self, report: Option<&ProbeReport>) -> BucketStatus {
        match self.gateway.can_list_versions().await {
            Ok(()) => {}
            Err(error @ StorageError::Unavailable { kind: Fault::Refused, .. }) => {
                return BucketStatus::Versioned { detail: format!("{error}; grant s3:ListBucketVersions") };
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

    async fn status_of(
        &self,
        marker: Result<Option<Anchor>, MarkerError>,
        head: &Result<Head, ReadError>,
    ) -> BucketStatus {
        match marker {
            Ok(None) => BucketStatus::Ours,
            Ok(Some(anchor)) => match head {
                Ok(head) => self.is_held(anchor, head).await,
                Err(error) => unreadable(error),
            },
            Err(MarkerError::Missing) => self.claim_if_allowed().await,
            Err(error) => refused(error),
        }
    }

    /// Whether the journal still holds the commit that the marker saw. Positions alone would not do: a restored journal
    /// soon grows beyond them.
    async fn is_held(&self, anchor: Anchor, head: &Head) -> BucketStatus {
        let held = match head.commit_id == anchor.commit_id {
            true => Ok(Some(head.hash)),
            false => self.journal.reader().commit_hash(anchor.commit_id).await,
        };
        match held {
            Ok(Some(hash)) if hash.to_string() == anchor.hash => BucketStatus::Ours,
            Ok(_) if self.may_adopt() => self.mark_head().await,
            Ok(_) => BucketStatus::Rewound { marker: anchor.position, head: head.position },
            Err(error) => unreadable(&error),
        }
    }

    async fn mark_head(&self) -> BucketStatus {
        match self.journal.head().await {
            Ok(head) => self.mark(head).await,
            Err(error) => unreadable(&error),
        }
    }

    async fn mark(&self, head: Head) -> BucketStatus {
        if head.commit_id == 0 || self.marked.load(Ordering::Acquire) == head.commit_id {
            return BucketStatus::Ours;
        }
        let anchor = Anchor { commit_id: head.commit_id, position: head.position, hash: head.hash.to_string() };
        match self.gateway.advance_marker(self.journal_id, anchor).await {
            Ok(()) => {
                self.marked.store(head.commit_id, Ordering::Release);
                BucketStatus::Ours
            }
            Err(error) => unavailable(&error),
        }
    }

    /// A bucket without a marker becomes ours only while nothing can be in it that we know of.
    async fn claim_if_allowed(&self) -> BucketStatus {
        match self.has_history().await {
            Ok(true) if !self.may_adopt() => BucketStatus::Unmarked,
            Ok(_) => match self.gateway.claim_marker(self.journal_id).await {
                Ok(_) => BucketStatus::Ours,
                Err(error) => refused(error),
            },
            Err(error) => unreadable(&error),
        }
    }

    /// Once: a marker that goes missing later is no longer what the setting was meant for.
    fn may_adopt(&self) -> bool {
        self.adopt.swap(false, Ordering::AcqRel)
    }

    /// At first, when the bucket begins to keep versions, and again every minute while something essential did not work: it
    /// may have been a passing fault.
    fn should_probe(&self, versioned: bool) -> bool {
        let Some(report) = self.report() else { return true };
        let since = self.clock.now().timestamp() - self.probed_at.load(Ordering::Acquire);
        (report.status() == Status::Failed || report.versioned != versioned) && !(0..PROBE_AGAIN).contains(&since)
    }

    async fn has_history(&self) -> Result<bool, ReadError> {
        Ok(self.journal.head().await?.position > 0)
    }
}

fn refused(error: MarkerError) -> BucketStatus {
    match error {
        MarkerError::Missing => BucketStatus::Unmarked,
        MarkerError::OtherJournal { found } => BucketStatus::Foreign { found },
        MarkerError::Unavailable(error) => unavailable(&error),
    }
}

/// Of the journal.
fn unreadable(error: &ReadError) -> BucketStatus {
    BucketStatus::Unavailable { detail: error.to_string() }
}

fn unavailable(error: &StorageError) -> BucketStatus {
    BucketStatus::Unavailable { detail: error.to_string() }
}
