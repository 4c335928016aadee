//! A media item, read.

use zeroload_domain::{Media, MediaId};

/// A media item as its stream tells.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub id: MediaId,
    pub media: Media,
    /// The last event's place in the stream; 0 where there is none.
    pub sequence: u64,
    /// The last event's place in the journal; 0 where there is none.
    pub position: u64,
    /// Whether the command that returned this item has appended the last event. Else the command had nothing to append,
    /// or the item was only read.
    pub is_new: bool,
}

impl Loaded {
    /// An id under which nothing is stored.
    pub fn unrequested(id: MediaId) -> Self {
        Self { id, media: Media::default(), sequence: 0, position: 0, is_new: false }
    }
}
