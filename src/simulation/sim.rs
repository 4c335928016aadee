//! Time, chance and order of one run. All three come from its seed, so the same seed gives the same run.
//!
//! A step polls one of the tasks that can go on, drawn at random. Where none can, time moves to the next moment that
//! somebody waits for. Nothing else passes time: no socket, no thread, no clock of the machine.

use std::{
    collections::BTreeMap,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tracing::{Dispatch, subscriber::NoSubscriber};

/// Steps after which a run counts as one that goes round in circles.
const MOST_STEPS: u64 = 400_000;

/// Whose tasks end together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Backends, clients and what happens to the world; it outlives every process.
    World,
    /// What begins and ends processes, and shifts clocks.
    Trouble,
    /// Requests under way: a crash takes none of them back.
    Network,
    /// One start of one process.
    Process(u32),
}

/// What a run shares. A clone is the same run.
#[derive(Clone)]
pub struct Sim(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    ready: Arc<Mutex<Vec<u64>>>,
    calm: AtomicBool,
    /// A subscriber that is there as long as the run.
    _deaf: Dispatch,
}

struct State {
    chance: StdRng,
    /// How often things go wrong in this run, in hundredths of the usual.
    weather: u64,
    now: DateTime<Utc>,
    timers: BTreeMap<(DateTime<Utc>, u64), Waker>,
    tasks: BTreeMap<u64, Task>,
    next: u64,
    trace: Vec<(DateTime<Utc>, String)>,
    broken: Option<String>,
}

struct Task {
    group: Group,
    /// Absent while it is polled.
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

/// Puts its task among those that can go on.
struct Ready {
    id: u64,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let mut ready = lock(&self.ready);
        if !ready.contains(&self.id) {
            ready.push(self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        // What the SDK draws by itself: jitter, ids of its requests, and an id for each span that a subscriber may want. Whether
        // one may depends on other tests of this process: on whether any has ever had a subscriber, and on those that live
        // now. Beside one that wants nothing, each thread is asked for its own, and a run has none.
        let deaf = Dispatch::new(NoSubscriber::new());
        drop(tracing::dispatcher::set_default(&deaf));
        fastrand::seed(seed);
        let mut chance = StdRng::seed_from_u64(seed);
        let weather = [20, 60, 100, 250][chance.random_range(0..4)];
        let state = State {
            chance,
            weather,
            now: DateTime::from_timestamp(1_800_000_000, 0).expect("the date is in range"),
            timers: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next: 0,
            trace: Vec::new(),
            broken: None,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            ready: Arc::default(),
            calm: AtomicBool::new(false),
            _deaf: deaf,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.state().now
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.state().chance.random_range(0..bound)
    }

    /// True so many times in a hundred.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True about so many times in a hundred while things may go wrong, as the run's weather is; then never.
    pub fn trouble(&self, percent: u64) -> bool {
        let weather = self.state().weather;
        !self.0.calm.load(Ordering::Relaxed) && self.below(10_000) < percent * weather
    }

    /// From now on nothing goes wrong any more.
    pub fn calm_down(&self) {
        self.0.calm.store(true, Ordering::Relaxed);
    }

    pub fn between(&self, shortest: Duration, longest: Duration) -> Duration {
        let span = u64::try_from((longest - shortest).as_micros()).expect("a short span");
        shortest + Duration::from_micros(self.below(span + 1))
    }

    /// How long a part of a request takes: mostly a moment, at times beyond everybody's patience.
    pub fn latency(&self) -> Duration {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        if self.trouble(1) {
            self.between(s(2), s(60))
        } else if self.trouble(6) {
            self.between(ms(50), s(2))
        } else {
            self.between(ms(1), ms(50))
        }
    }

    pub fn sleep(&self, pause: Duration) -> Pause {
        let until = self.now() + TimeDelta::from_std(pause).expect("a pause is short");
        self.sleep_until(until)
    }

    pub fn sleep_until(&self, until: DateTime<Utc>) -> Pause {
        let mut state = self.state();
        state.next += 1;
        Pause { sim: self.clone(), key: (until, state.next) }
    }

    pub fn spawn(&self, group: Group, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        state.next += 1;
        let id = state.next;
        let waker = Waker::from(Arc::new(Ready { id, ready: self.0.ready.clone() }));
        state.tasks.insert(id, Task { group, future: Some(Box::pin(task)), waker: waker.clone() });
        drop(state);
        waker.wake();
    }

    /// Ends all tasks of some groups wherever they are.
    pub fn kill(&self, dies: impl Fn(Group) -> bool) {
        let mut state = self.state();
        let tasks = mem::take(&mut state.tasks);
        let (dead, alive): (BTreeMap<_, _>, _) = tasks.into_iter().partition(|(_, task)| dies(task.group));
        state.tasks = alive;
        drop(state);
        // What they drop may wake others.
        drop(dead);
    }

    /// Something that happened; equal runs have equal traces.
    pub fn note(&self, what: impl FnOnce() -> String) {
        let mut state = self.state();
        let line = (state.now, what());
        state.trace.push(line);
    }

    /// A promise was broken; the run ends with it.
    pub fn broken(&self, promise: &str, how: impl FnOnce() -> String) {
        let how = format!("{promise} is broken: {}", how());
        self.note(|| how.clone());
        self.state().broken.get_or_insert(how);
    }

    pub fn trace(&self) -> Vec<(DateTime<Utc>, String)> {
        self.state().trace.clone()
    }

    /// Runs until `script` has ended, or a promise was broken. Then all tasks end.
    ///
    /// # Errors
    /// Which promise was broken, and how.
    pub fn run(&self, script: impl Future<Output = ()> + Send + 'static) -> Result<(), String> {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        self.spawn(Group::World, async move {
            script.await;
            end.store(true, Ordering::Relaxed);
        });
        for _ in 0..MOST_STEPS {
            if ended.load(Ordering::Relaxed) || self.state().broken.is_some() {
                break;
            }
            self.step();
        }
        if !ended.load(Ordering::Relaxed) && self.state().broken.is_none() {
            self.broken("P-8", || format!("{MOST_STEPS} steps have not brought the run to its end"));
        }
        let left = mem::take(&mut self.state().tasks);
        drop(left);
        self.state().broken.clone().map_or(Ok(()), Err)
    }

    fn step(&self) {
        let mut ready = lock(&self.0.ready);
        if ready.is_empty() {
            drop(ready);
            return self.pass_time();
        }
        let drawn = self.state().chance.random_range(0..ready.len());
        let id = ready.remove(drawn);
        drop(ready);
        let taken = self.state().tasks.get_mut(&id).and_then(|task| Some((task.future.take()?, task.waker.clone())));
        // A task that has ended may still be woken.
        let Some((mut future, waker)) = taken else { return };
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = self.state();
        let ended = match (polled, state.tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => {
                task.future = Some(future);
                return;
            }
            (_, task) => task.is_some(),
        };
        let rest = if ended { state.tasks.remove(&id) } else { None };
        drop(state);
        drop((rest, future));
    }

    fn pass_time(&self) {
        let mut state = self.state();
        let Some(((at, _), waker)) = state.timers.pop_first() else {
            drop(state);
            return self.broken("P-8", || "everybody waits, and nothing will ever happen".to_owned());
        };
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
    }
}

/// Ends at its moment.
pub struct Pause {
    sim: Sim,
    key: (DateTime<Utc>, u64),
}

impl Future for Pause {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.sim.state();
        if state.now >= self.key.0 {
            state.timers.remove(&self.key);
            return Poll::Ready(());
        }
        state.timers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.sim.state().timers.remove(&self.key);
    }
}
