use zeroload_domain::{CollectOutcome, CollectReason, State};

use crate::testing::contract::{Fixture, Kind, catch_up, on_both, rows};
use crate::{
    Applied, Mark, Status,
    testing::{Journal, Seeded, at, collected, id, present, requested, started, uploaded},
};

async fn every_column_of_a_row_reads_back_as_it_was_folded(kind: Kind) {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(2), requested(id(2))),
        (id(1), uploaded("one")),
        (id(1), started(1, CollectReason::Expired, present("one"))),
        (id(1), collected(1, CollectOutcome::Deleted, 1000)),
    ]);
    let fixture = Fixture::with(kind, &journal).await;
    assert_eq!(rows(&fixture.models).await, journal.rows());
    assert_eq!(fixture.models.media_row(id(1)).await.unwrap().unwrap().state, State::Collected);
    assert_eq!(fixture.models.media_row(id(9)).await.unwrap(), None);
}

async fn any_partition_into_batches_gives_the_same_rows(kind: Kind) {
    for seed in 0..6 {
        let mut seeded = Seeded(seed);
        let journal = seeded.journal(500, 25);
        let expected = journal.rows();
        let whole = Fixture::with(kind, &journal).await;
        let digest = whole.models.dump(None, |_| ()).await.unwrap();
        assert_eq!(rows(&whole.models).await, expected);
        for size in [1, 7, 200] {
            let parts = Fixture::new(kind).await;
            assert_eq!(catch_up(&parts.models, &journal.events, size).await, 500);
            assert_eq!(rows(&parts.models).await, expected, "seed {seed}, batches of {size}");
            assert_eq!(parts.models.dump(None, |_| ()).await.unwrap(), digest);
        }
    }
}

async fn a_batch_of_many_rows_is_written_whole(kind: Kind) {
    let journal = Journal::requests(128 * 2 + 16 * 3 + 5);
    let fixture = Fixture::with(kind, &journal).await;
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

async fn the_checkpoint_moves_with_the_rows_and_survives_a_restart(kind: Kind) {
    let journal = Journal::requests(10);
    let fixture = Fixture::new(kind).await;
    let checkpoint = fixture.models.checkpoint().await.unwrap();
    assert_eq!((checkpoint.name.as_str(), checkpoint.version, checkpoint.status), ("media", 1, Status::Live));
    assert_eq!((checkpoint.position, checkpoint.recorded_at), (0, None));

    let applied = fixture.models.apply(&journal.events[..4], None).await.unwrap();
    assert_eq!(applied, Applied { position: 4, applied: 4 });
    fixture.models.close().await;
    let reopened = fixture.another().await;
    let checkpoint = reopened.checkpoint().await.unwrap();
    assert_eq!((checkpoint.version, checkpoint.position, checkpoint.recorded_at), (1, 4, Some(at(4))));
    assert_eq!(rows(&reopened).await.len(), 4);
}

async fn the_checkpoint_keeps_the_latest_commit_that_it_was_told(kind: Kind) {
    let journal = Journal::requests(8);
    let fixture = Fixture::new(kind).await;
    let mark = |commit_id| Some(Mark { commit_id, commit_hash: format!("{commit_id:064x}") });
    let noted = async || fixture.models.checkpoint().await.unwrap().mark();
    assert_eq!(noted().await, None);
    fixture.models.apply(&journal.events[..2], mark(1).as_ref()).await.unwrap();
    assert_eq!(noted().await, mark(1));
    fixture.models.apply(&journal.events[2..4], None).await.unwrap();
    assert_eq!(noted().await, mark(1));
    fixture.models.apply(&journal.events[..4], mark(9).as_ref()).await.unwrap();
    assert_eq!(noted().await, mark(1), "nothing was applied");
    fixture.models.apply(&journal.events[..6], mark(3).as_ref()).await.unwrap();
    assert_eq!(noted().await, mark(3));

    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, mark(4).as_ref()).await.unwrap();
    assert_eq!(noted().await, mark(3));
    rebuild.swap().await.unwrap();
    assert_eq!(noted().await, mark(4));
}

async fn checkpoints_of_an_older_schema_know_no_commit_until_the_next_batch(kind: Kind) {
    let journal = Journal::requests(4);
    let fixture = Fixture::new(kind).await;
    let mark = Some(Mark { commit_id: 2, commit_hash: "ab".repeat(32) });
    fixture.models.apply(&journal.events[..2], mark.as_ref()).await.unwrap();
    let number = match kind {
        Kind::Sqlite => "PRAGMA user_version = 15",
        Kind::Postgres => "UPDATE projection_schema SET version = 15",
    };
    let columns =
        ["commit_id", "commit_hash"].map(|name| format!("ALTER TABLE projection_checkpoints DROP COLUMN {name};"));
    fixture.models.close().await;
    fixture.run(&format!("{} {number}", columns.concat())).await;
    let models = fixture.another().await;
    let checkpoint = models.checkpoint().await.unwrap();
    assert_eq!((checkpoint.position, checkpoint.mark()), (2, None));
    models.apply(&journal.events, mark.as_ref()).await.unwrap();
    assert_eq!(models.checkpoint().await.unwrap().mark(), mark);
}

async fn events_that_were_applied_before_are_skipped(kind: Kind) {
    let journal = Journal::requests(10);
    let fixture = Fixture::with(kind, &journal).await;
    for again in [&journal.events[..], &journal.events[..3], &[]] {
        assert_eq!(fixture.models.apply(again, None).await.unwrap(), Applied { position: 10, applied: 0 });
    }
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

async fn a_hundred_thousand_rows_are_folded_and_dumped(kind: Kind) {
    let journal = Journal::requests(100_000);
    let fixture = Fixture::new(kind).await;
    catch_up(&fixture.models, &journal.events, 2000).await;
    let mut last = None;
    let dump = fixture
        .models
        .dump(None, |row| {
            assert!(last < Some(row.media_id));
            last = Some(row.media_id);
        })
        .await
        .unwrap();
    assert_eq!((dump.rows, dump.position), (100_000, 100_000));
    assert_eq!(fixture.models.due_count(at(1_000_000), 5000).await.unwrap(), 5000);
}

on_both!(
    every_column_of_a_row_reads_back_as_it_was_folded,
    any_partition_into_batches_gives_the_same_rows,
    a_batch_of_many_rows_is_written_whole,
    the_checkpoint_moves_with_the_rows_and_survives_a_restart,
    the_checkpoint_keeps_the_latest_commit_that_it_was_told,
    checkpoints_of_an_older_schema_know_no_commit_until_the_next_batch,
    events_that_were_applied_before_are_skipped,
    a_hundred_thousand_rows_are_folded_and_dumped,
);
