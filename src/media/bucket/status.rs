//! The status that a check of the bucket finds, and what it means.

use uuid::Uuid;
use zeroload_journal::ReadError;

use crate::storage::{Check, MarkerError, ProbeReport, Status};

/// The status of the bucket at its last check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketStatus {
    /// The marker names this journal.
    Ours,
    /// The bucket is ours, but keeps versions that cannot be removed: a plain delete would free nothing.
    Versioned { detail: String },
    /// The bucket is ours, but whether it keeps versions, or whether they can be listed, could not be found out.
    VersionsUnknown { detail: String },
    /// The bucket has no marker, and the journal already has history.
    Unmarked,
    /// The marker names a commit that this journal does not hold: the journal was restored from a backup, or rewritten.
    Rewound { marker: u64, head: u64 },
    /// The marker names another journal, or its object is no marker.
    Foreign { found: Option<Uuid> },
    /// The server did not answer, or refused.
    Unavailable {
        /// The whole sentence: what was asked, and whether there was an answer.
        detail: String,
    },
}

impl BucketStatus {
    /// Why nothing can be collected from the bucket, and what to do; `None` if it is ours.
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

    /// Whether the status may pass by itself, and says nothing against the bucket.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::VersionsUnknown { .. })
    }

    /// Whether a 404 for an object proves that the object is absent: only in a bucket whose marker names this journal.
    pub const fn absence_is_proof(&self) -> bool {
        matches!(self, Self::Ours | Self::Versioned { .. } | Self::VersionsUnknown { .. } | Self::Rewound { .. })
    }
}

pub(super) fn refused(error: MarkerError) -> BucketStatus {
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

/// The status while the journal cannot be read.
pub(super) fn unreadable(error: &ReadError) -> BucketStatus {
    let detail =
        format!("whether the bucket is this journal's is not known, since the journal cannot be read: {error}");
    BucketStatus::Unavailable { detail }
}

/// The status of a bucket without versioning: ours, unless an upload of the probe has shown that versions are kept all
/// the same.
pub(super) fn without_versions(report: Option<&ProbeReport>) -> BucketStatus {
    match report.and_then(|report| report.check("s3-versioning")) {
        Some(Check { status: Status::Failed, detail, .. }) => BucketStatus::Versioned { detail: detail.clone() },
        _ => BucketStatus::Ours,
    }
}
