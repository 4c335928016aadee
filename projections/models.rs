//! The read models over either database, behind one type.

use std::{borrow::Cow, path::Path};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;
use zeroload_domain::MediaId;

#[cfg(any(test, feature = "memory"))]
use crate::memory;
use crate::{
    Applied, Checkpoint, DueItem, Dump, Error, InspectionStore, MediaRow, Minute, PageStore, PendingPage, PendingQuery,
    PostgresSettings, RecordedEvent, RetryStore, RunPage, RunRow, Swapped, TurnStore, Unanswered, WalkStore,
    columns::{Cell, Cells},
    postgres, sqlite,
};

/// The read models of one file of SQLite or one database of Postgres. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct ReadModels {
    pub(crate) tables: Tables,
}

#[derive(Clone, Debug)]
pub(crate) enum Tables {
    Sqlite(sqlite::ReadModels),
    Postgres(postgres::ReadModels),
    /// What a run of the collector and of the projector needs, for simulations.
    #[cfg(any(test, feature = "memory"))]
    Memory(memory::ReadModels),
}

/// Does the same on whichever database there is.
macro_rules! on_either {
    ($tables:expr, $name:ident => $call:expr) => {
        match $tables {
            Tables::Sqlite($name) => $call,
            Tables::Postgres($name) => $call,
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory(_) => unimplemented!("no simulation asks for it"),
        }
    };
}

/// The same, in memory too.
macro_rules! on_any {
    ($tables:expr, $name:ident => $call:expr) => {
        match $tables {
            Tables::Sqlite($name) => $call,
            Tables::Postgres($name) => $call,
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory($name) => $call,
        }
    };
}
pub(crate) use {on_any, on_either};

impl ReadModels {
    /// Opens the file, which is created and brought to the newest schema where necessary. Its folder must exist.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::NotReadModels`] for a file of another kind, [`Error::Newer`] for one that a newer binary
    /// has written; [`Error::Busy`] and [`Error::Full`] while it is brought up to date.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        sqlite::ReadModels::open(path).await.map(Self::of_sqlite)
    }

    /// Opens a file that another process keeps up to date, for reading only.
    ///
    /// # Errors
    /// [`Error::Open`] where there is none, [`Error::NotReadModels`], [`Error::Newer`], [`Error::NotMigrated`].
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        sqlite::ReadModels::open_read_only(path).await.map(Self::of_sqlite)
    }

    fn of_sqlite(tables: sqlite::ReadModels) -> Self {
        Self { tables: Tables::Sqlite(tables) }
    }

    /// Connects to a database of Postgres and brings its tables to the newest schema where necessary; where they are,
    /// the role needs no right to create anything.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Newer`], [`Error::Busy`], [`Error::Full`], [`Error::Database`].
    pub async fn connect_postgres(options: PgConnectOptions, settings: PostgresSettings) -> Result<Self, Error> {
        let tables = postgres::ReadModels::connect(options, settings).await?;
        Ok(Self { tables: Tables::Postgres(tables) })
    }

    /// Connects to a database that another process keeps up to date, for reading only.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Newer`], [`Error::NotMigrated`], [`Error::Database`].
    pub async fn connect_postgres_read_only(
        options: PgConnectOptions,
        settings: PostgresSettings,
    ) -> Result<Self, Error> {
        let tables = postgres::ReadModels::connect_read_only(options, settings).await?;
        Ok(Self { tables: Tables::Postgres(tables) })
    }

    /// Tables in memory, each call to which passes `gate`.
    #[cfg(any(test, feature = "memory"))]
    pub fn in_memory(tables: memory::MemoryTables, gate: memory::Gate) -> Self {
        Self { tables: Tables::Memory(memory::ReadModels::new(tables, gate)) }
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        on_either!(&self.tables, tables => tables.close().await);
    }

    /// Where the live version stands.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        on_any!(&self.tables, tables => tables.checkpoint().await)
    }

    /// Where all versions stand, the live one and those that are being built.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        on_either!(&self.tables, tables => tables.checkpoints().await)
    }

    /// A page of a tenant's pending items. Paging shows each item that stays pending exactly once; one whose deadline
    /// moves meanwhile may show twice.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn pending(&self, query: &PendingQuery) -> Result<PendingPage, Error> {
        on_either!(&self.tables, tables => tables.pending(query).await)
    }

    /// One item as it is at the checkpoint.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn media_row(&self, id: MediaId) -> Result<Option<MediaRow>, Error> {
        on_either!(&self.tables, tables => tables.media_row(id).await)
    }

    /// The records of collection runs, newest first, up to `limit` (1 to 1000) of them; those before the run `before` if
    /// one is named.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn run_records(&self, before: Option<Uuid>, limit: u32) -> Result<RunPage, Error> {
        on_either!(&self.tables, tables => tables.run_records(before, limit).await)
    }

    /// The record of one run, if it has one.
    ///
    /// # Errors
    /// As [`ReadModels::run_records`].
    pub async fn run_record(&self, id: Uuid) -> Result<Option<RunRow>, Error> {
        on_either!(&self.tables, tables => tables.run_record(id).await)
    }

    /// Items that may be claimed for collection, in order of `(collectable_at, media_id)`, without those that wait to be
    /// tried again. A hint: the projection may be behind, and the item's stream decides.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn due(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        on_any!(&self.tables, tables => tables.due(now, after, limit).await)
    }

    /// Items whose collection was started and not finished, by a run that goes on or by one that crashed, in the same
    /// order and without those that wait to be tried again.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn unfinished(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        on_any!(&self.tables, tables => tables.unfinished(now, after, limit).await)
    }

    /// How many items are due, counted up to `at_most`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn due_count(&self, now: DateTime<Utc>, at_most: u32) -> Result<u64, Error> {
        on_either!(&self.tables, tables => tables.due_count(now, at_most).await)
    }

    /// The minutes from the one of `from` to the one of `until` in which anything happened, in their order; at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn activity(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: u32) -> Result<Vec<Minute>, Error> {
        on_any!(&self.tables, tables => tables.activity(from, until, limit).await)
    }

    /// The requests between `from` and `until` that came after the last confirm between them, in whole minutes.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Unanswered, Error> {
        on_any!(&self.tables, tables => tables.unanswered(from, until).await)
    }

    /// Applies a batch of the journal, all tenants, in order of position, to the live version. Up to 2000 events or so
    /// is a good size: all of them are in memory and in one transaction.
    ///
    /// Events at or before the checkpoint are skipped, so several processes may feed the same events and each is applied
    /// once: the checkpoint is read under a lock. On SQLite a second process waits for it; on Postgres it gets the
    /// checkpoint as it is, with nothing applied, and should leave the rest to the one that holds the lock.
    ///
    /// # Errors
    /// [`Error::Hole`] where the events do not go on right after the checkpoint; [`Error::Busy`], [`Error::Full`],
    /// [`Error::Unreachable`], [`Error::Database`]. Nothing of the batch is applied then, unless the connection was lost
    /// during the commit; a repeat is safe.
    pub async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        on_any!(&self.tables, tables => tables.apply(events).await)
    }

    /// Hands each row of a version, the live one if none is named, to `each`, in order of id and from one snapshot. Rows
    /// are not held in memory; but while the dump runs, SQLite's WAL cannot shrink and Postgres keeps dead rows.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn dump(&self, version: Option<u32>, each: impl FnMut(&MediaRow) + Send) -> Result<Dump, Error> {
        on_either!(&self.tables, tables => tables.dump(version, each).await)
    }

    /// Begins a rebuild, and removes what an earlier unfinished one has left.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Unreachable`], [`Error::Database`].
    pub async fn begin_rebuild(&self) -> Result<Rebuild, Error> {
        let building = match &self.tables {
            Tables::Sqlite(tables) => Building::Sqlite(tables.begin_rebuild().await?),
            Tables::Postgres(tables) => Building::Postgres(tables.begin_rebuild().await?),
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory(_) => unimplemented!("no simulation asks for it"),
        };
        Ok(Rebuild { building })
    }

    pub fn walks(&self) -> WalkStore<'_> {
        WalkStore::of(self)
    }

    pub(crate) fn either<'q>(&self, of_sqlite: &'q str, of_postgres: &'q str) -> &'q str {
        match &self.tables {
            Tables::Sqlite(_) => of_sqlite,
            Tables::Postgres(_) => of_postgres,
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory(_) => unimplemented!("no simulation asks for it"),
        }
    }

    pub(crate) async fn execute(&self, statements: Vec<(&'static str, Vec<Cell>)>) -> Result<u64, Error> {
        on_either!(&self.tables, tables => tables.execute(statements).await)
    }

    pub(crate) async fn select<T: Send + 'static>(
        &self,
        sql: &'static str,
        cells: Vec<Cell>,
        read: fn(&dyn Cells) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        on_either!(&self.tables, tables => tables.select(sql, cells, read).await)
    }

    pub fn retries(&self) -> RetryStore<'_> {
        RetryStore::of(self)
    }

    pub fn pages(&self) -> PageStore<'_> {
        PageStore::of(self)
    }

    /// Whose turn it is to inspect.
    pub fn turns(&self) -> TurnStore<'_> {
        TurnStore::of(self)
    }

    pub fn inspections(&self) -> InspectionStore<'_> {
        InspectionStore::of(self)
    }
}

/// A version that is being built. Dropping it leaves the half-built table to the next rebuild, which removes it.
#[derive(Clone, Debug)]
pub struct Rebuild {
    building: Building,
}

#[derive(Clone, Debug)]
enum Building {
    Sqlite(sqlite::Rebuild),
    Postgres(postgres::Rebuild),
}

impl Rebuild {
    pub fn version(&self) -> u32 {
        match &self.building {
            Building::Sqlite(rebuild) => rebuild.version(),
            Building::Postgres(rebuild) => rebuild.version(),
        }
    }

    /// Applies a batch to the version that is being built, from position 1 on; see [`ReadModels::apply`].
    ///
    /// # Errors
    /// As [`ReadModels::apply`], and [`Error::RebuildReplaced`].
    pub async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        match &self.building {
            Building::Sqlite(rebuild) => rebuild.apply(events).await,
            Building::Postgres(rebuild) => rebuild.apply(events).await,
        }
    }

    /// Makes the built version the live one in one transaction, if it has caught up, and drops the other. On
    /// [`Swapped::Behind`] apply what is missing and swap again.
    ///
    /// # Errors
    /// [`Error::RebuildReplaced`], [`Error::Busy`], [`Error::Full`], [`Error::Unreachable`], [`Error::Database`]; nothing
    /// has changed then.
    pub async fn swap(&self) -> Result<Swapped, Error> {
        match &self.building {
            Building::Sqlite(rebuild) => rebuild.swap().await,
            Building::Postgres(rebuild) => rebuild.swap().await,
        }
    }
}
