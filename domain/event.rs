//! What has happened to a media item. Events are for ever: a field is only ever added together with a new version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    object_key::ObjectKey,
    time_text,
    trash::{Restoration, TrashedObject},
    values::{
        AttachedTo, Bucket, ByteSize, Claim, CollectOutcome, CollectReason, ContentType, ETag, Fingerprint, Found,
        ObjectFacts, Owner, ReleaseReason, Seen, SeenVia, Sha256Digest, Store, Tenant,
    },
};

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A ticket was issued: from now on an object may appear.
    MediaRequested(Box<MediaRequested>),
    /// The ticket lives longer.
    TicketRenewed(TicketRenewed),
    /// The bytes are in the bucket, as seen by us.
    Uploaded(Uploaded),
    /// The backend's post refers to the item: it must never be deleted.
    Confirmed(Confirmed),
    /// The backend no longer wants the item.
    Released(Released),
    /// The point of no return: from here a confirm is refused, and the object may be deleted.
    CollectionStarted(CollectionStarted),
    /// The bucket no longer holds the object.
    Collected(Collected),
    /// The object is no longer under its key; the trash keeps it for a while.
    Trashed(Box<Trashed>),
    /// The item is on its way back from the trash: it can no longer be collected.
    RestoreStarted(RestoreStarted),
    /// The item is in use again, under a new key.
    Restored(Box<Restored>),
    /// The object is still the confirmed one, and no ticket can write it any more.
    Sealed(Sealed),
    /// The object of a confirmed item is another one, or gone: somebody must look into it. It is never deleted for that.
    ContentSubstituted(ContentSubstituted),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MediaRequested {
    pub tenant: Tenant,
    pub owner: Owner,
    pub store: Store,
    pub bucket: Bucket,
    pub object_key: ObjectKey,
    pub content_type: ContentType,
    pub content_length: ByteSize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_sha256: Option<Sha256Digest>,
    pub fingerprint: Fingerprint,
    /// The moment of the decision, which the ticket's URL is dated with.
    #[serde(with = "time_text")]
    pub requested_at: DateTime<Utc>,
    #[serde(flatten)]
    pub deadlines: Deadlines,
}

/// The three times that come with every ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deadlines {
    /// When the ticket's URL ends; a PUT that began before may still land later.
    #[serde(with = "time_text")]
    pub ticket_expires_at: DateTime<Utc>,
    /// Until when a confirm is promised to work.
    #[serde(with = "time_text")]
    pub confirm_by: DateTime<Utc>,
    /// From when on the collector may claim the item.
    #[serde(with = "time_text")]
    pub collectable_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TicketRenewed {
    /// The moment of the decision, which the ticket's URL is dated with.
    #[serde(with = "time_text")]
    pub renewed_at: DateTime<Utc>,
    #[serde(flatten)]
    pub deadlines: Deadlines,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Uploaded {
    #[serde(flatten)]
    pub facts: ObjectFacts,
    pub seen_via: SeenVia,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Confirmed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<AttachedTo>,
    /// The object that was confirmed.
    pub etag: ETag,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Released {
    pub reason: ReleaseReason,
    #[serde(with = "time_text")]
    pub collectable_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CollectionStarted {
    pub claim: Claim,
    pub reason: CollectReason,
    /// The collector's run; for a late upload the request that noticed it.
    pub run_id: Uuid,
    pub seen: Seen,
    /// The object goes into the trash, and stays there until then; absent where it is deleted. Since version 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash_until: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Collected {
    pub claim: Claim,
    pub outcome: CollectOutcome,
    pub bytes_freed: ByteSize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trashed {
    pub claim: Claim,
    #[serde(flatten)]
    pub kept: TrashedObject,
    /// From when on the collector may claim it again, and then it is deleted.
    #[serde(with = "time_text")]
    pub trash_until: DateTime<Utc>,
}

/// The restore that has begun.
pub type RestoreStarted = Restoration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Restored {
    /// The item's key from now on.
    pub object_key: ObjectKey,
    /// The object under it, as seen by us.
    #[serde(flatten)]
    pub facts: ObjectFacts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<AttachedTo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed {
    /// As it was seen.
    #[serde(flatten)]
    pub facts: ObjectFacts,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentSubstituted {
    /// The object that was confirmed.
    pub recorded: ObjectFacts,
    pub found: Found,
}
