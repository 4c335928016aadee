//! When the server is tried out, and what that showed last.
//!
//! What did not work may work later: a disk has room again, a right is granted, a proxy stands aside. So a probe that left
//! something open is repeated, after a pause that doubles, until all is right. A probe is a task of its own: whoever waits for
//! it may lose patience, and it still ends and is remembered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use zeroload_clock::Clock;

use crate::storage::{Check, Gateway, ProbeReport, Status};

/// The pause after the first probe that left something open; it doubles with each further one.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// The longest pause while something essential does not work.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// The longest one while it works with something missing.
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
    /// When the last one began.
    probed_at: DateTime<Utc>,
    /// Until the next one.
    pause: TimeDelta,
    /// In a row that left something open.
    in_vain: u32,
    #[cfg(test)]
    never: bool,
}

/// Whether somebody needs what a probe finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Before anything else is done.
    Now,
    /// Whenever it is there.
    Later,
}

impl Probing {
    pub fn new(gateway: Gateway, clock: Clock) -> Self {
        Self { gateway, clock, state: Arc::default(), one_at_a_time: Arc::default() }
    }

    /// None takes place, for simulations: a probe would say nothing about them.
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

    /// What was found, and what has shown since.
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

    /// Probes if it is time to: at first, when the bucket begins to keep versions or no longer does, and again while
    /// something is open.
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

    /// Whether a probe is due, and if so whether nothing can be said without it.
    fn is_due(&self, versioned: bool) -> Option<bool> {
        let now = self.clock.now();
        let state = self.state();
        #[cfg(test)]
        if state.never {
            return None;
        }
        let Some(report) = &state.report else { return Some(true) };
        let since = now - state.probed_at;
        // One that lies ahead was dated by a clock that was put back since.
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

/// Logs what is new. A check that passed is of interest only to those who look for a fault.
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
