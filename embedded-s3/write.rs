//! Writes for the writer, their files, and their outcomes.

use super::blobs::{Blob, BlobName};
use super::conditions::{Unmet, WriteCondition};

/// A row to write, and the file that the row will name.
pub(super) struct Put {
    pub bucket: String,
    pub key: String,
    pub blob: Blob,
    pub size: i64,
    pub etag: String,
    pub sha256: String,
    pub modified_at: i64,
    /// JSON of [`super::index::StoredHeaders`]
    pub headers: String,
    pub condition: WriteCondition,
}

pub(super) enum Write {
    Put(Box<Put>),
    Delete {
        bucket: String,
        key: String,
        condition: WriteCondition,
    },
    /// Keys with their conditions; one transaction for all.
    DeleteMany {
        bucket: String,
        keys: Vec<(String, WriteCondition)>,
    },
    CreateBucket {
        name: String,
        now_ms: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Unmet(Unmet),
    /// One answer per key, in order.
    Many(Vec<Result<(), Unmet>>),
    AlreadyThere,
}

/// The files of a batch.
#[derive(Default)]
pub(super) struct Files {
    /// Files that the new rows name. Until COMMIT is sent, dropping them removes them; after that this list is empty.
    pub named: Vec<Blob>,
    /// Files of refused PUTs; dropping them removes them.
    pub refused: Vec<Blob>,
    /// Files that no row names any more once the batch is over, to be removed then.
    pub unneeded: Vec<BlobName>,
}
