//! One connection, bounded waits, and what the server's errors mean.

use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::error::Error as SqlxError;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgSeverity};
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio::time::timeout;

use super::settings::Settings;
use crate::error::{StoreError, StoreErrorKind};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the server's own limit: this one is for a server that no longer answers at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn connect(settings: &Settings) -> Result<PgConnection, StoreError> {
    match timeout(CONNECT_TIMEOUT, settings.options.connect()).await {
        Ok(connected) => connected.map_err(store_error),
        Err(elapsed) => Err(StoreError::new(StoreErrorKind::Io, elapsed)),
    }
}

/// The answer to a statement that was sent, or that it did not come.
pub(super) async fn answered<T>(answer: impl Future<Output = Result<T, SqlxError>>) -> Result<T, SqlxError> {
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|elapsed| Err(SqlxError::Io(elapsed.into())))
}

/// Runs on the runtime that owns the connections: elsewhere their sockets are not looked after.
pub(super) async fn on<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    if Handle::try_current().is_ok_and(|here| here.id() == runtime.id()) {
        return work.await;
    }
    runtime.spawn(work).await.map_err(ended)?
}

pub(super) fn ended(error: JoinError) -> StoreError {
    StoreError::new(StoreErrorKind::Closed, error)
}

/// Whether the error is the server's word that the statement's transaction was rolled back.
pub(super) fn is_rolled_back(error: &SqlxError) -> bool {
    let Some(error) = postgres(error) else { return false };
    // A session that is ended from outside may have committed before; so may a server that is in trouble itself.
    let open = ["08", "57", "58", "XX"].iter().any(|class| error.code().starts_with(class)) || error.code() == "40003";
    error.severity() == PgSeverity::Error && !open
}

/// Whether the connection had ended before the statement reached the server, or ended in the middle of it. A server that is
/// silent is none of that.
pub(super) fn was_ended(error: &SqlxError) -> bool {
    match error {
        SqlxError::Io(error) => error.kind() != ErrorKind::TimedOut,
        SqlxError::Protocol(_) => true,
        _ => postgres(error).is_some_and(|error| matches!(error.code(), "57P01" | "57P02" | "57P03" | "57P05")),
    }
}

pub(super) fn has_code(error: &SqlxError, code: &str) -> bool {
    postgres(error).is_some_and(|error| error.code() == code)
}

fn postgres(error: &SqlxError) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// PostgreSQL's codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) and those that our
/// functions raise as what one can do about them.
pub(super) fn store_error(error: SqlxError) -> StoreError {
    use StoreErrorKind::{Busy, Closed, Corrupt, Full, Io, NoConnection, Other, OtherJournal, ReadOnly, WentBack};

    let kind = match &error {
        SqlxError::Database(_) => match postgres(&error).map_or("", PgDatabaseError::code) {
            "53100" => Full,
            "53300" => NoConnection,
            "53400" | "55P03" | "57014" | "57P03" | "40001" | "40P01" => Busy,
            "57P01" | "57P02" | "57P05" | "58030" => Io,
            "25006" => ReadOnly,
            "XX001" | "XX002" | "23505" | "ZL001" | "ZL002" => Corrupt,
            "ZL005" => WentBack,
            "ZL006" => OtherJournal,
            code if code.starts_with("08") => Io,
            _ => Other,
        },
        // A connection that ends in the middle of a message is told as a breach of the protocol.
        SqlxError::Io(_) | SqlxError::Tls(_) | SqlxError::Protocol(_) => Io,
        SqlxError::PoolTimedOut => NoConnection,
        SqlxError::PoolClosed | SqlxError::WorkerCrashed => Closed,
        SqlxError::ColumnDecode { .. } | SqlxError::Decode(_) => Corrupt,
        _ => Other,
    };
    StoreError::new(kind, error)
}
