use std::collections::BTreeMap;

use uuid::Uuid;
use zeroload_domain::{
    ByteSize, CollectReason, RunEvent,
    run::{CollectionRunEnded, CollectionRunStarted},
};

use crate::testing::contract::{Fixture, Kind, catch_up, on_both};
use crate::{
    RunRow, Swapped,
    testing::{Journal, at, id, present, requested, run_id, started},
};

fn run(number: u128) -> Uuid {
    Uuid::from_u128(0x019a_0d2e_7b1c_7000_8000_0000_0000_0000 + number)
}

fn began(number: u128) -> RunEvent {
    let (run_id, started_at) = (run(number), at(i64::try_from(number).unwrap()));
    RunEvent::CollectionRunStarted(CollectionRunStarted { run_id, caller: "timer".into(), started_at })
}

fn ended(number: u128, broken_off: Option<&str>) -> RunEvent {
    RunEvent::CollectionRunEnded(Box::new(CollectionRunEnded {
        run_id: run(number),
        caller: "timer".into(),
        started_at: at(i64::try_from(number).unwrap()),
        ended_at: at(100),
        due: 6,
        collected: 2,
        trashed: u64::from(broken_off.is_none()),
        absent: 1,
        in_use: 1,
        failed: 1,
        unknown: 1,
        bytes_freed: ByteSize::new(2000),
        more: true,
        reasons: BTreeMap::from([("expired".into(), 2), ("late_upload".into(), 1)]),
        failures: BTreeMap::from([("AccessDenied".into(), 1), ("time-out".into(), 1)]),
        broken_off: broken_off.map(str::to_owned),
    }))
}

/// Three runs beside an item: ended, broken off, and cut off.
fn journal() -> Journal {
    let mut journal = Journal::default();
    journal.record(id(1), requested(id(1)));
    journal.record_run(began(1));
    journal.record(id(1), started(1, CollectReason::Expired, present("one")));
    journal.record_run(ended(1, None));
    journal.record_run(began(2));
    journal.record_run(began(3));
    journal.record_run(ended(2, Some("the bucket stopped answering")));
    journal
}

async fn recorded(fixture: &Fixture) -> Vec<RunRow> {
    fixture.models.run_records(None, 1000).await.unwrap().runs
}

async fn a_run_is_recorded_from_its_beginning_to_its_end(kind: Kind) {
    let fixture = Fixture::with(kind, &journal()).await;
    let rows = recorded(&fixture).await;
    let places: Vec<_> = rows.iter().map(|row| (row.run_id, row.first_position, row.position)).collect();
    assert_eq!(places, [(run(3), 6, 6), (run(2), 5, 7), (run(1), 2, 4)]);
    assert_eq!(rows[0].ended, None);
    for (row, event) in [(&rows[1], ended(2, Some("the bucket stopped answering"))), (&rows[2], ended(1, None))] {
        assert_eq!(row.ended.clone().map(RunEvent::CollectionRunEnded), Some(event));
    }
    assert_eq!(fixture.models.run_record(run(2)).await.unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(fixture.models.run_record(run(9)).await.unwrap(), None);
}

async fn records_are_the_same_however_they_were_applied_or_rebuilt(kind: Kind) {
    let journal = journal();
    let whole = recorded(&Fixture::with(kind, &journal).await).await;
    for size in [1, 2, 3] {
        let parts = Fixture::new(kind).await;
        catch_up(&parts.models, &journal.events, size).await;
        assert_eq!(recorded(&parts).await, whole, "batches of {size}");
        let rebuild = parts.models.begin_rebuild().await.unwrap();
        rebuild.apply(&journal.events, None).await.unwrap();
        assert_eq!(recorded(&parts).await, whole, "while it is rebuilt");
        assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
        assert_eq!(recorded(&parts).await, whole, "rebuilt");
    }
}

async fn runs_come_newest_first_and_page_by_page(kind: Kind) {
    let fixture = Fixture::with(kind, &journal()).await;
    let ids = |runs: Vec<RunRow>| runs.iter().map(|row| row.run_id).collect::<Vec<_>>();
    let first = fixture.models.run_records(None, 2).await.unwrap();
    assert_eq!((ids(first.runs), first.next), (vec![run(3), run(2)], Some(run(2))));
    let rest = fixture.models.run_records(Some(run(2)), 2).await.unwrap();
    assert_eq!((ids(rest.runs), rest.next), (vec![run(1)], None));
}

async fn the_view_shows_what_was_claimed_beside_what_the_record_says(kind: Kind) {
    let fixture = Fixture::with(kind, &journal()).await;
    let text = "SELECT run_id || ' ' || kind || ' ' || claimed || ' ' || unfinished || ' ' || status || ' '
        || coalesce(caller, '-') || ' ' || coalesce(failed, -1) FROM collection_runs ORDER BY run_id";
    let claimed = format!("{} run 1 1 unfinished - -1", run_id());
    let of_records = [(1, "ended timer 1"), (2, "ended timer 1"), (3, "unfinished timer -1")]
        .map(|(number, told)| format!("{} run 0 0 {told}", run(number)));
    let mut expected = vec![claimed];
    expected.extend(of_records);
    assert_eq!(fixture.texts(text).await, expected);
}

async fn tables_from_before_there_were_records_get_them(kind: Kind) {
    let journal = journal();
    let fixture = Fixture::new(kind).await;
    fixture.models.apply(&journal.events[..1], None).await.unwrap();
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    fixture.take_back_to_the_first_step().await;
    let models = fixture.another().await;
    models.apply(&journal.events, None).await.unwrap();
    let rows = models.run_records(None, 1000).await.unwrap().runs;
    assert_eq!(rows, recorded(&Fixture::with(kind, &journal).await).await);
    rebuild.apply(&journal.events, None).await.unwrap();
    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
    assert_eq!(models.run_records(None, 1000).await.unwrap().runs, rows);
}

async fn what_had_ended_before_the_trash_was_counted_has_put_nothing_into_it(kind: Kind) {
    let mut journal = Journal::default();
    journal.record_run(began(1));
    journal.record_run(ended(1, Some("it was cut off")));
    journal.record_run(began(2));
    let fixture = Fixture::with(kind, &journal).await;
    let rows = recorded(&fixture).await;
    fixture.forget_the_trash_of_runs(8).await;
    let models = fixture.another().await;
    assert_eq!(models.run_records(None, 1000).await.unwrap().runs, rows);
    let texts = "SELECT run_id || ' ' || coalesce(trashed, -1) FROM collection_runs ORDER BY run_id";
    assert_eq!(fixture.texts(texts).await, [format!("{} 0", run(1)), format!("{} -1", run(2))]);
    journal.record_run(ended(2, None));
    models.apply(&journal.events, None).await.unwrap();
    assert_eq!(fixture.texts(texts).await[1], format!("{} 1", run(2)));
}

on_both!(
    what_had_ended_before_the_trash_was_counted_has_put_nothing_into_it,
    a_run_is_recorded_from_its_beginning_to_its_end,
    records_are_the_same_however_they_were_applied_or_rebuilt,
    runs_come_newest_first_and_page_by_page,
    the_view_shows_what_was_claimed_beside_what_the_record_says,
    tables_from_before_there_were_records_get_them,
);
