//! The promises, checked by rules of their own at each event of the journal, at each delete, and at each answer.
//!
//! They know nothing of the domain's states: only what must never follow what.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use zeroload_domain::{Claim, ETag, Event, MediaId, ObjectKey, Seen, TrashLocation};
use zeroload_journal::{RawEvent, StoredEvent};
use zeroload_projections::RecordedEvent;

use super::sim::Sim;
use crate::background::projector::to_recorded;

#[derive(Clone)]
pub struct Promises {
    sim: Sim,
    items: Arc<Mutex<BTreeMap<MediaId, Item>>>,
    /// The ETag of what the bucket holds under each key.
    held: Arc<Mutex<BTreeMap<String, String>>>,
    recorded: Arc<Mutex<Vec<RecordedEvent>>>,
    /// The commit that the bucket's marker names.
    marked: Arc<AtomicU64>,
}

/// What has happened to an item.
#[derive(Default)]
struct Item {
    sequence: u64,
    confirmed: bool,
    claims: Vec<Claim>,
    /// It is claimed, and was not brought back since.
    claimed: bool,
    /// The last claim is still open.
    collecting: bool,
    /// What the last claim has seen and is to be kept in the trash. Unknown where a delete of an earlier claim may still be
    /// under way to the same key.
    keeps: Option<ETag>,
    /// It is in the trash.
    trashed: bool,
    /// Where the trash keeps it, or kept it last.
    kept_at: Option<ObjectKey>,
    /// It is on its way back.
    restoring: bool,
    /// Its key since it was brought back, or is about to be.
    restored: Option<ObjectKey>,
    /// A delete of its object has taken place since the last claim.
    deleted_since: bool,
}

impl Promises {
    pub fn new(sim: Sim) -> Self {
        Self { sim, items: Arc::default(), held: Arc::default(), recorded: Arc::default(), marked: Arc::default() }
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<MediaId, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bucket holds an object from now on.
    pub fn stored(&self, key: &str, etag: &str) {
        self.held().insert(key.to_owned(), etag.to_owned());
    }

    /// The bucket's marker is `body` from now on.
    pub fn marked(&self, body: &[u8]) {
        let marker: serde_json::Value = serde_json::from_slice(body).expect("a marker is JSON");
        let commit = marker["anchor"]["commit_id"].as_u64().unwrap_or(0);
        let before = self.marked.swap(commit, Ordering::Relaxed);
        if commit < before {
            self.sim.broken("the marker", || format!("it goes back from commit {before} to {commit}"));
        }
    }

    /// The journal so far.
    pub fn recorded(&self) -> MutexGuard<'_, Vec<RecordedEvent>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event was committed.
    pub fn record(&self, raw: &RawEvent) {
        let stored = StoredEvent::try_from(raw.clone()).expect("the rows are well formed");
        let recorded = to_recorded(stored).expect("it is ours");
        if let Some((id, event)) = recorded.of_media() {
            self.check(id, recorded.sequence, event);
        }
        self.recorded().push(recorded);
    }

    fn check(&self, id: MediaId, sequence: u64, event: &Event) {
        let mut items = self.items();
        let item = items.entry(id).or_default();
        let broken = |promise, how: &str| self.sim.broken(promise, || format!("{how} (media {id}, {event:?})"));
        if sequence != item.sequence + 1 {
            broken("P-5", "an event stands out of its order");
        }
        item.sequence = sequence;
        match event {
            Event::Confirmed(_) if item.claimed => broken("P-1", "confirmed after a claim"),
            Event::Confirmed(_) => item.confirmed = true,
            Event::Released(_) => item.confirmed = false,
            Event::CollectionStarted(_) if item.confirmed => broken("P-1", "claimed while confirmed"),
            Event::CollectionStarted(_) if item.collecting => broken("P-7", "claimed again before it was collected"),
            Event::CollectionStarted(started) => {
                item.keeps = match &started.seen {
                    Seen::Present { etag, .. } if started.trash_until.is_some() && !item.claimed => Some(etag.clone()),
                    _ => None,
                };
                item.claims.push(started.claim);
                (item.claimed, item.collecting, item.trashed, item.deleted_since) = (true, true, false, false);
            }
            Event::Collected(collected) => {
                if !item.collecting || item.claims.last() != Some(&collected.claim) {
                    broken("P-1", "collected without a claim");
                } else if !item.deleted_since {
                    broken("P-7", "collected, and no delete has taken place since the claim");
                } else if item.keeps.is_some() {
                    broken("the trash", "what was seen and was to be kept is gone");
                }
                item.collecting = false;
            }
            Event::Trashed(trashed) => {
                let TrashLocation::Copy { trash_key } = &trashed.kept.place else {
                    return broken("the trash", "the bucket has no versions");
                };
                if !item.collecting || item.claims.last() != Some(&trashed.claim) {
                    broken("P-1", "moved into the trash without a claim");
                } else if !item.deleted_since {
                    broken("P-7", "moved, and no delete has taken place since the claim");
                } else if self.held().get(trash_key.as_str()).map(String::as_str) != Some(trashed.kept.etag.as_str()) {
                    broken("the trash", "it does not hold what it is said to hold");
                } else if item.keeps.as_ref().is_some_and(|seen| *seen != trashed.kept.etag) {
                    broken("the trash", "something else is kept than was claimed");
                }
                (item.collecting, item.trashed) = (false, true);
                item.kept_at = Some(trash_key.clone());
            }
            Event::RestoreStarted(_) if !item.trashed => broken("P-1", "brought back from elsewhere than the trash"),
            Event::RestoreStarted(started) => {
                // From here on it is as good as confirmed.
                (item.confirmed, item.claimed, item.trashed, item.restoring) = (true, false, false, true);
                item.restored = Some(started.object_key.clone());
            }
            Event::Restored(restored) => {
                if !item.restoring || item.restored.as_ref() != Some(&restored.object_key) {
                    broken("P-1", "brought back to another key than was said");
                } else if !self.held().contains_key(restored.object_key.as_str()) {
                    broken("the trash", "what was brought back is not there");
                }
                item.restoring = false;
            }
            Event::MediaRequested(_)
            | Event::TicketRenewed(_)
            | Event::Uploaded(_)
            | Event::Sealed(_)
            | Event::ContentSubstituted(_) => {}
        }
    }

    /// A process sends a delete for a key of an item, or the bucket carries one out.
    pub fn deleting(&self, key: &ObjectKey, carried_out: bool) {
        let id = key.media_id();
        let mut items = self.items();
        let item = items.entry(id).or_default();
        // Under its older keys, and in the trash, nothing is left that anybody uses.
        let in_use = item.restored.as_ref().is_none_or(|restored| restored == key);
        if item.claims.is_empty() || in_use && !item.claimed {
            self.sim.broken("P-1", || format!("a delete of {key}, which has no claim"));
        }
        if in_use && item.confirmed {
            self.sim.broken("P-1", || format!("a delete of {key}, which is confirmed"));
        }
        if carried_out {
            item.deleted_since = true;
            self.held().remove(key.as_str());
            let is_back = item.restored.as_ref().is_some_and(|restored| self.held().contains_key(restored.as_str()));
            if item.restoring && item.kept_at.as_ref() == Some(key) && !is_back {
                self.sim.broken("the trash", || format!("a delete of {key}, which is not back yet"));
            }
        }
    }
}
