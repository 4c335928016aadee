//! A transaction, the only way in which this module talks to the server. Where no pooler stands between, one statement is a
//! transaction without being told so, which saves two round trips.

use std::ops::{Deref, DerefMut};

use sqlx::{
    PgConnection, PgPool, Postgres, TransactionManager,
    pool::PoolConnection,
    postgres::{PgArguments, PgTransactionManager},
    query::Query,
};

use crate::{Error, engine::Cell};

/// Binds values in their order.
pub(super) fn bind_cells(
    query: Query<'_, Postgres, PgArguments>,
    cells: Vec<Cell>,
) -> Query<'_, Postgres, PgArguments> {
    cells.into_iter().fold(query, |query, cell| match cell {
        Cell::Text(text) => query.bind(text),
        Cell::Number(number) => query.bind(number),
    })
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// One statement that reads, or seldom changes anything.
    Statement,
    /// Several statements that read one snapshot.
    Snapshot,
    /// Rows that can be written again from the journal: its commit does not wait for the disk.
    Rows,
    /// The schema: its statements take the time that they take, its locks are not waited for longer than readers can wait
    /// behind it.
    Schema,
}

impl Mode {
    const fn begin(self) -> &'static str {
        match self {
            Self::Statement => "BEGIN",
            Self::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Rows => "BEGIN; SET LOCAL synchronous_commit = off",
            Self::Schema => "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'",
        }
    }
}

/// One that ends in any other way than by commit, through an error or because its future was dropped, takes its connection
/// along, so that no answer to it can reach the next user of the connection, and the server rolls back.
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    named_statements: bool,
    /// The server was told that it begins.
    begun: bool,
    finished: bool,
}

impl Transaction {
    pub(super) async fn begin(pool: &PgPool, mode: Mode, named_statements: bool) -> Result<Self, Error> {
        // Either there is no server or it has no connection to spare: in both cases it cannot be asked now.
        let connection = pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Error::Unreachable(error),
            other => other.into(),
        })?;
        // A pooler gives what belongs to one transaction to one server, and a statement without a name is several messages.
        let begun = !matches!(mode, Mode::Statement) || !named_statements;
        let mut tx = Self { connection, named_statements, begun, finished: false };
        if begun {
            PgTransactionManager::begin(&mut tx.connection, Some(mode.begin().into())).await?;
        }
        Ok(tx)
    }

    pub(super) fn query<'q>(&self, sql: &'q str) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(sql).persistent(self.named_statements)
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        if self.begun {
            PgTransactionManager::commit(&mut self.connection).await?;
        }
        self.finished = true;
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<(), Error> {
        PgTransactionManager::rollback(&mut self.connection).await?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
