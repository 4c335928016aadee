//! What the trash holds of an item, between its removal from its own key and its end.

use serde::{Deserialize, Serialize};

use crate::{
    object_key::ObjectKey,
    values::{AttachedTo, ByteSize, Claim, ETag, VersionId},
};

/// The object of a collected item, as the trash keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrashedObject {
    #[serde(flatten)]
    pub place: TrashLocation,
    pub etag: ETag,
    /// Bytes.
    pub content_length: ByteSize,
}

/// Where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kept_as", rename_all = "snake_case")]
pub enum TrashLocation {
    /// As an object under a key in the trash; nothing is left under the item's own key.
    Copy { trash_key: ObjectKey },
    /// As a version of the item's own key, under a delete marker.
    Version { version_id: VersionId },
}

/// A restore that has begun: the item is about to be in use again, under a new key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Restoration {
    /// Of the collection that is undone.
    pub claim: Claim,
    /// The item's new key. No delete ever named it.
    pub object_key: ObjectKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<AttachedTo>,
}
