use std::time::Duration;

use sqlx::ConnectOptions;

use super::{super::transaction::WriteTransaction, Fixture, database, open_waiting, rows};
use crate::{
    Error, ReadModels,
    testing::{Journal, contract::media_without_seals, without_arrivals},
};

#[tokio::test]
async fn a_hole_stops_the_projection_and_applies_nothing() {
    let journal = Journal::requests(10);
    let fixture = Fixture::new().await;
    fixture.models.apply(&journal.events[..3], None).await.unwrap();
    let torn = [&journal.events[2..5], &journal.events[6..]].concat();
    assert!(matches!(fixture.models.apply(&torn, None).await, Err(Error::Hole { expected: 6, found: 7 })));
    assert!(matches!(
        fixture.models.apply(&journal.events[4..], None).await,
        Err(Error::Hole { expected: 4, found: 5 })
    ));
    assert_eq!(fixture.models.checkpoint().await.unwrap().position, 3);
    assert_eq!(rows(&fixture.models).await.len(), 3);
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_applied() {
    let journal = Journal::requests(2000);
    let fixture = Fixture::new().await;
    fixture.models.apply(&journal.events[..10], None).await.unwrap();
    let limit = async |pages: u32| {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        sqlx::raw_sql(&pragma).execute(fixture.writer()).await.unwrap();
    };
    limit(60).await;
    assert!(matches!(fixture.models.apply(&journal.events, None).await, Err(Error::Full(_))));
    assert_eq!(fixture.models.checkpoint().await.unwrap().position, 10);
    assert_eq!(rows(&fixture.models).await.len(), 10);
    limit(1_000_000).await;
    fixture.models.apply(&journal.events, None).await.unwrap();
    assert_eq!(rows(&fixture.models).await, journal.rows());
}

#[tokio::test]
async fn a_held_write_lock_is_named_and_reads_go_on() {
    let journal = Journal::requests(10);
    let fixture = Fixture::with(&journal).await;
    let other = open_waiting(&fixture.path(), Duration::ZERO).await;
    let held = WriteTransaction::begin(fixture.writer()).await.unwrap();
    assert!(matches!(other.apply(&journal.events, None).await, Err(Error::Busy(_))));
    assert_eq!(rows(&other).await, journal.rows());
    held.rollback().await.unwrap();
    assert_eq!(other.apply(&journal.events, None).await.unwrap().applied, 0);
}

#[tokio::test]
async fn a_file_opened_for_reading_is_never_written() {
    let journal = Journal::requests(10);
    let fixture = Fixture::with(&journal).await;
    fixture.models.close().await;
    // No process has the file open any more, so its WAL is gone too.
    let reader = ReadModels::open_read_only(fixture.path()).await.unwrap();
    assert_eq!(rows(&reader).await, journal.rows());
    assert!(matches!(reader.apply(&journal.events, None).await, Err(Error::ReadOnly)));
    assert!(matches!(reader.begin_rebuild().await, Err(Error::ReadOnly)));
    assert!(matches!(reader.retries().clear(&[]).await, Ok(())));
    let missing = fixture.folder.path().join("missing.db");
    assert!(matches!(ReadModels::open_read_only(&missing).await, Err(Error::Open { .. })));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to be read as the header of one: ".repeat(20)).unwrap();
    let before = std::fs::read(&text).unwrap();
    let refused = ReadModels::open(&text).await;
    assert!(matches!(refused, Err(Error::NotReadModels { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&text).unwrap(), before);

    let other = folder.path().join("other.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&other).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE events (position INTEGER PRIMARY KEY)").execute(&pool).await.unwrap();
    assert!(matches!(ReadModels::open(&other).await, Err(Error::NotReadModels { .. })));
    assert!(matches!(ReadModels::open_read_only(&other).await, Err(Error::NotReadModels { .. })));
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
    assert_eq!(mode, "delete");
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&pool).await.unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn tables_of_an_older_schema_are_brought_up_to_date_with_what_is_in_them() {
    let journal = crate::testing::one_of_each();
    let fixture = Fixture::with(&journal).await;
    let media = media_without_seals();
    let back = "DROP VIEW funnel_per_day; DROP VIEW collection_runs; DROP VIEW run_records; ALTER TABLE run_records_v1 DROP COLUMN trashed;
        CREATE VIEW run_records AS SELECT run_id FROM run_records_v1;
        CREATE VIEW collection_runs AS SELECT run_id FROM run_records;
        DROP VIEW substituted_media; DROP TABLE reconciliation_findings; DROP TABLE reconciliations;
        DROP TABLE recheck_progress; DROP TABLE inspection_retries;
        DROP INDEX media_v1_collected; DROP INDEX media_v1_unsealed; DROP INDEX media_v1_substituted;";
    let columns = "ALTER TABLE media_v1 DROP COLUMN sealed_at; ALTER TABLE media_v1 DROP COLUMN substituted_at;
        ALTER TABLE media_v1 DROP COLUMN found; ALTER TABLE media_v1 DROP COLUMN found_etag;
        ALTER TABLE media_v1 DROP COLUMN arrived_at; PRAGMA user_version = 3";
    let back = &format!("{back} {media} {columns}");
    sqlx::raw_sql(back).execute(fixture.writer()).await.unwrap();
    fixture.models.close().await;
    let opened = ReadModels::open(fixture.path()).await.unwrap();
    assert_eq!(rows(&opened).await, without_arrivals(journal.rows()));
    assert_eq!(opened.inspections().collected(0, 10).await.unwrap().len(), 1);
    assert_eq!(opened.inspections().substituted_count(10).await.unwrap(), 0);
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = 'media_v1_collected'";
    assert_eq!(sqlx::query_scalar::<_, i64>(indexes).fetch_one(database(&opened).readers()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_schema_of_a_newer_binary_is_refused() {
    let fixture = Fixture::new().await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(fixture.writer()).await.unwrap();
    assert!(matches!(ReadModels::open(fixture.path()).await, Err(Error::Newer { found: 99, .. })));
    assert!(matches!(ReadModels::open_read_only(fixture.path()).await, Err(Error::Newer { found: 99, .. })));
    sqlx::raw_sql("PRAGMA user_version = 0").execute(fixture.writer()).await.unwrap();
    let older = ReadModels::open_read_only(fixture.path()).await.map(drop);
    assert!(matches!(older, Err(Error::NotMigrated { found: 0, .. })), "{older:?}");
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_named() {
    let journal = Journal::requests(1);
    let fixture = Fixture::with(&journal).await;
    sqlx::query("UPDATE media_v1 SET state = 'lost'").execute(fixture.writer()).await.unwrap();
    let found = fixture.models.dump(None, |_| ()).await;
    assert!(matches!(&found, Err(Error::Unreadable { column: "state", value }) if value == "lost"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_processes_that_create_the_file_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("projections.db");
    let opening: Vec<_> = (0..6).map(|_| tokio::spawn(ReadModels::open(path.clone()))).collect();
    for opened in opening {
        assert_eq!(opened.await.unwrap().unwrap().checkpoints().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_a_kill_left_half_written_is_rolled_back_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("models.db");
    ReadModels::open(&path).await.unwrap().close().await;
    // A transaction that has begun to spill into the file, with its rollback journal beside it.
    let mut writing = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    // No timeout covers this step, and what was closed may hold the file a moment longer.
    while sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut writing).await.is_err() {
        tokio::task::yield_now().await;
    }
    for step in [
        "PRAGMA cache_size = 1",
        "BEGIN",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO collection_retries SELECT printf('%036d', i), NULL, 1, 'then', hex(zeroblob(1000)), 'now' FROM n",
    ] {
        sqlx::query(step).execute(&mut writing).await.unwrap();
    }
    let killed = dir.path().join("killed.db");
    std::fs::copy(&path, &killed).unwrap();
    std::fs::copy(dir.path().join("models.db-journal"), dir.path().join("killed.db-journal")).unwrap();
    let models = ReadModels::open(&killed).await.unwrap();
    assert!(models.retries().count_by_code().await.unwrap().is_empty());
}
