//! The events that this process has recorded a moment ago, still decoded: the projector need not read them again.
//!
//! A shortcut and nothing more. Events that are missing here, because another process recorded them or there was no
//! room, are read from the journal, which alone is the truth.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroload_projections::RecordedEvent;

/// Events that are kept at most, a few megabytes. If the projector is further behind, it reads the journal.
const ROOM: usize = 4096;

/// Cheap to clone; all clones share the events.
#[derive(Clone, Default)]
pub struct Recent(Arc<Mutex<BTreeMap<u64, RecordedEvent>>>);

impl Recent {
    /// Keeps events that are known to be in the journal just as they are here.
    pub fn put(&self, events: impl IntoIterator<Item = RecordedEvent>) {
        let mut kept = self.kept();
        for event in events {
            if kept.len() < ROOM {
                kept.insert(event.position, event);
            }
        }
    }

    /// Whether there are events to ask for. If none is after `after`, all are forgotten: they would only take the room
    /// of new ones.
    pub fn holds_after(&self, after: u64) -> bool {
        let mut kept = self.kept();
        if kept.last_key_value().is_none_or(|(position, _)| *position <= after) {
            kept.clear();
        }
        !kept.is_empty()
    }

    /// Gives away the events from `after + 1` to `head` without gaps, at most `most`; none if most of them are missing
    /// here, so that the projector does not read the journal in small steps. Events at or before `after` are forgotten.
    pub fn take(&self, after: u64, head: u64, most: usize) -> Vec<RecordedEvent> {
        let mut kept = self.kept();
        *kept = kept.split_off(&(after + 1));
        let wanted = usize::try_from(head.saturating_sub(after)).map_or(most, |missing| missing.min(most));
        let run = (after + 1..=head).zip(kept.keys()).take(wanted).take_while(|(next, found)| next == *found).count();
        if run * 2 < wanted {
            return Vec::new();
        }
        let rest = kept.split_off(&(after + 1 + run as u64));
        std::mem::replace(&mut *kept, rest).into_values().collect()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<u64, RecordedEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;
    use zeroload_domain::{
        Event,
        event::{Deadlines, TicketRenewed},
    };
    use zeroload_projections::RecordedBody;

    use super::*;

    fn event(position: u64) -> RecordedEvent {
        let renewed = TicketRenewed {
            renewed_at: DateTime::UNIX_EPOCH,
            deadlines: Deadlines {
                ticket_expires_at: DateTime::UNIX_EPOCH,
                confirm_by: DateTime::UNIX_EPOCH,
                collectable_at: DateTime::UNIX_EPOCH,
            },
        };
        RecordedEvent {
            position,
            recorded_at: DateTime::UNIX_EPOCH,
            tenant: String::new(),
            sequence: 1,
            what: RecordedBody::Media(Uuid::from_u128(u128::from(position)).into(), Event::TicketRenewed(renewed)),
        }
    }

    fn recent(positions: impl IntoIterator<Item = u64>) -> Recent {
        let recent = Recent::default();
        recent.put(positions.into_iter().map(event));
        recent
    }

    fn taken(recent: &Recent, after: u64, head: u64, most: usize) -> Vec<u64> {
        recent.take(after, head, most).iter().map(|event| event.position).collect()
    }

    #[test]
    fn what_comes_next_is_given_away_once_and_in_order() {
        let recent = recent([3, 2, 1, 4, 5]);
        assert_eq!(taken(&recent, 0, 5, 2), [1, 2]);
        assert_eq!(taken(&recent, 2, 5, 100), [3, 4, 5]);
        assert!(!recent.holds_after(0));
    }

    #[test]
    fn nothing_beyond_the_head_that_the_database_has_is_given_away() {
        let recent = recent(1..=6);
        assert_eq!(taken(&recent, 2, 4, 100), [3, 4]);
        assert_eq!(taken(&recent, 4, 4, 100), [0; 0]);
        assert!(recent.holds_after(4));
    }

    #[test]
    fn where_most_is_elsewhere_all_is_read_there() {
        let with_gaps = recent([1, 2, 3, 9, 10]);
        assert_eq!(taken(&with_gaps, 0, 10, 100), [0; 0]);
        assert_eq!(taken(&with_gaps, 0, 6, 100), [1, 2, 3]);
        // Events that are applied by now are forgotten.
        assert_eq!(taken(&with_gaps, 8, 10, 100), [9, 10]);
        assert_eq!(taken(&recent([2, 3]), 0, 3, 100), [0; 0]);
    }

    #[test]
    fn what_finds_no_room_is_left_to_the_journal() {
        let recent = recent(1..=2 * ROOM as u64);
        assert_eq!(recent.take(0, 2 * ROOM as u64, usize::MAX).len(), ROOM);
        assert!(!recent.holds_after(0));
    }

    #[test]
    fn what_others_have_applied_makes_room() {
        let recent = recent(1..=ROOM as u64);
        assert!(!recent.holds_after(ROOM as u64));
        recent.put([event(ROOM as u64 + 1)]);
        assert_eq!(taken(&recent, ROOM as u64, ROOM as u64 + 1, 100), [ROOM as u64 + 1]);
    }
}
