//! Faults that tests can script: what a real S3 server does on a bad day, on demand.
//!
//! Without a fault the price is one atomic load per request. Faults act after the signature check, so a request that is
//! refused there never uses one up. Of several faults that fit a request, the one that was added first acts.

mod script;
mod stall;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use tokio::sync::watch;

use self::script::Target;
pub use self::script::{Effect, Fault, Manner, Operation, Refusal};
pub use self::stall::Stall;
use self::stall::{StallState, Waiter};

/// The faults of one server. Cheap to clone; clones share their faults.
#[derive(Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many rules there are, so that a server without rules takes no lock.
    armed: AtomicUsize,
    rules: Mutex<Vec<Rule>>,
}

enum Rule {
    Fault(Fault),
    Stall { target: Target, most: usize, state: Arc<watch::Sender<StallState>> },
    Count { operation: Operation, requests: Arc<AtomicU64> },
}

/// What [`super::access`] does before a request goes on.
pub(super) enum Before {
    Refuse(Refusal),
    CutRequest,
    CutAnswer,
    Wait(Waiter),
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.push(Rule::Fault(fault));
    }

    /// Holds requests before their work is done. `None` fits every operation or key.
    pub fn stall(&self, operation: Option<Operation>, key: Option<&str>) -> Stall {
        self.stall_at_most(usize::MAX, Target { operation, key: key.map(str::to_owned) })
    }

    /// Holds the next request that fits, and lets later ones overtake it.
    pub fn stall_next(&self, operation: Operation, key: &str) -> Stall {
        self.stall_at_most(1, Target { operation: Some(operation), key: Some(key.to_owned()) })
    }

    /// Counts the requests of an operation from now on, including those that a fault refuses.
    pub fn count(&self, operation: Operation) -> Arc<AtomicU64> {
        let requests = Arc::new(AtomicU64::new(0));
        self.push(Rule::Count { operation, requests: requests.clone() });
        requests
    }

    fn stall_at_most(&self, most: usize, target: Target) -> Stall {
        let state = Arc::new(watch::Sender::new(StallState::default()));
        self.push(Rule::Stall { target, most, state: Arc::clone(&state) });
        Stall { faults: self.clone(), state }
    }

    /// Removes all faults. Stalls are released by their owners.
    pub fn clear(&self) {
        let mut rules = self.rules();
        rules.retain(|rule| !matches!(rule, Rule::Fault(_)));
        self.0.armed.store(rules.len(), Ordering::Release);
    }

    pub(super) fn before(&self, operation: &str, key: Option<&str>) -> Option<Before> {
        if self.none() {
            return None;
        }
        let mut rules = self.rules();
        for rule in &*rules {
            if let Rule::Count { operation: counted, requests } = rule
                && counted.name() == operation
            {
                requests.fetch_add(1, Ordering::Relaxed);
            }
        }
        let place = rules.iter().position(|rule| match rule {
            Rule::Count { .. } => false,
            Rule::Fault(fault) => fault.effect.acts_before_the_work() && fault.target.fits(operation, key),
            Rule::Stall { target, most, state } => state.borrow().waiting < *most && target.fits(operation, key),
        })?;
        if let Rule::Stall { state, .. } = &rules[place] {
            let waiter = Waiter(state.subscribe());
            state.send_modify(|state| state.waiting += 1);
            return Some(Before::Wait(waiter));
        }
        match self.fire(&mut rules, place)? {
            Effect::Refuse(refusal) => Some(Before::Refuse(refusal)),
            Effect::CutRequest => Some(Before::CutRequest),
            Effect::CutAnswer => Some(Before::CutAnswer),
            _within => None,
        }
    }

    /// Whether the server is told to have this manner.
    pub(super) fn has(&self, manner: Manner) -> bool {
        self.take(|fault| fault.effect == Effect::Manner(manner)).is_some()
    }

    /// Whether a request is answered as by a proxy in the server's place.
    pub(super) fn stands_in(&self, method: &Method, key: Option<&str>) -> bool {
        let operation = match *method {
            Method::HEAD => "HeadObject",
            Method::GET => "GetObject",
            Method::PUT => "PutObject",
            Method::DELETE => "DeleteObject",
            _ => "DeleteObjects",
        };
        self.take(|fault| fault.effect == Effect::StandIn && fault.target.fits(operation, key)).is_some()
    }

    pub(super) fn refuse_call(&self, key: &str) -> Option<Refusal> {
        let wanted = |fault: &Fault| {
            matches!(fault.effect, Effect::RefuseCall(_)) && fault.target.fits("DeleteObjects", Some(key))
        };
        match self.take(wanted)? {
            Effect::RefuseCall(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn refuse_key(&self, key: &str) -> Option<Refusal> {
        let wanted = |fault: &Fault| {
            matches!(fault.effect, Effect::RefuseKey(_)) && fault.target.fits("DeleteObjects", Some(key))
        };
        match self.take(wanted)? {
            Effect::RefuseKey(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn reports_versioned(&self) -> bool {
        self.take(|fault| fault.effect == Effect::ReportVersioned && fault.target.fits("GetBucketVersioning", None))
            .is_some()
    }

    /// Whether this effect, one of those on listings, is to act now.
    pub(super) fn lists(&self, effect: Effect) -> bool {
        self.take(|fault| fault.effect == effect && fault.target.fits("ListObjectsV2", None)).is_some()
    }

    fn take(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Effect> {
        if self.none() {
            return None;
        }
        let mut rules = self.rules();
        let place = rules.iter().position(|rule| matches!(rule, Rule::Fault(fault) if wanted(fault)))?;
        self.fire(&mut rules, place)
    }

    /// Uses the fault up once.
    fn fire(&self, rules: &mut Vec<Rule>, place: usize) -> Option<Effect> {
        let Rule::Fault(fault) = &mut rules[place] else {
            return None;
        };
        let effect = fault.effect;
        if let Some(times) = fault.times {
            fault.times = NonZeroU32::new(times.get() - 1);
            if fault.times.is_none() {
                rules.remove(place);
                self.0.armed.store(rules.len(), Ordering::Release);
            }
        }
        Some(effect)
    }

    fn push(&self, rule: Rule) {
        let mut rules = self.rules();
        rules.push(rule);
        self.0.armed.store(rules.len(), Ordering::Release);
    }

    fn none(&self) -> bool {
        self.0.armed.load(Ordering::Acquire) == 0
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
