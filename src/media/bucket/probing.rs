//! When the S3 server is probed, and what the last probe found.
//!
//! A check that failed may pass later: a disk has room again, a right is granted, a proxy is gone. So a probe that left
//! a check unsettled is repeated, after a pause that doubles, until all are settled. A probe is a task of its own: if
//! its caller stops waiting, the probe still ends and is remembered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use zeroload_clock::Clock;

use crate::storage::{Check, Gateway, ProbeReport, Status};

/// The pause after the first probe that left a check unsettled; it doubles with each further one.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// The longest pause while a check fails.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// The longest pause while no check fails, but the server's service is degraded.
const LONGEST_PAUSE_IF_USABLE: TimeDelta = TimeDelta::hours(1);

#[derive(Clone)]
pub(super) struct Probing {
    gateway: Gateway,
    clock: Clock,
    state: Arc<Mutex<State>>,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    report: Option<Arc<ProbeReport>>,
    /// When the last probe began.
    probed_at: DateTime<Utc>,
    /// The pause between the last probe and the next.
    pause: TimeDelta,
    /// How many probes in a row left a check unsettled.
    in_vain: u32,
    #[cfg(test)]
    never: bool,
}

/// Whether the caller needs the result of a probe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Before the caller goes on.
    Now,
    /// At any later time.
    Later,
}

impl Probing {
    pub fn new(gateway: Gateway, clock: Clock) -> Self {
        Self { gateway, clock, state: Arc::default(), one_at_a_time: Arc::default() }
    }

    /// Turns probes off, for simulations: a probe would say nothing about a simulated server.
    #[cfg(test)]
    pub fn never(&self) {
        let mut state = self.state();
        state.never = true;
        state.report = Some(Arc::new(ProbeReport { checks: Vec::new(), versioned: false, unsettled: false }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn report(&self) -> Option<Arc<ProbeReport>> {
        self.state().report.clone()
    }

    /// The checks of the last probe, and a strange answer that a HEAD has got since.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = self.report().map(|report| report.checks.clone()).unwrap_or_default();
        if let Some(strange) = self.gateway.strange_answer() {
            let detail = format!(
                "a HEAD was answered with a {strange}, which is not this server's way: such answers prove nothing; see what \
                 stands between this process and the server"
            );
            let check = Check { name: "s3-absence", status: Status::Degraded, detail };
            match checks.iter_mut().find(|found| found.name == check.name) {
                Some(found) => *found = check,
                None => checks.push(check),
            }
        }
        checks
    }

    /// Probes if a probe is due: the first one, one when the bucket begins or ceases to keep versions, and repeats
    /// while a check is unsettled.
    pub async fn probe_if_due(&self, versioned: bool, need: Need) {
        let Some(essential) = self.is_due(versioned) else { return };
        let probing = self.clone();
        let task = tokio::spawn(async move { probing.probe(versioned).await });
        if (essential || need == Need::Now)
            && let Err(error) = task.await
        {
            tracing::error!(%error, "a probe of the bucket broke off");
        }
    }

    /// `Some` if a probe is due: true if the bucket's status needs its result.
    fn is_due(&self, versioned: bool) -> Option<bool> {
        let now = self.clock.now();
        let state = self.state();
        #[cfg(test)]
        if state.never {
            return None;
        }
        let Some(report) = &state.report else { return Some(true) };
        let since = now - state.probed_at;
        // A last probe in the future was dated by a clock that was set back since.
        let rested = since >= state.pause || since < TimeDelta::zero();
        let changed = report.versioned != versioned;
        let open = report.unsettled || changed || self.gateway.strange_answer().is_some();
        (open && rested).then_some(changed)
    }

    async fn probe(&self, versioned: bool) {
        let _one_at_a_time = self.one_at_a_time.lock().await;
        if self.is_due(versioned).is_none() {
            return;
        }
        let was_strange = self.gateway.strange_answer().is_some();
        let now = self.clock.now();
        let report = self.gateway.probe(now).await;
        let mut state = self.state();
        tell(&report, state.report.as_deref());
        let open = report.unsettled || was_strange;
        let longest = if report.status() == Status::Failed { LONGEST_PAUSE } else { LONGEST_PAUSE_IF_USABLE };
        state.pause = (FIRST_PAUSE * (1 << state.in_vain.min(16))).min(longest);
        state.in_vain = if open { state.in_vain.saturating_add(1) } else { 0 };
        state.probed_at = now;
        state.report = Some(Arc::new(report));
    }
}

/// Logs the checks that have changed. A check that passed is logged for debugging only.
fn tell(report: &ProbeReport, last: Option<&ProbeReport>) {
    let known = |check: &Check| last.and_then(|last| last.check(check.name)).is_some_and(|last| last == check);
    for Check { name, status, detail } in report.checks.iter().filter(|check| !known(check)) {
        match status {
            Status::Ok => tracing::debug!(check.name = name, check.status = status.as_str(), "{detail}"),
            Status::Degraded | Status::Failed => {
                tracing::warn!(check.name = name, check.status = status.as_str(), "{detail}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
