//! What was seen, and why and how an item went: the words of events.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ByteSize, ETag, Sha256Digest, StoredType, VersionId};

/// What a HEAD of the object showed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectFacts {
    pub etag: ETag,
    /// Bytes.
    pub content_length: ByteSize,
    /// As the server tells it, a media type or not; absent where the server returns none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<StoredType>,
    /// Absent where the server keeps no SHA-256: then only size and type were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_sha256: Option<Sha256Digest>,
    /// Absent on buckets without versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<VersionId>,
}

/// A header that a server keeps with an object, and that came with the object's bytes although no ticket signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedHeader {
    pub name: &'static str,
    /// As the server gives it back, escaped and shortened.
    pub value: String,
}

/// What the collector saw of the object just before its claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Seen {
    Present {
        etag: ETag,
        content_length: ByteSize,
        /// When the object was stored, by the server's clock; absent where the server tells none. Since version 1.2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_modified: Option<DateTime<Utc>>,
    },
    Absent,
    /// The HEAD failed or was refused: nothing is known.
    Unknown,
}

impl Seen {
    /// An object of which nobody knows when it was stored.
    pub const fn present(etag: ETag, content_length: ByteSize) -> Self {
        Self::Present { etag, content_length, last_modified: None }
    }

    pub(crate) const fn is_dated(&self) -> bool {
        matches!(self, Self::Present { last_modified: Some(_), .. })
    }
}

impl ObjectFacts {
    /// Whether its type, if it has one, is a media type: binaries before version 1.1 of the events read no other text.
    pub fn has_a_media_type(&self) -> bool {
        self.content_type.as_ref().is_none_or(StoredType::is_media_type)
    }

    /// Whether an object that looks like `found` is still this one. ETags are opaque and may be made to collide, so where
    /// the bucket tells versions it must be the same one, unless a SHA-256 of both proves the same bytes.
    pub fn is_still(&self, found: &Self) -> bool {
        let known_and_equal =
            |ours: &Option<Sha256Digest>, theirs: &Option<Sha256Digest>| ours.is_some() && ours == theirs;
        let digests = (&self.checksum_sha256, &found.checksum_sha256);
        let version = |facts: &Self| facts.version_id.clone();
        let same_version = match (version(self), version(found)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.etag == found.etag
            && self.content_length == found.content_length
            && self.content_type.as_ref().zip(found.content_type.as_ref()).is_none_or(|(a, b)| a.is_same(b))
            && (digests.0.is_none() || digests.1.is_none() || digests.0 == digests.1)
            && (same_version || known_and_equal(digests.0, digests.1))
    }
}

/// What a HEAD of a confirmed item's object showed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Found {
    Present(ObjectFacts),
    /// The bucket is ours and holds nothing there.
    Absent,
}

impl Found {
    /// As [`ObjectFacts::has_a_media_type`].
    pub fn has_a_media_type(&self) -> bool {
        match self {
            Self::Present(facts) => facts.has_a_media_type(),
            Self::Absent => true,
        }
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Present(_) => "present",
            Self::Absent => "absent",
        }
    }
}

/// What led to the HEAD by which an upload was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenVia {
    /// A caller spoke of the item: that the upload is done, or that a ticket is wanted once more.
    Notice,
    /// A confirm arrived for an item never seen uploaded.
    Confirm,
    /// The bucket's own notification named the object.
    Notification,
    /// A re-check at a planned time after the item had been collected.
    Recheck,
    /// A walk through the bucket came across the object.
    Reconciliation,
}

impl SeenVia {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Confirm => "confirm",
            Self::Notification => "notification",
            Self::Recheck => "recheck",
            Self::Reconciliation => "reconciliation",
        }
    }
}

/// Why an item is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// Released before it was confirmed.
    Cancelled,
    /// Released after it was confirmed.
    Detached,
}

impl ReleaseReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Detached => "detached",
        }
    }
}

/// Why an item is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectReason {
    /// Never confirmed in time.
    Expired,
    Cancelled,
    Detached,
    /// Bytes arrived after the item had been collected.
    LateUpload,
}

impl CollectReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Detached => "detached",
            Self::LateUpload => "late_upload",
        }
    }
}

/// How a collection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectOutcome {
    /// There was, or may have been, an object; it is gone.
    Deleted,
    /// There never was an object.
    Absent,
}

impl CollectOutcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Absent => "absent",
        }
    }
}

/// The number of a collection of one item: 1, 2, … A stale finisher carries an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claim(u32);

impl Claim {
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub const fn number(self) -> u32 {
        self.0
    }
}
