//! The pages of runs that share the memory of one process.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::MediaId;

/// By run and number.
#[derive(Debug, Default)]
pub(crate) struct HeldPages(BTreeMap<(Uuid, u32), Held>);

#[derive(Debug)]
struct Held {
    items: Vec<MediaId>,
    until: DateTime<Utc>,
    /// Its run has done with it, and had recorded it by then.
    done: Option<u64>,
}

impl HeldPages {
    /// All items that are held while the read models are at `position`. Forgets the other pages.
    pub(crate) fn items(&mut self, clock: DateTime<Utc>, position: u64) -> BTreeSet<MediaId> {
        self.0.retain(|_, held| held.until > clock && held.done.is_none_or(|done| done > position));
        self.0.values().flat_map(|held| held.items.iter().copied()).collect()
    }

    /// Holds a page, unless it is empty.
    pub(crate) fn hold(&mut self, page: (Uuid, u32), items: Vec<MediaId>, until: DateTime<Utc>) {
        if !items.is_empty() {
            self.0.insert(page, Held { items, until, done: None });
        }
    }

    pub(crate) fn keep(&mut self, run_id: Uuid, until: DateTime<Utc>) {
        let open = self.0.iter_mut().filter(|((run, _), held)| *run == run_id && held.done.is_none());
        open.for_each(|(_, held)| held.until = until);
    }

    pub(crate) fn give_back(&mut self, run_id: Uuid, page: u32, position: u64) {
        let open = self.0.range_mut((run_id, 0)..=(run_id, page)).filter(|(_, held)| held.done.is_none());
        open.for_each(|(_, held)| held.done = Some(position));
    }
}
