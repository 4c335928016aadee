//! The timer of the collector: one run at a time.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::JoinError,
};
use zeroload_clock::Ids;

use super::{CollectOptions, Collector, RunError, RunReport};
use crate::{
    background::periodic::{Asked, Job, Next, PeriodicHandle},
    metrics::Metrics,
    outside::bounded,
};

/// Longest text of a failure that is logged and shown, in characters.
const MAX_FAILURE: usize = 500;

type RunResult = Result<RunReport, RunError>;

/// The timer has stopped, or stopped before it answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the collector has stopped")]
pub struct CollectorStopped;

/// Runs a [`Collector`] again and again, and on demand.
#[derive(Clone)]
pub struct Collecting {
    collector: Arc<Collector>,
    every: Duration,
    metrics: Metrics,
    failure: Arc<watch::Sender<Option<String>>>,
    braked: Arc<watch::Sender<Option<String>>>,
    withheld: Arc<watch::Sender<Option<String>>>,
}

/// Asks for a run, and tells how the last one ended.
#[derive(Clone)]
pub struct CollectorHandle {
    timer: PeriodicHandle<Collecting>,
    failure: watch::Receiver<Option<String>>,
    braked: watch::Receiver<Option<String>>,
    withheld: watch::Receiver<Option<String>>,
}

impl CollectorHandle {
    /// Starts the timer on the current actix system.
    pub fn start(collector: Arc<Collector>, runtime: Handle, every: Duration, ids: Ids, metrics: Metrics) -> Self {
        let failure = Arc::new(watch::Sender::new(None));
        let braked = Arc::new(watch::Sender::new(None));
        let withheld = Arc::new(watch::Sender::new(None));
        let (last_failure, last_braked, last_withheld) =
            (failure.subscribe(), braked.subscribe(), withheld.subscribe());
        let job = Collecting { collector, every, metrics, failure, braked, withheld };
        Self {
            timer: PeriodicHandle::start(job, runtime, ids),
            failure: last_failure,
            braked: last_braked,
            withheld: last_withheld,
        }
    }

    /// Runs now, after a run that is under way.
    ///
    /// # Errors
    /// [`CollectorStopped`] while the service stops.
    pub async fn run_now(&self, wanted: CollectOptions) -> Result<RunResult, CollectorStopped> {
        self.timer.ask(wanted).await.map_err(|_| CollectorStopped)
    }

    /// Why the last run failed, if it did.
    pub fn last_failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Why the brake is on, as the last run found it.
    pub fn braked(&self) -> Option<String> {
        self.braked.borrow().clone()
    }

    /// Why the last run claimed nothing, though the brake is off.
    pub fn withheld(&self) -> Option<String> {
        self.withheld.borrow().clone()
    }

    /// Ends the timer, and waits for a run that is under way to end its page.
    pub async fn stop(&self) {
        self.timer.stop().await;
    }
}

/// Whether a run is a dry run, and where its result goes.
type About = (bool, Option<oneshot::Sender<RunResult>>);

impl Job for Collecting {
    type Question = CollectOptions;
    type Answer = RunResult;
    type Done = RunResult;
    type About = About;

    const AT_ONCE: usize = 1;

    fn begin(&self, asked: Option<Asked<Self>>) -> (BoxFuture<'static, RunResult>, About) {
        let (wanted, answer) = asked.map_or_else(Default::default, |(wanted, answer)| (wanted, Some(answer)));
        let dry_run = wanted.dry_run;
        if let Some(origin) = wanted.override_brake.as_ref().filter(|_| !dry_run) {
            tracing::warn!(caller = origin.caller, request.id = origin.request_id, "a run may override the brake");
        }
        let collector = self.collector.clone();
        (async move { collector.run(wanted).await }.boxed(), (dry_run, answer))
    }

    fn end(&self, (dry_run, answer): About, result: Result<RunResult, JoinError>) -> Next {
        // At once only if this run has finished some item: else the next run would meet the same obstacle, again and
        // again.
        let more = matches!(&result, Ok(Ok(report)) if report.more && report.collected + report.trashed + report.absent > 0)
            && self.collector.may_go_on();
        self.note(dry_run, &result);
        if let (Some(answer), Ok(result)) = (answer, result) {
            // The caller may have gone away; the run is noted all the same.
            let _gone = answer.send(result);
        }
        if more { Next::AtOnce } else { Next::After(self.every) }
    }

    fn stop(&self) {
        self.collector.stop();
    }
}

impl Collecting {
    fn note(&self, dry_run: bool, result: &Result<RunResult, JoinError>) {
        let failure = match result {
            Ok(Ok(report)) => {
                if report.due > 0 {
                    tracing::info!(
                        run.id = %report.run_id, run.dry = report.dry_run, due = report.due, collected = report.collected,
                        trashed = report.trashed,
                        absent = report.absent, in_use = report.in_use, failed = report.failed,
                        unknown = report.unknown, freed_bytes = report.bytes_freed, "collection run ended"
                    );
                }
                self.metrics.run_ended();
                if !report.dry_run {
                    self.metrics.collected(&report.counted());
                }
                if !dry_run {
                    self.note_brake(report.braked.clone());
                    self.note_withheld(report.withheld.clone());
                }
                None
            }
            Ok(Err(error)) => {
                if let RunError::Review(_) = error {
                    self.metrics.review_failed();
                }
                Some(error.to_string())
            }
            Err(error) => Some(format!("the run broke off: {error}")),
        };
        let failure = failure.map(|failure| bounded(&failure, MAX_FAILURE));
        if let Some(failure) = &failure {
            // A warning once for each reason: the next run follows within the minute, and fails for the same reason.
            let is_logged = matches!(result, Ok(Err(error)) if error.is_logged());
            if is_logged || self.failure.borrow().as_ref() == Some(failure) {
                tracing::debug!(error = failure, "collection run failed");
            } else {
                tracing::warn!(error = failure, "collection run failed");
            }
            self.metrics.collection_failed();
        }
        if !dry_run {
            self.failure.send_replace(failure);
        }
    }

    /// Logs when claims stop and when they go on, not at each run.
    fn note_withheld(&self, withheld: Option<String>) {
        match &withheld {
            Some(reason) if self.withheld.borrow().is_none() => tracing::error!(reason, "the collector claims nothing"),
            None if self.withheld.borrow().is_some() => tracing::info!("the collector claims again"),
            Some(_) | None => {}
        }
        self.withheld.send_replace(withheld);
    }

    /// Logs when the brake goes on and off, not at each run.
    fn note_brake(&self, braked: Option<String>) {
        match &braked {
            Some(reason) if self.braked.borrow().is_none() => tracing::error!(reason, "the collector is braked"),
            None if self.braked.borrow().is_some() => tracing::info!("the collector's brake is off again"),
            Some(_) | None => {}
        }
        self.braked.send_replace(braked);
    }
}
