//! Clocks that are wrong, or that a test moves on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use zeroload::background::collector::CollectOptions;
use zeroload_clock::Clock;
use zeroload_embedded_s3::Operation;

use crate::app::{TestApp, id};

const BYTES: &[u8] = b"some bytes";

/// The machine's clock and what a test has made of it.
#[derive(Clone, Default)]
pub struct Hands {
    /// Seconds that the clock shows too many.
    ahead: Arc<AtomicI64>,
    /// Seconds that have passed besides.
    passed: Arc<AtomicI64>,
}

impl Hands {
    pub fn clock(&self) -> Clock {
        let (real, hands) = (Clock::system(), self.clone());
        let (steady, same_hands) = (real.clone(), self.clone());
        let seconds = |of: &AtomicI64| of.load(Ordering::Relaxed);
        Clock::driven_beside(
            move || real.now() + TimeDelta::seconds(seconds(&hands.ahead) + seconds(&hands.passed)),
            move || steady.steady() + Duration::from_secs(seconds(&same_hands.passed).unsigned_abs()),
        )
    }

    fn jump_to(&self, ahead: TimeDelta) {
        self.ahead.store(ahead.num_seconds(), Ordering::Relaxed);
    }

    pub fn pass(&self, time: TimeDelta) {
        self.passed.fetch_add(time.num_seconds(), Ordering::Relaxed);
    }
}

fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(30)
}

#[tokio::test]
async fn while_the_clock_has_jumped_nothing_is_claimed_and_when_it_is_back_all_goes_on() {
    let hands = Hands::default();
    let app = TestApp::start_on(hands.clock(), |_| {}).await;
    let media = app.uploaded(BYTES).await;
    let head = app.head().await.position;
    hands.jump_to(TimeDelta::hours(25));
    let report = app.run_at(later(), false).await.expect("a run");
    assert!(report.withheld.as_ref().is_some_and(|why| why.contains("has jumped by")), "{report:?}");
    assert_eq!((report.due, app.head().await.position, app.state(&media).await.as_str()), (0, head, "pending"));
    let dry = app.run_at(later(), true).await.expect("a run");
    assert_eq!((dry.due, dry.withheld), (1, None), "what would go is told all the same");

    hands.jump_to(TimeDelta::seconds(55));
    let report = app.run_at(later(), false).await.expect("a run");
    assert_eq!((report.collected, report.withheld), (1, None));
}

#[tokio::test]
async fn a_clock_that_was_set_is_believed_after_an_hour_only_if_that_of_s3_agrees() {
    let hands = Hands::default();
    let app = TestApp::start_on(hands.clock(), |_| {}).await;
    app.uploaded(BYTES).await;
    hands.jump_to(TimeDelta::hours(2));
    for _ in 0..3 {
        let report = app.run_at(later(), false).await.expect("a run");
        assert!(report.withheld.is_some(), "{report:?}");
        hands.pass(TimeDelta::hours(1));
    }
}

#[tokio::test]
async fn a_clock_that_is_not_that_of_s3_claims_nothing() {
    let hands = Hands::default();
    hands.jump_to(TimeDelta::minutes(-3));
    let app = TestApp::start_on(hands.clock(), |raw| raw.ticket_ttl = Some("10m".to_owned())).await;
    let media = app.uploaded(BYTES).await;
    let report = app.run_at(later(), false).await.expect("a run");
    assert!(report.withheld.as_ref().is_some_and(|why| why.contains("that of the S3 server")), "{report:?}");
    assert_eq!(app.state(&media).await, "pending");
    let confirmed = app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
    assert!(confirmed.0.is_success(), "{confirmed:?}");
}

#[tokio::test]
async fn the_time_in_the_trash_counts_from_when_an_item_is_in_it() {
    let hands = Hands::default();
    let app = TestApp::start_on(hands.clock(), |raw| raw.trash = Some("1h".to_owned())).await;
    let media = app.uploaded(BYTES).await;
    let faults = app.parts.faults.clone().expect("the embedded server");
    let begin = later();
    // A run that moves something, so that the next has seen that a move works.
    app.uploaded(BYTES).await;
    let stall = faults.stall_next(Operation::CopyObject, &in_trash(&media));
    let collector = app.parts.collector.clone();
    let run = app.parts.runtime.spawn(async move { collector.run_wanted(begin, CollectOptions::default()).await });
    stall.reached(1).await;
    hands.pass(TimeDelta::hours(2));
    stall.release();
    let report = run.await.expect("joined").expect("a run");
    assert_eq!(report.trashed, 2, "{report:?}");
    let (_, now) = app.get(&format!("/v1/media/{}", id(&media))).await;
    let until = now["collectable_at"].as_str().expect("a time").parse::<DateTime<Utc>>().expect("RFC 3339");
    assert!(until >= begin + TimeDelta::hours(3), "{now}");
}

fn in_trash(media: &serde_json::Value) -> String {
    let key = zeroload_domain::ObjectKey::parse(media["object_key"].as_str().expect("a key")).expect("ours");
    key.in_trash(zeroload_domain::Claim::FIRST).to_string()
}
