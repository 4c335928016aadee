//! `kill -9` again and again, the moments spread over everything that a process does.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::world::{Stage, seed};

const CLIENTS: usize = 24;
const KILLS: usize = 24;
/// All that a client can do fits into these, and everything is due soon. Most of these clients vanish, so nothing brakes.
pub const SHORT: [&str; 10] = [
    "--ticket-ttl",
    "1s",
    "--grace",
    "2s",
    "--late-write-margin",
    "0s",
    "--collect-every",
    "1s",
    "--brake-share",
    "100%",
];

/// When the process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After so many more acknowledged calls.
    Acknowledged(u64),
    /// So long after a collection run was asked for.
    Collecting(Duration),
    /// So long after it has said that it serves.
    Started(Duration),
    /// So long after the process was started: mostly before it serves.
    Starting(Duration),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_however_often_the_process_is_killed() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let kills = std::env::var("ZEROLOAD_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let mut stage = Stage::start(seed, &SHORT);
    stage.crowd(CLIENTS);
    let mut interrupted = 0;
    for (number, moment) in moments(kills, &mut rng).into_iter().enumerate() {
        match moment {
            Moment::Acknowledged(calls) => stage.acknowledged(calls).await,
            Moment::Collecting(after) => {
                stage.acknowledged(50).await;
                let run = stage.http.post(format!("{}/v1/collections", stage.world.url().await)).send();
                // Whether the run ends first or the time: then it is killed.
                let _either_way = tokio::time::timeout(after, run).await;
            }
            Moment::Started(after) => tokio::time::sleep(after).await,
            Moment::Starting(after) => {
                stage.kill();
                stage.kill_while_starting(after).await;
                stage.start_again().await;
                continue;
            }
        }
        stage.kill();
        stage.read_the_dead();
        interrupted += usize::from(!stage.history.in_state("collecting").is_empty());
        stage.start_again().await;
        if !matches!(moment, Moment::Started(_)) {
            let before = stage.history.len();
            stage.check().await;
            println!(
                "kill {number:>3}  {moment:?}: {} events, {} new, {:?}",
                stage.history.len(),
                stage.history.len() - before,
                stage.history.states()
            );
        }
    }
    stage.end_clients().await;
    stage.check().await;
    stage.release_some().await;
    stage.settled().await;
    stage.notice_late_uploads().await;
    // What a killed process leaves in the bucket's folder is swept by the next start.
    stage.kill();
    stage.start_again().await;
    stage.everything_holds_whatever_becomes_of_a_rebuild().await;
    println!("{} events, {:?}; {interrupted} kills left claims to finish", stage.history.len(), stage.history.states());
    let tally = stage.world.tally();
    println!("{tally:?}");
    assert!(!tally.keys().any(|answer| answer.starts_with("503")), "a server that has said where it is serves");
    assert!(stage.terminate().success());
}

/// Every kind of moment, in a seeded order.
fn moments(kills: usize, rng: &mut StdRng) -> Vec<Moment> {
    let mut moments: Vec<Moment> = (0..kills)
        .map(|number| match number % 8 {
            0 => Moment::Collecting(Duration::from_micros(rng.random_range(0..60_000))),
            1 => Moment::Started(Duration::from_micros(rng.random_range(0..100_000))),
            2 => Moment::Starting(Duration::from_micros(rng.random_range(0..400_000))),
            3 => Moment::Acknowledged(rng.random_range(1..20)),
            _ => Moment::Acknowledged(rng.random_range(20..300)),
        })
        .collect();
    moments.shuffle(rng);
    moments
}
