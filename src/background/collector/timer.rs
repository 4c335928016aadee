//! The timer of the collector: one run at a time, the next one armed when the last has ended.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use tokio::sync::{oneshot, watch};
use zeroload_clock::Ids;

use crate::{
    background::{
        Watched,
        collector::{Collector, RunError, RunReport, Wanted},
    },
    metrics::Metrics,
    outside::bounded,
};

/// How far the pause between two runs is varied, so that several processes do not act in step.
const JITTER: f64 = 0.1;

/// Characters of why a run failed that are logged and shown.
const MAX_FAILURE: usize = 500;

type RunResult = Result<RunReport, RunError>;

/// The actor has stopped, or stopped before it answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the collector has stopped")]
pub struct CollectorStopped;

/// Runs a [`Collector`] again and again, and on demand.
pub struct CollectorActor {
    collector: Arc<Collector>,
    runtime: tokio::runtime::Handle,
    every: Duration,
    ids: Ids,
    metrics: Metrics,
    failure: Arc<watch::Sender<Option<String>>>,
    braked: Arc<watch::Sender<Option<String>>>,
    withheld: Arc<watch::Sender<Option<String>>>,
    running: bool,
    waiting: VecDeque<Waiting>,
    timer: Option<SpawnHandle>,
    stopped: Option<oneshot::Sender<()>>,
}

struct Waiting {
    wanted: Wanted,
    /// Absent for a run by the timer.
    answer: Option<oneshot::Sender<RunResult>>,
}

#[derive(Message)]
#[rtype(result = "Result<RunResult, CollectorStopped>")]
struct RunNow(Wanted);

/// Lets a run that is under way end at its next page, and starts no other.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

/// Reaches whichever actor is in place.
#[derive(Clone)]
pub struct CollectorHandle {
    actor: Watched<CollectorActor>,
    failure: watch::Receiver<Option<String>>,
    braked: watch::Receiver<Option<String>>,
    withheld: watch::Receiver<Option<String>>,
}

impl CollectorHandle {
    /// Starts the actor and its watchdog on the current actix system.
    pub fn start(
        collector: Arc<Collector>,
        runtime: tokio::runtime::Handle,
        every: Duration,
        ids: Ids,
        metrics: Metrics,
    ) -> Self {
        let failure = Arc::new(watch::Sender::new(None));
        let braked = Arc::new(watch::Sender::new(None));
        let withheld = Arc::new(watch::Sender::new(None));
        let (last_failure, last_braked) = (failure.subscribe(), braked.subscribe());
        let last_withheld = withheld.subscribe();
        let actor = Watched::start(move || CollectorActor {
            collector: collector.clone(),
            runtime: runtime.clone(),
            every,
            ids: ids.clone(),
            metrics: metrics.clone(),
            failure: failure.clone(),
            braked: braked.clone(),
            withheld: withheld.clone(),
            running: false,
            waiting: VecDeque::new(),
            timer: None,
            stopped: None,
        });
        Self { actor, failure: last_failure, braked: last_braked, withheld: last_withheld }
    }

    /// Runs now, after a run that is under way.
    ///
    /// # Errors
    /// [`CollectorStopped`] while the service stops.
    pub async fn run_now(&self, wanted: Wanted) -> Result<RunResult, CollectorStopped> {
        self.actor.address().send(RunNow(wanted)).await.unwrap_or(Err(CollectorStopped))
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
        self.actor.retire();
        // An actor that is gone has nothing left to stop.
        let _gone = self.actor.address().send(Stop).await;
    }
}

impl Actor for CollectorActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        // At once: an earlier process may have left claims that are not deleted yet.
        self.arm(Duration::ZERO, context);
    }
}

impl CollectorActor {
    fn arm(&mut self, after: Duration, context: &mut Context<Self>) {
        self.timer = Some(context.run_later(after, |actor, context| {
            actor.timer = None;
            actor.waiting.push_back(Waiting { wanted: Wanted::default(), answer: None });
            actor.start_next(context);
        }));
    }

    fn start_next(&mut self, context: &mut Context<Self>) {
        if self.running {
            return;
        }
        // Nobody waits for the answer of a call whose client has gone.
        self.waiting.retain(|waiting| waiting.answer.as_ref().is_none_or(|answer| !answer.is_closed()));
        let Some(Waiting { wanted, answer }) = self.waiting.pop_front() else { return };
        self.running = true;
        let collector = self.collector.clone();
        let dry_run = wanted.dry_run;
        if let Some(origin) = wanted.override_brake.as_ref().filter(|_| !dry_run) {
            tracing::warn!(caller = origin.caller, request.id = origin.request_id, "a run may override the brake");
        }
        let run = self.runtime.spawn(async move { collector.run(wanted).await });
        let ended = run.into_actor(self).map(move |result, actor, context| {
            actor.running = false;
            // At once only if the last one got on: else what keeps it back is asked again and again.
            let more = matches!(&result, Ok(Ok(report)) if report.more && report.collected + report.trashed + report.absent > 0)
                && actor.collector.may_go_on();
            actor.note(dry_run, &result);
            if let (Some(answer), Ok(result)) = (answer, result) {
                // Whoever asked may have gone away; the run is recorded all the same.
                let _gone = answer.send(result);
            }
            actor.go_on(more, context);
        });
        context.spawn(ended);
    }

    fn go_on(&mut self, more: bool, context: &mut Context<Self>) {
        if let Some(stopped) = self.stopped.take() {
            let _gone = stopped.send(());
            return context.stop();
        }
        if more && let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        if self.timer.is_none() {
            let pause = if more { Duration::ZERO } else { self.every.mul_f64(self.ids.jitter(JITTER)) };
            self.arm(pause, context);
        }
        self.start_next(context);
    }

    fn note(&self, dry_run: bool, result: &Result<RunResult, tokio::task::JoinError>) {
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
            // Once for each reason: the next run comes within the minute, and fails for the same.
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
}

impl CollectorActor {
    /// Says it in the log when it changes, not at each run.
    fn note_withheld(&self, withheld: Option<String>) {
        match &withheld {
            Some(reason) if self.withheld.borrow().is_none() => tracing::error!(reason, "the collector claims nothing"),
            None if self.withheld.borrow().is_some() => tracing::info!("the collector claims again"),
            Some(_) | None => {}
        }
        self.withheld.send_replace(withheld);
    }

    /// Says it in the log when it changes, not at each run.
    fn note_brake(&self, braked: Option<String>) {
        match &braked {
            Some(reason) if self.braked.borrow().is_none() => tracing::error!(reason, "the collector is braked"),
            None if self.braked.borrow().is_some() => tracing::info!("the collector's brake is off again"),
            Some(_) | None => {}
        }
        self.braked.send_replace(braked);
    }
}

impl Handler<RunNow> for CollectorActor {
    type Result = ResponseFuture<Result<RunResult, CollectorStopped>>;

    fn handle(&mut self, message: RunNow, context: &mut Context<Self>) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        if self.stopped.is_none() {
            self.waiting.push_back(Waiting { wanted: message.0, answer: Some(answer) });
            self.start_next(context);
        }
        Box::pin(async move { answered.await.map_err(|_| CollectorStopped) })
    }
}

impl Handler<Stop> for CollectorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) -> Self::Result {
        self.collector.stop();
        self.waiting.clear();
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        let (stopped, ended) = oneshot::channel();
        if self.running {
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
