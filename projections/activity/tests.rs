use chrono::{DateTime, TimeDelta, Utc};

use crate::testing::contract::{Fixture, Kind, catch_up, on_both};
use crate::{
    Minute, ReadModels, Unanswered,
    activity::Counts,
    testing::{
        Journal, Seeded, at, confirmed, deadlines, id, one_of_each, present, released, requested, restore_started,
        restored, started, trashed, uploaded,
    },
};
use zeroload_domain::{CollectReason, ReleaseReason};

async fn counted(models: &ReadModels) -> Vec<Minute> {
    let mut minutes = models.activity(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, 1_000_000).await.unwrap();
    minutes.retain(|minute| minute.requested + minute.confirmed + minute.open + minute.kept + minute.expired > 0);
    minutes
}

/// What the rows of a journal count, without any table.
fn expected(journal: &Journal) -> Vec<Minute> {
    let mut counts = Counts::default();
    journal.rows().iter().for_each(|row| counts.add(row));
    counts.minutes()
}

async fn the_counts_are_those_of_the_rows_whatever_the_batches(kind: Kind) {
    let journal = Seeded(23).journal(900, 70);
    assert!(expected(&journal).len() > 50);
    for size in [7, 900] {
        let fixture = Fixture::new(kind).await;
        catch_up(&fixture.models, &journal.events, size).await;
        assert_eq!(counted(&fixture.models).await, expected(&journal), "in batches of {size}");
    }
}

async fn a_rebuilt_version_counts_the_same_and_the_old_counts_go(kind: Kind) {
    let journal = Seeded(29).journal(300, 30);
    let fixture = Fixture::with(kind, &journal).await;
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    assert_eq!(counted(&fixture.models).await, expected(&journal), "the live version counts alone");
    rebuild.swap().await.unwrap();
    assert_eq!(counted(&fixture.models).await, expected(&journal));
    let tables = fixture.texts(match kind {
        Kind::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'activity_v*'",
        Kind::Postgres => "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname ~ '^activity_v'",
    });
    assert_eq!(tables.await, ["activity_v2"]);
}

async fn each_item_counts_in_the_minute_of_its_request_and_in_that_of_its_deadline(kind: Kind) {
    let fixture = Fixture::with(kind, &one_of_each()).await;
    let minutes = counted(&fixture.models).await;
    assert_eq!(minutes.iter().map(|minute| minute.requested).sum::<u64>(), 8);
    assert_eq!(minutes.iter().map(|minute| minute.confirmed).sum::<u64>(), 2);
    let deadline = deadlines(0).collectable_at;
    let of_deadline = fixture.models.activity(deadline, deadline, 10).await.unwrap();
    let counts: Vec<_> = of_deadline.iter().map(|m| (m.open, m.kept, m.expired)).collect();
    assert_eq!(counts, [(2, 1, 2)], "the two that were released are in none");
    assert_eq!(fixture.models.activity(at(0), deadline + TimeDelta::days(1), 1).await.unwrap().len(), 1);
}

async fn requests_are_unanswered_since_the_last_confirm(kind: Kind) {
    let fixture = Fixture::with(kind, &Journal::default()).await;
    let all = async |models: &ReadModels| models.unanswered(at(-10_000), at(10_000)).await.unwrap();
    assert_eq!(all(&fixture.models).await, Unanswered::default());
    // Requests count by the time that stands in them, which is at(0); the confirm is recorded a minute and more later.
    let mut journal = Journal::of([(id(1), requested(id(1))), (id(2), requested(id(2)))]);
    fixture.models.apply(&journal.events, None).await.unwrap();
    let minute = at(0) - TimeDelta::seconds(at(0).timestamp() % 60) - TimeDelta::microseconds(123_456);
    assert_eq!(all(&fixture.models).await, Unanswered { requested: 2, since: Some(minute) });
    assert_eq!(fixture.models.unanswered(at(-10_000), at(-60)).await.unwrap(), Unanswered::default());
    for number in 0..70 {
        journal.record(id(1), uploaded(&format!("tag-{number}")));
    }
    journal.record(id(1), confirmed(None));
    fixture.models.apply(&journal.events, None).await.unwrap();
    assert_eq!(all(&fixture.models).await, Unanswered::default());
    assert_eq!(fixture.models.unanswered(at(-10_000), at(0)).await.unwrap().requested, 2, "nobody had confirmed then");
}

async fn tables_that_were_made_without_counts_are_counted_when_they_are_opened(kind: Kind) {
    let journal = Seeded(31).journal(400, 40);
    let fixture = Fixture::with(kind, &journal).await;
    fixture.take_back_to_the_first_step().await;
    let reopened = fixture.another().await;
    assert_eq!(counted(&reopened).await, expected(&journal));
    let mut longer = journal;
    longer.record(id(1000), requested(id(1000)));
    reopened.apply(&longer.events, None).await.unwrap();
    assert_eq!(counted(&reopened).await, expected(&longer));
}

/// 1 was never confirmed and comes back from the trash, is released and collected once more; 2 stays pending.
fn brought_back() -> Journal {
    let mut journal = Journal::of([(id(1), requested(id(1))), (id(2), requested(id(2)))]);
    journal.record(id(1), started(1, CollectReason::Expired, present("one")));
    journal.record(id(1), trashed(id(1), 1, 1_000_000));
    journal.record(id(1), restore_started(id(1), 1, None));
    journal.record(id(1), restored(id(1), 1, None));
    journal.record(id(1), released(ReleaseReason::Detached, 100));
    journal.record(id(1), started(2, CollectReason::Detached, present("kept")));
    journal
}

async fn what_is_brought_back_from_the_trash_is_no_confirm(kind: Kind) {
    let (journal, before) = (brought_back(), Fixture::with(kind, &Journal::default()).await);
    for event in &journal.events {
        before.models.apply(std::slice::from_ref(event), None).await.unwrap();
        let minutes = counted(&before.models).await;
        assert!(minutes.iter().all(|minute| minute.confirmed == 0), "{event:?} {minutes:?}");
    }
    let unanswered = before.models.unanswered(at(-10_000), at(10_000)).await.unwrap();
    assert_eq!(unanswered.requested, 2, "its request stays one that nobody has answered");
    let minutes = counted(&before.models).await;
    before.take_back_to_the_first_step().await;
    assert_eq!(counted(&before.another().await).await, minutes);
}

async fn counts_of_an_older_rule_are_made_anew_when_the_tables_are_opened(kind: Kind) {
    let journal = brought_back();
    let fixture = Fixture::with(kind, &journal).await;
    fixture.run("UPDATE activity_v1 SET confirmed = confirmed + 1").await;
    fixture.forget_the_trash_of_runs(7).await;
    assert_eq!(counted(&fixture.another().await).await, expected(&journal));
}

on_both!(
    what_is_brought_back_from_the_trash_is_no_confirm,
    counts_of_an_older_rule_are_made_anew_when_the_tables_are_opened,
    the_counts_are_those_of_the_rows_whatever_the_batches,
    a_rebuilt_version_counts_the_same_and_the_old_counts_go,
    each_item_counts_in_the_minute_of_its_request_and_in_that_of_its_deadline,
    requests_are_unanswered_since_the_last_confirm,
    tables_that_were_made_without_counts_are_counted_when_they_are_opened,
);
