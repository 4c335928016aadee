use zeroload_domain::{CollectOutcome, CollectReason, ReleaseReason, Seen};

use crate::testing::{
    Journal, Seeded, collected, confirmed,
    contract::{Fixture, Kind, catch_up, on_both},
    dated, id, present, released, requested, restore_started, restored, started, trashed, uploaded,
};

const TEXTS: &str =
    "SELECT day || ' ' || tenant || ' ' || reason || ' ' || items || ' ' || bytes || ' ' || byte_seconds
                     FROM waste_per_day ORDER BY day, tenant, reason";

const FUNNEL: &str = "SELECT day || ' ' || tenant || ' ' || requested || ' ' || uploaded || ' ' || arrived || ' '
                      || confirmed || ' ' || abandoned || ' ' || collected FROM funnel_per_day ORDER BY day, tenant";

/// Events are recorded a second after one another, the first one a second after the requests' own time.
async fn tells(kind: Kind, journal: &Journal, waste: &[&str], funnel: &str) {
    let fixture = Fixture::with(kind, journal).await;
    assert_eq!(fixture.texts(TEXTS).await, waste);
    assert_eq!(fixture.texts(FUNNEL).await, [funnel]);
}

async fn what_was_uploaded_and_never_confirmed_is_waste_from_its_upload_on(kind: Kind) {
    let mut journal = Journal::of([(id(1), requested(id(1))), (id(2), requested(id(2))), (id(3), requested(id(3)))]);
    journal.record(id(1), uploaded("one"));
    journal.record(id(2), uploaded("one"));
    journal.record(id(2), released(ReleaseReason::Cancelled, 100));
    for number in 1..=3 {
        let reason = if number == 2 { CollectReason::Cancelled } else { CollectReason::Expired };
        journal.record(id(number), started(1, reason, if number == 3 { Seen::Absent } else { present("one") }));
    }
    journal.record(id(1), collected(1, CollectOutcome::Deleted, 1000));
    journal.record(id(2), collected(1, CollectOutcome::Deleted, 1000));
    journal.record(id(3), collected(1, CollectOutcome::Absent, 0));
    // Recorded as uploaded 4th and 5th, as collected 10th and 11th.
    let waste = ["2026-09-21 default cancelled 1 1000 6000", "2026-09-21 default expired 1 1000 6000"];
    tells(kind, &journal, &waste, "2026-09-21 default 3 2 2 0 2 3").await;
}

async fn what_the_collector_alone_saw_is_waste_from_its_last_modified_on_or_from_its_request_on(kind: Kind) {
    let mut journal = Journal::default();
    for number in 1..=3 {
        journal.record(id(number), requested(id(number)));
    }
    journal.record(id(1), started(1, CollectReason::Expired, dated("one", 2)));
    journal.record(id(2), started(1, CollectReason::Expired, present("one")));
    // No object is older than the request of its item, whatever the server's clock says.
    journal.record(id(3), started(1, CollectReason::Expired, dated("one", -5000)));
    for number in 1..=3 {
        journal.record(id(number), collected(1, CollectOutcome::Deleted, 100));
    }
    // Collected 7, 8 and 9 seconds after their request.
    let waste = ["2026-09-21 default expired 3 300 2200"];
    tells(kind, &journal, &waste, "2026-09-21 default 3 0 3 0 3 3").await;
}

async fn what_nobody_saw_before_its_delete_freed_it_had_arrived(kind: Kind) {
    let mut journal = Journal::of([(id(1), requested(id(1)))]);
    journal.record(id(1), started(1, CollectReason::Expired, Seen::Unknown));
    journal.record(id(1), collected(1, CollectOutcome::Deleted, 70));
    tells(kind, &journal, &["2026-09-21 default expired 1 70 210"], "2026-09-21 default 1 0 1 0 1 1").await;
}

async fn what_was_ever_confirmed_is_no_waste(kind: Kind) {
    let mut journal = Journal::of([(id(1), requested(id(1))), (id(2), requested(id(2)))]);
    journal.record(id(1), uploaded("one"));
    journal.record(id(1), confirmed(None));
    journal.record(id(1), released(ReleaseReason::Detached, 100));
    journal.record(id(1), started(1, CollectReason::Detached, present("one")));
    journal.record(id(1), collected(1, CollectOutcome::Deleted, 1000));
    // Brought back from the trash, and then released.
    journal.record(id(2), started(1, CollectReason::Expired, present("one")));
    journal.record(id(2), trashed(id(2), 1, 1_000_000));
    journal.record(id(2), restore_started(id(2), 1, None));
    journal.record(id(2), restored(id(2), 1, None));
    journal.record(id(2), released(ReleaseReason::Detached, 100));
    journal.record(id(2), started(2, CollectReason::Detached, present("kept")));
    journal.record(id(2), collected(2, CollectOutcome::Deleted, 1000));
    tells(kind, &journal, &[], "2026-09-21 default 2 1 2 2 0 2").await;
}

async fn what_is_in_the_trash_is_waste_once_it_is_gone_and_for_all_of_its_time(kind: Kind) {
    let mut journal = Journal::of([(id(1), requested(id(1)))]);
    journal.record(id(1), uploaded("one"));
    journal.record(id(1), started(1, CollectReason::Expired, present("one")));
    journal.record(id(1), trashed(id(1), 1, 1_000_000));
    tells(kind, &journal, &[], "2026-09-21 default 1 1 1 0 0 0").await;
    journal.record(id(1), started(2, CollectReason::Expired, Seen::Absent));
    journal.record(id(1), collected(2, CollectOutcome::Deleted, 1000));
    tells(kind, &journal, &["2026-09-21 default expired 1 1000 4000"], "2026-09-21 default 1 1 1 0 1 1").await;
}

async fn bytes_that_come_late_are_waste_of_their_own(kind: Kind) {
    let mut journal = Journal::of([(id(1), requested(id(1)))]);
    journal.record(id(1), started(1, CollectReason::Expired, Seen::Absent));
    journal.record(id(1), collected(1, CollectOutcome::Absent, 0));
    tells(kind, &journal, &[], "2026-09-21 default 1 0 0 0 0 1").await;
    journal.record(id(1), started(2, CollectReason::LateUpload, present("late")));
    journal.record(id(1), collected(2, CollectOutcome::Deleted, 500));
    let late = "2026-09-21 default late_upload 1 500 500";
    tells(kind, &journal, &[late], "2026-09-21 default 1 0 1 0 1 1").await;
    journal.record(id(1), started(3, CollectReason::LateUpload, present("later")));
    let fixture = Fixture::with(kind, &journal).await;
    assert_eq!(fixture.texts(TEXTS).await, [late]);
    journal.record(id(1), collected(3, CollectOutcome::Deleted, 10));
    catch_up(&fixture.models, &journal.events, 10).await;
    assert_eq!(fixture.texts(TEXTS).await, ["2026-09-21 default late_upload 2 510 510"]);
}

async fn the_sums_are_the_same_however_they_were_applied_or_rebuilt(kind: Kind) {
    let journal = Seeded(41).journal(3000, 200);
    let whole = Fixture::with(kind, &journal).await.texts(TEXTS).await;
    assert!(whole.len() >= 2, "{whole:?}");
    let parts = Fixture::new(kind).await;
    catch_up(&parts.models, &journal.events, 7).await;
    assert_eq!(parts.texts(TEXTS).await, whole);
    let rebuild = parts.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    rebuild.swap().await.unwrap();
    assert_eq!(parts.texts(TEXTS).await, whole);
}

async fn a_sum_stops_at_the_largest_number_of_its_column(kind: Kind) {
    let mut journal = Journal::default();
    for number in 1..=3 {
        journal.record(id(number), requested(id(number)));
        journal.record(id(number), uploaded("one"));
        journal.record(id(number), started(1, CollectReason::Expired, present("one")));
        journal.record(id(number), collected(1, CollectOutcome::Deleted, i64::MAX.unsigned_abs() / 2));
    }
    let largest = i64::MAX;
    for size in [1, 100] {
        let fixture = Fixture::new(kind).await;
        catch_up(&fixture.models, &journal.events, size).await;
        let told = fixture.texts(TEXTS).await;
        assert_eq!(told, [format!("2026-09-21 default expired 3 {largest} {largest}")]);
    }
}

async fn tables_of_an_older_schema_get_the_table_and_say_that_their_past_is_missing(kind: Kind) {
    let journal = Seeded(43).journal(300, 20);
    let fixture = Fixture::with(kind, &journal).await;
    let whole = (fixture.texts(TEXTS).await, fixture.texts(FUNNEL).await);
    assert!(fixture.models.checkpoint().await.unwrap().is_complete());
    fixture.take_back_to_before_waste().await;
    let models = fixture.another().await;
    assert!(!models.checkpoint().await.unwrap().is_complete());
    assert_eq!(fixture.texts(TEXTS).await, [""; 0]);
    let rebuild = models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    rebuild.swap().await.unwrap();
    assert!(models.checkpoint().await.unwrap().is_complete());
    assert_eq!((fixture.texts(TEXTS).await, fixture.texts(FUNNEL).await), whole);
}

on_both!(
    what_was_uploaded_and_never_confirmed_is_waste_from_its_upload_on,
    what_the_collector_alone_saw_is_waste_from_its_last_modified_on_or_from_its_request_on,
    what_nobody_saw_before_its_delete_freed_it_had_arrived,
    what_was_ever_confirmed_is_no_waste,
    what_is_in_the_trash_is_waste_once_it_is_gone_and_for_all_of_its_time,
    bytes_that_come_late_are_waste_of_their_own,
    the_sums_are_the_same_however_they_were_applied_or_rebuilt,
    a_sum_stops_at_the_largest_number_of_its_column,
    tables_of_an_older_schema_get_the_table_and_say_that_their_past_is_missing,
);
