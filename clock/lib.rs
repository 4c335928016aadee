//! The one clock, the one source of ids and the one source of randomness. All are passed in, so a run can be replayed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, Utc};
use futures_util::future::BoxFuture;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use uuid::Uuid;

pub mod watch;

/// Tells the time, in whole microseconds: what is stored is what was decided with.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clocks")]
        let (now, start) = (Utc::now, Instant::now());
        Self { now: Arc::new(now), steady: Arc::new(move || start.elapsed()) }
    }

    /// A clock that a test or a simulation drives.
    pub fn driven(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        let now = Arc::new(now);
        let steady = now.clone();
        Self { now, steady: Arc::new(move || (steady() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default()) }
    }

    /// A clock that a test sets, beside one that cannot be set.
    pub fn driven_beside(
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), steady: Arc::new(steady) }
    }

    pub fn now(&self) -> DateTime<Utc> {
        (self.now)().trunc_subsecs(6)
    }

    /// Time that has passed since some moment, whatever the clock was set to meanwhile. It may stand still while the machine
    /// sleeps.
    pub fn steady(&self) -> Duration {
        (self.steady)()
    }
}

type Pauses = dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync;

/// Lets time pass, where a simulation must be able to say how.
#[derive(Clone)]
pub struct Sleeper(Arc<Pauses>);

impl Sleeper {
    /// Real time, by the runtime that polls.
    pub fn system() -> Self {
        Self::driven(|pause| Box::pin(tokio::time::sleep(pause)))
    }

    /// Whatever a simulation calls time.
    pub fn driven(sleep: impl Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sleep))
    }

    pub async fn sleep(&self, pause: Duration) {
        (self.0)(pause).await;
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleeper")
    }
}

/// Makes ids and jitter from one seedable generator.
#[derive(Clone)]
pub struct Ids(Arc<Mutex<StdRng>>);

impl Ids {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Seeded by hand: the same seed gives the same ids.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A UUIDv7 (RFC 9562 section 5.7): it sorts by its time, so new rows go to the end of every index.
    pub fn new_id(&self, now: DateTime<Utc>) -> Uuid {
        let mut random = [0; 10];
        self.rng(|rng| rng.fill_bytes(&mut random));
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// What nobody can guess, as 64 hex digits.
    pub fn secret(&self) -> String {
        let mut random = [0; 32];
        self.rng(|rng| rng.fill_bytes(&mut random));
        hex::encode(random)
    }

    /// A factor between 1 - `spread` and 1 + `spread`, so that many processes do not act in step.
    pub fn jitter(&self, spread: f64) -> f64 {
        self.rng(|rng| 1.0 + rng.random_range(-spread..=spread))
    }

    fn rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_seven_and_sort_by_their_time() {
        let ids = Ids::seeded(1);
        let early = ids.new_id(DateTime::from_timestamp(1000, 0).unwrap());
        let late = ids.new_id(DateTime::from_timestamp(1001, 0).unwrap());
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
        assert_ne!(ids.new_id(DateTime::from_timestamp(1000, 0).unwrap()), early);
    }

    #[test]
    fn the_clock_tells_whole_microseconds() {
        let clock = Clock::driven(|| DateTime::from_timestamp(1, 123_456_789).unwrap());
        assert_eq!(clock.now(), DateTime::from_timestamp(1, 123_456_000).unwrap());
    }
}
