use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::testing::contract::{Fixture, Kind, on_both};
use crate::{
    Backoff, Deferred, Retry,
    testing::{Journal, at, claim, collected, confirmed, id, present, requested, started, trashed, uploaded},
};
use zeroload_domain::{CollectOutcome, CollectReason, MediaId};

const BACKOFF: Backoff = Backoff { first: TimeDelta::seconds(60), cap: TimeDelta::seconds(300) };

fn failed(number: u128, of: Option<u32>, code: &str) -> Deferred {
    Deferred { media_id: id(number), claim: of.map(claim), code: code.to_owned() }
}

async fn waits(fixture: &Fixture) -> Vec<(MediaId, i64, i64)> {
    let select = "SELECT media_id || ' ' || attempts || ' ' || next_try_at FROM collection_retries ORDER BY media_id";
    let row = |row: String| {
        let mut words = row.split(' ');
        let mut next = || words.next().unwrap();
        let (id, attempts, at_text) = (MediaId::parse(next()).unwrap(), next().parse().unwrap(), next());
        (id, attempts, (crate::time_text::parse(at_text).unwrap() - at(0)).num_seconds())
    };
    fixture.texts(select).await.into_iter().map(row).collect()
}

async fn failures_of_one_claim_in_a_row_wait_longer_each_time(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(3)).await;
    let models = &fixture.models;
    let mut seen = Vec::new();
    for _ in 0..6 {
        models.retries().postpone(&[failed(1, Some(1), "SlowDown")], at(0), BACKOFF).await.unwrap();
        seen.extend(waits(&fixture).await);
    }
    let expected = [(1, 60), (2, 120), (3, 240), (4, 300), (5, 300), (6, 300)];
    assert_eq!(seen, expected.map(|(attempts, wait)| (id(1), attempts, wait)));
    models.retries().postpone(&[failed(1, Some(2), "SlowDown")], at(10), BACKOFF).await.unwrap();
    assert_eq!(waits(&fixture).await, [(id(1), 1, 70)]);
    models.retries().postpone(&[failed(1, None, "Timeout")], at(10), BACKOFF).await.unwrap();
    models.retries().postpone(&[failed(1, None, "Timeout")], at(10), BACKOFF).await.unwrap();
    assert_eq!(waits(&fixture).await, [(id(1), 2, 130)]);
}

async fn an_item_that_waits_is_not_due_until_its_time_and_delays_no_other(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(3)).await;
    let models = &fixture.models;
    let now = at(1_000_000);
    models.retries().postpone(&[failed(1, None, "Timeout")], now, BACKOFF).await.unwrap();
    let due = async |seconds| -> Vec<MediaId> {
        let now = now + TimeDelta::seconds(seconds);
        models.due(now, None, 10).await.unwrap().iter().map(|item| item.media_id).collect()
    };
    assert_eq!(due(0).await, [id(0), id(2)]);
    assert_eq!(models.due_count(now, 10).await.unwrap(), 2);
    assert_eq!(due(59).await, [id(0), id(2)]);
    assert_eq!(due(60).await, [id(0), id(1), id(2)]);
    models.retries().clear(&[id(1), id(2)]).await.unwrap();
    assert_eq!(due(0).await, [id(0), id(1), id(2)]);
}

async fn an_open_claim_that_waits_is_not_unfinished_until_its_time(kind: Kind) {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(1), started(1, CollectReason::Expired, present("one"))),
        (id(2), requested(id(2))),
        (id(2), started(1, CollectReason::Expired, present("one"))),
    ]);
    let fixture = Fixture::with(kind, &journal).await;
    let models = &fixture.models;
    models.retries().postpone(&[failed(1, Some(1), "AccessDenied")], at(0), BACKOFF).await.unwrap();
    let count = async |seconds| models.unfinished(at(seconds), None, 10).await.unwrap().len();
    assert_eq!((count(59).await, count(60).await), (1, 2));
}

async fn waiting_items_are_counted_by_code_and_pruned_once_done(kind: Kind) {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(1), started(1, CollectReason::Expired, present("one"))),
        (id(1), collected(1, CollectOutcome::Deleted, 1)),
        (id(2), requested(id(2))),
        (id(3), requested(id(3))),
        (id(3), uploaded("one")),
        (id(3), confirmed(None)),
    ]);
    let fixture = Fixture::with(kind, &journal).await;
    let models = &fixture.models;
    let items = [failed(1, Some(1), "SlowDown"), failed(2, None, "SlowDown"), failed(3, None, "it's \"odd\"")];
    models.retries().postpone(&items, at(0), BACKOFF).await.unwrap();
    let counts = models.retries().count_by_code().await.unwrap();
    assert_eq!(counts, BTreeMap::from([("SlowDown".to_owned(), 2), ("it's \"odd\"".to_owned(), 1)]));
    assert_eq!(models.retries().prune().await.unwrap(), 2);
    assert_eq!(waits(&fixture).await, [(id(2), 1, 60)]);
}

async fn what_is_in_the_trash_waits_for_its_next_claim_and_not_for_the_last_one(kind: Kind) {
    let mut journal = Journal::default();
    for number in 1..=3 {
        journal.record(id(number), requested(id(number)));
        journal.record(id(number), started(1, CollectReason::Expired, present("one")));
        journal.record(id(number), trashed(id(number), 1, 1000));
    }
    let fixture = Fixture::with(kind, &journal).await;
    let models = &fixture.models;
    // 1 could not be claimed out of the trash; 2 not before it was put there; 3 was claimed, and is there all the same.
    for (item, at) in [
        (failed(1, None, "gone"), at(1000)),
        (failed(2, None, "Timeout"), at(0)),
        (failed(3, Some(1), "SlowDown"), at(1000)),
    ] {
        models.retries().postpone(&[item], at, BACKOFF).await.unwrap();
    }
    assert_eq!(models.retries().prune().await.unwrap(), 2);
    assert_eq!(waits(&fixture).await, [(id(1), 1, 1060)]);
    let due = models.due(at(1059), None, 10).await.unwrap();
    assert_eq!(due.iter().map(|item| item.media_id).collect::<Vec<_>>(), [id(2), id(3)]);
}

async fn many_items_are_postponed_and_cleared(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(1)).await;
    let models = &fixture.models;
    let items: Vec<_> = (0..2500).map(|number| failed(number, None, "Timeout")).collect();
    models.retries().postpone(&items, at(0), BACKOFF).await.unwrap();
    assert_eq!(models.retries().count_by_code().await.unwrap()["Timeout"], 2500);
    let ids: Vec<_> = items.iter().map(|item| item.media_id).collect();
    models.retries().clear(&ids).await.unwrap();
    assert!(models.retries().count_by_code().await.unwrap().is_empty());
}

async fn an_item_that_waits_tells_why_and_until_when(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::requests(2)).await;
    let retries = fixture.models.retries();
    retries.postpone(&[failed(1, Some(1), "Timeout")], at(0), BACKOFF).await.unwrap();
    retries.postpone(&[failed(1, Some(1), "SlowDown")], at(10), BACKOFF).await.unwrap();
    let expected = Retry { code: "SlowDown".to_owned(), attempts: 2, next_try_at: at(130) };
    assert_eq!(retries.find(id(1)).await.unwrap(), Some(expected));
    assert_eq!(retries.find(id(2)).await.unwrap(), None);
    retries.clear(&[id(1)]).await.unwrap();
    assert_eq!(retries.find(id(1)).await.unwrap(), None);
}

on_both!(
    what_is_in_the_trash_waits_for_its_next_claim_and_not_for_the_last_one,
    an_item_that_waits_tells_why_and_until_when,
    failures_of_one_claim_in_a_row_wait_longer_each_time,
    an_item_that_waits_is_not_due_until_its_time_and_delays_no_other,
    an_open_claim_that_waits_is_not_unfinished_until_its_time,
    waiting_items_are_counted_by_code_and_pruned_once_done,
    many_items_are_postponed_and_cleared,
);

#[test]
fn waits_double_up_to_the_cap() {
    let waits = |first, cap| -> Vec<i64> {
        let times = Backoff { first, cap }.times(at(0));
        times.into_iter().map(|time| (time - at(0)).num_seconds()).collect()
    };
    let seconds = TimeDelta::seconds;
    assert_eq!(waits(seconds(60), seconds(300)), [60, 120, 240, 300]);
    assert_eq!(waits(seconds(9), seconds(5)), [5]);
    assert!(waits(TimeDelta::zero(), seconds(5)).len() <= 40);
    assert!(waits(seconds(1), TimeDelta::MAX).len() <= 40);
}
