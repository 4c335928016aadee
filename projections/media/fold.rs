//! The mapping: one row and one event give the next row. Pure, and the same for every database.
//!
//! It follows `Media::apply` of the domain step by step: an event that cannot follow moves sequence and position and
//! nothing else, and before the item was requested there is no row to move.

use chrono::{DateTime, Utc};
use zeroload_domain::{
    CollectReason, Event, Found, MediaId, ReleaseReason, Seen, State,
    event::{
        Collected, CollectionStarted, Confirmed, Deadlines, MediaRequested, Released, RestoreStarted, Restored, Trashed,
    },
};

use crate::{FoundAs, MediaRow, RecordedEvent, SeenAs};

/// Folds one event into the row of its item; `None` is an item that was never requested. An event that is no item's
/// changes none.
pub fn fold(row: &mut Option<MediaRow>, recorded: &RecordedEvent) {
    let Some((id, event)) = recorded.of_media() else { return };
    match row {
        Some(row) => {
            row.sequence = recorded.sequence;
            row.position = recorded.position;
            row.apply(event, recorded.recorded_at);
        }
        None => {
            if let Event::MediaRequested(request) = event {
                *row = Some(MediaRow::requested(id, request, recorded));
            }
        }
    }
}

impl MediaRow {
    fn requested(media_id: MediaId, request: &MediaRequested, recorded: &RecordedEvent) -> Self {
        let Deadlines { ticket_expires_at, confirm_by, collectable_at } = request.deadlines;
        Self {
            media_id,
            tenant: request.tenant.clone(),
            owner: request.owner.clone(),
            state: State::Pending,
            store: request.store.clone(),
            bucket: request.bucket.clone(),
            object_key: request.object_key.clone(),
            content_type: request.content_type.clone(),
            content_length: request.content_length,
            checksum_sha256: request.checksum_sha256,
            etag: None,
            attached_to: None,
            requested_at: request.requested_at,
            ticket_expires_at,
            confirm_by,
            collectable_at,
            uploaded_at: None,
            confirmed_at: None,
            released_at: None,
            release_reason: None,
            collection_started_at: None,
            collected_at: None,
            claim: None,
            collect_reason: None,
            collect_run_id: None,
            seen: None,
            outcome: None,
            bytes_freed: None,
            sequence: recorded.sequence,
            position: recorded.position,
            sealed_at: None,
            substituted_at: None,
            found: None,
            found_etag: None,
            arrived_at: None,
        }
    }

    fn apply(&mut self, event: &Event, at: DateTime<Utc>) {
        match (self.state, event) {
            (State::Pending, Event::TicketRenewed(renewed)) => {
                self.ticket_expires_at = renewed.deadlines.ticket_expires_at;
                self.confirm_by = renewed.deadlines.confirm_by;
                self.collectable_at = renewed.deadlines.collectable_at;
            }
            (State::Pending | State::Uploaded, Event::Uploaded(uploaded)) => {
                self.state = State::Uploaded;
                self.etag = Some(uploaded.facts.etag.clone());
                self.uploaded_at = Some(at);
                self.arrived_at.get_or_insert(at);
            }
            (State::Uploaded | State::Confirmed, Event::Confirmed(confirmed)) => self.confirm(confirmed, at),
            (State::Released, Event::Confirmed(confirmed)) if self.release_reason == Some(ReleaseReason::Detached) => {
                self.confirm(confirmed, at);
            }
            (State::Pending | State::Uploaded, Event::Released(released)) => {
                self.release(ReleaseReason::Cancelled, released, at);
            }
            (State::Confirmed, Event::Released(released)) => self.release(released.reason, released, at),
            (
                State::Pending | State::Uploaded | State::Released | State::Trashed | State::Collected,
                Event::CollectionStarted(started),
            ) => self.start_collection(started, at),
            (State::Collecting, Event::Collected(collected)) if self.claim == Some(collected.claim) => {
                self.collect(collected, at);
            }
            (State::Collecting, Event::Trashed(trashed)) if self.claim == Some(trashed.claim) => self.trash(trashed),
            (State::Trashed, Event::RestoreStarted(started)) => self.start_restore(started),
            (State::Restoring, Event::Restored(restored)) => self.restore(restored, at),
            (State::Confirmed, Event::Sealed(_)) => {
                self.sealed_at = Some(at);
                (self.substituted_at, self.found, self.found_etag) = (None, None, None);
            }
            (State::Confirmed, Event::ContentSubstituted(substituted)) => {
                (self.sealed_at, self.substituted_at) = (None, Some(at));
                (self.found, self.found_etag) = match &substituted.found {
                    Found::Present(facts) => (Some(FoundAs::Present), Some(facts.etag.clone())),
                    Found::Absent => (Some(FoundAs::Absent), None),
                };
            }
            (
                _,
                Event::MediaRequested(_)
                | Event::TicketRenewed(_)
                | Event::Uploaded(_)
                | Event::Confirmed(_)
                | Event::Released(_)
                | Event::CollectionStarted(_)
                | Event::Collected(_)
                | Event::Trashed(_)
                | Event::RestoreStarted(_)
                | Event::Restored(_)
                | Event::Sealed(_)
                | Event::ContentSubstituted(_),
            ) => {}
        }
    }

    fn confirm(&mut self, confirmed: &Confirmed, at: DateTime<Utc>) {
        if self.state != State::Confirmed {
            self.confirmed_at = Some(at);
        }
        self.state = State::Confirmed;
        self.attached_to = confirmed.attached_to.clone();
        self.released_at = None;
        self.release_reason = None;
    }

    fn release(&mut self, reason: ReleaseReason, released: &Released, at: DateTime<Utc>) {
        self.state = State::Released;
        self.attached_to = None;
        self.released_at = Some(at);
        self.release_reason = Some(reason);
        self.collectable_at = released.collectable_at;
    }

    fn start_collection(&mut self, started: &CollectionStarted, at: DateTime<Utc>) {
        self.collection_started_at = Some(at);
        self.claim = Some(started.claim);
        self.collect_reason = Some(started.reason);
        self.collect_run_id = Some(started.run_id);
        self.seen = Some(match &started.seen {
            Seen::Present { etag, last_modified, .. } => {
                self.etag = Some(etag.clone());
                self.arrive(started.reason, *last_modified, at);
                SeenAs::Present
            }
            Seen::Absent => SeenAs::Absent,
            Seen::Unknown => SeenAs::Unknown,
        });
        self.state = State::Collecting;
        // Of an earlier claim, where bytes arrived after it.
        self.collected_at = None;
        self.outcome = None;
        self.bytes_freed = None;
    }

    /// The collector, or somebody who tells of a late upload, has seen the object.
    fn arrive(&mut self, reason: CollectReason, last_modified: Option<DateTime<Utc>>, at: DateTime<Utc>) {
        // The server's clock is not ours: no object is older than the request of its item, or newer than its claim.
        let stored_at = last_modified.map(|stored| stored.min(at).max(self.requested_at));
        if reason == CollectReason::LateUpload && self.state != State::Trashed {
            self.arrived_at = Some(stored_at.unwrap_or(at));
        } else {
            self.arrived_at.get_or_insert(stored_at.unwrap_or(self.requested_at));
        }
    }

    fn trash(&mut self, trashed: &Trashed) {
        self.state = State::Trashed;
        self.etag = Some(trashed.kept.etag.clone());
        self.collectable_at = trashed.trash_until;
    }

    fn start_restore(&mut self, started: &RestoreStarted) {
        self.state = State::Restoring;
        self.attached_to = started.attached_to.clone();
    }

    fn restore(&mut self, restored: &Restored, at: DateTime<Utc>) {
        self.state = State::Confirmed;
        self.object_key = restored.object_key.clone();
        self.etag = Some(restored.facts.etag.clone());
        self.attached_to = restored.attached_to.clone();
        self.confirmed_at = Some(at);
        self.released_at = None;
        self.release_reason = None;
        // Another object, which nobody has compared yet.
        (self.sealed_at, self.substituted_at) = (None, None);
        (self.found, self.found_etag) = (None, None);
    }

    fn collect(&mut self, collected: &Collected, at: DateTime<Utc>) {
        self.state = State::Collected;
        self.collected_at = Some(at);
        self.outcome = Some(collected.outcome);
        self.bytes_freed = Some(collected.bytes_freed);
        if collected.bytes_freed.bytes() > 0 {
            // Nobody had seen what was there all the same.
            self.arrived_at.get_or_insert(self.requested_at);
        }
    }
}

#[cfg(test)]
mod tests;
