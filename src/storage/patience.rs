//! How long a page of looks goes on where the server asks for fewer requests.
//!
//! Each look is tried again after a pause that gets longer, up to 20 s. A page whose looks are all refused would take hours
//! that way, so after a few in vain the others are left to a later run. One that has no luck, or whose key is never
//! answered, stops nobody: the answers to the others count.

use std::sync::atomic::{AtomicU32, Ordering};

use super::gateway::Gateway;

/// Looks in a row that were refused on each of their tries, after which it is no single key.
const IN_A_ROW: u32 = 4;

/// Of one page.
pub struct Patience<'g> {
    gateway: &'g Gateway,
    in_vain: AtomicU32,
}

impl<'g> Patience<'g> {
    pub fn new(gateway: &'g Gateway) -> Self {
        Self { gateway, in_vain: AtomicU32::new(0) }
    }

    /// What became of a look. A failure that is no wish for fewer requests says nothing here.
    pub fn note(&self, answered: bool) {
        let next = |in_vain| match in_vain {
            IN_A_ROW.. => None,
            _ if answered => Some(0),
            few => self.gateway.wants_rest().then_some(few + 1),
        };
        // Nothing is changed where there is nothing to change.
        let _either_way = self.in_vain.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// No further look of this page is worth it. Once it is so it stays so: what is not looked at is the end of the page.
    pub fn is_lost(&self) -> bool {
        self.in_vain.load(Ordering::Acquire) >= IN_A_ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Ids, Sleeper},
        storage::{Fault, PaceSettings, StorageError, test_s3::Scripted},
    };

    /// Asks at a pace whose pauses take no time.
    async fn paced() -> Gateway {
        let pace = PaceSettings { requests_per_second: 1000, parallel_requests: 2 };
        let gateway = Scripted::answering(Vec::new()).await.gateway().await;
        gateway.paced(pace, Ids::seeded(1), Sleeper::driven(|_| Box::pin(async {})))
    }

    /// Each of its tries fails like this. No real request: those that are repeated take from a store of the SDK's that all
    /// clients of this process share.
    async fn look(gateway: &Gateway, patience: &Patience<'_>, kind: Fault) {
        let failure = || StorageError::Unavailable { kind, status: None, code: None, detail: String::new() };
        let looked = gateway.asked(|| async { Err::<(), _>(failure()) }).await;
        assert_eq!(looked, Err(failure()));
        patience.note(false);
    }

    #[tokio::test]
    async fn it_is_lost_after_some_looks_in_a_row_that_were_asked_in_vain_and_stays_lost() {
        let gateway = paced().await;
        let patience = Patience::new(&gateway);
        for _ in 0..IN_A_ROW {
            assert!(!patience.is_lost());
            look(&gateway, &patience, Fault::Throttled).await;
        }
        assert!(patience.is_lost());
        patience.note(true);
        assert!(patience.is_lost(), "an answer that comes later changes nothing");
    }

    #[tokio::test]
    async fn looks_without_luck_between_others_that_are_answered_stop_nobody() {
        let gateway = paced().await;
        let patience = Patience::new(&gateway);
        for _ in 0..3 * IN_A_ROW {
            look(&gateway, &patience, Fault::Throttled).await;
            patience.note(true);
        }
        assert!(!patience.is_lost());
    }

    #[tokio::test]
    async fn looks_that_fail_for_another_reason_say_nothing_of_it() {
        let gateway = paced().await;
        let patience = Patience::new(&gateway);
        for _ in 0..3 * IN_A_ROW {
            look(&gateway, &patience, Fault::Refused).await;
        }
        assert!(!patience.is_lost());
    }
}
