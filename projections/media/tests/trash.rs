use chrono::{DateTime, Utc};
use zeroload_domain::{CollectReason, MediaId, Seen};

use crate::testing::contract::{Fixture, Kind, on_both};
use crate::testing::{Journal, at, deadlines, id, present, requested, restore_started, restored, started, trashed};

/// Far after the request's deadlines.
const UNTIL: i64 = 1_000_000;

/// 1 is in the trash, 2 on its way back, 3 is back.
fn journal() -> Journal {
    let mut journal = Journal::default();
    for number in 1..=3 {
        journal.record(id(number), requested(id(number)));
        journal.record(id(number), started(1, CollectReason::Expired, present("one")));
        journal.record(id(number), trashed(id(number), 1, UNTIL));
    }
    for number in 2..=3 {
        journal.record(id(number), restore_started(id(number), 1, None));
    }
    journal.record(id(3), restored(id(3), 1, None));
    journal
}

async fn the_trash_is_listed_when_its_time_is_over_and_what_comes_back_at_once(kind: Kind) {
    let fixture = Fixture::with(kind, &journal()).await;
    let due = async |now: DateTime<Utc>| -> Vec<MediaId> {
        let items = fixture.models.due(now, None, 10).await.unwrap();
        items.into_iter().map(|item| item.media_id).collect()
    };
    assert_eq!(due(at(UNTIL - 1)).await, []);
    assert_eq!(due(at(UNTIL)).await, [id(1)]);
    assert_eq!(fixture.models.due_count(at(UNTIL), 10).await.unwrap(), 1);
    let unfinished = fixture.models.unfinished(at(0), None, 10).await.unwrap();
    assert_eq!(unfinished.iter().map(|item| item.media_id).collect::<Vec<_>>(), [id(2)]);
}

async fn an_item_counts_in_the_minute_in_which_its_time_to_confirm_ended_wherever_it_is(kind: Kind) {
    let fixture = Fixture::with(kind, &journal()).await;
    let confirm_by = deadlines(0).confirm_by;
    let minutes = fixture.models.activity(confirm_by, confirm_by, 10).await.unwrap();
    assert_eq!(minutes.iter().map(|minute| (minute.kept, minute.expired)).collect::<Vec<_>>(), [(1, 2)]);
    let mut ended = journal();
    ended.record(id(1), started(2, CollectReason::Expired, Seen::Absent));
    fixture.models.apply(&ended.events[ended.events.len() - 1..], None).await.unwrap();
    let again = fixture.models.activity(confirm_by, confirm_by, 10).await.unwrap();
    assert_eq!(again, minutes, "its second claim is no second item");
}

async fn tables_from_before_the_trash_get_its_indexes_when_they_are_opened(kind: Kind) {
    let fixture = Fixture::with(kind, &journal()).await;
    fixture.take_back_to_the_first_step().await;
    let indexes = fixture.another().await;
    let listed = fixture.texts(match kind {
        Kind::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%trashed%' OR sql LIKE '%restoring%' ORDER BY name",
        Kind::Postgres => "SELECT indexname::text FROM pg_indexes WHERE indexdef LIKE '%trashed%' OR indexdef LIKE '%restoring%' ORDER BY indexname",
    });
    assert_eq!(listed.await, ["media_v1_collecting", "media_v1_due"]);
    assert_eq!(indexes.due(at(UNTIL), None, 10).await.unwrap().len(), 1);
}

on_both!(
    the_trash_is_listed_when_its_time_is_over_and_what_comes_back_at_once,
    an_item_counts_in_the_minute_in_which_its_time_to_confirm_ended_wherever_it_is,
    tables_from_before_the_trash_get_its_indexes_when_they_are_opened,
);
