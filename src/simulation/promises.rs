//! The promises, checked by rules of their own at each event of the journal, at each delete, and at each answer.
//!
//! They know nothing of the domain's states: only what must never follow what.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroload_domain::{Claim, Event, MediaId};
use zeroload_projections::RecordedEvent;

use super::sim::Sim;
use crate::{
    journal::{RawEvent, StoredEvent},
    projector::to_recorded,
};

#[derive(Clone)]
pub struct Promises {
    sim: Sim,
    items: Arc<Mutex<BTreeMap<MediaId, Item>>>,
    recorded: Arc<Mutex<Vec<RecordedEvent>>>,
}

/// What has happened to an item.
#[derive(Default)]
struct Item {
    sequence: u64,
    confirmed: bool,
    claims: Vec<Claim>,
    /// The last claim is still open.
    collecting: bool,
    /// A delete of its object has taken place since the last claim.
    deleted_since: bool,
}

impl Promises {
    pub fn new(sim: Sim) -> Self {
        Self { sim, items: Arc::default(), recorded: Arc::default() }
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<MediaId, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
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
            Event::Confirmed(_) if !item.claims.is_empty() => broken("P-1", "confirmed after a claim"),
            Event::Confirmed(_) => item.confirmed = true,
            Event::Released(_) => item.confirmed = false,
            Event::CollectionStarted(_) if item.confirmed => broken("P-1", "claimed while confirmed"),
            Event::CollectionStarted(_) if item.collecting => broken("P-7", "claimed again before it was collected"),
            Event::CollectionStarted(started) => {
                item.claims.push(started.claim);
                (item.collecting, item.deleted_since) = (true, false);
            }
            Event::Collected(collected) => {
                if !item.collecting || item.claims.last() != Some(&collected.claim) {
                    broken("P-1", "collected without a claim");
                } else if !item.deleted_since {
                    broken("P-7", "collected, and no delete has taken place since the claim");
                }
                item.collecting = false;
            }
            Event::Trashed(_) | Event::RestoreStarted(_) | Event::Restored(_) => {
                broken("P-8", "the simulation has no trash");
            }
            Event::MediaRequested(_)
            | Event::TicketRenewed(_)
            | Event::Uploaded(_)
            | Event::Sealed(_)
            | Event::ContentSubstituted(_) => {}
        }
    }

    /// A process sends a delete for the item's key, or the bucket carries one out.
    pub fn deleting(&self, id: MediaId, carried_out: bool) {
        let mut items = self.items();
        let item = items.entry(id).or_default();
        if item.claims.is_empty() {
            self.sim.broken("P-1", || format!("a delete of media {id}, which has no claim"));
        }
        if item.confirmed {
            self.sim.broken("P-1", || format!("a delete of media {id}, which is confirmed"));
        }
        item.deleted_since |= carried_out;
    }
}
