//! One check of the bucket: its marker, whether it keeps versions, and what its server enforces.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join3;
use zeroload_journal::{Head, ReadError};

use super::{
    BucketGuard, BucketStatus,
    probing::Need,
    status::{refused, unreadable, without_versions},
};
use crate::storage::{
    Check, Fault, Marked, MarkedCommit, MarkerError, ProbeReport, Status, StorageError, Versioning,
    versioning::versioning_advice,
};

/// The result of a check.
pub(super) struct Look {
    pub status: BucketStatus,
    /// The journal's head at the time of the check.
    pub head: Result<Head, ReadError>,
    /// The marker that was read, if it named this journal.
    pub marked: Option<Marked>,
}

impl BucketGuard {
    /// Checks the bucket, and remembers the status. Marker, versioning and the journal's head are read at the same
    /// time.
    pub(super) async fn look_and_remember(&self, need: Need) -> Look {
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

    /// The status of a bucket that keeps versions: ours, if versions can be listed and deleted.
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
            // The setting is for one takeover: a marker that goes missing later, or names a lost commit, must not be
            // written over.
            self.adopt.store(false, Ordering::Release);
        }
        status
    }

    /// Whether the journal still holds the commit that the marker names. The position alone would not do: a restored
    /// journal soon grows beyond it.
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

    pub(super) async fn mark(&self, seen: &Marked, head: &Head) -> Result<(), MarkerError> {
        let anchor = MarkedCommit { commit_id: head.commit_id, position: head.position, hash: head.hash.to_string() };
        self.gateway.advance_marker(self.journal_id, seen, (head.commit_id > 0).then_some(anchor)).await
    }

    /// Marks a bucket that has no marker, if the journal is empty or `adopt` is set: else the journal's objects are
    /// expected in a bucket that is marked.
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
}

/// How far the server's time, told between two readings of our clock, is ahead of both; negative if it is behind both.
fn apart(told: DateTime<Utc>, before: DateTime<Utc>, after: DateTime<Utc>) -> TimeDelta {
    if told > after { told - after } else { (told - before).min(TimeDelta::zero()) }
}
