use std::task::Poll;

use zeroload_domain::CollectReason;

use super::{Fixture, catch_up, rows};
use crate::{
    media::table::MEDIA,
    testing::{Journal, Seeded, id, present, requested, started, uploaded},
};

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
    let row: String = sqlx::query_scalar(select).fetch_one(fixture.readers()).await.unwrap();
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
async fn the_table_and_the_views_have_the_columns_of_the_row() {
    let fixture = Fixture::new().await;
    let names = "SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(?1) ORDER BY cid)";
    let of = async |table: &str| -> String {
        sqlx::query_scalar(names).bind(table).fetch_one(fixture.readers()).await.unwrap()
    };
    let columns = of("media_v1").await;
    assert_eq!(columns, MEDIA.names());
    assert_eq!(of("media").await, columns);
    assert_eq!(of("pending_media").await, columns);
}

/// Times at which an apply is dropped while it is under way.
const DROPS: usize = 12;

#[tokio::test]
async fn an_apply_that_is_dropped_anywhere_leaves_all_or_nothing() {
    let journal = Seeded(5).journal(400, 300);
    let (first, second) = journal.events.split_at(200);
    let before = Journal { events: first.to_vec() }.rows();
    let (mut steps, mut dropped) = (0, 0);
    // How often an apply has to wait for the connection's thread differs, so it is gone through until it was dropped often
    // enough.
    while dropped < DROPS {
        let fixture = Fixture::new().await;
        fixture.models.apply(first, None).await.unwrap();
        let finished = {
            let mut apply = std::pin::pin!(fixture.models.apply(second, None));
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
        dropped += usize::from(!finished && steps > 0);
        steps = if finished { 0 } else { steps + 1 };
    }
}
