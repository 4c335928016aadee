//! A row of `media`: one item as it is now. Names and types of the columns are a public interface; the fields here are
//! the columns, in the order of the table.
//!
//! Times are text of one width ([`crate::time_text`]), sizes are bytes, an absent value is NULL. The `…_at` of a fact is
//! when its event was recorded; requested_at and the deadlines are those that the event itself names.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::{
    AttachedTo, Bucket, ByteSize, Claim, CollectOutcome, CollectReason, ContentType, ETag, MediaId, ObjectKey, Owner,
    ReleaseReason, Sha256Digest, State, Store, Tenant,
};

use crate::{engine::row, values::names};

row! {
    /// One media item as it is at `position`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MediaRow {
        /// UUID in its 36-character form.
        pub media_id: MediaId,
        pub tenant: Tenant,
        pub owner: Owner,
        /// `pending`, `uploaded`, `confirmed`, `released`, `collecting`, `trashed`, `restoring` or `collected`.
        pub state: State,
        pub store: Store,
        pub bucket: Bucket,
        /// A restore gives it another one.
        pub object_key: ObjectKey,
        /// As requested; an upload of another type is refused.
        pub content_type: ContentType,
        /// Bytes, as requested; an upload of another length is refused.
        pub content_length: ByteSize,
        /// Base64, as requested.
        pub checksum_sha256: Option<Sha256Digest>,
        /// Of the object when it was last seen: when its upload was recorded, or by the collector's HEAD before its claim.
        pub etag: Option<ETag>,
        /// While confirmed; a release takes it away.
        pub attached_to: Option<AttachedTo>,
        pub requested_at: DateTime<Utc>,
        /// Of the newest ticket.
        pub ticket_expires_at: DateTime<Utc>,
        /// Until when a confirm is promised to work.
        pub confirm_by: DateTime<Utc>,
        /// From when on the collector may claim the item, out of the trash too. It stays as it is after that, and it means nothing while the item
        /// is confirmed.
        pub collectable_at: DateTime<Utc>,
        /// When the object was last recorded as uploaded.
        pub uploaded_at: Option<DateTime<Utc>>,
        /// Since when it is confirmed, or when it last became so; naming its place later moves nothing.
        pub confirmed_at: Option<DateTime<Utc>>,
        /// Of the release that holds; a confirm that undoes it takes it away.
        pub released_at: Option<DateTime<Utc>>,
        /// `cancelled` before a confirm, `detached` after it; as `released_at`.
        pub release_reason: Option<ReleaseReason>,
        /// Of the latest claim.
        pub collection_started_at: Option<DateTime<Utc>>,
        /// Of the latest claim, once proven gone.
        pub collected_at: Option<DateTime<Utc>>,
        /// The latest claim, also one that a restore has undone: 1, 2, …; above 1 after late uploads and the trash.
        pub claim: Option<Claim>,
        /// Of the latest claim: `expired`, `cancelled`, `detached` or `late_upload`.
        pub collect_reason: Option<CollectReason>,
        /// The collector's run of the latest claim; for a late upload the request that noticed it.
        pub collect_run_id: Option<Uuid>,
        /// What the collector saw before the latest claim: `present`, `absent` or `unknown`.
        pub seen: Option<SeenAs>,
        /// Of the latest claim, once proven gone: `deleted` or `absent`.
        pub outcome: Option<CollectOutcome>,
        /// Bytes freed by the latest claim, once proven gone; 0 where the size was unknown.
        pub bytes_freed: Option<ByteSize>,
        /// Of the item's newest event, within its stream.
        pub sequence: u64,
        /// Of the item's newest event, within the journal.
        pub position: u64,
        /// When the object was proven to be the confirmed one, after its last ticket had ended.
        pub sealed_at: Option<DateTime<Utc>>,
        /// When the object was found to be another one, or gone; a later proof takes it away.
        pub substituted_at: Option<DateTime<Utc>>,
        /// What was found then: `present` or `absent`.
        pub found: Option<FoundAs>,
        /// Of the object that was found then.
        pub found_etag: Option<ETag>,
        /// When the object was first known to be there, however that was learned; of the latest bytes, where bytes came again
        /// after they had been removed. Where the collector alone saw the object: when it was stored, as the server tells, or
        /// else `requested_at`.
        pub arrived_at: Option<DateTime<Utc>>,
    }
}

/// What was found in place of a confirmed object, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundAs {
    Present,
    Absent,
}

impl FoundAs {
    pub const ALL: [Self; 2] = [Self::Present, Self::Absent];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
        }
    }
}

/// What the collector saw of an object before its claim, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenAs {
    Present,
    Absent,
    Unknown,
}

impl SeenAs {
    pub const ALL: [Self; 3] = [Self::Present, Self::Absent, Self::Unknown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

names!(FoundAs: FoundAs::ALL, SeenAs: SeenAs::ALL);
