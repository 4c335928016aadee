//! The read models on SQLite: a file of their own, beside the journal's.
//!
//! One connection writes, a small pool reads; WAL lets them work side by side. `synchronous=NORMAL` does not wait for
//! the disk at each commit: the rows and their checkpoint are one transaction, so a power loss sets both back together
//! to an earlier position, from where the journal is applied again (P-4, P-8). Nothing here is the only copy of anything.
//!
//! A table's name is a view onto the live version's table, `…_v1`, `…_v2`, …; a swap exchanges the views in the transaction
//! that moves the checkpoint, so a reader sees one version or the other and never a half-built one.
//!
//! Any future of this module may be dropped at an await: an open transaction is then rolled back together with its
//! connection, and the same batch can be applied again. The same holds for a transaction that fails.

mod dump;
mod migrate;
mod query;
mod rebuild;
mod statements;
mod transaction;
mod write;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use rebuild::Rebuild;
use statements::Statements;

use super::Projection;
use crate::Error;

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const OPEN_ATTEMPTS: u32 = 20;
const READERS: u32 = 4;
/// Frames (of 4 KiB) after which the WAL is copied into the file: rarer than the default of 1000, as each time waits for
/// the disk, which the journal needs too.
const WAL_FRAMES: &str = "4000";
/// KiB, negated, as SQLite wants it.
const WRITER_CACHE: &str = "-8192";
const READER_CACHE: &str = "-2048";

/// The read models of one file. A clone shares the connections.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    writer: Option<SqlitePool>,
    readers: SqlitePool,
    statements: Statements,
}

impl Database {
    pub(crate) async fn open<P: Projection>(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_waiting::<P>(path.as_ref(), BUSY_TIMEOUT).await
    }

    pub(crate) async fn open_waiting<P: Projection>(path: &Path, busy_timeout: Duration) -> Result<Self, Error> {
        if path.exists() {
            // Before anything is written: turning on WAL would already change a file that is not ours. Not read-only,
            // since what a kill left half written must be rolled back before it can be read.
            let probe = pool(1).connect_with(options(path, busy_timeout)).await.map_err(|e| cannot_open(path, e))?;
            let recognised = migrate::recognise::<P>(&probe, path).await;
            probe.close().await;
            recognised.map_err(|error| match error {
                Error::Database(source) => cannot_open(path, source),
                other => other,
            })?;
        }
        let options = options(path, busy_timeout)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", WAL_FRAMES);
        let writer = open_writer(path, &options).await?;
        migrate::migrate::<P>(&writer, path).await?;
        let readers = readers(path, busy_timeout).await?;
        Ok(Self { writer: Some(writer), readers, statements: Statements::default() })
    }

    pub(crate) async fn open_read_only<P: Projection>(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let readers = readers(path, BUSY_TIMEOUT).await?;
        migrate::check::<P>(&readers, path).await?;
        Ok(Self { writer: None, readers, statements: Statements::default() })
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    #[cfg(test)]
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) fn writer(&self) -> Result<&SqlitePool, Error> {
        self.writer.as_ref().ok_or(Error::ReadOnly)
    }
}

fn options(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(busy_timeout).disable_statement_logging()
}

/// Of two processes that turn on WAL in a new file at once SQLite refuses one, without waiting, as both hold what the
/// other needs. The next attempt finds it on, or has the file to itself.
async fn open_writer(path: &Path, options: &SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let mut attempts = 1;
    loop {
        match pool(1).connect_with(options.clone()).await.map_err(|e| cannot_open(path, e)) {
            Err(Error::Busy(_)) if attempts < OPEN_ATTEMPTS => attempts += 1,
            opened => return opened,
        }
    }
}

async fn readers(path: &Path, busy_timeout: Duration) -> Result<SqlitePool, Error> {
    let options = options(path, busy_timeout).read_only(true).pragma("cache_size", READER_CACHE);
    pool(READERS).connect_with(options).await.map_err(|e| cannot_open(path, e))
}

/// SQLITE_NOTADB (sqlite.org/rescode.html): the file is none of SQLite's at all.
const NOT_A_DATABASE: &str = "26";

fn cannot_open(path: &Path, source: sqlx::Error) -> Error {
    let path = path.to_owned();
    match source.as_database_error().and_then(|e| e.code()) {
        Some(code) if code == NOT_A_DATABASE => return Error::NotReadModels { path },
        _ => {}
    }
    match Error::from(source) {
        Error::Database(source) => Error::Open { path, source },
        named => named,
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A file does not go away as a server does: connections are kept, and not tried before use.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

#[cfg(test)]
mod tests;
