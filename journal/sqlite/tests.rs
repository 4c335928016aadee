//! The contract on SQLite, and what is particular to it.

use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tempfile::TempDir;
use uuid::Uuid;
use zeroload_clock::Clock;
use zeroload_database_access::private_file;

use super::super::consumers::{ConsumerError, ConsumerStore, CursorTable};
use super::super::contract::consumers::{KeepsCursors, consumers_suite};
use super::super::contract::{Harness, JOURNAL_ID, append, append_each, contract_suite, start_default, stream};
use super::super::{
    AppendError, Hash, Options, Reader, StoreErrorKind, WriteError, WriteStore, WriterThread, start, verify,
};
use super::{OpenError, SqliteConsumers, SqliteJournal, SqliteWriter, common_options, reader_options, writer_options};

struct OnSqlite {
    folder: TempDir,
}

impl OnSqlite {
    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// A connection that anyone with the file could open.
    async fn outsider(&self) -> SqliteConnection {
        common_options(&self.path()).connect().await.expect("the file can be opened")
    }
}

const TRIGGERS: &str = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
const COLUMNS: &str = "SELECT name FROM pragma_table_info(?1) WHERE name <> 'singleton' ORDER BY cid";

impl Harness for OnSqlite {
    type Writer = SqliteWriter;

    async fn create() -> Self {
        Self { folder: TempDir::new().expect("the temporary folder can be written") }
    }

    async fn open(&self) -> (SqliteWriter, Reader) {
        let journal = SqliteJournal::open_writer(&self.path(), JOURNAL_ID).await.expect("nobody else writes");
        (journal.writer, journal.reader)
    }

    async fn tamper(&self, sql: &str) {
        let mut connection = self.outsider().await;
        let triggers: Vec<String> =
            sqlx::query_scalar(TRIGGERS).fetch_all(&mut connection).await.expect("it is a table");
        for trigger in triggers {
            sqlx::query(&format!("DROP TRIGGER {trigger}")).execute(&mut connection).await.expect("it exists");
        }
        connection.execute(sql).await.expect("the test's statement is right");
        connection.close().await.expect("it was open");
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        let mut connection = self.outsider().await;
        sqlx::query_scalar(COLUMNS).bind(table).fetch_all(&mut connection).await.expect("it is a table")
    }

    async fn flip(&self, table: &str, key: i64, column: &str, nth: usize) -> Option<i64> {
        let mut connection = self.outsider().await;
        let select = format!("SELECT {column}, typeof({column}) FROM {table} WHERE rowid = ?1");
        let row: SqliteRow = sqlx::query(&select).bind(key).fetch_one(&mut connection).await.expect("the row is there");
        let kind: String = row.get(1);
        let update = format!("UPDATE {table} SET {column} = CAST(?2 AS {kind}) WHERE rowid = ?1 RETURNING rowid");
        let update = sqlx::query_scalar(&update).bind(key);
        let update = if kind == "integer" {
            let bit = *[0, 1, 8, 31, 62, 63].get(nth)?;
            update.bind(row.get::<i64, _>(0) ^ (1 << bit))
        } else {
            let mut bytes: Vec<u8> = row.get(0);
            let at = *[0, 1, bytes.len() / 2, bytes.len() - 1].get(nth)?;
            bytes[at] ^= 1;
            update.bind(bytes)
        };
        update.fetch_one(&mut connection).await.ok()
    }

    fn blob(hash: &Hash) -> String {
        format!("x'{hash}'")
    }
}

contract_suite!(OnSqlite);

impl KeepsCursors for OnSqlite {
    fn cursors(&self) -> impl CursorTable {
        SqliteConsumers::at(&self.folder.path().join("journal-consumers.db"))
    }

    /// The clock of the processes decides.
    async fn end_leases(&self) {}
}

consumers_suite!(OnSqlite);

#[tokio::test]
async fn no_file_of_cursors_is_made_before_the_first_consumer_is_registered() {
    use std::os::unix::fs::PermissionsExt;

    let harness = OnSqlite::create().await;
    let (journal, writer) = start_default(&harness).await;
    let path = harness.folder.path().join("journal-consumers.db");
    let store = ConsumerStore::new(harness.cursors(), journal.reader().clone(), Clock::system(), JOURNAL_ID);
    assert_eq!(store.list().await.expect("there is none"), []);
    assert!(matches!(store.claim("notes").await, Err(ConsumerError::Unknown { .. })));
    assert!(matches!(store.move_to("notes", 0).await, Err(ConsumerError::Unknown { .. })));
    assert!(!path.exists());
    store.register("notes", 0).await.expect("nothing stands against it");
    for file in private_file::beside(&path) {
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    store.close().await;
    writer.stop().await;
}

#[tokio::test]
async fn a_file_that_holds_no_cursors_is_not_written_to() {
    let harness = OnSqlite::create().await;
    let (journal, writer) = start_default(&harness).await;
    for sql in ["CREATE TABLE other (a); ", "PRAGMA application_id = 2053915471; PRAGMA user_version = 2"] {
        let path = harness.folder.path().join("journal-consumers.db");
        let mut other = common_options(&path).create_if_missing(true).connect().await.expect("it is made");
        other.execute(sql).await.expect("the statement is right");
        other.close().await.expect("it was open");
        let store = ConsumerStore::new(harness.cursors(), journal.reader().clone(), Clock::system(), JOURNAL_ID);
        let refused = store.register("notes", 0).await.expect_err("it is another one's");
        assert!(matches!(refused, ConsumerError::Store(_)), "{refused}");
        std::fs::remove_file(path).expect("it is there");
    }
    writer.stop().await;
}

/// What SQLite answers to a statement of an outsider.
async fn refused(harness: &OnSqlite, sql: &str) -> String {
    let mut connection = harness.outsider().await;
    match connection.execute(sql).await {
        Err(sqlx::Error::Database(error)) => error.message().to_owned(),
        other => panic!("not refused: {sql}: {other:?}"),
    }
}

#[tokio::test]
async fn no_statement_changes_removes_or_replaces_what_was_written() {
    let harness = OnSqlite::create().await;
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 2), append(2, 0, 1)]).await;
    let copy = "SELECT position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id,
                sequence, event_type, event_version, '{}', metadata FROM events WHERE position = 2";
    for sql in [
        "UPDATE events SET payload = '{}' WHERE position = 2".to_owned(),
        "UPDATE OR REPLACE events SET position = 1 WHERE position = 2".to_owned(),
        "DELETE FROM events".to_owned(),
        format!("INSERT OR REPLACE INTO events {copy}"),
        format!("REPLACE INTO events {copy}"),
        format!("INSERT INTO events {copy} ON CONFLICT DO UPDATE SET payload = '{{}}'"),
        "UPDATE commits SET hash = x'00'".to_owned(),
        "DELETE FROM commits WHERE commit_id = 2".to_owned(),
        "INSERT OR REPLACE INTO commits VALUES (2, 3, 1, 0, x'00')".to_owned(),
    ] {
        let message = refused(&harness, &sql).await;
        assert!(message.starts_with("the journal is append-only"), "{sql}: {message}");
    }
    for sql in ["DELETE FROM journal_head", "REPLACE INTO journal_head SELECT * FROM journal_head"] {
        assert_eq!(refused(&harness, sql).await, "a journal has one head");
    }
    let backwards = "UPDATE journal_head SET position = 1, commit_id = 1";
    assert_eq!(refused(&harness, backwards).await, "the head only goes forward, by one commit");
    verify(journal.reader(), None, |_, _| ()).await.expect("nothing was changed");
    writer.stop().await;
}

#[tokio::test]
async fn an_append_by_another_tool_is_refused() {
    let harness = OnSqlite::create().await;
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 1)]).await;
    let values = "1, 1, x'00', 't', 'c', 'media', 's', 1, 'T', '1.0', '{}', '{}'";
    for position in ["NULL", "0", "3"] {
        let message = refused(&harness, &format!("INSERT INTO events VALUES ({position}, {values})")).await;
        assert!(message.contains("not the next event"), "{message}");
    }
    writer.stop().await;
}

#[tokio::test]
async fn a_second_writer_is_refused_while_readers_work() {
    let harness = OnSqlite::create().await;
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 1)]).await;
    match SqliteJournal::open_writer(&harness.path(), JOURNAL_ID).await {
        Err(OpenError::AlreadyWriting { path, pid }) => {
            assert_eq!((path, pid), (harness.path(), Some(std::process::id())));
        }
        other => panic!("not refused: {:?}", other.err()),
    }
    let reader = SqliteJournal::open_reader(&harness.path()).await.expect("readers may");
    append_each(&journal, [append(1, 1, 1)]).await;
    assert_eq!(reader.read(0, 10).await.expect("there is no hole").len(), 2);
    writer.stop().await;

    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 2, 1)]).await;
    assert_eq!(reader.read(0, 10).await.expect("there is no hole").len(), 3);
    writer.stop().await;
}

#[tokio::test]
async fn the_journal_id_is_made_once() {
    let harness = OnSqlite::create().await;
    let (journal, writer) = start_default(&harness).await;
    writer.stop().await;
    drop(journal);
    let again = SqliteJournal::open_writer(&harness.path(), Uuid::from_u128(5)).await.expect("nobody else writes");
    assert_eq!(again.reader.head().await.expect("it can be read").journal_id, JOURNAL_ID);
}

#[tokio::test]
async fn a_reader_is_refused_where_no_journal_is() {
    let harness = OnSqlite::create().await;
    let missing = SqliteJournal::open_reader(&harness.path()).await;
    assert!(matches!(missing, Err(OpenError::Database { source, .. }) if source.kind == StoreErrorKind::Io));
    let mut connection = writer_options(&harness.path()).connect().await.expect("it is created");
    connection.execute("CREATE TABLE other (a)").await.expect("the statement is right");
    let other = SqliteJournal::open_reader(&harness.path()).await;
    assert!(matches!(other, Err(OpenError::SchemaTooOld { found: 0, needed: 1, .. })));
}

#[tokio::test]
async fn a_journal_of_a_later_program_is_refused() {
    let harness = OnSqlite::create().await;
    let (_, writer) = start_default(&harness).await;
    writer.stop().await;
    harness.tamper("INSERT INTO journal_schema VALUES (2, 'tomorrow')").await;
    let read = SqliteJournal::open_reader(&harness.path()).await;
    assert!(matches!(read, Err(OpenError::SchemaTooNew { found: 2, known: 1, .. })));
    let write = SqliteJournal::open_writer(&harness.path(), JOURNAL_ID).await;
    assert!(matches!(write, Err(OpenError::SchemaTooNew { found: 2, known: 1, .. })));
}

#[tokio::test]
async fn commits_are_synced_and_readers_cannot_write() {
    let harness = OnSqlite::create().await;
    harness.open().await.0.close().await;
    let mut writer = writer_options(&harness.path()).connect().await.expect("it can be opened");
    for (pragma, value) in [("synchronous", 2), ("wal_autocheckpoint", 1000), ("mmap_size", 0), ("busy_timeout", 5000)]
    {
        let found: i64 =
            sqlx::query_scalar(&format!("PRAGMA {pragma}")).fetch_one(&mut writer).await.expect("it is known");
        assert_eq!(found, value, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer).await.expect("it is known");
    assert_eq!(mode, "wal");
    let mut reader = reader_options(&harness.path()).connect().await.expect("it can be opened");
    reader.execute("DELETE FROM event_versions").await.expect_err("it is read-only");
}

#[tokio::test]
async fn a_full_disk_writes_nothing_of_the_batch_and_the_writer_goes_on_when_there_is_room() {
    let harness = OnSqlite::create().await;
    let (mut writer, reader) = harness.open().await;
    let unlimited = writer.options.clone();
    writer.options = unlimited.clone().pragma("max_page_count", "40");
    writer.connection = None;
    let batch = |at| {
        let prepare = |number| append(number, 0, 20).prepare().expect("it holds events");
        [prepare(at * 2), prepare(at * 2 + 1)]
    };
    let mut written = 0;
    let error = loop {
        match writer.append(&batch(written)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WriteError::Failed(source) if source.kind == StoreErrorKind::Full));
    assert!(written > 0);
    let found = verify(&reader, None, |_, _| ()).await.expect("nothing is half done");
    assert_eq!(u128::from(found.position), written * 40);

    writer.options = unlimited;
    writer.append(&batch(written)).await.expect("there is room again");
    verify(&reader, None, |_, _| ()).await.expect("it is whole");
    writer.close().await;
}

#[tokio::test]
async fn what_was_written_is_found_over_a_new_connection() {
    let harness = OnSqlite::create().await;
    let (mut writer, reader) = harness.open().await;
    let batch = [append(1, 0, 2), append(2, 0, 1)].map(|append| append.prepare().expect("it holds events"));
    writer.append(&batch[..1]).await.expect("nothing stands against it");
    writer.connection = None;
    let found = writer.find(0, &batch).await.expect("it can be read");
    let events = reader.stream(stream(1)).await.expect("it can be read");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].stream, found[0].command_id), (stream(1), events[0].command_id));
    assert_eq!((found[0].first_position, found[0].recorded_at), (1, events[0].recorded_at));
    assert_eq!(writer.find(2, &batch).await.expect("it can be read"), []);
}

#[tokio::test]
async fn a_database_that_was_made_read_only_is_unavailable() {
    let harness = OnSqlite::create().await;
    let (mut writer, reader) = harness.open().await;
    writer.options = reader_options(&harness.path());
    writer.connection = None;
    let thread = WriterThread::start().expect("there are threads");
    let (journal, writer) = start(writer, reader, Options::default(), thread).await.expect("it has a head");
    let result = journal.append(append(1, 0, 1)).await;
    assert!(matches!(result, Err(AppendError::Unavailable { source }) if source.kind == StoreErrorKind::ReadOnly));
    writer.stop().await;
}

mod stock_tools {
    //! cqrs-es reads our table with its own SQLite store.

    use cqrs_es::event_sink::EventSink;
    use cqrs_es::{Aggregate, DomainEvent, EventStore};
    use serde::{Deserialize, Serialize};
    use sqlite_es::SqliteEventRepository;
    use sqlx::sqlite::SqlitePool;

    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    struct Media {
        at: Vec<u64>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Requested {
        stream: u64,
        at: u64,
    }

    impl DomainEvent for Requested {
        fn event_type(&self) -> String {
            "MediaRequested".into()
        }

        fn event_version(&self) -> String {
            "1.0".into()
        }
    }

    impl Aggregate for Media {
        const TYPE: &'static str = super::super::super::StreamKind::Media.as_str();
        type Command = ();
        type Event = Requested;
        type Error = std::convert::Infallible;
        type Services = ();

        async fn handle(&mut self, (): (), _: &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
            Ok(())
        }

        fn apply(&mut self, event: Requested) {
            self.at.push(event.at);
        }
    }

    #[tokio::test]
    async fn cqrs_es_reads_our_events_with_its_own_store() {
        let harness = OnSqlite::create().await;
        let (journal, writer) = start_default(&harness).await;
        append_each(&journal, [append(1, 0, 2), append(2, 0, 1), append(1, 2, 1)]).await;
        writer.stop().await;

        let pool = SqlitePool::connect_with(reader_options(&harness.path())).await.expect("it can be opened");
        let store =
            cqrs_es::persist::PersistedEventStore::<_, Media>::new_event_store(SqliteEventRepository::new(pool));
        let id = stream(1).to_string();
        let events = store.load_events(&id).await.expect("it can be read");
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(events[1].payload, Requested { stream: 1, at: 1 });
        assert_eq!(events[0].metadata.get("request_id").map(String::as_str), Some("r1"));
        let mut context = store.load_aggregate(&id).await.expect("it can be read");
        assert_eq!(cqrs_es::AggregateContext::aggregate(&mut context).at, [0, 1, 0]);
    }
}
