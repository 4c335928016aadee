//! The timer of reconciliations: takes up a walk that was cut off, begins a walk when its time has come, and on demand.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::JoinError,
};
use zeroload_clock::Ids;
use zeroload_projections::{Walk, WalkStatus};

use super::{ReconcileError, Reconciler, WalkRequest};
use crate::{
    background::periodic::{Asked, Job, Next, PeriodicHandle},
    metrics::Metrics,
};

/// The pause between two checks whether a walk was cut off or is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The log message of a walk that stopped before its end.
const BROKEN_OFF: &str = "reconciliation failed; it is taken up again";

/// The caller of a walk that the timer began.
const TIMER: &str = "timer";

type Begun = Result<Walk, ReconcileError>;

/// The timer has stopped, or stopped before it answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the reconciliation has stopped")]
pub struct ReconcilerStopped;

/// Runs a [`Reconciler`] again and again, and on demand.
#[derive(Clone)]
pub struct Reconciling {
    reconciler: Arc<Reconciler>,
    /// Absent where walks are begun on demand only.
    every: Option<Duration>,
    metrics: Metrics,
    last: Arc<watch::Sender<Option<Result<Walk, String>>>>,
}

/// Asks for a walk, and tells how the last one ended.
#[derive(Clone)]
pub struct ReconcilerHandle {
    timer: PeriodicHandle<Reconciling>,
    last: watch::Receiver<Option<Result<Walk, String>>>,
}

impl ReconcilerHandle {
    /// Starts the timer on the current actix system.
    pub fn start(
        reconciler: Arc<Reconciler>,
        runtime: Handle,
        every: Option<Duration>,
        ids: Ids,
        metrics: Metrics,
    ) -> Self {
        let last = Arc::new(watch::Sender::new(None));
        let receiver = last.subscribe();
        let job = Reconciling { reconciler, every, metrics, last };
        Self { timer: PeriodicHandle::start(job, runtime, ids), last: receiver }
    }

    /// Begins a walk, or takes up the one that was cut off, and answers with it as it begins.
    ///
    /// # Errors
    /// [`ReconcilerStopped`] while the service stops.
    pub async fn begin(&self, wanted: WalkRequest) -> Result<Begun, ReconcilerStopped> {
        self.timer.ask(wanted).await.map_err(|_| ReconcilerStopped)
    }

    /// How the last walk of this process ended, or why it stopped before its end.
    pub fn last(&self) -> Option<Result<Walk, String>> {
        self.last.borrow().clone()
    }

    /// Ends the timer, and waits for a walk that is under way to end its page.
    pub async fn stop(&self) {
        self.timer.stop().await;
    }
}

/// The walk of a turn; `None` if there was none to walk.
type Turned = Result<Option<Walk>, ReconcileError>;

impl Job for Reconciling {
    type Question = WalkRequest;
    /// The walk as it begins.
    type Answer = Begun;
    type Done = Turned;
    type About = ();

    /// Any number: a walk that is asked for while another walk is under way is refused at once, and does not wait.
    const AT_ONCE: usize = usize::MAX;

    fn begin(&self, asked: Option<Asked<Self>>) -> (BoxFuture<'static, Turned>, ()) {
        let (reconciler, every) = (self.reconciler.clone(), self.every);
        let turn = async move {
            match asked {
                Some((wanted, answer)) => on_demand(&reconciler, &wanted, answer).await,
                None => scheduled(&reconciler, every).await,
            }
        };
        (turn.boxed(), ())
    }

    fn end(&self, (): (), result: Result<Turned, JoinError>) -> Next {
        self.note(result);
        Next::After(LOOK_EVERY)
    }

    fn stop(&self) {
        self.reconciler.stop();
    }
}

impl Reconciling {
    fn note(&self, result: Result<Turned, JoinError>) {
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
            Err(error) => self.failed(format!("the walk broke off: {error}"), false, BROKEN_OFF),
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

async fn on_demand(reconciler: &Reconciler, wanted: &WalkRequest, answer: oneshot::Sender<Begun>) -> Turned {
    let begun = match reconciler.begin(wanted).await {
        Ok(begun) => begun,
        Err(error) => {
            let _gone = answer.send(Err(error));
            return Ok(None);
        }
    };
    let _gone = answer.send(Ok(begun.walk.clone()));
    reconciler.run(begun, |_| {}).await.map(Some)
}

/// Takes up the walk that was cut off, or begins the walk that is due.
async fn scheduled(reconciler: &Reconciler, every: Option<Duration>) -> Turned {
    let begun = match reconciler.take_over().await? {
        Some(left) => left,
        None => match every {
            Some(every) if reconciler.is_due(every).await? => {
                let wanted = WalkRequest { caller: TIMER.to_owned(), delete_older_than: None };
                reconciler.begin(&wanted).await?
            }
            Some(_) | None => return Ok(None),
        },
    };
    reconciler.run(begun, |_| {}).await.map(Some)
}
