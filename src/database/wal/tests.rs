use sqlx::{SqliteConnection, sqlite::SqliteJournalMode};

use super::*;

const SMALL: u64 = 64 * 1024;

async fn open(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap()
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_stays_is_named_and_when_it_ends_the_log_is_folded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let (mut writer, mut reader) = (open(&path).await, open(&path).await);
    run(&mut writer, "CREATE TABLE t (bytes BLOB)").await;
    let watch = WalWatch::new([("journal", path.clone())], SMALL);
    let state = || watch.states().remove(0);
    watch.look().await;
    assert_eq!(state().problem, None);

    run(&mut reader, "BEGIN; SELECT count(*) FROM t").await;
    run(&mut writer, "INSERT INTO t VALUES (zeroblob(1000000)); INSERT INTO t VALUES (zeroblob(1000000))").await;
    watch.look().await;
    let LogState { name, bytes, problem } = state();
    assert_eq!((name, bytes > 2 * 1_000_000), ("journal", true));
    let problem = problem.expect("a problem");
    let said = format!("since these have a read transaction open: this process ({})", std::process::id());
    assert!(problem.starts_with("the write-ahead log of the journal has 2 MiB"), "{problem}");
    assert!(problem.contains(&said), "{problem}");
    run(&mut writer, "INSERT INTO t VALUES (x'00')").await;

    run(&mut reader, "COMMIT").await;
    watch.look().await;
    assert_eq!(state(), LogState { name: "journal", bytes: 0, problem: None });
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(&mut writer).await.unwrap();
    assert_eq!(rows, 3, "the writer has lost neither its rows nor its locks");
}

#[test]
fn a_lock_of_a_reader_is_told_from_others() {
    assert_eq!(reader("7: POSIX  ADVISORY  READ 4242 08:01:131090 124 124", 131_090), Some(4242));
    for other in [
        "7: POSIX  ADVISORY  READ 4242 08:01:131091 124 124",
        "7: POSIX  ADVISORY  WRITE 4242 08:01:131090 120 120",
        "7: POSIX  ADVISORY  READ 4242 08:01:131090 128 128",
        "7: FLOCK  ADVISORY  WRITE 4242 08:01:131090 0 EOF",
        "7: -> POSIX  ADVISORY  READ 4242 08:01:131090 124 124",
        "",
    ] {
        assert_eq!(reader(other, 131_090), None, "{other}");
    }
}
