//! One verification of the journal at a time.
//!
//! A verification reads every event, so it is done once for a crowd of callers, and not for callers that have gone
//! away: a call that comes while one is under way gets its outcome, and it ends when its last caller is gone.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::{runtime::Handle, sync::watch, task::AbortHandle};

use zeroload_journal::{Verified, VerifyError};

pub type Outcome = Result<Verified, VerifyError>;

/// The verification that is under way, if one is.
#[derive(Default)]
pub struct Verifying(Mutex<Weak<Walk>>);

struct Walk {
    task: AbortHandle,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Verifying {
    /// The outcome of the verification that is under way, or of `work`, which is begun if there is none. `None` if it
    /// has panicked.
    pub async fn outcome<F>(&self, runtime: &Handle, work: impl FnOnce() -> F) -> Option<Outcome>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let walk = self.join(runtime, work);
        let mut outcome = walk.outcome.clone();
        outcome.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn join<F>(&self, runtime: &Handle, work: impl FnOnce() -> F) -> Arc<Walk>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed channel means that the verification has ended. A later call needs a new one, of the journal as it is
        // by then.
        if let Some(walk) = under_way.upgrade().filter(|walk| walk.outcome.has_changed().is_ok()) {
            return walk;
        }
        let (sender, outcome) = watch::channel(None);
        let work = work();
        let task = runtime.spawn(async move { sender.send_replace(Some(work.await)) }).abort_handle();
        let walk = Arc::new(Walk { task, outcome });
        *under_way = Arc::downgrade(&walk);
        walk
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU64, Ordering},
    };

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::oneshot;

    use super::*;

    fn verified(position: u64) -> Outcome {
        Ok(Verified { position, hash: "0".repeat(64).parse().expect("a hash") })
    }

    fn position(outcome: Option<Outcome>) -> u64 {
        outcome.expect("no panic").expect("whole").position
    }

    #[tokio::test]
    async fn who_asks_while_one_is_under_way_gets_its_outcome_and_later_ones_a_new_one() {
        let (verifying, runtime, begun) = (Verifying::default(), Handle::current(), AtomicU64::new(0));
        let (open, gate) = oneshot::channel();
        let gate = gate.shared();
        let ask = || {
            verifying.outcome(&runtime, || {
                let (number, gate) = (begun.fetch_add(1, Ordering::Relaxed) + 1, gate.clone());
                async move {
                    let _opened = gate.await;
                    verified(number)
                }
            })
        };
        let waiting = join_all((0..100).map(|_| ask()));
        let (outcomes, _) = futures_util::future::join(waiting, async { open.send(()) }).await;
        assert!(outcomes.into_iter().all(|outcome| position(outcome) == 1));
        assert_eq!(position(ask().await), 2);
    }

    #[tokio::test]
    async fn a_verification_ends_with_the_last_who_waits_for_it() {
        struct Under(#[expect(dead_code, reason = "it is dropped with the work")] oneshot::Sender<()>);
        let (verifying, runtime) = (Verifying::default(), Handle::current());
        let (under, ended) = oneshot::channel();
        let under = Under(under);
        let mut first = Box::pin(verifying.outcome(&runtime, || async move {
            let _under = under;
            pending::<Outcome>().await
        }));
        let mut second = Box::pin(verifying.outcome(&runtime, || async { verified(9) }));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(first);
        tokio::task::yield_now().await;
        assert!((&mut second).now_or_never().is_none(), "it goes on for the other");
        drop(second);
        assert!(ended.await.is_err(), "the work was dropped");
        assert_eq!(position(verifying.outcome(&runtime, || async { verified(7) }).await), 7);
    }

    #[tokio::test]
    async fn a_verification_that_panics_is_not_joined_again() {
        let (verifying, runtime) = (Verifying::default(), Handle::current());
        let panics = || -> Outcome { panic!("for the test") };
        assert!(verifying.outcome(&runtime, || async move { panics() }).await.is_none());
        assert_eq!(position(verifying.outcome(&runtime, || async { verified(1) }).await), 1);
    }
}
