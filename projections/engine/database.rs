//! One database of read models, whichever it is.

use std::borrow::Cow;

use super::{
    Cell, Projection, Row,
    checkpoint::{self, Applied, Checkpoint, Dump, Mark, Swapped},
    dialect::Statement,
    postgres,
    row::Count,
    sqlite,
};
use crate::{Error, RecordedEvent};

/// A clone shares the connections.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
}

/// Does the same on whichever database there is.
macro_rules! on_either {
    ($database:expr, $name:ident => $call:expr) => {
        match $database {
            Database::Sqlite($name) => $call,
            Database::Postgres($name) => $call,
        }
    };
}

impl Database {
    pub(crate) async fn close(&self) {
        on_either!(self, database => database.close().await);
    }

    /// The rows of a statement, all of one snapshot.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub(crate) async fn select<R: Row>(&self, sql: &str, cells: Vec<Cell>) -> Result<Vec<R>, Error> {
        on_either!(self, database => database.select(sql, cells).await)
    }

    /// The only row of a statement, if it has one.
    ///
    /// # Errors
    /// As [`Database::select`].
    pub(crate) async fn find<R: Row>(&self, sql: &str, cells: Vec<Cell>) -> Result<Option<R>, Error> {
        Ok(self.select(sql, cells).await?.pop())
    }

    /// The number that a statement counts.
    ///
    /// # Errors
    /// As [`Database::select`].
    pub(crate) async fn count(&self, sql: &str, cells: Vec<Cell>) -> Result<u64, Error> {
        Ok(self.find::<Count>(sql, cells).await?.map_or(0, |row| row.count))
    }

    /// Runs statements in one transaction, and returns how many rows the first one changed. Where it changed none, nothing of
    /// the others is done.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Unreachable`], [`Error::Database`], [`Error::ReadOnly`].
    pub(crate) async fn execute(&self, statements: Vec<Statement>) -> Result<u64, Error> {
        on_either!(self, database => database.execute(statements).await)
    }

    /// Runs a statement that seldom changes anything, and returns how many rows it changed.
    ///
    /// # Errors
    /// As [`Database::execute`].
    pub(crate) async fn sweep(&self, sql: &'static str) -> Result<u64, Error> {
        on_either!(self, database => database.sweep(sql).await)
    }

    /// # Errors
    /// As [`Database::select`].
    pub(crate) async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.select(checkpoint::SELECT, vec![]).await
    }

    /// # Errors
    /// As [`crate::ReadModels::apply`].
    pub(crate) async fn apply<P: Projection>(
        &self,
        events: Cow<'_, [RecordedEvent]>,
        mark: Option<&Mark>,
    ) -> Result<Applied, Error> {
        on_either!(self, database => database.apply::<P>(events, mark).await)
    }

    /// # Errors
    /// As [`crate::ReadModels::dump`].
    pub(crate) async fn dump<P: Projection>(
        &self,
        version: Option<u32>,
        each: impl FnMut(&P::Row) + Send,
    ) -> Result<Dump, Error> {
        on_either!(self, database => database.dump::<P>(version, each).await)
    }

    /// # Errors
    /// As [`crate::ReadModels::begin_rebuild`].
    pub(crate) async fn begin_rebuild<P: Projection>(&self) -> Result<Rebuild<P>, Error> {
        match self {
            Self::Sqlite(database) => Ok(Rebuild::Sqlite(database.begin_rebuild().await?)),
            Self::Postgres(database) => Ok(Rebuild::Postgres(database.begin_rebuild().await?)),
        }
    }
}

/// A version that is being built.
#[derive(Clone, Debug)]
pub(crate) enum Rebuild<P> {
    Sqlite(sqlite::Rebuild<P>),
    Postgres(postgres::Rebuild<P>),
}

impl<P: Projection> Rebuild<P> {
    pub(crate) fn version(&self) -> u32 {
        match self {
            Self::Sqlite(rebuild) => rebuild.version(),
            Self::Postgres(rebuild) => rebuild.version(),
        }
    }

    pub(crate) async fn apply(&self, events: Cow<'_, [RecordedEvent]>, mark: Option<&Mark>) -> Result<Applied, Error> {
        match self {
            Self::Sqlite(rebuild) => rebuild.apply(events, mark).await,
            Self::Postgres(rebuild) => rebuild.apply(events, mark).await,
        }
    }

    pub(crate) async fn swap(&self) -> Result<Swapped, Error> {
        match self {
            Self::Sqlite(rebuild) => rebuild.swap().await,
            Self::Postgres(rebuild) => rebuild.swap().await,
        }
    }
}
