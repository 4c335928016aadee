//! The cursors of stored consumers in a file of their own, which is made when the first consumer is registered.
//!
//! As durable as the journal: a cursor that is lost would have its consumer begin again.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::Executor;
use sqlx::error::Error as SqlxError;
use sqlx::sqlite::{SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::OnceCell;
use zeroload_database_access::private_file;

use super::{common_options, store_error};
use crate::consumers::{Cell, CursorTable, RawConsumer};
use crate::error::{StoreError, StoreErrorKind};

const CREATE: &str = include_str!("../migrations/sqlite/consumers.sql");

/// In the file's header, "zlCO": tells a file of cursors from any other (sqlite.org/fileformat.html, offset 68).
const APPLICATION_ID: i64 = 0x7a6c_434f;

/// Of the tables that this program knows.
const SCHEMA: i64 = 1;

/// See [`CursorTable`].
pub struct SqliteConsumers {
    path: PathBuf,
    pool: OnceCell<SqlitePool>,
}

impl SqliteConsumers {
    /// Opens nothing yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), pool: OnceCell::new() }
    }

    async fn open(&self) -> Result<&SqlitePool, StoreError> {
        self.pool.get_or_try_init(|| open(&self.path)).await
    }
}

async fn open(path: &Path) -> Result<SqlitePool, StoreError> {
    private_file::database(path).map_err(|error| store_error(SqlxError::Io(error)))?;
    let options = common_options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(store_error)?;
    prepare(&pool, path).await?;
    Ok(pool)
}

/// Makes the table, unless the file holds something else or comes from a later program.
async fn prepare(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let marks = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
                 FROM pragma_application_id, pragma_user_version";
    let (application_id, schema, objects): (i64, i64, i64) =
        sqlx::query_as(marks).fetch_one(pool).await.map_err(store_error)?;
    let is_empty = objects == 0 && application_id == 0;
    if schema > SCHEMA || !is_empty && application_id != APPLICATION_ID {
        let what = format!("{} holds no cursors of consumers that this program knows", path.display());
        return Err(StoreError::new(StoreErrorKind::Other, what));
    }
    if schema < SCHEMA {
        let create = format!(
            "BEGIN IMMEDIATE; {CREATE} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA}; COMMIT;"
        );
        pool.execute(sqlx::raw_sql(&create)).await.map_err(store_error)?;
    }
    Ok(())
}

impl CursorTable for SqliteConsumers {
    fn make(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { self.open().await.map(drop) }.boxed()
    }

    fn rows(&self, sql: &str, now: i64, cells: Vec<Cell>) -> BoxFuture<'_, Result<Vec<RawConsumer>, StoreError>> {
        let sql = sql.replace("{now}", "$1");
        async move {
            if self.pool.get().is_none() && !self.path.exists() {
                return Ok(Vec::new());
            }
            let mut query = sqlx::query_as(&sql).bind(now);
            for cell in cells {
                query = match cell {
                    Cell::Text(text) => query.bind(text),
                    Cell::Number(number) => query.bind(number),
                    Cell::Bytes(bytes) => query.bind(bytes),
                    Cell::Flag(flag) => query.bind(flag),
                };
            }
            query.fetch_all(self.open().await?).await.map_err(store_error)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            if let Some(pool) = self.pool.get() {
                pool.close().await;
            }
        }
        .boxed()
    }
}
