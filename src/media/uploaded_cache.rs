//! Items whose upload this process has recorded, as they were then: the confirm, which comes next, need not load them.
//!
//! A hint and nothing more: other processes append too. A decision on a remembered item counts only if its append,
//! which names the sequence that it builds on, is taken; every other answer is decided again on the stream in the
//! journal.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroload_domain::{Media, MediaId};

use crate::media::Loaded;

/// Items that are kept at most, some 20 MB; the oldest go first.
pub(crate) const ROOM: usize = 16_384;

/// Cheap to clone; all clones share the items.
#[derive(Clone)]
pub struct UploadedCache(Option<Arc<Mutex<Entries>>>);

#[derive(Default)]
struct Entries {
    items: HashMap<MediaId, Loaded>,
    /// Ids, oldest first; also of items that were taken meanwhile.
    order: VecDeque<MediaId>,
}

impl Default for UploadedCache {
    fn default() -> Self {
        Self(Some(Arc::default()))
    }
}

impl UploadedCache {
    /// A cache that remembers nothing.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Keeps an item as it was just recorded, if it waits for its confirm.
    pub fn note(&self, recorded: &Loaded) {
        if !matches!(recorded.media, Media::Uploaded(..)) || self.0.is_none() {
            return;
        }
        let item = recorded.clone();
        let Some(mut kept) = self.kept() else { return };
        if kept.items.insert(item.id, item).is_none() {
            kept.order.push_back(recorded.id);
        }
        if kept.order.len() > ROOM
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.items.remove(&oldest);
        }
    }

    pub fn take(&self, id: MediaId) -> Option<Loaded> {
        self.kept()?.items.remove(&id)
    }

    fn kept(&self) -> Option<MutexGuard<'_, Entries>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
