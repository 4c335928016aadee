use std::sync::atomic::AtomicU64;

use futures_util::future::{FutureExt, join_all};
use tokio::sync::watch;

use super::*;

/// How exactly a pause is measured, in milliseconds.
const STEP: u64 = 10;

/// A rate limiter whose time passes when the test says so.
struct Driven {
    pace: Arc<RateLimiter>,
    time: Arc<watch::Sender<Duration>>,
}

impl Driven {
    fn new(requests_per_second: u32, parallel_requests: u32) -> Self {
        let time = Arc::new(watch::Sender::new(Duration::ZERO));
        let shared = time.clone();
        let sleeper = Sleeper::driven(move |pause| {
            let (until, mut now) = (*shared.borrow() + pause, shared.subscribe());
            Box::pin(async move { drop(now.wait_for(|now| *now >= until).await) })
        });
        let settings = PaceSettings { requests_per_second, parallel_requests };
        Self { pace: Arc::new(RateLimiter::new(settings, Ids::seeded(1), sleeper)), time }
    }

    /// So many milliseconds pass, and every task that can go on does.
    async fn tick(&self, millis: u64) {
        self.time.send_modify(|now| *now += Duration::from_millis(millis));
        settle().await;
    }

    /// How long a second request waits while a first one is told to slow down.
    async fn pause(&self) -> Duration {
        let turn = self.pace.turn().await;
        let (refused, begun) = (self.pace.clone(), *self.time.borrow());
        let refused = tokio::spawn(async move { refused.refused(turn).await });
        settle().await;
        let mut other = Box::pin(self.pace.turn());
        while other.as_mut().now_or_never().is_none() {
            self.tick(STEP).await;
        }
        refused.await.unwrap();
        *self.time.borrow() - begun
    }
}

/// Runs all tasks of this thread until each of them waits.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// How many of many waiting requests begin within so many milliseconds.
async fn begun(driven: &Driven, millis: u64) -> u64 {
    let begun = Arc::new(AtomicU64::new(0));
    let ask = |_| {
        let (pace, begun) = (driven.pace.clone(), begun.clone());
        tokio::spawn(async move {
            loop {
                drop(pace.turn().await);
                begun.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let asking: Vec<_> = (0..4).map(ask).collect();
    for _ in 0..millis {
        driven.tick(1).await;
    }
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    begun.load(Ordering::Relaxed)
}

#[tokio::test]
async fn no_more_requests_begin_in_a_second_than_are_set() {
    for (rate, seconds) in [(1, 4), (7, 3), (30, 2), (400, 1)] {
        let begun = begun(&Driven::new(rate, 100), seconds * 1000).await;
        let most = u64::from(rate) * seconds;
        // The last part of a second may lie across the end.
        assert!(
            (most * 9 / 10..=most + u64::from(rate).div_ceil(20) + 1).contains(&begun),
            "{rate}: {begun} of {most}"
        );
    }
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_are_set() {
    let driven = Driven::new(1000, 3);
    let held = join_all((0..3).map(|_| driven.pace.turn())).await;
    let mut fourth = Box::pin(driven.pace.turn());
    for _ in 0..100 {
        driven.tick(1).await;
        assert!(fourth.as_mut().now_or_never().is_none());
    }
    drop(held);
    fourth.await;
}

#[tokio::test]
async fn who_is_told_to_slow_down_waits_longer_each_time_and_all_others_with_him() {
    let driven = Driven::new(1000, 100);
    let about = |pause: Duration, wanted: Duration| {
        assert!(
            (wanted / 2..=wanted * 3 / 2 + Duration::from_millis(2 * STEP)).contains(&pause),
            "{pause:?} for {wanted:?}"
        );
    };
    for wanted in [200, 400, 800] {
        assert!(!driven.pace.is_refused());
        about(driven.pause().await, Duration::from_millis(wanted));
    }
    assert!(driven.pace.is_refused());
    for refused in [16, 40] {
        driven.pace.refused.store(refused, Ordering::Relaxed);
        about(driven.pause().await, LONGEST_PAUSE);
    }
    driven.pace.answered();
    assert!(!driven.pace.is_refused());
    about(driven.pause().await, FIRST_PAUSE);
}

#[tokio::test]
async fn of_many_that_are_told_to_slow_down_at_once_one_waits_for_all() {
    let driven = Driven::new(1000, 100);
    let turns = join_all((0..20).map(|_| driven.pace.turn())).await;
    let mut all = Box::pin(join_all(turns.into_iter().map(|turn| driven.pace.refused(turn))));
    while all.as_mut().now_or_never().is_none() {
        driven.tick(1).await;
    }
    assert_eq!(driven.pace.refused.load(Ordering::Relaxed), 1);
    assert_eq!(driven.pace.keys(), MAX_KEYS / 2);
}

#[test]
fn pages_shrink_by_half_and_grow_again_by_tenths() {
    let pace = Driven::new(1000, 100).pace;
    let mut sizes = Vec::new();
    for _ in 0..8 {
        pace.fewer_keys();
        sizes.push(pace.keys());
    }
    assert_eq!(sizes, [500, 250, 125, 62, 31, 15, 10, 10]);
    let calls = (1..).find(|_| {
        pace.more_keys();
        pace.keys() == MAX_KEYS
    });
    assert_eq!(calls, Some(45));
}
