//! Why the read models did not do what was asked. Nothing is half done: every write is one transaction.

use std::path::PathBuf;

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The projection stops here; going on would lose an event for ever.
    #[error("expected the event at position {expected}, but was given {found}")]
    Hole { expected: u64, found: u64 },
    /// Another process held a lock for longer than the time-out; try again.
    #[error("the read models are busy")]
    Busy(#[source] sqlx::Error),
    /// The server cannot be asked now; try again later.
    #[error("the database of the read models cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    #[error("there is no space left for the read models")]
    Full(#[source] sqlx::Error),
    /// A rebuild that began later has dropped this one's tables.
    #[error("version {version} was replaced by a later rebuild")]
    RebuildReplaced { version: u32 },
    #[error("there is no version {version} of the read models")]
    NoSuchVersion { version: u32 },
    #[error("column {column} holds {value:?}, which this binary cannot read; rebuild the projections")]
    Unreadable { column: &'static str, value: String },
    #[error("{} is not a file of read models", path.display())]
    NotReadModels { path: PathBuf },
    #[error("the read models have schema {found}, newer than {known}, the newest that this binary knows")]
    Newer { found: i64, known: i64 },
    #[error("the read models have schema {found}, older than {known}; start the service or migrate first")]
    NotMigrated { found: i64, known: i64 },
    #[error("the read models were opened for reading only")]
    ReadOnly,
    /// A call that no simulation makes.
    #[error("tables in memory do not answer this")]
    InMemory,
    #[error("cannot open the read models at {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database of the read models failed")]
    Database(#[source] sqlx::Error),
}

/// Primary result codes of SQLite (sqlite.org/rescode.html); an extended code holds its primary one in the low byte.
const SQLITE_BUSY: i32 = 5;
const SQLITE_FULL: i32 = 13;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // The one writer connection was held for too long by another task.
            sqlx::Error::PoolTimedOut => Self::Busy(error),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error)
            }
            sqlx::Error::Database(database) => {
                let named = named(database.as_ref());
                named(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// The variant for what a database said.
type Named = fn(sqlx::Error) -> Error;

fn named(error: &dyn DatabaseError) -> Named {
    let code = error.code().unwrap_or_default();
    match error.try_downcast_ref::<PgDatabaseError>() {
        Some(_) => of_postgres(&code),
        None => of_sqlite(code.parse().ok()),
    }
}

fn of_sqlite(code: Option<i32>) -> Named {
    match code.map(|code| code & 0xff) {
        Some(SQLITE_BUSY) => Error::Busy,
        Some(SQLITE_FULL) => Error::Full,
        _ => Error::Database,
    }
}

/// By SQLSTATE (postgresql.org/docs/15/errcodes-appendix.html).
fn of_postgres(code: &str) -> Named {
    match code {
        // Disk full.
        "53100" => Error::Full,
        // A conflict, a deadlock, a lock time-out, a statement that was cancelled.
        "40001" | "40P01" | "55P03" | "57014" => Error::Busy,
        // Shut down, crashed or starting; idle for too long; a server that only reads, as after a failover.
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" => Error::Unreachable,
        _ if code.starts_with("08") || code.starts_with("53") => Error::Unreachable,
        _ => Error::Database,
    }
}
