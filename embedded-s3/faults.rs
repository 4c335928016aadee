//! Faults that tests can script: what a real S3 does on a bad day, on demand.
//!
//! Without a fault the price is one atomic load per request. Faults act after the signature check,
//! so a refused request never uses one up. The first that fits, in the order of adding, acts.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use s3s::S3ErrorCode;
use tokio::sync::watch;

/// S3 operations a fault can be tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    PutObject,
    CopyObject,
    GetObject,
    HeadObject,
    DeleteObject,
    DeleteObjects,
    ListObjectsV2,
    ListBuckets,
    CreateBucket,
    HeadBucket,
    GetBucketLocation,
    GetBucketVersioning,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::ListBuckets => "ListBuckets",
            Self::CreateBucket => "CreateBucket",
            Self::HeadBucket => "HeadBucket",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketVersioning => "GetBucketVersioning",
        }
    }
}

/// An S3 error and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 503
    SlowDown,
    /// 403
    AccessDenied,
    /// 500
    InternalError,
    /// 501
    NotImplemented,
    /// 400, as for a HEAD of an object that is encrypted with a key which only its client knows.
    InvalidRequest,
}

impl Refusal {
    pub(super) fn code(self) -> S3ErrorCode {
        match self {
            Self::SlowDown => S3ErrorCode::SlowDown,
            Self::AccessDenied => S3ErrorCode::AccessDenied,
            Self::InternalError => S3ErrorCode::InternalError,
            Self::NotImplemented => S3ErrorCode::NotImplemented,
            Self::InvalidRequest => S3ErrorCode::InvalidRequest,
        }
    }
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Answers with an error; nothing else happens.
    Refuse(Refusal),
    /// Puts the error into a `DeleteObjects` answer for each key that fits; the others are deleted.
    RefuseKey(Refusal),
    /// Answers a `DeleteObjects` that names a key which fits with an error, for all its keys.
    RefuseCall(Refusal),
    /// Closes the connection; nothing else happens.
    CutRequest,
    /// Does the work, then closes the connection instead of answering.
    CutAnswer,
    /// `GetBucketVersioning` says `Enabled`. Nothing is versioned all the same.
    ReportVersioned,
    /// `ListObjectsV2` lists the keys of a page from the last to the first.
    ListBackwards,
    /// `ListObjectsV2` begins with the first key, whichever it was to begin behind.
    ListAnew,
    /// Something in front of the server answers a request for an object or the bucket with `404 text/plain`, before anything
    /// has looked at it. A fault on an operation fits by method alone: GET, HEAD, PUT, DELETE or POST.
    StandIn,
    /// The server does something as another one does.
    Manner(Manner),
}

impl Effect {
    /// Whether it is decided when the request is let in; the others act where their work is done.
    fn acts_before_the_work(self) -> bool {
        matches!(self, Self::Refuse(_) | Self::CutRequest | Self::CutAnswer)
    }
}

/// What other servers do in their own way. One lasts until the faults are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Any request is as good as one that is signed; dates and lengths that were signed are not looked at.
    ChecksNoSignature,
    /// A PUT or DELETE with a condition is answered with 501.
    RefusesConditions,
    /// A `DeleteObjects` without `Content-MD5` is answered with 400.
    WantsContentMd5,
    /// A PUT whose checksum is wrong is answered with 400, and its bytes are there.
    KeepsRefusedBytes,
    /// A checksum that comes with a PUT is kept, shown and never compared.
    RepeatsChecksums,
    /// No checksum is compared or shown.
    KeepsNoChecksums,
    /// A list claims `EncodingType=url` and shows its keys as they are.
    ListsKeysAsTheyAre,
    /// `GetBucketVersioning` is answered with a list, as if the query were not there.
    IgnoresTheVersioningQuery,
    /// A 404 to a HEAD is an empty page without `x-amz-request-id`.
    HasPlainNotFounds,
}

/// An effect and when it acts: on every operation and key, until cleared, unless narrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    effect: Effect,
    target: Target,
    times: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Target {
    operation: Option<Operation>,
    key: Option<String>,
}

impl Target {
    fn fits(&self, operation: &str, key: Option<&str>) -> bool {
        self.operation.is_none_or(|wanted| wanted.name() == operation)
            && self.key.as_deref().is_none_or(|wanted| key == Some(wanted))
    }
}

impl Fault {
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self { effect, target: Target::default(), times: None }
    }

    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.target.operation = Some(operation);
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.target.key = Some(key.into());
        self
    }

    #[must_use]
    pub fn times(mut self, times: NonZeroU32) -> Self {
        self.times = Some(times);
        self
    }

    #[must_use]
    pub fn once(self) -> Self {
        self.times(NonZeroU32::MIN)
    }
}

/// The faults of one server. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many rules there are, so that a server without any takes no lock.
    armed: AtomicUsize,
    rules: Mutex<Vec<Rule>>,
}

enum Rule {
    Fault(Fault),
    Stall { target: Target, most: usize, state: Arc<watch::Sender<StallState>> },
    Count { operation: Operation, requests: Arc<AtomicU64> },
}

#[derive(Debug, Clone, Copy, Default)]
struct StallState {
    waiting: usize,
    released: bool,
}

/// Requests wait at a stall until it is released or dropped.
#[must_use = "dropping a stall releases it"]
pub struct Stall {
    faults: Faults,
    state: Arc<watch::Sender<StallState>>,
}

impl Stall {
    /// Returns once `count` requests wait here (or have given up waiting here).
    pub async fn reached(&self, count: usize) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.state.subscribe().wait_for(|state| state.waiting >= count).await;
    }

    /// Lets all go on, and all that come later pass.
    pub fn release(self) {}
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.released = true);
        let mut rules = self.faults.rules();
        rules.retain(|rule| !matches!(rule, Rule::Stall { state, .. } if Arc::ptr_eq(state, &self.state)));
        self.faults.0.armed.store(rules.len(), Ordering::Release);
    }
}

/// What [`super::access`] has to do before a request goes on.
pub(super) enum Before {
    Refuse(Refusal),
    CutRequest,
    CutAnswer,
    Wait(Waiter),
}

pub(super) struct Waiter(watch::Receiver<StallState>);

impl Waiter {
    pub(super) async fn released(mut self) {
        // A dropped sender means released as well.
        let _ = self.0.wait_for(|state| state.released).await;
    }
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.push(Rule::Fault(fault));
    }

    /// Holds requests before their work. `None` fits all.
    pub fn stall(&self, operation: Option<Operation>, key: Option<&str>) -> Stall {
        self.stall_at_most(usize::MAX, Target { operation, key: key.map(str::to_owned) })
    }

    /// Holds the next request that fits, and lets later ones overtake it.
    pub fn stall_next(&self, operation: Operation, key: &str) -> Stall {
        self.stall_at_most(1, Target { operation: Some(operation), key: Some(key.to_owned()) })
    }

    /// Counts the requests of an operation from now on, those that other faults refuse too.
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

    /// Whether the server is told to be like that.
    pub(super) fn has(&self, manner: Manner) -> bool {
        self.take(|fault| fault.effect == Effect::Manner(manner)).is_some()
    }

    /// Whether something in front of the server answers a request in its place.
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

    /// Whether a listing is to show such a fault.
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
