use std::task::Poll;

use zeroload_domain::{CollectOutcome, CollectReason, State};

use super::{super::columns, Fixture, catch_up, rows};
use crate::{
    Applied, Status,
    testing::{Journal, Seeded, at, collected, id, present, requested, started, uploaded},
};

#[tokio::test]
async fn every_column_of_a_row_reads_back_as_it_was_folded() {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(2), requested(id(2))),
        (id(1), uploaded("one")),
        (id(1), started(1, CollectReason::Expired, present("one"))),
        (id(1), collected(1, CollectOutcome::Deleted, 1000)),
    ]);
    let fixture = Fixture::with(&journal).await;
    assert_eq!(rows(&fixture.models).await, journal.rows());
    assert_eq!(fixture.models.media_row(id(1)).await.unwrap().unwrap().state, State::Collected);
    assert_eq!(fixture.models.media_row(id(9)).await.unwrap(), None);
}

#[tokio::test]
async fn the_table_holds_the_documented_text() {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(1), uploaded("one")),
        (id(1), started(1, CollectReason::LateUpload, present("two"))),
    ]);
    let fixture = Fixture::with(&journal).await;
    let select = "SELECT json_array(media_id, tenant, owner, state, store, bucket, object_key, content_type,
        content_length, etag, attached_to, requested_at, collectable_at, uploaded_at, claim, collect_reason,
        collect_run_id, seen, outcome, bytes_freed, sequence, position) FROM media";
    let row: String = sqlx::query_scalar(select).fetch_one(&fixture.models.readers).await.unwrap();
    assert_eq!(
        row,
        concat!(
            r#"["019a0d2e-7b1c-7000-8000-000000000001","default","owner-1","collecting","embedded","zeroload","#,
            r#""media/default/01/019a0d2e-7b1c-7000-8000-000000000001.jpg","image/jpeg",1000,"two",null,"#,
            r#""2026-09-21T14:13:20.123456Z","2026-09-21T16:13:20.123456Z","2026-09-21T14:13:22.123456Z",1,"#,
            r#""late_upload","00000000-0000-0000-0000-000000000007","present",null,null,3,3]"#,
        )
    );
}

#[tokio::test]
async fn the_table_the_view_and_the_statements_have_the_same_columns() {
    let fixture = Fixture::new().await;
    let names = "SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(?1) ORDER BY cid)";
    let of = async |table: &str| -> String {
        sqlx::query_scalar(names).bind(table).fetch_one(&fixture.models.readers).await.unwrap()
    };
    let columns = of("media_v1").await;
    assert_eq!(columns.split(", ").count(), columns::COUNT);
    assert_eq!(of("media").await, columns);
    assert_eq!(of("pending_media").await, columns);
    let statements = [
        include_str!("../sql/insert_media.sql"),
        include_str!("../sql/load_media.sql"),
        include_str!("../sql/dump_media.sql"),
        include_str!("../sql/media_by_id.sql"),
        include_str!("../sql/create_media_view.sql"),
    ];
    for sql in statements {
        let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&columns), "{sql}");
    }
}

#[tokio::test]
async fn any_partition_into_batches_gives_the_same_rows() {
    for seed in 0..6 {
        let mut seeded = Seeded(seed);
        let journal = seeded.journal(500, 25);
        let expected = journal.rows();
        let whole = Fixture::with(&journal).await;
        let digest = whole.models.dump(None, |_| ()).await.unwrap();
        assert_eq!(rows(&whole.models).await, expected);
        for size in [1, 7, 200] {
            let parts = Fixture::new().await;
            assert_eq!(catch_up(&parts.models, &journal.events, size).await, 500);
            assert_eq!(rows(&parts.models).await, expected, "seed {seed}, batches of {size}");
            assert_eq!(parts.models.dump(None, |_| ()).await.unwrap(), digest);
        }
    }
}

#[tokio::test]
async fn a_batch_of_many_rows_is_written_whole() {
    let journal = Journal::requests(128 * 2 + 16 * 3 + 5);
    let fixture = Fixture::with(&journal).await;
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

#[tokio::test]
async fn the_checkpoint_moves_with_the_rows_and_survives_a_restart() {
    let journal = Journal::requests(10);
    let fixture = Fixture::new().await;
    let checkpoint = fixture.models.checkpoint().await.unwrap();
    assert_eq!((checkpoint.name.as_str(), checkpoint.version, checkpoint.status), ("media", 1, Status::Live));
    assert_eq!((checkpoint.position, checkpoint.recorded_at), (0, None));

    let applied = fixture.models.apply(&journal.events[..4]).await.unwrap();
    assert_eq!(applied, Applied { position: 4, applied: 4 });
    fixture.models.close().await;
    let reopened = fixture.another().await;
    let checkpoint = reopened.checkpoint().await.unwrap();
    assert_eq!((checkpoint.version, checkpoint.position, checkpoint.recorded_at), (1, 4, Some(at(4))));
    assert_eq!(rows(&reopened).await.len(), 4);
}

#[tokio::test]
async fn events_that_were_applied_before_are_skipped() {
    let journal = Journal::requests(10);
    let fixture = Fixture::with(&journal).await;
    for again in [&journal.events[..], &journal.events[..3], &[]] {
        assert_eq!(fixture.models.apply(again).await.unwrap(), Applied { position: 10, applied: 0 });
    }
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

#[tokio::test]
async fn an_apply_that_is_dropped_anywhere_leaves_all_or_nothing() {
    let journal = Seeded(5).journal(400, 300);
    let (first, second) = journal.events.split_at(200);
    let before = Journal { events: first.to_vec() }.rows();
    let mut steps = 0;
    loop {
        let fixture = Fixture::new().await;
        fixture.models.apply(first).await.unwrap();
        let finished = {
            let mut apply = std::pin::pin!(fixture.models.apply(second));
            let mut left = steps;
            // Each poll is one step of the transaction; after so many of them the future is dropped.
            std::future::poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(false);
                }
                left -= 1;
                apply.as_mut().poll(context).map(|applied| applied.is_ok())
            })
            .await
        };
        let position = fixture.models.checkpoint().await.unwrap().position;
        let found = rows(&fixture.models).await;
        match position {
            200 => assert_eq!(found, before, "after {steps} steps"),
            400 => assert_eq!(found, journal.rows(), "after {steps} steps"),
            other => panic!("half a batch: {other}"),
        }
        catch_up(&fixture.models, &journal.events, 1000).await;
        assert_eq!(rows(&fixture.models).await, journal.rows(), "after {steps} steps and a repeat");
        if finished {
            break;
        }
        steps += 1;
    }
    assert!(steps > 3, "the future was dropped in between: {steps}");
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_folded_and_dumped() {
    let journal = Journal::requests(100_000);
    let fixture = Fixture::new().await;
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
