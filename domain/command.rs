//! What can be asked of a media item.

use uuid::Uuid;

use crate::{
    object_key::ObjectKey,
    trash::TrashedObject,
    values::{
        AttachedTo, Bucket, ByteSize, Claim, ContentType, Fingerprint, Found, ObjectFacts, Owner, Seen, SeenVia,
        Sha256Digest, Store, Tenant,
    },
};

/// What was asked of one item. Facts from outside (what a HEAD showed, that a delete is proven) arrive inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A backend wants a ticket for a new item, or repeats that wish.
    Request(RequestMedia),
    /// A backend wants the ticket to live longer.
    RenewTicket,
    /// A HEAD of the object showed this.
    /// `collected` is the claim that had been collected before that HEAD: only then are the bytes late ones.
    RecordUpload { facts: ObjectFacts, seen_via: SeenVia, collected: Option<Claim> },
    /// A backend's own post, which refers to the item, is saved. `facts` are from a HEAD, where one was needed.
    Confirm { attached_to: Option<AttachedTo>, facts: Option<ObjectFacts> },
    /// A backend no longer wants the item.
    Release,
    /// The collector claims a due item before it deletes anything. `looked` is what a HEAD showed, if one was made.
    StartCollection { run_id: Uuid, looked: Option<Seen> },
    /// The collector has proof that the bucket no longer holds the item of this claim. `freed` are the bytes of the versions
    /// that were removed, where the bucket keeps versions and there were any.
    FinishCollection { claim: Claim, freed: Option<ByteSize> },
    /// The collector has moved the object of this claim into the trash.
    FinishTrashing { claim: Claim, kept: TrashedObject },
    /// An operator wants an item back from the trash.
    Restore { attached_to: Option<AttachedTo> },
    /// The object of an item that is restored was seen under its new key.
    FinishRestore { facts: ObjectFacts },
    /// A HEAD of a confirmed item's object, made after the last ticket could write, showed this.
    Seal { found: Found },
}

/// The values of a requested item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMedia {
    pub tenant: Tenant,
    pub owner: Owner,
    pub store: Store,
    pub bucket: Bucket,
    pub object_key: ObjectKey,
    pub content_type: ContentType,
    pub content_length: ByteSize,
    pub checksum_sha256: Option<Sha256Digest>,
    pub fingerprint: Fingerprint,
}
