//! The timer of the inspector: one run at a time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{runtime::Handle, sync::watch, task::JoinError};
use zeroload_clock::Ids;

use super::{Inspector, RunError, RunReport};
use crate::{
    background::periodic::{Asked, Job, Next, PeriodicHandle},
    metrics::Metrics,
};

type RunResult = Result<RunReport, RunError>;

/// Runs an [`Inspector`] again and again.
#[derive(Clone)]
pub struct Inspecting {
    inspector: Arc<Inspector>,
    every: Duration,
    metrics: Metrics,
    failure: Arc<watch::Sender<Option<String>>>,
}

/// Tells how the last run ended.
#[derive(Clone)]
pub struct InspectorHandle {
    timer: PeriodicHandle<Inspecting>,
    failure: watch::Receiver<Option<String>>,
}

impl InspectorHandle {
    /// Starts the timer on the current actix system.
    pub fn start(inspector: Arc<Inspector>, runtime: Handle, every: Duration, ids: Ids, metrics: Metrics) -> Self {
        let failure = Arc::new(watch::Sender::new(None));
        let last_failure = failure.subscribe();
        let job = Inspecting { inspector, every, metrics, failure };
        Self { timer: PeriodicHandle::start(job, runtime, ids), failure: last_failure }
    }

    /// Why the last run failed, if it did.
    pub fn last_failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Ends the timer, and waits for a run that is under way to end its page.
    pub async fn stop(&self) {
        self.timer.stop().await;
    }
}

impl Job for Inspecting {
    /// Nobody asks for a run.
    type Question = Infallible;
    type Answer = Infallible;
    type Done = RunResult;
    type About = ();

    const AT_ONCE: usize = 1;

    fn begin(&self, _: Option<Asked<Self>>) -> (BoxFuture<'static, RunResult>, ()) {
        let inspector = self.inspector.clone();
        (async move { inspector.run().await }.boxed(), ())
    }

    fn end(&self, (): (), result: Result<RunResult, JoinError>) -> Next {
        if self.note(result) { Next::AtOnce } else { Next::After(self.every) }
    }

    fn stop(&self) {
        self.inspector.stop();
    }
}

impl Inspecting {
    /// Counts and logs the result of a run, and returns whether the next run is due at once.
    fn note(&self, result: Result<RunResult, JoinError>) -> bool {
        let (failure, is_logged) = match result {
            Ok(Ok(report)) => {
                self.metrics.rechecked(report.rechecked.saturating_sub(report.late), report.late, report.put_aside);
                self.metrics.compared(report.sealed, report.substituted);
                self.failure.send_replace(None);
                // At once only if this run has checked some item: else the next run would meet the same obstacle, again
                // and again.
                return report.more && report.rechecked + report.sealed + report.substituted > 0;
            }
            Ok(Err(error)) => (error.to_string(), error.is_logged()),
            Err(error) => (format!("the run broke off: {error}"), false),
        };
        // A warning once for each reason: the next run follows within the minute, and fails for the same reason.
        if is_logged || self.failure.borrow().as_ref() == Some(&failure) {
            tracing::debug!(error = failure, "inspection run failed");
        } else {
            tracing::warn!(error = failure, "inspection run failed");
        }
        self.failure.send_replace(Some(failure));
        false
    }
}
