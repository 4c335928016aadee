//! Wakes the projector: after each commit of this process, and by a poll, which alone is the truth.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::background::projector::Projector;

/// Between two looks where nothing woke it, and after a failure.
const POLL: Duration = Duration::from_secs(1);

/// Lets the commits of a moment come together into one batch, which costs little more than that of one commit. A reader
/// that waits for a position is not made to wait for this.
const GATHER: Duration = Duration::from_millis(25);

/// Runs a [`Projector`] until it is told to stop.
pub struct ProjectorActor {
    projector: Arc<Projector>,
    runtime: tokio::runtime::Handle,
}

impl ProjectorActor {
    pub fn new(projector: Arc<Projector>, runtime: tokio::runtime::Handle) -> Self {
        Self { projector, runtime }
    }

    fn turn(&mut self, context: &mut Context<Self>) {
        if self.projector.is_stopped() {
            return context.stop();
        }
        let projector = self.projector.clone();
        let turn = self.runtime.spawn(async move {
            let mut head = projector.journal_watch();
            head.mark_unchanged();
            match projector.run_once().await {
                // Another process has its turn; readers here still wait for what this process has committed.
                Ok(applied) if applied < *head.borrow() => return projector.gather(GATHER).await,
                Ok(_) => {}
                // The projector itself has said why.
                Err(_) => return tokio::time::sleep(POLL).await,
            }
            match tokio::time::timeout(POLL, head.changed()).await {
                Ok(Ok(())) => projector.gather(GATHER).await,
                // The writer is gone, so nothing wakes us any more.
                Ok(Err(_)) => tokio::time::sleep(POLL).await,
                Err(_) => {}
            }
        });
        let next = turn.into_actor(self).map(|result, actor, context| {
            if let Err(error) = result {
                tracing::error!(%error, "a turn of the projector broke off");
                context.run_later(POLL, |actor, context| actor.turn(context));
            } else {
                actor.turn(context);
            }
        });
        context.spawn(next);
    }
}

impl Actor for ProjectorActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.turn(context);
    }
}
