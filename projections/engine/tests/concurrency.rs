use chrono::TimeDelta;

use crate::testing::contract::{Fixture, Kind, catch_up, on_both, rows};
use crate::{
    Backoff, PendingQuery,
    testing::{Seeded, at, id, tenant},
};

/// What the service needs of every future: it compiles, or it does not.
async fn every_call_can_be_made_from_any_task(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let models = fixture.models.clone();
    let calls = tokio::spawn(async move {
        let query = PendingQuery { tenant: tenant("default"), owner: None, due_before: None, limit: 1, cursor: None };
        assert_eq!(models.pending(&query).await.unwrap().items, []);
        assert_eq!(models.due(at(0), None, 1).await.unwrap(), []);
        assert_eq!(models.unfinished(at(0), None, 1).await.unwrap(), []);
        assert_eq!(models.due_count(at(0), 1).await.unwrap(), 0);
        assert_eq!(models.media_row(id(1)).await.unwrap(), None);
        models
            .retries()
            .postpone(&[], at(0), Backoff { first: TimeDelta::minutes(1), cap: TimeDelta::hours(6) })
            .await
            .unwrap();
        models.retries().clear(&[]).await.unwrap();
        models.retries().prune().await.unwrap();
        let rebuild = models.begin_rebuild().await.unwrap();
        rebuild.apply(&[], None).await.unwrap();
        rebuild.swap().await.unwrap();
        models.close().await;
    });
    calls.await.unwrap();
}

async fn of_several_feeders_exactly_one_applies_each_event(kind: Kind) {
    let journal = std::sync::Arc::new(Seeded(3).journal(900, 60));
    let fixture = Fixture::new(kind).await;
    let mut feeders = Vec::new();
    for size in [13, 37, 50] {
        let models = fixture.another().await;
        let journal = std::sync::Arc::clone(&journal);
        feeders.push(tokio::spawn(async move { catch_up(&models, &journal.events, size).await }));
    }
    let mut applied = 0;
    for feeder in feeders {
        applied += feeder.await.unwrap();
    }
    assert_eq!(applied, 900);
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

async fn readers_see_whole_batches_of_one_version_while_versions_are_swapped(kind: Kind) {
    let journal = std::sync::Arc::new(Seeded(4).journal(600, 50));
    let fixture = Fixture::with(kind, &journal).await;
    let expected = std::sync::Arc::new(journal.rows());
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let others = [fixture.models.clone(), fixture.reader().await];
    let mut readers = Vec::new();
    for models in others {
        let (expected, done) = (std::sync::Arc::clone(&expected), std::sync::Arc::clone(&done));
        readers.push(tokio::spawn(async move {
            let mut versions = std::collections::BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let mut found = Vec::new();
                let dump = models.dump(None, |row| found.push(row.clone())).await.unwrap();
                assert_eq!(found, *expected);
                versions.insert(dump.version);
                let some = &expected[found.len() / 2];
                assert_eq!(models.media_row(some.media_id).await.unwrap().as_ref(), Some(some));
                assert_eq!(models.checkpoint().await.unwrap().position, 600);
            }
            versions.len()
        }));
    }
    for _ in 0..8 {
        let rebuild = fixture.models.begin_rebuild().await.unwrap();
        for batch in journal.events.chunks(200) {
            rebuild.apply(batch, None).await.unwrap();
        }
        rebuild.swap().await.unwrap();
        tokio::task::yield_now().await;
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() >= 1);
    }
    assert_eq!(fixture.models.checkpoint().await.unwrap().version, 9);
}

async fn a_prepared_read_goes_on_after_a_swap(kind: Kind) {
    let journal = Seeded(4).journal(100, 10);
    let fixture = Fixture::with(kind, &journal).await;
    let reader = fixture.reader().await;
    let expected = journal.rows().pop().unwrap();
    for _ in 0..3 {
        assert_eq!(reader.media_row(expected.media_id).await.unwrap().as_ref(), Some(&expected));
        let rebuild = fixture.models.begin_rebuild().await.unwrap();
        rebuild.apply(&journal.events, None).await.unwrap();
        rebuild.swap().await.unwrap();
    }
}

on_both!(
    every_call_can_be_made_from_any_task,
    of_several_feeders_exactly_one_applies_each_event,
    readers_see_whole_batches_of_one_version_while_versions_are_swapped,
    a_prepared_read_goes_on_after_a_swap,
);
