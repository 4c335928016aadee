//! The timer of the inspector: one run at a time, the next one armed when the last has ended.

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use tokio::sync::{oneshot, watch};
use zeroload_clock::Ids;

use crate::{
    background::{
        Watched,
        inspector::{Inspector, RunError, RunReport},
    },
    metrics::Metrics,
};

/// How far the pause between two runs is varied, so that several processes do not look at the same items in step.
const JITTER: f64 = 0.1;

/// Runs an [`Inspector`] again and again.
pub struct InspectorActor {
    inspector: Arc<Inspector>,
    runtime: tokio::runtime::Handle,
    every: Duration,
    ids: Ids,
    metrics: Metrics,
    failure: Arc<watch::Sender<Option<String>>>,
    timer: Option<SpawnHandle>,
    /// Whom to tell that the run that is under way has ended, once it is the last.
    stopped: Option<oneshot::Sender<()>>,
}

/// Lets a run that is under way end at its next page, and starts no other.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

/// Reaches whichever actor is in place.
#[derive(Clone)]
pub struct InspectorHandle {
    actor: Watched<InspectorActor>,
    failure: watch::Receiver<Option<String>>,
}

impl InspectorHandle {
    /// Starts the actor and its watchdog on the current actix system.
    pub fn start(
        inspector: Arc<Inspector>,
        runtime: tokio::runtime::Handle,
        every: Duration,
        ids: Ids,
        metrics: Metrics,
    ) -> Self {
        let failure = Arc::new(watch::Sender::new(None));
        let receiver = failure.subscribe();
        let actor = Watched::start(move || InspectorActor {
            inspector: inspector.clone(),
            runtime: runtime.clone(),
            every,
            ids: ids.clone(),
            metrics: metrics.clone(),
            failure: failure.clone(),
            timer: None,
            stopped: None,
        });
        Self { actor, failure: receiver }
    }

    /// Why the last run failed, if it did.
    pub fn last_failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Ends the timer, and waits for a run that is under way to end its page.
    pub async fn stop(&self) {
        self.actor.retire();
        // An actor that is gone has nothing left to stop.
        let _gone = self.actor.address().send(Stop).await;
    }
}

impl Actor for InspectorActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.arm(Duration::ZERO, context);
    }
}

impl InspectorActor {
    fn arm(&mut self, after: Duration, context: &mut Context<Self>) {
        self.timer = Some(context.run_later(after, |actor, context| {
            actor.timer = None;
            let inspector = actor.inspector.clone();
            let run = actor.runtime.spawn(async move { inspector.run().await });
            context.spawn(run.into_actor(actor).map(|result, actor, context| {
                let more = actor.note(result);
                if let Some(stopped) = actor.stopped.take() {
                    let _gone = stopped.send(());
                    return context.stop();
                }
                let pause = if more { Duration::ZERO } else { actor.every.mul_f64(actor.ids.jitter(JITTER)) };
                actor.arm(pause, context);
            }));
        }));
    }

    /// Counts what a run did; says whether the next one is due at once.
    fn note(&self, result: Result<Result<RunReport, RunError>, tokio::task::JoinError>) -> bool {
        let (failure, is_logged) = match result {
            Ok(Ok(report)) => {
                self.metrics.rechecked(report.rechecked.saturating_sub(report.late), report.late, report.put_aside);
                self.metrics.compared(report.sealed, report.substituted);
                self.failure.send_replace(None);
                // At once only if this one got on: else what keeps it back is asked again and again.
                return report.more && report.rechecked + report.sealed + report.substituted > 0;
            }
            Ok(Err(error)) => (error.to_string(), error.is_logged()),
            Err(error) => (format!("the run broke off: {error}"), false),
        };
        // Once for each reason: the next run comes within the minute, and fails for the same.
        if is_logged || self.failure.borrow().as_ref() == Some(&failure) {
            tracing::debug!(error = failure, "inspection run failed");
        } else {
            tracing::warn!(error = failure, "inspection run failed");
        }
        self.failure.send_replace(Some(failure));
        false
    }
}

impl Handler<Stop> for InspectorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) -> Self::Result {
        self.inspector.stop();
        let (stopped, ended) = oneshot::channel();
        match self.timer.take() {
            Some(timer) => {
                context.cancel_future(timer);
                drop(stopped);
                context.stop();
            }
            None => self.stopped = Some(stopped),
        }
        Box::pin(async move {
            let _either_way = ended.await;
        })
    }
}
