use chrono::TimeDelta;

use crate::testing::contract::{Fixture, Kind, catch_up, on_both, rows};
use crate::{
    Backoff, Deferred, Error, Status, Swapped,
    testing::{Journal, Seeded, at, id},
};

async fn tables(fixture: &Fixture) -> Vec<String> {
    fixture
        .texts(match fixture.kind {
            Kind::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'media_v*' ORDER BY 1",
            Kind::Postgres => {
                "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 'media@_v%' ESCAPE '@' ORDER BY 1"
            }
        })
        .await
}

async fn a_rebuilt_version_equals_the_live_one_row_by_row_while_the_live_one_goes_on(kind: Kind) {
    let journal = Seeded(11).journal(800, 60);
    let fixture = Fixture::new(kind).await;
    fixture.models.apply(&journal.events[..500], None).await.unwrap();
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    assert_eq!(rebuild.version(), 2);
    rebuild.apply(&journal.events[..300], None).await.unwrap();
    fixture.models.apply(&journal.events[500..600], None).await.unwrap();
    rebuild.apply(&journal.events[300..500], None).await.unwrap();
    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Behind { by: 100 });
    assert_eq!(fixture.models.checkpoint().await.unwrap().version, 1);
    let stands: Vec<_> = fixture.models.checkpoints().await.unwrap();
    let stands: Vec<_> = stands.iter().map(|c| (c.version, c.status, c.position)).collect();
    assert_eq!(stands, [(1, Status::Live, 600), (2, Status::Building, 500)]);

    rebuild.apply(&journal.events[500..600], None).await.unwrap();
    let mut built = Vec::new();
    let of_built = fixture.models.dump(Some(2), |row| built.push(row.clone())).await.unwrap();
    let of_live = fixture.models.dump(Some(1), |_| ()).await.unwrap();
    assert_eq!(rows(&fixture.models).await, built);
    assert_eq!((of_built.rows, of_built.position, of_built.digest), (of_live.rows, of_live.position, of_live.digest));

    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
    let checkpoint = fixture.models.checkpoint().await.unwrap();
    assert_eq!((checkpoint.version, checkpoint.position), (2, 600));
    assert_eq!(rows(&fixture.models).await, built);
    assert_eq!(tables(&fixture).await, ["media_v2"]);
    catch_up(&fixture.models, &journal.events, 90).await;
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

async fn a_version_that_is_ahead_of_the_live_one_is_swapped_in(kind: Kind) {
    let journal = Journal::requests(20);
    let fixture = Fixture::new(kind).await;
    fixture.models.apply(&journal.events[..5], None).await.unwrap();
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
    assert_eq!(fixture.models.checkpoint().await.unwrap().position, 20);
}

async fn what_an_unfinished_rebuild_left_is_removed_by_the_next(kind: Kind) {
    let journal = Journal::requests(20);
    let fixture = Fixture::with(kind, &journal).await;
    let crashed = fixture.models.begin_rebuild().await.unwrap();
    crashed.apply(&journal.events[..10], None).await.unwrap();
    drop(crashed);
    let reopened = fixture.another().await;
    assert_eq!(tables(&fixture).await, ["media_v1", "media_v2"]);
    let rebuild = reopened.begin_rebuild().await.unwrap();
    assert_eq!(rebuild.version(), 3);
    assert_eq!(tables(&fixture).await, ["media_v1", "media_v3"]);
    rebuild.apply(&journal.events, None).await.unwrap();
    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
    assert_eq!(rows(&reopened).await, journal.rows());
}

async fn of_two_rebuilds_the_later_takes_over(kind: Kind) {
    let journal = Journal::requests(20);
    let fixture = Fixture::with(kind, &journal).await;
    let earlier = fixture.models.begin_rebuild().await.unwrap();
    let later = fixture.another().await.begin_rebuild().await.unwrap();
    assert!(matches!(earlier.apply(&journal.events, None).await, Err(Error::RebuildReplaced { version: 2 })));
    assert!(matches!(earlier.swap().await, Err(Error::RebuildReplaced { version: 2 })));
    later.apply(&journal.events, None).await.unwrap();
    assert_eq!(later.swap().await.unwrap(), Swapped::Swapped);
    assert!(matches!(later.swap().await, Err(Error::RebuildReplaced { version: 3 })));
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

async fn a_rebuild_leaves_the_retries_alone(kind: Kind) {
    let journal = Journal::requests(3);
    let fixture = Fixture::with(kind, &journal).await;
    let failed = Deferred { media_id: id(1), claim: None, code: "AccessDenied".into() };
    fixture
        .models
        .retries()
        .postpone(&[failed], at(0), Backoff { first: TimeDelta::minutes(1), cap: TimeDelta::hours(6) })
        .await
        .unwrap();
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    rebuild.swap().await.unwrap();
    assert_eq!(fixture.models.retries().count_by_code().await.unwrap()["AccessDenied"], 1);
}

on_both!(
    a_rebuilt_version_equals_the_live_one_row_by_row_while_the_live_one_goes_on,
    a_version_that_is_ahead_of_the_live_one_is_swapped_in,
    what_an_unfinished_rebuild_left_is_removed_by_the_next,
    of_two_rebuilds_the_later_takes_over,
    a_rebuild_leaves_the_retries_alone,
);
