//! How long a page of HEADs or moves goes on where the server asks for fewer requests.
//!
//! Each request is tried again after a pause that gets longer, up to 20 s. A page of which all are refused would take hours
//! that way, so after a few in vain the others are left to a later run. One that has no luck, or whose key is never
//! answered, stops nobody: the answers to the others count.

use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{Fault, StorageError};

/// Of a page in a row that were refused on each of their tries, after which it is no single key.
const IN_A_ROW: u32 = 4;

/// Of one page.
#[derive(Default)]
pub struct ThrottleStreak {
    in_vain: AtomicU32,
}

impl ThrottleStreak {
    /// One of the page was answered, or has failed on the last of its tries. A failure that is no wish for fewer requests
    /// says nothing here.
    pub fn note(&self, failure: Option<&StorageError>) {
        let next = |in_vain| match (in_vain, failure) {
            (IN_A_ROW.., _) => None,
            (_, None) => Some(0),
            (few, Some(StorageError::Unavailable { kind: Fault::Throttled, .. })) => Some(few + 1),
            (_, Some(_)) => None,
        };
        // Nothing is changed where there is nothing to change.
        let _either_way = self.in_vain.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// Nothing further of this page is worth it. Once it is so it stays so: what is not asked for is the end of the page.
    pub fn is_lost(&self) -> bool {
        self.in_vain.load(Ordering::Acquire) >= IN_A_ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: Fault) -> StorageError {
        StorageError::Unavailable { kind, status: None, code: None, detail: String::new() }
    }

    #[test]
    fn it_is_lost_after_some_in_a_row_that_were_asked_in_vain_and_stays_lost() {
        let streak = ThrottleStreak::default();
        for _ in 0..IN_A_ROW {
            assert!(!streak.is_lost());
            streak.note(Some(&failure(Fault::Throttled)));
        }
        assert!(streak.is_lost());
        streak.note(None);
        assert!(streak.is_lost(), "an answer that comes later changes nothing");
    }

    #[test]
    fn those_without_luck_between_others_that_are_answered_stop_nobody() {
        let streak = ThrottleStreak::default();
        for _ in 0..3 * IN_A_ROW {
            streak.note(Some(&failure(Fault::Throttled)));
            streak.note(None);
        }
        assert!(!streak.is_lost());
    }

    #[test]
    fn those_that_fail_for_another_reason_say_nothing_of_it() {
        let streak = ThrottleStreak::default();
        for _ in 0..IN_A_ROW - 1 {
            streak.note(Some(&failure(Fault::Throttled)));
            streak.note(Some(&failure(Fault::Refused)));
        }
        assert!(!streak.is_lost());
        streak.note(Some(&failure(Fault::Throttled)));
        assert!(streak.is_lost());
    }
}
