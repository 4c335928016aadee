//! The read models on Postgres: tables beside the journal's, in the same database.
//!
//! Behind a pooler in transaction mode every statement runs inside a transaction, if [`PostgresSettings::named_statements`] is
//! off; and none leaves anything in the session (no advisory session lock, no LISTEN, only `SET LOCAL`).
//!
//! A batch commits with `synchronous_commit = off`: its rows and their checkpoint are one transaction, so a crash of the
//! server sets both back together, and the journal, which does wait for the disk, is applied again from there. A rebuild's
//! first and last step do wait.
//!
//! Calls may come from any runtime: one from elsewhere becomes a task of the runtime that owns the sockets, and ends with the
//! call. Any future of this module may be dropped at an await: its connection is closed, and the server rolls back; only a
//! commit that was already sent may still take effect, whole.

mod copy;
mod dump;
mod migrate;
mod query;
mod rebuild;
mod transaction;
mod write;

use std::time::Duration;

use sqlx::{ConnectOptions, PgPool, postgres::PgConnectOptions};
use tokio::{runtime::Handle, task::JoinHandle};
use zeroload_database_access::pool;

pub(crate) use rebuild::Rebuild;
use transaction::{Mode, Transaction};

use super::Projection;
use crate::Error;

/// Named statements that a connection keeps: fewer than 30 are in use.
const STATEMENTS: usize = 64;

/// How to reach a database of Postgres.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// Owns the sockets: it must outlive every call.
    pub runtime: Handle,
    /// Connections for reads, at least 1.
    pub readers: u32,
    /// Connections for batches, rebuilds and the notebook of failures, at least 1.
    pub writers: u32,
    /// How long a call waits for a connection before the database counts as unreachable.
    pub acquire_timeout: Duration,
    /// Off behind a pooler in transaction mode: a named statement stays with a session that the next transaction may
    /// not get.
    pub named_statements: bool,
}

impl PostgresSettings {
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, readers: 4, writers: 2, acquire_timeout: Duration::from_secs(3), named_statements: true }
    }
}

/// The read models of one database. A clone shares the connections.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    writers: Option<PgPool>,
    readers: PgPool,
    runtime: Handle,
    named_statements: bool,
}

impl Database {
    pub(crate) async fn connect<P: Projection>(
        options: PgConnectOptions,
        settings: PostgresSettings,
    ) -> Result<Self, Error> {
        let database = Self::lazy(options, settings, true);
        let opened = database.clone();
        database.run(async move { migrate::migrate::<P>(&opened).await }).await?;
        Ok(database)
    }

    pub(crate) async fn connect_read_only<P: Projection>(
        options: PgConnectOptions,
        settings: PostgresSettings,
    ) -> Result<Self, Error> {
        let database = Self::lazy(options, settings, false);
        let opened = database.clone();
        database.run(async move { migrate::check::<P>(&opened).await }).await?;
        Ok(database)
    }

    /// Connections are opened when they are needed.
    fn lazy(options: PgConnectOptions, settings: PostgresSettings, writes: bool) -> Self {
        let statements = if settings.named_statements { STATEMENTS } else { 0 };
        let options = options.statement_cache_capacity(statements).disable_statement_logging();
        // A pool starts its own upkeep on the runtime that it is made on.
        let _on_the_runtime = settings.runtime.enter();
        let pool = |connections: u32| pool::lazy(options.clone(), connections.max(1), settings.acquire_timeout);
        Self {
            writers: writes.then(|| pool(settings.writers)),
            readers: pool(settings.readers),
            runtime: settings.runtime.clone(),
            named_statements: settings.named_statements,
        }
    }

    pub(crate) async fn close(&self) {
        let database = self.clone();
        let closed = self.run(async move {
            database.readers.close().await;
            if let Some(writers) = &database.writers {
                writers.close().await;
            }
            Ok(())
        });
        // It fails only if the runtime is gone, and the connections with it.
        drop(closed.await);
    }

    #[cfg(test)]
    pub(crate) fn readers(&self) -> &PgPool {
        &self.readers
    }

    async fn read(&self) -> Result<Transaction, Error> {
        Transaction::begin(&self.readers, Mode::Statement, self.named_statements).await
    }

    async fn write(&self, mode: Mode) -> Result<Transaction, Error> {
        let writers = self.writers.as_ref().ok_or(Error::ReadOnly)?;
        Transaction::begin(writers, mode, self.named_statements).await
    }

    /// Runs a call on the runtime that owns the sockets.
    async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        if Handle::try_current().is_ok_and(|here| here.id() == self.runtime.id()) {
            return call.await;
        }
        let mut task = Task(self.runtime.spawn(call));
        match (&mut task.0).await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Unreachable(sqlx::Error::WorkerCrashed)),
            },
        }
    }
}

/// A task that ends with the call that waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
