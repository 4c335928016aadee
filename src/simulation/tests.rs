//! `ZEROLOAD_TEST_SEED` runs one seed and shows what happened, `ZEROLOAD_TEST_SEEDS` says how many are run.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    flaw::Flaw,
    world::{Ended, run},
};

const SEEDS: u64 = 2000;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs the seeds on all cores, up to the first in which `wanted` is broken. Answers with that one, and how many events
/// all runs had.
fn run_all(
    seeds: Range<u64>,
    flaw: Option<Flaw>,
    wanted: &(impl Fn(&str) -> bool + Sync),
) -> (Option<(u64, Ended)>, u64) {
    let (next, end, events) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end), AtomicU64::new(0));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end.load(Ordering::Relaxed) {
            return None;
        }
        let ended = run(seed, flaw);
        events.fetch_add(ended.events, Ordering::Relaxed);
        if ended.result.as_ref().is_err_and(|broken| wanted(broken)) {
            end.fetch_min(seed, Ordering::Relaxed);
            return Some((seed, ended));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let failed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let failed = threads.into_iter().filter_map(|thread| thread.join().expect("a run does not panic"));
        failed.min_by_key(|run| run.0)
    });
    (failed, events.into_inner())
}

fn show(seed: u64, ended: &Ended) {
    ended.trace.iter().for_each(|(at, what)| println!("{} {what}", at.format("%H:%M:%S%.6f")));
    println!("ZEROLOAD_TEST_SEED={seed}");
}

#[test]
fn runs_in_a_world_that_fails_keep_every_promise() {
    if let Some(seed) = variable("ZEROLOAD_TEST_SEED") {
        let ended = run(seed, None);
        show(seed, &ended);
        return ended.result.unwrap_or_else(|broken| panic!("{broken}"));
    }
    let seeds = variable("ZEROLOAD_TEST_SEEDS").unwrap_or(SEEDS);
    let (failed, events) = run_all(0..seeds, None, &|_| true);
    println!("{seeds} runs, {events} events");
    if let Some((seed, ended)) = failed {
        show(seed, &ended);
        panic!("seed {seed}: {}", ended.result.expect_err("it failed"));
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None), run(seed, None));
        assert!(first.trace.len() > 10, "something happens");
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

#[test]
fn each_deliberate_mistake_is_found() {
    for (flaw, promise) in [
        (Flaw::AppendsBlindly, "P-1"),
        (Flaw::ForgetsCommits, "P-3"),
        (Flaw::DeletesBeforeClaim, "P-1"),
        (Flaw::BelievesAnyAnswer, "P-7"),
        (Flaw::MisreadsEvents, "P-4"),
        (Flaw::EmptiesTrashOnRestore, "the trash"),
        (Flaw::KeepsWhatIsThere, "the trash"),
        (Flaw::OverridesBrake, "the brake"),
        (Flaw::MarksBlindly, "the marker"),
    ] {
        let (failed, _) = run_all(0..1000, Some(flaw), &|broken| broken.starts_with(promise));
        let (seed, ended) = failed.unwrap_or_else(|| panic!("{flaw:?} is not found"));
        println!("{flaw:?}, seed {seed}: {}", ended.result.expect_err("it failed"));
    }
}
