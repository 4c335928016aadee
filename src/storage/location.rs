//! Where an item's object is.

use zeroload_domain::{Bucket, ObjectKey, Store, event::MediaRequested};

/// Where an item's object is, as the journal records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    pub store: &'a Store,
    pub bucket: &'a Bucket,
    pub object_key: &'a ObjectKey,
}

impl<'a> Location<'a> {
    pub fn of(request: &'a MediaRequested) -> Self {
        Self { store: &request.store, bucket: &request.bucket, object_key: &request.object_key }
    }
}
