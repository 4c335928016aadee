//! Puts a new actor in the place of a dead one: after a panic actix neither restarts the actor nor reports its end.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr, Context};

/// The pause between two checks whether the actor lives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The address of the actor that is in place now.
pub struct Watched<A: Actor> {
    current: Arc<RwLock<Addr<A>>>,
    retired: Arc<AtomicBool>,
}

impl<A: Actor> Clone for Watched<A> {
    fn clone(&self) -> Self {
        Self { current: self.current.clone(), retired: self.retired.clone() }
    }
}

impl<A: Actor<Context = Context<A>>> Watched<A> {
    /// Starts an actor of `make` on the current actix system, and a new one whenever the actor has died.
    pub fn start(make: impl Fn() -> A + 'static) -> Self {
        let current = Arc::new(RwLock::new(make().start()));
        let watched = Self { current, retired: Arc::new(AtomicBool::new(false)) };
        let looked_after = watched.clone();
        actix::spawn(async move {
            loop {
                actix::clock::sleep(LOOK_EVERY).await;
                if looked_after.retired.load(Ordering::Acquire) {
                    return;
                }
                if !looked_after.address().connected() {
                    tracing::error!(actor = std::any::type_name::<A>(), "an actor has died; a new one takes its place");
                    let next = make().start();
                    *looked_after.current.write().unwrap_or_else(PoisonError::into_inner) = next;
                }
            }
        });
        watched
    }

    pub fn address(&self) -> Addr<A> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on a dead actor stays dead.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use actix::{Handler, Message};

    use super::*;

    struct Fragile;

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "u8")]
    struct Ask {
        panic: bool,
    }

    impl Handler<Ask> for Fragile {
        type Result = u8;

        fn handle(&mut self, message: Ask, _: &mut Context<Self>) -> u8 {
            assert!(!message.panic, "as asked");
            7
        }
    }

    #[actix::test]
    async fn a_dead_actor_is_replaced() {
        let watched = Watched::start(|| Fragile);
        let first = watched.address();
        assert!(first.send(Ask { panic: true }).await.is_err());
        while watched.address() == first {
            actix::clock::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(watched.address().send(Ask { panic: false }).await.ok(), Some(7));
    }
}
