//! The journal in one SQLite file.
//!
//! One process writes: it holds an exclusive lock on `<file>.lock` as long as its writer runs, and the system
//! frees it with the process. Any number of processes read beside it, through read-only connections.
//!
//! WAL with `synchronous=FULL`: a commit is on disk before it is answered (P-3), readers never wait for the
//! writer, and a kill at any instruction leaves a whole commit or none of it (P-8).

mod consumers;
mod migrate;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::Error as SqlxError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use uuid::Uuid;

pub use self::consumers::SqliteConsumers;
pub use self::reader::SqliteReader;
pub use self::writer::SqliteWriter;
use zeroload_database_access::open_files::OpenFiles;
use zeroload_database_access::private_file;

use super::error::{StoreError, StoreErrorKind};
use super::reader::Reader;

/// Nobody else writes, so only a checkpoint or a closing process of another reader is ever waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages (4 KiB) in the WAL after which a commit copies them into the database file, and is slower for it.
/// More pages make that rarer and save nothing: with 256 events per commit the rate was the same at 1000 and at
/// 8000 pages, and the slowest commits took 8 ms and 28 ms.
const CHECKPOINT_PAGES: &str = "1000";

/// Page cache of the writing connection, in KiB if negative: the inner pages of four b-trees.
const WRITER_CACHE: &str = "-8000";

/// Page cache of each reading connection.
const READER_CACHE: &str = "-2000";

/// Raised by each change of the tables, and by a VACUUM.
const SCHEMA: &str = "PRAGMA schema_version";

/// A journal opened for writing: what [`start`](super::start) takes.
pub struct SqliteJournal {
    pub writer: SqliteWriter,
    pub reader: Reader,
}

/// Why the journal's file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it. Reading is possible.
    #[error("another process{} writes to {}", with_pid(.pid), .path.display())]
    AlreadyWriting {
        path: PathBuf,
        /// As the other process wrote it into the lock file.
        pid: Option<u32>,
    },
    #[error("the lock file {} cannot be used", .path.display())]
    Lock { path: PathBuf, source: io::Error },
    /// The file holds no journal, or one that no writer has brought up to date yet.
    #[error("{} has journal schema {found}, this program needs {needed}: a writer brings it up to date", .path.display())]
    SchemaTooOld { path: PathBuf, found: i64, needed: i64 },
    /// A later version of the program wrote it.
    #[error("{} has journal schema {found}, this program knows only {known}", .path.display())]
    SchemaTooNew { path: PathBuf, found: i64, known: i64 },
    #[error("the database {} cannot be opened", .path.display())]
    Database { path: PathBuf, source: StoreError },
}

fn with_pid(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" ({pid})"))
}

impl SqliteJournal {
    /// Opens the file for writing; creates it, as the journal `new_id`, if it does not exist.
    pub async fn open_writer(path: &Path, new_id: Uuid) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let database = |source: SqlxError| OpenError::Database { path: path.to_owned(), source: store_error(source) };
        let file = |source: io::Error| database(SqlxError::Io(source));
        private_file::database(path).map_err(file)?;
        let options = writer_options(path);
        migrate::migrate(path, &options, new_id).await?;
        let mut connection = SqliteWriter::connect(&options).await.map_err(database)?;
        let pool = SqliteReader::connect(reader_options(path)).await.map_err(database)?;
        // With both open all files are there, and stay: SQLite removes its own only with the last connection.
        let schema = sqlx::query_scalar(SCHEMA).fetch_one(&mut connection).await.map_err(database)?;
        let files = Arc::new(OpenFiles::of_database(path, schema).map_err(file)?);
        let writer = SqliteWriter::open(options, connection, files.clone(), lock).await.map_err(database)?;
        Ok(Self { writer, reader: Reader::new(SqliteReader::new(pool, Some(files))) })
    }

    /// Opens the file for reading only, beside whoever writes to it.
    pub async fn open_reader(path: &Path) -> Result<Reader, OpenError> {
        let database = |source: SqlxError| OpenError::Database { path: path.to_owned(), source: store_error(source) };
        let options = reader_options(path);
        migrate::check(path, &options).await?;
        let pool = SqliteReader::connect(options).await.map_err(database)?;
        Ok(Reader::new(SqliteReader::new(pool, None)))
    }
}

fn writer_options(path: &Path) -> SqliteConnectOptions {
    common_options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", WRITER_CACHE)
        .pragma("temp_store", "MEMORY")
}

fn reader_options(path: &Path) -> SqliteConnectOptions {
    common_options(path).read_only(true).pragma("cache_size", READER_CACHE)
}

fn common_options(path: &Path) -> SqliteConnectOptions {
    use sqlx::ConnectOptions;

    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("mmap_size", "0")
        .disable_statement_logging()
}

/// The lock ends with the returned file, so with the process at the latest. Its file stays: to remove it would
/// let two processes lock two files of one name.
fn lock(database: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(database);
    name.push(".lock");
    let path = PathBuf::from(name);
    let failed = |source| OpenError::Lock { path: path.clone(), source };
    let mut options = private_file::options();
    let mut file = options.create(true).read(true).write(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(failed)?;
            file.write_all(std::process::id().to_string().as_bytes()).map_err(failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let pid = io::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
            Err(OpenError::AlreadyWriting { path: database.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Nothing is written to, or believed of, files that are no longer those of their names.
fn check(files: &OpenFiles) -> Result<(), StoreError> {
    files.check().map_err(|changed| StoreError::new(StoreErrorKind::FileChanged, changed))
}

/// SQLite's result codes (<https://www.sqlite.org/rescode.html>) as what one can do about them.
fn store_error(error: SqlxError) -> StoreError {
    use StoreErrorKind::{Busy, Closed, Corrupt, Full, Io, Other, ReadOnly};

    let kind = match &error {
        // The low byte is the primary code.
        SqlxError::Database(_) => match result_code(&error).map(|code| code & 0xff) {
            Some(5 | 6) => Busy,
            Some(8) => ReadOnly,
            Some(10 | 14) => Io,
            Some(11 | 26) => Corrupt,
            Some(13) => Full,
            _ => Other,
        },
        SqlxError::Io(_) => Io,
        SqlxError::PoolTimedOut => Busy,
        SqlxError::PoolClosed | SqlxError::WorkerCrashed => Closed,
        SqlxError::ColumnDecode { .. } | SqlxError::Decode(_) => Corrupt,
        _ => Other,
    };
    StoreError::new(kind, error)
}

/// The extended result code, if it was SQLite that answered.
fn result_code(error: &SqlxError) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
