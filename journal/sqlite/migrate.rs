//! Brings a database file up to the schema that this program needs: numbered steps, only forward, each in a
//! transaction of its own. Only the holder of the writer's lock migrates.

use std::path::Path;

use sqlx::error::Error as SqlxError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use uuid::Uuid;

use super::super::hash::genesis;
use super::{OpenError, store_error};

/// Version *n* is the *n*th.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/sqlite/0001_create_the_journal.sql")];

/// Beside the journal's tables other parts of the program may keep theirs in the same file, with versions of
/// their own: so a table of ours, not `user_version`.
const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS journal_schema
    (version INTEGER NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL) STRICT";
const APPLIED: &str = "INSERT INTO journal_schema (version, applied_at) VALUES (?1, datetime('now'))";
const VERSIONED: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'journal_schema'";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM journal_schema";
const CREATE_HEAD: &str = "INSERT INTO journal_head (singleton, journal_id, position, commit_id, recorded_at, hash)
    SELECT 1, ?1, 0, 0, 0, ?2 WHERE NOT EXISTS (SELECT 1 FROM journal_head)";

/// Creates or upgrades the schema, and the head of a journal that has none: that is a new one.
pub(super) async fn migrate(path: &Path, options: &SqliteConnectOptions, new_id: Uuid) -> Result<(), OpenError> {
    let database = |source: SqlxError| OpenError::Database { path: path.to_owned(), source: store_error(source) };
    let mut connection = options.connect().await.map_err(database)?;
    connection.execute(CREATE_VERSIONS).await.map_err(database)?;
    let found = version(&mut connection).await.map_err(database)?;
    let done = usize::try_from(found).unwrap_or(0);
    if done > MIGRATIONS.len() {
        return Err(OpenError::SchemaTooNew { path: path.to_owned(), found, known: MIGRATIONS.len() as i64 });
    }
    for (version, sql) in (1..).zip(MIGRATIONS).skip(done) {
        apply(&mut connection, version, sql, new_id).await.map_err(database)?;
    }
    connection.close().await.map_err(database)
}

/// Whether the schema is the one this program reads.
pub(super) async fn check(path: &Path, options: &SqliteConnectOptions) -> Result<(), OpenError> {
    let needed = MIGRATIONS.len() as i64;
    let database = |source: SqlxError| OpenError::Database { path: path.to_owned(), source: store_error(source) };
    let mut connection = options.connect().await.map_err(database)?;
    let found = version(&mut connection).await.map_err(database)?;
    connection.close().await.map_err(database)?;
    match found {
        _ if found < needed => Err(OpenError::SchemaTooOld { path: path.to_owned(), found, needed }),
        _ if found > needed => Err(OpenError::SchemaTooNew { path: path.to_owned(), found, known: needed }),
        _ => Ok(()),
    }
}

/// 0 if the file holds no journal.
async fn version(connection: &mut SqliteConnection) -> Result<i64, SqlxError> {
    let versioned: i64 = sqlx::query_scalar(VERSIONED).fetch_one(&mut *connection).await?;
    if versioned == 0 {
        return Ok(0);
    }
    sqlx::query_scalar(VERSION).fetch_one(connection).await
}

/// One step and the head in one transaction: a crash between them would leave a journal without an id.
async fn apply(connection: &mut SqliteConnection, version: i64, sql: &str, new_id: Uuid) -> Result<(), SqlxError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    transaction.execute(sql).await?;
    sqlx::query(CREATE_HEAD)
        .bind(new_id.to_string())
        .bind(genesis(new_id).as_bytes().as_slice())
        .execute(&mut *transaction)
        .await?;
    sqlx::query(APPLIED).bind(version).execute(&mut *transaction).await?;
    transaction.commit().await
}
