//! What can be asked of the read models, and the shapes of the answers.

use chrono::{DateTime, Utc};
use zeroload_domain::{
    Bucket, ByteSize, Claim, CollectReason, ETag, MediaId, ObjectKey, Owner, Sha256Digest, State, Store, Tenant,
};

use crate::{Cursor, MediaRow};

/// Which pending items: requested or uploaded, and neither confirmed nor being collected.
#[derive(Clone, Debug)]
pub struct PendingQuery {
    pub tenant: Tenant,
    pub owner: Option<Owner>,
    /// Only items that become collectable before this.
    pub due_before: Option<DateTime<Utc>>,
    /// Items per page, 1 … 1000; what is outside is taken as the nearest bound.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// A page of pending items in order of `(collectable_at, media_id)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPage {
    pub items: Vec<PendingItem>,
    /// Absent on the last page.
    pub next_cursor: Option<Cursor>,
    /// The checkpoint at which the page was read.
    pub position: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingItem {
    pub media_id: MediaId,
    pub owner: Owner,
    /// `pending` or `uploaded`.
    pub state: State,
    pub object_key: ObjectKey,
    pub content_length: ByteSize,
    pub requested_at: DateTime<Utc>,
    pub confirm_by: DateTime<Utc>,
    pub collectable_at: DateTime<Utc>,
}

/// An item that the collector may have to work on: a hint, since only the item's stream decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueItem {
    pub media_id: MediaId,
    pub tenant: Tenant,
    /// `pending`, `uploaded` or `released`; `collecting` for unfinished ones.
    pub state: State,
    pub store: Store,
    pub bucket: Bucket,
    pub object_key: ObjectKey,
    /// Bytes, as requested.
    pub content_length: ByteSize,
    /// Of the object when it was last seen.
    pub etag: Option<ETag>,
    pub collectable_at: DateTime<Utc>,
    /// Why it is collected, or would be.
    pub reason: CollectReason,
    /// The open claim of an unfinished item.
    pub claim: Option<Claim>,
    pub sequence: u64,
}

/// What was read of one version of `media`: equal versions have equal rows and digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dump {
    pub version: u32,
    /// The checkpoint at which it was read.
    pub position: u64,
    pub rows: u64,
    /// Over all columns of all rows in order of id.
    pub digest: Sha256Digest,
}

impl Dump {
    pub(crate) fn of_no_rows(version: u32, position: u64) -> Self {
        Self { version, position, rows: 0, digest: Sha256Digest::of(b"zeroload media rows") }
    }

    pub(crate) fn add(&mut self, row: &MediaRow) {
        // Each digest covers the one before it. The debug form names and quotes every field.
        self.digest = Sha256Digest::of(format!("{} {row:?}", self.digest).as_bytes());
        self.rows += 1;
    }
}
