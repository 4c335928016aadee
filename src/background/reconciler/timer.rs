//! The timer of reconciliations: takes up what was cut off, begins a walk when its time has come, and on demand.

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use tokio::sync::{oneshot, watch};
use zeroload_clock::Ids;
use zeroload_projections::{Walk, WalkStatus};

use crate::{
    background::{
        Watched,
        reconciler::{ReconcileError, Reconciler, Wanted},
    },
    metrics::Metrics,
};

/// Between two looks at whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How far that pause is varied, so that several processes do not act in step.
const JITTER: f64 = 0.1;

/// Of a walk that has not ended.
const BROKEN_OFF: &str = "reconciliation failed; it is taken up again";

/// Who asks for a walk when its time has come.
const TIMER: &str = "timer";

type Begun = Result<Walk, ReconcileError>;

/// The actor has stopped, or stopped before it answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the reconciliation has stopped")]
pub struct ReconcilerStopped;

/// Runs a [`Reconciler`] again and again, and on demand.
pub struct ReconcilerActor {
    reconciler: Arc<Reconciler>,
    runtime: tokio::runtime::Handle,
    /// Absent where walks are begun on demand only.
    every: Option<Duration>,
    ids: Ids,
    metrics: Metrics,
    last: Arc<watch::Sender<Option<Result<Walk, String>>>>,
    /// Turns that have not ended.
    under_way: usize,
    timer: Option<SpawnHandle>,
    stopped: Option<oneshot::Sender<()>>,
}

#[derive(Message)]
#[rtype(result = "Result<Begun, ReconcilerStopped>")]
struct Begin(Wanted);

/// Lets a walk that is under way end at its next page, and begins no other.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

/// Reaches whichever actor is in place.
#[derive(Clone)]
pub struct ReconcilerHandle {
    actor: Watched<ReconcilerActor>,
    last: watch::Receiver<Option<Result<Walk, String>>>,
}

impl ReconcilerHandle {
    /// Starts the actor and its watchdog on the current actix system.
    pub fn start(
        reconciler: Arc<Reconciler>,
        runtime: tokio::runtime::Handle,
        every: Option<Duration>,
        ids: Ids,
        metrics: Metrics,
    ) -> Self {
        let last = Arc::new(watch::Sender::new(None));
        let receiver = last.subscribe();
        let actor = Watched::start(move || ReconcilerActor {
            reconciler: reconciler.clone(),
            runtime: runtime.clone(),
            every,
            ids: ids.clone(),
            metrics: metrics.clone(),
            last: last.clone(),
            under_way: 0,
            timer: None,
            stopped: None,
        });
        Self { actor, last: receiver }
    }

    /// Begins a walk, or takes up the one that was cut off, and answers with it as it begins.
    ///
    /// # Errors
    /// [`ReconcilerStopped`] while the service stops.
    pub async fn begin(&self, wanted: Wanted) -> Result<Begun, ReconcilerStopped> {
        self.actor.address().send(Begin(wanted)).await.unwrap_or(Err(ReconcilerStopped))
    }

    /// How the last walk of this process ended, or why it stopped before its end.
    pub fn last(&self) -> Option<Result<Walk, String>> {
        self.last.borrow().clone()
    }

    /// Ends the timer, and waits for a walk that is under way to end its page.
    pub async fn stop(&self) {
        self.actor.retire();
        // An actor that is gone has nothing left to stop.
        let _gone = self.actor.address().send(Stop).await;
    }
}

impl Actor for ReconcilerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        // At once: an earlier process may have left a walk.
        self.arm(Duration::ZERO, context);
    }
}

/// What a turn came to; nothing if there was nothing to do.
type Turned = Result<Option<Walk>, ReconcileError>;

impl ReconcilerActor {
    fn arm(&mut self, after: Duration, context: &mut Context<Self>) {
        self.timer = Some(context.run_later(after, |actor, context| {
            actor.timer = None;
            let (reconciler, every) = (actor.reconciler.clone(), actor.every);
            actor.work(async move { scheduled(&reconciler, every).await }, context);
        }));
    }

    fn work(&mut self, turn: impl Future<Output = Turned> + Send + 'static, context: &mut Context<Self>) {
        self.under_way += 1;
        let turn = self.runtime.spawn(turn);
        let ended = turn.into_actor(self).map(|result, actor, context| {
            actor.under_way -= 1;
            actor.note(result);
            if actor.under_way == 0
                && let Some(stopped) = actor.stopped.take()
            {
                let _gone = stopped.send(());
                return context.stop();
            }
            if actor.timer.is_none() && actor.stopped.is_none() {
                actor.arm(LOOK_EVERY.mul_f64(actor.ids.jitter(JITTER)), context);
            }
        });
        context.spawn(ended);
    }

    fn note(&self, result: Result<Turned, tokio::task::JoinError>) {
        match result {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(walk))) => {
                let counts = walk.counts;
                tracing::info!(
                    reconciliation.id = %walk.id, status = walk.status.as_str(), objects = counts.objects,
                    came_back = counts.came_back, unknown = counts.unknown, missing = counts.missing,
                    differs = counts.differs, deleted = counts.deleted, unreadable = counts.unreadable,
                    orphaned = counts.orphaned, "reconciliation ended"
                );
                if walk.status == WalkStatus::Ended {
                    self.metrics.reconciled(&walk);
                    self.last.send_replace(Some(Ok(walk)));
                }
            }
            Ok(Err(ReconcileError::Running | ReconcileError::TakenOver)) => {}
            Ok(Err(error)) if error.ends_the_walk() => self.failed(error.to_string(), false, "reconciliation failed"),
            Ok(Err(error)) => self.failed(error.to_string(), error.is_logged(), BROKEN_OFF),
            Err(error) => self.failed(format!("it broke off: {error}"), false, BROKEN_OFF),
        }
    }

    fn failed(&self, error: String, is_logged: bool, message: &str) {
        let is_known = matches!(&*self.last.borrow(), Some(Err(last)) if *last == error);
        if is_known || is_logged {
            tracing::debug!(error, "{message}");
        } else {
            tracing::warn!(error, "{message}");
        }
        self.last.send_replace(Some(Err(error)));
    }
}

/// What was cut off, or what is due.
async fn scheduled(reconciler: &Reconciler, every: Option<Duration>) -> Turned {
    let begun = match reconciler.take_over().await? {
        Some(left) => left,
        None => match every {
            Some(every) if reconciler.is_due(every).await? => {
                let wanted = Wanted { caller: TIMER.to_owned(), delete_older_than: None };
                reconciler.begin(&wanted).await?
            }
            Some(_) | None => return Ok(None),
        },
    };
    reconciler.run(begun, |_| {}).await.map(Some)
}

impl Handler<Begin> for ReconcilerActor {
    type Result = ResponseFuture<Result<Begun, ReconcilerStopped>>;

    fn handle(&mut self, Begin(wanted): Begin, context: &mut Context<Self>) -> Self::Result {
        if self.stopped.is_some() {
            return Box::pin(async { Err(ReconcilerStopped) });
        }
        let (answer, answered) = oneshot::channel();
        let reconciler = self.reconciler.clone();
        let turn = async move {
            let begun = match reconciler.begin(&wanted).await {
                Ok(begun) => begun,
                Err(error) => {
                    let _gone = answer.send(Err(error));
                    return Ok(None);
                }
            };
            let _gone = answer.send(Ok(begun.walk.clone()));
            reconciler.run(begun, |_| {}).await.map(Some)
        };
        self.work(turn, context);
        Box::pin(async move { answered.await.map_err(|_| ReconcilerStopped) })
    }
}

impl Handler<Stop> for ReconcilerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) -> Self::Result {
        self.reconciler.stop();
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        let (stopped, ended) = oneshot::channel();
        if self.under_way > 0 {
            self.stopped = Some(stopped);
        } else {
            drop(stopped);
            context.stop();
        }
        Box::pin(async move {
            let _either_way = ended.await;
        })
    }
}
