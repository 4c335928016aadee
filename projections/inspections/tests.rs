use chrono::TimeDelta;
use zeroload_domain::{CollectOutcome, CollectReason, Found, MediaId, ReleaseReason, Seen};

use crate::testing::contract::{Fixture, Kind, on_both};
use crate::{
    Backoff, Deferred, Inspected, Inspection,
    testing::{
        Journal, at, claim, collected, confirmed, deadlines, facts, id, present, released, request_of, requested,
        sealed, started, substituted, uploaded,
    },
};

const BACKOFF: Backoff = Backoff { first: TimeDelta::seconds(60), cap: TimeDelta::seconds(300) };

fn collect(journal: &mut Journal, number: u128, of: u32) {
    let reason = if of == 1 { CollectReason::Expired } else { CollectReason::LateUpload };
    journal.record(id(number), started(of, reason, Seen::Absent));
    journal.record(id(number), collected(of, CollectOutcome::Absent, 0));
}

/// Items 3, 2 and 1 collected in this order, item 4 being collected, item 5 pending.
fn ended() -> Journal {
    let mut journal = Journal::default();
    for number in 1..=5 {
        journal.record(id(number), requested(id(number)));
    }
    for number in [3, 2, 1] {
        collect(&mut journal, number, 1);
    }
    journal.record(id(4), started(1, CollectReason::Expired, present("one")));
    journal
}

fn ids(items: &[Inspected]) -> Vec<MediaId> {
    items.iter().map(|item| item.media_id).collect()
}

fn aside(number: u128, code: &str) -> Deferred {
    Deferred { media_id: id(number), claim: None, code: code.to_owned() }
}

async fn collected_items_are_listed_in_the_order_of_their_collection(kind: Kind) {
    let mut journal = ended();
    let fixture = Fixture::with(kind, &journal).await;
    let inspections = fixture.models.inspections();
    let all = inspections.collected(0, 10).await.unwrap();
    assert_eq!(ids(&all), [id(3), id(2), id(1)]);
    let row = &journal.rows()[2];
    assert_eq!((&all[0].store, &all[0].bucket, &all[0].object_key), (&row.store, &row.bucket, &row.object_key));
    assert_eq!((all[0].claim, all[0].collected_at, all[0].position), (Some(claim(1)), Some(at(7)), 7));
    assert_eq!(ids(&inspections.collected(7, 1).await.unwrap()), [id(2)]);
    assert_eq!(ids(&inspections.collected(11, 10).await.unwrap()), []);

    collect(&mut journal, 3, 2);
    fixture.models.apply(&journal.events, None).await.unwrap();
    let later = inspections.collected(11, 10).await.unwrap();
    assert_eq!((ids(&later), later[0].claim), (vec![id(3)], Some(claim(2))), "collected once more, it comes once more");
}

async fn progress_is_kept_for_each_bucket_and_planned_time_and_never_goes_back(kind: Kind) {
    let fixture = Fixture::with(kind, &ended()).await;
    let inspections = fixture.models.inspections();
    let (store, bucket) = {
        let item = &inspections.collected(0, 1).await.unwrap()[0];
        (item.store.clone(), item.bucket.clone())
    };
    let elsewhere = zeroload_domain::Bucket::parse("elsewhere").unwrap();
    let far = async |bucket, after| inspections.recheck_progress(&store, bucket, after).await.unwrap();
    assert_eq!(far(&bucket, 3600).await, 0);
    inspections.advance_rechecks(&store, &bucket, &[86_400, 3600], 9, at(0)).await.unwrap();
    inspections.advance_rechecks(&store, &bucket, &[3600], 11, at(0)).await.unwrap();
    inspections.advance_rechecks(&store, &bucket, &[3600], 7, at(0)).await.unwrap();
    assert_eq!((far(&bucket, 3600).await, far(&bucket, 86_400).await), (11, 9));
    assert_eq!((far(&bucket, 60).await, far(&elsewhere, 3600).await), (0, 0));

    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&ended().events, None).await.unwrap();
    rebuild.swap().await.unwrap();
    assert_eq!(far(&bucket, 3600).await, 11, "a rebuild gives every row the position that it had");
    assert_eq!(ids(&inspections.collected(9, 10).await.unwrap()), [id(1)]);
}

async fn an_item_that_was_put_aside_comes_back_at_its_own_time(kind: Kind) {
    let fixture = Fixture::with(kind, &ended()).await;
    let inspections = fixture.models.inspections();
    let due = async |seconds, limit| {
        let due = inspections.put_aside_due(Inspection::Recheck, at(seconds), limit).await.unwrap();
        ids(&due)
    };
    inspections.put_aside(Inspection::Recheck, &[aside(2, "timeout")], at(0), BACKOFF).await.unwrap();
    inspections.put_aside(Inspection::Recheck, &[aside(1, "it's \"odd\"")], at(1), BACKOFF).await.unwrap();
    assert_eq!((due(59, 10).await, due(60, 10).await), (vec![], vec![id(2)]));
    assert_eq!((due(61, 10).await, due(61, 1).await), (vec![id(2), id(1)], vec![id(2)]));
    let item = &inspections.put_aside_due(Inspection::Recheck, at(60), 1).await.unwrap()[0];
    assert_eq!((item.claim, item.position), (Some(claim(1)), 9));
    for (failed_at, back_at) in [(60, 180), (180, 420), (420, 720), (720, 1020)] {
        inspections.put_aside(Inspection::Recheck, &[aside(2, "timeout")], at(failed_at), BACKOFF).await.unwrap();
        assert!(!due(back_at - 1, 10).await.contains(&id(2)), "{back_at}");
        assert!(due(back_at, 10).await.contains(&id(2)), "{back_at}");
    }
    inspections.settle(Inspection::Recheck, &[id(2)]).await.unwrap();
    assert_eq!(due(100_000, 10).await, [id(1)]);
}

async fn what_has_left_the_state_in_which_it_was_looked_at_is_forgotten(kind: Kind) {
    let mut journal = ended();
    let fixture = Fixture::with(kind, &journal).await;
    let inspections = fixture.models.inspections();
    inspections
        .put_aside(Inspection::Recheck, &[aside(1, "timeout"), aside(3, "timeout")], at(0), BACKOFF)
        .await
        .unwrap();
    assert_eq!(inspections.prune().await.unwrap(), 0);
    journal.record(id(3), started(2, CollectReason::LateUpload, present("late")));
    fixture.models.apply(&journal.events, None).await.unwrap();
    assert_eq!(inspections.prune().await.unwrap(), 1);
    assert_eq!(ids(&inspections.put_aside_due(Inspection::Recheck, at(60), 10).await.unwrap()), [id(1)]);
}

async fn confirmed_items_are_unsealed_until_they_are_compared(kind: Kind) {
    let mut journal = Journal::default();
    for number in 1..=5 {
        let from = i64::try_from(number % 3).unwrap();
        journal.record(id(number), request_of(id(number), "default", "ann", deadlines(from)));
        journal.record(id(number), uploaded("one"));
    }
    for number in 1..=4 {
        journal.record(id(number), confirmed(None));
    }
    let fixture = Fixture::with(kind, &journal).await;
    let inspections = fixture.models.inspections();
    let row = journal.rows().remove(0);
    let unsealed = async |ended, after, limit| {
        ids(&inspections.unsealed(&row.store, &row.bucket, ended, after, limit).await.unwrap())
    };
    let ended = |from| deadlines(from).ticket_expires_at;
    assert_eq!(unsealed(ended(-1), None, 10).await, []);
    assert_eq!(unsealed(ended(0), None, 10).await, [id(3)]);
    assert_eq!(unsealed(ended(9), None, 10).await, [id(3), id(1), id(4), id(2)]);
    assert_eq!(unsealed(ended(9), Some((ended(1), id(1))), 1).await, [id(4)]);
    let elsewhere = zeroload_domain::Bucket::parse("elsewhere").unwrap();
    assert_eq!(inspections.unsealed(&row.store, &elsewhere, ended(9), None, 10).await.unwrap(), []);

    inspections.put_aside(Inspection::Seal, &[aside(1, "timeout")], at(0), BACKOFF).await.unwrap();
    assert_eq!(unsealed(ended(9), None, 10).await, [id(3), id(4), id(2)], "what was put aside has its own time");
    let again = inspections.put_aside_due(Inspection::Seal, at(60), 10).await.unwrap();
    assert_eq!((ids(&again), again[0].ticket_expires_at), (vec![id(1)], ended(1)));
    assert_eq!(inspections.put_aside_due(Inspection::Recheck, at(60), 10).await.unwrap(), []);

    journal.record(id(3), sealed("one"));
    journal.record(id(4), substituted(Found::Present(facts("two"))));
    journal.record(id(1), sealed("one"));
    journal.record(id(2), released(ReleaseReason::Detached, 100));
    fixture.models.apply(&journal.events, None).await.unwrap();
    assert_eq!(unsealed(ended(9), None, 10).await, []);
    assert_eq!(inspections.substituted_count(10).await.unwrap(), 1);
    assert_eq!(inspections.prune().await.unwrap(), 1, "a sealed item has nothing to wait for");
    let shown = "SELECT media_id || ' ' || etag || ' ' || found || ' ' || found_etag FROM substituted_media";
    assert_eq!(fixture.texts(shown).await, [format!("{} one present two", id(4))]);

    journal.record(id(4), sealed("one"));
    fixture.models.apply(&journal.events, None).await.unwrap();
    assert_eq!(inspections.substituted_count(10).await.unwrap(), 0, "it is back");
}

on_both!(
    confirmed_items_are_unsealed_until_they_are_compared,
    collected_items_are_listed_in_the_order_of_their_collection,
    progress_is_kept_for_each_bucket_and_planned_time_and_never_goes_back,
    an_item_that_was_put_aside_comes_back_at_its_own_time,
    what_has_left_the_state_in_which_it_was_looked_at_is_forgotten,
);
