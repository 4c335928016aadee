//! Brings a database up to the schema that this program needs: numbered steps, only forward, all that are missing in
//! one transaction. A lock that ends with it lets one process migrate at a time; the others find nothing to do.

use sqlx::error::Error as SqlxError;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};
use uuid::Uuid;

use super::super::hash::genesis;
use super::connection::{answered, connect, has_code, store_error};
use super::{OpenError, Settings};

/// Version *n* is the *n*th.
const MIGRATIONS: [&str; 6] = [
    include_str!("../migrations/postgres/0001_create_the_journal.sql"),
    include_str!("../migrations/postgres/0002_append_streams_of_any_kind.sql"),
    include_str!("../migrations/postgres/0003_append_in_fewer_steps.sql"),
    include_str!("../migrations/postgres/0004_append_all_or_nothing.sql"),
    include_str!("../migrations/postgres/0005_append_rows.sql"),
    include_str!("../migrations/postgres/0006_keep_cursors_of_consumers.sql"),
];
const NEEDED: i64 = MIGRATIONS.len() as i64;

/// "zeroload" as a number: any that no other program takes in the same database.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(8819661155684180324)";

/// A step takes the time that it takes, and so does waiting for another process that is at it. The locks on tables are not
/// waited for without end: whoever wants to read or append would wait behind.
const UNLIMITED: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
const LIMITED_LOCKS: &str = "SET LOCAL lock_timeout = '15s'";

/// Functions keep the path that they are made under: the schema that the tables go to, and temporary tables last.
const PIN_PATH: &str = "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)";
const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS journal_schema
    (version bigint NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";
const APPLIED: &str = "INSERT INTO journal_schema (version) VALUES ($1)";
const ENCODING_AND_TABLE: &str = "SELECT current_setting('server_encoding'), to_regclass('journal_schema') IS NOT NULL";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM journal_schema";
const CREATE_HEAD: &str = "INSERT INTO journal_head (singleton, journal_id, position, commit_id, recorded_at, hash)
    SELECT 1, $1, 0, 0, 0, $2 WHERE NOT EXISTS (SELECT 1 FROM journal_head)";

/// PostgreSQL's insufficient_privilege.
const FORBIDDEN: &str = "42501";

/// What is there.
struct Found {
    encoding: String,
    version: i64,
}

pub(super) async fn migrate(settings: &Settings, new_id: Uuid) -> Result<(), OpenError> {
    let mut connection = connect(settings).await.map_err(|source| settings.failed(source))?;
    let failed = |error| settings.failed(store_error(error));
    let found = in_transaction(&mut connection).await.map_err(failed)?;
    usable(settings, &found)?;
    if found.version == NEEDED {
        return Ok(());
    }
    match apply_missing(&mut connection, new_id).await {
        Ok(version) => too_new(settings, version),
        Err(error) if has_code(&error, FORBIDDEN) => Err(too_old(settings, found.version)),
        Err(error) => Err(failed(error)),
    }
}

/// Whether the schema is the one this program reads.
pub(super) async fn check(settings: &Settings) -> Result<(), OpenError> {
    let mut connection = connect(settings).await.map_err(|source| settings.failed(source))?;
    let found = in_transaction(&mut connection).await.map_err(|error| settings.failed(store_error(error)))?;
    usable(settings, &found)?;
    if found.version < NEEDED { Err(too_old(settings, found.version)) } else { Ok(()) }
}

fn usable(settings: &Settings, found: &Found) -> Result<(), OpenError> {
    if found.encoding != "UTF8" {
        return Err(OpenError::Encoding { place: settings.place(), found: found.encoding.clone() });
    }
    too_new(settings, found.version)
}

fn too_new(settings: &Settings, found: i64) -> Result<(), OpenError> {
    if found > NEEDED {
        return Err(OpenError::SchemaTooNew { place: settings.place(), found, known: NEEDED });
    }
    Ok(())
}

fn too_old(settings: &Settings, found: i64) -> OpenError {
    OpenError::SchemaTooOld { place: settings.place(), found, needed: NEEDED }
}

async fn in_transaction(connection: &mut PgConnection) -> Result<Found, SqlxError> {
    answered(async {
        let mut transaction = connection.begin().await?;
        let found = find(&mut transaction).await?;
        transaction.commit().await?;
        Ok(found)
    })
    .await
}

/// Version 0 if the database holds no journal.
async fn find(connection: &mut PgConnection) -> Result<Found, SqlxError> {
    let row = sqlx::query(ENCODING_AND_TABLE).persistent(false).fetch_one(&mut *connection).await?;
    let versioned: bool = row.try_get(1)?;
    let version = match versioned {
        true => sqlx::query_scalar(VERSION).persistent(false).fetch_one(connection).await?,
        false => 0,
    };
    Ok(Found { encoding: row.try_get(0)?, version })
}

/// Steps and head in one transaction: a crash between them would leave a journal without an id. Answers with the
/// version that is there in the end.
async fn apply_missing(connection: &mut PgConnection, new_id: Uuid) -> Result<i64, SqlxError> {
    let mut transaction = connection.begin().await?;
    transaction.execute(UNLIMITED).await?;
    transaction.execute(LOCK).await?;
    transaction.execute(LIMITED_LOCKS).await?;
    transaction.execute(PIN_PATH).await?;
    transaction.execute(CREATE_VERSIONS).await?;
    let version = find(&mut transaction).await?.version;
    let done = usize::try_from(version).unwrap_or(0);
    for (version, sql) in (1_i64..).zip(MIGRATIONS).skip(done) {
        transaction.execute(sql).await?;
        sqlx::query(APPLIED).persistent(false).bind(version).execute(&mut *transaction).await?;
    }
    if version < NEEDED {
        let hash = genesis(new_id);
        let head = sqlx::query(CREATE_HEAD).persistent(false).bind(new_id.to_string()).bind(hash.as_bytes().as_slice());
        head.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(version.max(NEEDED))
}
