//! How the read models are opened, fed, rebuilt and compared.

use std::{borrow::Cow, path::Path};

use sqlx::postgres::PgConnectOptions;

#[cfg(any(test, feature = "memory"))]
use crate::memory;
use crate::{
    Applied, Checkpoint, Dump, Error, InspectionStore, Mark, MediaRow, PageStore, PostgresSettings, ReadModels,
    RecordedEvent, RetryStore, Swapped, TurnStore, WalkStore,
    engine::{self, Database, checkpoint, postgres, sqlite},
    projection::Media,
    read_models::Tables,
};

impl ReadModels {
    /// Opens the file, which is created and brought to the newest schema where necessary. Its folder must exist.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::NotReadModels`] for a file of another kind, [`Error::Newer`] for one that a newer binary
    /// has written; [`Error::Busy`] and [`Error::Full`] while it is brought up to date.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        sqlite::Database::open::<Media>(path)
            .await
            .map(|database| Self::of(Tables::Database(Database::Sqlite(database))))
    }

    /// Opens a file that another process keeps up to date, for reading only.
    ///
    /// # Errors
    /// [`Error::Open`] where there is none, [`Error::NotReadModels`], [`Error::Newer`], [`Error::NotMigrated`].
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        sqlite::Database::open_read_only::<Media>(path)
            .await
            .map(|database| Self::of(Tables::Database(Database::Sqlite(database))))
    }

    /// Connects to a database of Postgres and brings its tables to the newest schema where necessary; where they are,
    /// the role needs no right to create anything.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Newer`], [`Error::Busy`], [`Error::Full`], [`Error::Database`].
    pub async fn connect_postgres(options: PgConnectOptions, settings: PostgresSettings) -> Result<Self, Error> {
        postgres::Database::connect::<Media>(options, settings)
            .await
            .map(|database| Self::of(Tables::Database(Database::Postgres(database))))
    }

    /// Connects to a database that another process keeps up to date, for reading only.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Newer`], [`Error::NotMigrated`], [`Error::Database`].
    pub async fn connect_postgres_read_only(
        options: PgConnectOptions,
        settings: PostgresSettings,
    ) -> Result<Self, Error> {
        let database = postgres::Database::connect_read_only::<Media>(options, settings).await?;
        Ok(Self::of(Tables::Database(Database::Postgres(database))))
    }

    /// Tables in memory, each call to which passes `gate`.
    #[cfg(any(test, feature = "memory"))]
    pub fn in_memory(tables: memory::MemoryTables, gate: memory::Gate) -> Self {
        Self::of(Tables::Memory(memory::Memory::new(tables, gate)))
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        if let Ok(database) = self.database() {
            database.close().await;
        }
    }

    /// Where the live version stands.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.memory() {
            return memory.at_one_stroke(|rows| rows.checkpoint()).await;
        }
        checkpoint::live(self.database()?.checkpoints().await?)
    }

    /// Where all versions stand, the live one and those that are being built.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.database()?.checkpoints().await
    }

    /// Applies a batch of the journal, all tenants, in order of position, to the live version. Up to 2000 events or so
    /// is a good size: all of them are in memory and in one transaction. `mark` is the commit of the last event, where that is
    /// known; the checkpoint keeps it.
    ///
    /// Events at or before the checkpoint are skipped, so several processes may feed the same events and each is applied
    /// once: the checkpoint is read under a lock. On SQLite a second process waits for it; on Postgres it gets the
    /// checkpoint as it is, with nothing applied, and should leave the rest to the one that holds the lock.
    ///
    /// # Errors
    /// [`Error::Hole`] where the events do not go on right after the checkpoint; [`Error::Busy`], [`Error::Full`],
    /// [`Error::Unreachable`], [`Error::Database`]. Nothing of the batch is applied then, unless the connection was lost
    /// during the commit; a repeat is safe.
    pub async fn apply<'e>(
        &self,
        events: impl Into<Cow<'e, [RecordedEvent]>>,
        mark: Option<&Mark>,
    ) -> Result<Applied, Error> {
        let events = events.into();
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.memory() {
            return memory.at_one_stroke(|rows| rows.apply(events, mark)).await?;
        }
        self.database()?.apply::<Media>(events, mark).await
    }

    /// Hands each row of a version, the live one if none is named, to `each`, in order of id and from one snapshot. Rows
    /// are not held in memory; but while the dump runs, SQLite's WAL cannot shrink and Postgres keeps dead rows.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn dump(&self, version: Option<u32>, each: impl FnMut(&MediaRow) + Send) -> Result<Dump, Error> {
        self.database()?.dump::<Media>(version, each).await
    }

    /// Begins a rebuild, and removes what an earlier unfinished one has left.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Unreachable`], [`Error::Database`].
    pub async fn begin_rebuild(&self) -> Result<Rebuild, Error> {
        Ok(Rebuild { building: self.database()?.begin_rebuild().await? })
    }

    pub fn walks(&self) -> WalkStore<'_> {
        WalkStore::of(self)
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
    building: engine::database::Rebuild<Media>,
}

impl Rebuild {
    pub fn version(&self) -> u32 {
        self.building.version()
    }

    /// Applies a batch to the version that is being built, from position 1 on; see [`ReadModels::apply`].
    ///
    /// # Errors
    /// As [`ReadModels::apply`], and [`Error::RebuildReplaced`].
    pub async fn apply<'e>(
        &self,
        events: impl Into<Cow<'e, [RecordedEvent]>>,
        mark: Option<&Mark>,
    ) -> Result<Applied, Error> {
        self.building.apply(events.into(), mark).await
    }

    /// Makes the built version the live one in one transaction, if it has caught up, and drops the other. On
    /// [`Swapped::Behind`] apply what is missing and swap again.
    ///
    /// # Errors
    /// [`Error::RebuildReplaced`], [`Error::Busy`], [`Error::Full`], [`Error::Unreachable`], [`Error::Database`]; nothing
    /// has changed then.
    pub async fn swap(&self) -> Result<Swapped, Error> {
        self.building.swap().await
    }
}

#[cfg(any(test, feature = "memory"))]
impl memory::Rows {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            name: <Media as engine::Projection>::NAME.to_owned(),
            version: 1,
            status: crate::Status::Live,
            position: self.position,
            recorded_at: self.recorded_at,
            begun_by: crate::schema::SCHEMA.newest(|step| step.sqlite),
            commit_id: self.mark.as_ref().map(|mark| mark.commit_id),
            commit_hash: self.mark.as_ref().map(|mark| mark.commit_hash.clone()),
        }
    }

    pub(crate) fn apply(&mut self, events: Cow<'_, [RecordedEvent]>, mark: Option<&Mark>) -> Result<Applied, Error> {
        let fresh = engine::projection::fresh(&events, self.position)?;
        let Some(last) = fresh.last() else { return Ok(Applied { position: self.position, applied: 0 }) };
        let stored = crate::media::batch::touched(fresh).iter().filter_map(|id| self.media.get(id).cloned()).collect();
        let changes = crate::media::batch::changes(fresh, stored);
        for row in changes.inserted.into_iter().chain(changes.updated) {
            self.media.insert(row.media_id, row);
        }
        (self.position, self.recorded_at) = (last.position, Some(last.recorded_at));
        self.mark = mark.cloned().or_else(|| self.mark.take());
        Ok(Applied { position: last.position, applied: fresh.len() })
    }
}
