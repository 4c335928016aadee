//! When to give up a page of HEADs or moves because S3 keeps asking for fewer requests.
//!
//! Each refused request is repeated after a pause that gets longer, up to 20 s. A page whose requests are all refused
//! would take hours that way, so after the first few the rest of the page waits for a later run. One request that is
//! refused on all its tries does not stop the page, as long as other requests in between are answered.

use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{Fault, StorageError};

/// Requests in a row, each refused on all its tries, after which no single key is taken for the reason.
const IN_A_ROW: u32 = 4;

/// Counts the refused requests of one page.
#[derive(Default)]
pub struct ThrottleStreak {
    in_vain: AtomicU32,
}

impl ThrottleStreak {
    /// Notes that a request of the page was answered, or has failed on its last try. Failures other than throttling are
    /// ignored.
    pub fn note(&self, failure: Option<&StorageError>) {
        let next = |in_vain| match (in_vain, failure) {
            (IN_A_ROW.., _) => None,
            (_, None) => Some(0),
            (few, Some(StorageError::Unavailable { kind: Fault::Throttled, .. })) => Some(few + 1),
            (_, Some(_)) => None,
        };
        // An error means that the count stays as it is.
        let _either_way = self.in_vain.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// Whether to give up the rest of the page. Once true, it stays true, so that all requests left out are at the end
    /// of the page.
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
