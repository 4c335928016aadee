//! The contract on PostgreSQL, and what is particular to it.

mod cluster;
mod faults;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use sqlx::Executor;
use tokio::runtime::Handle;
use uuid::Uuid;

use self::cluster::Database;
use super::super::consumers::CursorTable;
use super::super::contract::consumers::{KeepsCursors, consumers_suite};
use super::super::contract::{Harness, JOURNAL_ID, append, append_each, contract_suite, start_default, stream};
use super::super::sqlite::SqliteJournal;
use super::super::{
    Append, AppendError, Hash, Journal, Options, ReadError, Reader, StoreError, StoreErrorKind, WriteError, WriteStore,
    WriterTask, WriterThread, start, verify,
};
use super::{OpenError, PostgresConsumers, PostgresJournal, PostgresWriter, Settings, SettingsError};

struct OnPostgres {
    database: Database,
}

const TABLES: [&str; 4] = ["events", "commits", "journal_head", "event_versions"];
const COLUMNS: &str = "SELECT column_name::text FROM information_schema.columns
    WHERE table_name = $1 AND column_name <> 'singleton' ORDER BY ordinal_position";

impl Harness for OnPostgres {
    type Writer = PostgresWriter;

    async fn create() -> Self {
        Self { database: Database::create().await }
    }

    async fn open(&self) -> (PostgresWriter, Reader) {
        let settings = self.database.settings();
        PostgresJournal::migrate(&settings, JOURNAL_ID).await.expect("the owner may");
        let journal = open_writer(&settings).await.expect("it is up to date");
        (journal.writer, journal.reader)
    }

    async fn tamper(&self, sql: &str) {
        let mut connection = self.database.outsider().await;
        for table in TABLES {
            let disable = format!("ALTER TABLE {table} DISABLE TRIGGER USER");
            connection.execute(disable.as_str()).await.expect("the owner may");
        }
        connection.execute(sql).await.expect("the test's statement is right");
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        let mut connection = self.database.outsider().await;
        sqlx::query_scalar(COLUMNS).bind(table).fetch_all(&mut connection).await.expect("it is a table")
    }

    async fn flip(&self, table: &str, key: i64, column: &str, nth: usize) -> Option<i64> {
        let key_column = match table {
            "events" => "position",
            "commits" => "commit_id",
            _ => "singleton",
        };
        let mut connection = self.database.outsider().await;
        let kind = "SELECT data_type::text FROM information_schema.columns WHERE table_name = $1 AND column_name = $2";
        let kind: String =
            sqlx::query_scalar(kind).bind(table).bind(column).fetch_one(&mut connection).await.expect("it is there");
        let set = |value: &str| {
            format!("UPDATE {table} SET {column} = {value} WHERE {key_column} = $1 RETURNING {key_column}::bigint")
        };
        if kind == "bigint" {
            let bit: u32 = *[0, 1, 8, 31, 62, 63].get(nth)?;
            let update = set(&format!("{column} # $2"));
            let update = sqlx::query_scalar(&update).bind(key).bind((1_u64 << bit).cast_signed());
            return update.fetch_one(&mut connection).await.ok();
        }
        let as_bytes = if kind == "bytea" { column.to_owned() } else { format!("convert_to({column}::text, 'UTF8')") };
        let select = format!("SELECT {as_bytes} FROM {table} WHERE {key_column} = $1");
        let mut bytes: Vec<u8> =
            sqlx::query_scalar(&select).bind(key).fetch_one(&mut connection).await.expect("the row is there");
        let at = *[0, 1, 2, bytes.len() / 2, bytes.len() - 2, bytes.len() - 1].get(nth)?;
        *bytes.get_mut(at)? ^= 1;
        let update = if kind == "bytea" { set("$2") } else { set(&format!("convert_from($2, 'UTF8')::{kind}")) };
        sqlx::query_scalar(&update).bind(key).bind(bytes).fetch_one(&mut connection).await.ok()
    }

    fn blob(hash: &Hash) -> String {
        format!(r"'\x{hash}'::bytea")
    }
}

contract_suite!(OnPostgres);

impl KeepsCursors for OnPostgres {
    fn cursors(&self) -> impl CursorTable {
        PostgresConsumers::of(&self.database.settings(), &Handle::current())
    }

    async fn end_leases(&self) {
        let mut owner = self.database.outsider().await;
        owner
            .execute("UPDATE journal_consumers SET lease_until = lease_until - 61000000")
            .await
            .expect("the owner may");
    }
}

consumers_suite!(OnPostgres);

/// The server's code for a statement of an outsider.
async fn refused(connection: &mut sqlx::PgConnection, sql: &str) -> String {
    match connection.execute(sql).await {
        Err(sqlx::Error::Database(error)) => error.code().expect("the server gives one").into_owned(),
        other => panic!("not refused: {sql}: {other:?}"),
    }
}

async fn open_writer(settings: &Settings) -> Result<PostgresJournal, OpenError> {
    let runtime = Handle::current();
    PostgresJournal::open_writer(settings, &runtime, &runtime).await
}

async fn start_on(settings: &Settings) -> (Journal, WriterTask) {
    let thread = WriterThread::start().expect("there are threads");
    let opened = PostgresJournal::open_writer(settings, thread.runtime(), &Handle::current()).await;
    let opened = opened.expect("it is up to date");
    start(opened.writer, opened.reader, Options::default(), thread).await.expect("it has a head")
}

const CHANGES: [&str; 10] = [
    "UPDATE events SET payload = '{}' WHERE position = 2",
    "DELETE FROM events",
    "TRUNCATE events",
    "INSERT INTO events SELECT position + 5, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type,
         aggregate_id, 9, event_type, event_version, payload, metadata FROM events WHERE position = 2",
    "UPDATE commits SET event_count = 7",
    "DELETE FROM commits",
    "INSERT INTO commits SELECT commit_id + 5, first_position, event_count, recorded_at, hash FROM commits",
    "DELETE FROM event_versions",
    "DELETE FROM journal_head",
    "UPDATE journal_head SET position = 1",
];

#[tokio::test]
async fn no_statement_changes_or_removes_what_was_written() {
    let harness = OnPostgres::create().await;
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 2), append(2, 0, 1)]).await;
    let mut owner = harness.database.outsider().await;
    for sql in CHANGES {
        assert_eq!(refused(&mut owner, sql).await, "ZL001", "{sql}");
    }
    verify(journal.reader(), None, |_, _| ()).await.expect("nothing was changed");
    writer.stop().await;
}

#[tokio::test]
async fn a_batch_whose_events_are_not_numbered_from_one_is_refused() {
    let harness = OnPostgres::create().await;
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 1)]).await;
    let mut owner = harness.database.outsider().await;
    for (places, code) in [(&[2][..], "ZL004"), (&[0], "ZL004"), (&[1, 3], "ZL004"), (&[1, 1], "23505")] {
        let rows = places.iter().enumerate().map(|(index, at)| {
            format!(
                "ROW({at}, 'media', 's{index}', 1, 'T', '1.0', '{{}}', '{{}}', 't', 'c', '\\x00')::journal_new_event"
            )
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT journal_append_all(journal_begin_writer(), '{JOURNAL_ID}', 0, '{{}}', '{{}}', '{{}}', ARRAY['T'],
             ARRAY['1.0'], ARRAY[{rows}], '\\x00')"
        );
        assert_eq!(refused(&mut owner, &sql).await, code, "{places:?}");
    }
    append_each(&journal, [append(2, 0, 1)]).await;
    assert_eq!(verify(journal.reader(), None, |_, _| ()).await.expect("it is whole").position, 2);
    writer.stop().await;
}

#[tokio::test]
async fn the_role_that_serves_appends_and_reads_and_can_do_nothing_else() {
    use sqlx::ConnectOptions;

    let harness = OnPostgres::create().await;
    let role = format!("serve_{}", harness.database.name);
    let mut owner = harness.database.outsider().await;
    owner.execute(format!("CREATE ROLE {role} LOGIN").as_str()).await.expect("the owner may");
    let settings = harness.database.settings_of(&role);
    let early = PostgresJournal::migrate(&settings, JOURNAL_ID).await.expect_err("it may not create tables");
    assert!(matches!(early, OpenError::SchemaTooOld { found: 0, needed: NEEDED, .. }), "{early:?}");
    assert!(early.to_string().contains("zeroload migrate"));

    harness.open().await.0.close().await;
    let grants = include_str!("../migrations/postgres/grants.sql").replace(":\"role\"", &role);
    owner.execute(grants.as_str()).await.expect("the statements are right");
    PostgresJournal::migrate(&settings, JOURNAL_ID).await.expect("there is nothing to do");
    let (journal, writer) = start_on(&settings).await;
    append_each(&journal, [append(1, 0, 2), append(1, 2, 1)]).await;
    verify(journal.reader(), None, |_, _| ()).await.expect("it is whole");
    let mut outsider = settings.options.connect().await.expect("it may");
    for sql in CHANGES.into_iter().chain(["INSERT INTO journal_fences DEFAULT VALUES", "CREATE TABLE t (a int)"]) {
        assert_eq!(refused(&mut outsider, sql).await, "42501", "{sql}");
    }
    refused(&mut outsider, "ALTER TABLE events DISABLE TRIGGER USER").await;
    writer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_processes_may_migrate_at_once() {
    let harness = OnPostgres::create().await;
    let migrate = |number| {
        let settings = harness.database.settings();
        tokio::spawn(async move { PostgresJournal::migrate(&settings, Uuid::from_u128(number)).await })
    };
    for migrated in join_all((1..=8).map(migrate)).await {
        migrated.expect("it does not panic").expect("it waits for the others");
    }
    let (_, reader) = harness.open().await;
    let id = reader.head().await.expect("there is one").journal_id.as_u128();
    assert!((1..=8).contains(&id));
    verify(&reader, None, |_, _| ()).await.expect("it begins with its genesis");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_waits_for_another_one_however_long_that_takes() {
    let harness = OnPostgres::create().await;
    let mut other = harness.database.outsider().await;
    let limits = "ALTER DATABASE name SET statement_timeout = '500ms'; ALTER DATABASE name SET lock_timeout = '500ms'";
    other.execute(limits.replace("name", &harness.database.name).as_str()).await.expect("the owner may");
    let lock = super::migrate::LOCK;
    other.execute(format!("BEGIN; {lock}").as_str()).await.expect("nobody holds it");
    // Behind a pooler no session sets limits of its own: those of the database hold.
    let settings = harness.database.settings_with("pgbouncer=true");
    let migrating = tokio::spawn(async move { PostgresJournal::migrate(&settings, JOURNAL_ID).await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND clock_timestamp() - query_start > interval '700 ms'";
    let mut looking = harness.database.outsider().await;
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut looking).await.expect("it may") == 0 {
        assert!(!migrating.is_finished(), "{:?}", migrating.await);
    }
    other.execute("COMMIT").await.expect("it was begun");
    migrating.await.expect("it does not panic").expect("it was not cut off");
}

const NEEDED: i64 = 6;
const LATER: i64 = NEEDED + 1;

#[tokio::test]
async fn a_journal_of_another_schema_is_refused() {
    let harness = OnPostgres::create().await;
    let (settings, runtime) = (harness.database.settings(), Handle::current());
    let none = PostgresJournal::open_reader(&settings, &runtime).await.err();
    assert!(matches!(none, Some(OpenError::SchemaTooOld { found: 0, needed: NEEDED, .. })));
    harness.open().await.0.close().await;
    harness.tamper(&format!("INSERT INTO journal_schema VALUES ({LATER})")).await;
    let later = open_writer(&settings).await.err();
    assert!(matches!(later, Some(OpenError::SchemaTooNew { found: LATER, known: NEEDED, .. })));
    let later = PostgresJournal::migrate(&settings, JOURNAL_ID).await;
    assert!(matches!(later, Err(OpenError::SchemaTooNew { found: LATER, known: NEEDED, .. })));
}

const WRITERS: u128 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_writers_share_one_order_and_a_conflict_has_one_winner() {
    let harness = OnPostgres::create().await;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(start_default(&harness).await);
    }
    let work = (0..).zip(&writers).map(|(own, (journal, _))| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let (mut positions, mut won) = (Vec::new(), 0);
            for at in 0..20 {
                let appended = journal.append(append(10 + own, at, 1)).await.expect("the stream is its own");
                positions.push(appended.first_position);
                match journal.append(append(1, at, 1)).await {
                    Ok(appended) => {
                        positions.push(appended.first_position);
                        won += 1;
                    }
                    Err(AppendError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (positions, won)
        })
    });
    let (mut positions, mut won) = (HashSet::new(), 0);
    for done in join_all(work.collect::<Vec<_>>()).await {
        let (own, wins) = done.expect("it does not panic");
        won += wins;
        assert!(own.into_iter().all(|position| positions.insert(position)), "a position was given twice");
    }
    // Of each sequence of the shared stream there was one winner.
    assert_eq!(won, 20);
    let reader = writers[0].0.reader().clone();
    let stored = reader.read(0, 1000).await.expect("there is no hole");
    assert_eq!(stored.iter().map(|event| event.position).collect::<HashSet<_>>(), positions);
    assert_eq!(stored.len(), 100);
    assert_eq!(reader.stream(stream(1)).await.expect("it is whole").len(), 20);
    verify(&reader, None, |_, _| ()).await.expect("it is whole");
    for (_, writer) in writers {
        writer.stop().await;
    }
}

const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%journal_append%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_ended_in_the_middle_loses_no_acknowledged_event() {
    let harness = OnPostgres::create().await;
    let (journal, writer) = start_default(&harness).await;
    let enough = Arc::new(AtomicBool::new(false));
    let working = {
        let (journal, enough) = (journal.clone(), Arc::clone(&enough));
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in (0..).take_while(|_| !enough.load(Ordering::Acquire)) {
                match journal.append(append(number, 0, 2)).await {
                    Ok(appended) => acknowledged.push((number, appended)),
                    Err(AppendError::Unavailable { .. } | AppendError::Settling { .. }) => {
                        tokio::task::yield_now().await
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            acknowledged
        })
    };
    let mut outsider = harness.database.outsider().await;
    let mut ended = 0;
    while ended < 20 {
        assert!(!working.is_finished(), "it goes on until it is told");
        ended += sqlx::query_scalar::<_, i64>(TERMINATE).fetch_one(&mut outsider).await.expect("it may");
    }
    enough.store(true, Ordering::Release);
    let acknowledged = working.await.expect("it does not panic");
    let reader = journal.reader();
    for (number, appended) in &acknowledged {
        let events = reader.stream(stream(*number)).await.expect("it can be read");
        assert_eq!((events.len(), events[0].position), (2, appended.first_position));
    }
    let found = verify(reader, None, |_, _| ()).await.expect("it is whole");
    assert_eq!(found.position, acknowledged.len() as u64 * 2, "what was not acknowledged was not written");
    writer.stop().await;
}

#[tokio::test]
async fn a_lookup_waits_for_the_head_and_refuses_what_arrives_later() {
    let harness = OnPostgres::create().await;
    let (mut writer, reader) = harness.open().await;
    let batch = [append(1, 0, 2)].map(|append| append.prepare().expect("it holds events"));
    let late = writer.fence;
    assert_eq!(writer.find(0, &batch).await.expect("it can be looked up"), []);
    writer.fence = late;
    let refused = writer.append(&batch).await;
    assert!(matches!(refused, Err(WriteError::Failed(_))), "{refused:?}");
    writer.append(&batch).await.expect("it took the right to append anew");

    let mut other = harness.database.outsider().await;
    other.execute("BEGIN; SELECT * FROM journal_head FOR UPDATE").await.expect("nobody holds it");
    let looking = tokio::spawn(async move { writer.find(0, &batch).await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.expect("it may") == 0 {}
    assert!(!looking.is_finished());
    other.execute("COMMIT").await.expect("it was begun");
    let found = looking.await.expect("it does not panic").expect("it can be looked up");
    let events = reader.stream(stream(1)).await.expect("it can be read");
    assert_eq!((found.len(), found[0].first_position), (1, events[0].position));
    assert_eq!(found[0].recorded_at, events[0].recorded_at);
}

#[tokio::test]
async fn who_would_wait_behind_a_silent_query_for_a_stream_is_told_so_and_the_other_gets_its() {
    let harness = OnPostgres::create().await;
    let (mut writer, reader) = harness.open().await;
    let batch = [append(1, 0, 2)].map(|append| append.prepare().expect("it holds events"));
    writer.append(&batch).await.expect("nothing stands against it");
    let mut other = harness.database.outsider().await;
    other.execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.expect("nobody holds it");
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                   WHERE datname = current_database() AND NOT granted";
    let silent = tokio::spawn({
        let reader = reader.clone();
        async move { reader.facts(stream(1)).await }
    });
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.expect("it may") < 1 {}
    let refused = reader.facts(stream(1)).await;
    let no_connection = |error: &StoreError| error.kind == StoreErrorKind::NoConnection;
    assert!(matches!(&refused, Err(ReadError::Unavailable(error)) if no_connection(error)), "{refused:?}");
    other.execute("COMMIT").await.expect("it was begun");
    assert_eq!(silent.await.expect("it does not panic").expect("it can be read").len(), 2);
    assert_eq!(reader.facts(stream(1)).await.expect("it can be read").len(), 2);
}

#[tokio::test]
async fn a_stream_is_read_when_the_server_has_ended_the_connection_for_it_and_none_once_the_reader_is_closed() {
    let harness = OnPostgres::create().await;
    let (mut writer, reader) = harness.open().await;
    let batch = [append(1, 0, 2)].map(|append| append.prepare().expect("it holds events"));
    writer.append(&batch).await.expect("nothing stands against it");
    let mut other = harness.database.outsider().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%unnest($3::text[]%'";
    for _ in 0..3 {
        assert_eq!(reader.facts(stream(1)).await.expect("it can be read").len(), 2);
        assert_eq!(sqlx::query_scalar::<_, i64>(end).fetch_one(&mut other).await.expect("it may"), 1);
    }
    reader.close().await;
    let closed = reader.facts(stream(1)).await;
    let is_closed = |error: &StoreError| error.kind == StoreErrorKind::Closed;
    assert!(matches!(&closed, Err(ReadError::Unavailable(error)) if is_closed(error)), "{closed:?}");
}

#[tokio::test]
async fn an_older_copy_and_another_journal_are_recognised() {
    let harness = OnPostgres::create().await;
    let (mut writer, _) = harness.open().await;
    let batch = |number| [append(number, 0, 1).prepare().expect("it holds events")];
    writer.append(&batch(1)).await.expect("nothing stands against it");
    harness
        .tamper("DELETE FROM events; DELETE FROM commits; UPDATE journal_head SET position = 0, commit_id = 0")
        .await;
    let older = writer.append(&batch(2)).await;
    assert!(matches!(older, Err(WriteError::Failed(source)) if source.kind == StoreErrorKind::WentBack));
    harness.tamper("UPDATE journal_head SET journal_id = 'other'").await;
    let other = writer.append(&batch(2)).await;
    assert!(matches!(other, Err(WriteError::Failed(source)) if source.kind == StoreErrorKind::OtherJournal));
}

#[tokio::test]
async fn the_same_events_have_the_same_leaves_and_chain_as_on_sqlite() {
    let harness = OnPostgres::create().await;
    let (journal, writer) = start_default(&harness).await;
    let folder = tempfile::TempDir::new().expect("the temporary folder can be written");
    let sqlite = SqliteJournal::open_writer(&folder.path().join("journal.db"), JOURNAL_ID).await.expect("it is new");
    let thread = WriterThread::start().expect("there are threads");
    let (other, other_writer) =
        start(sqlite.writer, sqlite.reader, Options::default(), thread).await.expect("it has a head");
    for journal in [&journal, &other] {
        append_each(journal, [append(1, 0, 3), append(2, 0, 1), append(1, 3, 2)]).await;
    }
    assert_eq!(journal.reader().store().head().await.expect("it is there").journal_id.len(), 36);
    let leaves = async |journal: &Journal| {
        let events = journal.read(0, 10).await.expect("there is no hole");
        events.into_iter().map(|event| (event.position, event.commit_id, event.leaf_hash)).collect::<Vec<_>>()
    };
    assert_eq!(leaves(&journal).await, leaves(&other).await);
    // The clocks differ; `verify` computes both chains by the same rules.
    for journal in [&journal, &other] {
        assert_eq!(verify(journal.reader(), None, |_, _| ()).await.expect("it is whole").position, 6);
    }
    writer.stop().await;
    other_writer.stop().await;
}

#[tokio::test]
async fn a_commit_is_on_disk_whatever_the_database_says() {
    let harness = OnPostgres::create().await;
    let mut owner = harness.database.outsider().await;
    let off = format!("ALTER DATABASE {} SET synchronous_commit = off", harness.database.name);
    owner.execute(off.as_str()).await.expect("the owner may");
    harness.open().await.0.close().await;
    let mut session = harness.database.outsider().await;
    session.execute("BEGIN").await.expect("it can begin");
    let setting = "SELECT current_setting('synchronous_commit')";
    let before: String = sqlx::query_scalar(setting).fetch_one(&mut session).await.expect("it is known");
    assert_eq!(before, "off");
    let event = "ARRAY['media'], ARRAY['s'], ARRAY[1], ARRAY['T'], ARRAY['1.0'], ARRAY['{}'], ARRAY['{}'], ARRAY['t'],
         ARRAY['c'], ARRAY['\\x00'::bytea]";
    let calls = [
        format!(
            "journal_append(journal_begin_writer(), '{JOURNAL_ID}', 0, true, '{{}}', '{{}}', '{{}}', '{{}}',
             ARRAY['T'], ARRAY['1.0'], {event}, ARRAY[0], '\\x00'::bytea)"
        ),
        format!(
            "journal_append_all(journal_begin_writer(), '{JOURNAL_ID}', 0, '{{}}', '{{}}', '{{}}',
             ARRAY['T'], ARRAY['1.0'], {event}, '\\x00'::bytea)"
        ),
        format!(
            "journal_append_all(journal_begin_writer(), '{JOURNAL_ID}', 0, '{{}}', '{{}}', '{{}}', ARRAY['T'], ARRAY['1.0'],
             ARRAY[ROW(1, 'media', 's', 1, 'T', '1.0', '{{}}', '{{}}', 't', 'c', '\\x00')::journal_new_event],
             '\\x00'::bytea)"
        ),
    ];
    for call in calls {
        session.execute(format!("SAVEPOINT before; SELECT {call}").as_str()).await.expect("the call is right");
        let after: String = sqlx::query_scalar(setting).fetch_one(&mut session).await.expect("it is known");
        assert_eq!(after, "on");
        session.execute("ROLLBACK TO before").await.expect("it can be undone");
    }
}

#[tokio::test]
async fn behind_a_pooler_each_statement_is_a_transaction_and_none_is_kept() {
    let harness = OnPostgres::create().await;
    harness.open().await.0.close().await;
    let (journal, writer) = start_on(&harness.database.settings_with("pgbouncer=true")).await;
    append_each(&journal, [append(1, 0, 2), append(1, 2, 1)]).await;
    assert!(matches!(journal.append(append(1, 0, 1)).await, Err(AppendError::Conflict { .. })));
    verify(journal.reader(), None, |_, _| ()).await.expect("it is whole");
    writer.stop().await;

    let settings = harness.database.settings_with("pgbouncer=true");
    let mut writer = open_writer(&settings).await.expect("it is up to date").writer;
    let prepared = |append: Append| [append.prepare().expect("it holds events")];
    let written = writer.append(&prepared(append(2, 0, 1))).await.expect("the server runs");
    assert_eq!(written.lost, [0; 0]);
    let conflict = writer.append(&prepared(append(2, 0, 1))).await.expect("the server runs");
    assert_eq!(conflict.lost, [0]);
    let session = writer.connection.as_mut().expect("it is kept");
    let kept = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements").persistent(false);
    assert_eq!(kept.fetch_one(session).await.ok(), Some(0_i64));
}

#[test]
fn a_url_is_taken_or_refused_with_what_is_allowed() {
    let url = "postgresql://u:secret@db.example:6432/media?sslmode=verify-full&sslrootcert=/ca.pem&pgbouncer=true";
    let settings = Settings::parse(url).expect("it is right").with_password("hidden");
    assert!(settings.pooled);
    assert_eq!(settings.place(), "postgres://db.example:6432/media");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("secret") && !shown.contains("hidden"), "{shown}");
    assert!(matches!(Settings::parse("mysql://a/b"), Err(SettingsError::Scheme)));
    let unknown = Settings::parse("postgres://a/b?options=x").expect_err("it is not allowed").to_string();
    assert!(unknown.contains("\"options\"") && unknown.contains("sslrootcert"), "{unknown}");
    let mode = Settings::parse("postgres://a/b?sslmode=maybe").expect_err("it is not allowed").to_string();
    assert!(mode.contains("verify-full"), "{mode}");
    assert!(Settings::parse("postgres://a:b/c").is_err());
}

#[tokio::test]
async fn who_may_append_before_a_migration_may_append_after_it() {
    let harness = OnPostgres::create().await;
    harness.open().await.0.close().await;
    let mut owner = harness.database.outsider().await;
    let role = format!("role_of_{}", harness.database.name);
    let before =
        "journal_append(bigint, text, bigint, text, text[], bigint[], text[], text[], text[], integer[], text[],
        text[], text[], bytea[])";
    // As a database of the first step, with rights given.
    let first = format!(
        "DROP FUNCTION journal_append(bigint, text, bigint, text[], text[], bigint[], text[], text[], text[], integer[],
             text[], text[], text[], bytea[]);
         DROP FUNCTION journal_append(bigint, text, bigint, boolean, text[], text[], bigint[], integer[], text[], text[],
             text[], text[], bigint[], text[], text[], text[], text[], text[], text[], bytea[], integer[], bytea);
         DROP TYPE journal_new_event CASCADE;
         DROP FUNCTION journal_append_all;
         DELETE FROM journal_schema WHERE version > 1;
         CREATE ROLE {role};
         GRANT EXECUTE ON FUNCTION {before} TO {role}"
    );
    owner.execute(first.as_str()).await.expect("the owner may");
    PostgresJournal::migrate(&harness.database.settings(), JOURNAL_ID).await.expect("it goes forward");
    let may: Vec<bool> = sqlx::query_scalar(
        "SELECT has_function_privilege($1, oid, 'EXECUTE') FROM pg_proc
         WHERE proname IN ('journal_append', 'journal_append_all')",
    )
    .bind(&role)
    .fetch_all(&mut owner)
    .await
    .expect("it is known");
    assert_eq!(may, [true; 5]);
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 1)]).await;
    writer.stop().await;
    owner.execute(format!("DROP OWNED BY {role}; DROP ROLE {role}").as_str()).await.expect("the owner may");
}

#[tokio::test]
async fn cqrs_es_reads_our_events_with_its_own_repository() {
    use cqrs_es::persist::PersistedEventRepository;
    use postgres_es::PostgresEventRepository;

    let harness = OnPostgres::create().await;
    let (journal, writer) = start_default(&harness).await;
    append_each(&journal, [append(1, 0, 2), append(2, 0, 1), append(1, 2, 1)]).await;
    writer.stop().await;
    let pool = sqlx::PgPool::connect_with(harness.database.settings().options).await.expect("it can be opened");
    let repository = PostgresEventRepository::new(pool);
    let events = repository.get_events::<stock::Media>(&stream(1).to_string()).await.expect("it can be read");
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[1].payload, serde_json::json!({"stream": 1, "at": 1}));
    assert_eq!(events[0].metadata, serde_json::json!({"request_id": "r1"}));
}

mod stock {
    use cqrs_es::event_sink::EventSink;
    use cqrs_es::{Aggregate, DomainEvent};
    use serde::{Deserialize, Serialize};

    #[derive(Default, Serialize, Deserialize)]
    pub struct Media;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Requested;

    impl DomainEvent for Requested {
        fn event_type(&self) -> String {
            "MediaRequested".into()
        }

        fn event_version(&self) -> String {
            "1.0".into()
        }
    }

    impl Aggregate for Media {
        const TYPE: &'static str = crate::StreamKind::Media.as_str();
        type Command = ();
        type Event = Requested;
        type Error = std::convert::Infallible;
        type Services = ();

        async fn handle(&mut self, (): (), _: &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
            Ok(())
        }

        fn apply(&mut self, _: Requested) {}
    }
}
