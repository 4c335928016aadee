//! Where journal and read models lie: the one module that knows which databases there are.

mod wal;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use tokio::runtime::Handle;
use uuid::Uuid;
use zeroload_projections::{PostgresSettings, ReadModels};

use zeroload_clock::Clock;
use zeroload_database_access::private_file;
use zeroload_journal::{
    self as journal, Journal, Options, ReadError, Reader, WriteStore, WriterTask, WriterThread,
    consumers::ConsumerStore,
    postgres::{self, PostgresConsumers, PostgresJournal},
    sqlite::{self, SqliteConsumers, SqliteJournal},
};

pub use wal::{LogState, WalWatch};

/// The database of the setting `database_url`.
#[derive(Clone, Debug)]
pub enum Database {
    /// The journal's file; the read models have one of their own beside it.
    Sqlite(PathBuf),
    /// One database for both.
    Postgres(Box<postgres::Settings>),
}

/// Why a journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
    #[error("the journal cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the journal's writer cannot have a thread of its own: {0}")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Whether another process has the journal for itself, and can be asked instead.
    pub fn is_already_writing(&self) -> bool {
        matches!(self, Self::Sqlite(sqlite::OpenError::AlreadyWriting { .. }))
    }
}

impl Database {
    /// Opens the journal and starts its writer; makes it, as the journal `new_id`, where there is none.
    ///
    /// # Errors
    /// [`OpenError`]; on SQLite also when another process writes.
    pub async fn start_journal(&self, new_id: Uuid) -> Result<(Journal, WriterTask), OpenError> {
        let thread = WriterThread::start().map_err(OpenError::Thread)?;
        match self {
            Self::Sqlite(path) => {
                let opened = SqliteJournal::open_writer(path, new_id).await?;
                Ok(journal::start(opened.writer, opened.reader, Options::default(), thread).await?)
            }
            Self::Postgres(settings) => {
                PostgresJournal::migrate(settings, new_id).await?;
                let opened = PostgresJournal::open_writer(settings, thread.runtime(), &Handle::current()).await?;
                Ok(journal::start(opened.writer, opened.reader, Options::default(), thread).await?)
            }
        }
    }

    /// Opens the journal for reading, beside whoever writes it.
    ///
    /// # Errors
    /// [`OpenError`]; a journal that is missing or of an older schema too.
    pub async fn open_reader(&self) -> Result<Reader, OpenError> {
        match self {
            Self::Sqlite(path) => Ok(SqliteJournal::open_reader(path).await?),
            Self::Postgres(settings) => Ok(PostgresJournal::open_reader(settings, &Handle::current()).await?),
        }
    }

    /// Opens the read models; makes them where they are missing.
    ///
    /// # Errors
    /// [`zeroload_projections::Error`].
    pub async fn open_read_models(&self) -> Result<ReadModels, zeroload_projections::Error> {
        match self {
            Self::Sqlite(path) => {
                let path = read_models_path(path);
                // Where the file cannot be made, opening it says so in its own words.
                let _made = private_file::database(&path);
                ReadModels::open(path).await
            }
            Self::Postgres(settings) => {
                let mut how = PostgresSettings::new(Handle::current());
                how.named_statements = !settings.is_pooled();
                ReadModels::connect_postgres(settings.options(), how).await
            }
        }
    }

    /// Creates the journal, as `new_id`, or brings it up to date. Answers with the position of its last event.
    ///
    /// # Errors
    /// [`OpenError`]; a journal of a newer binary too.
    pub async fn migrate_journal(&self, new_id: Uuid) -> Result<u64, OpenError> {
        match self {
            Self::Sqlite(path) => {
                let opened = SqliteJournal::open_writer(path, new_id).await?;
                let position = opened.reader.head().await?.position;
                opened.reader.close().await;
                opened.writer.close().await;
                Ok(position)
            }
            Self::Postgres(settings) => {
                PostgresJournal::migrate(settings, new_id).await?;
                let reader = self.open_reader().await?;
                let position = reader.head().await?.position;
                reader.close().await;
                Ok(position)
            }
        }
    }

    /// The cursors of stored consumers, for the process `holder`; opens nothing yet.
    pub fn consumers(&self, reader: &Reader, clock: Clock, holder: Uuid) -> ConsumerStore {
        match self {
            Self::Sqlite(path) => {
                let table = SqliteConsumers::at(&consumers_path(path));
                ConsumerStore::new(table, reader.clone(), clock, holder)
            }
            Self::Postgres(settings) => {
                let table = PostgresConsumers::of(settings, &Handle::current());
                ConsumerStore::new(table, reader.clone(), clock, holder)
            }
        }
    }

    /// Whether a pooler stands before it.
    pub fn is_pooled(&self) -> bool {
        matches!(self, Self::Postgres(settings) if settings.is_pooled())
    }

    /// Whether other processes may write the same read models.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Events that a rebuild applies in one transaction. The steps of an item that fall into one are written once; no reader
    /// waits for it, but on SQLite whoever writes the live tables does.
    pub fn rebuild_batch(&self) -> u32 {
        match self {
            Self::Sqlite(_) => 5000,
            Self::Postgres(_) => 20_000,
        }
    }

    /// What watches the write-ahead logs of SQLite's files; none on Postgres, which keeps house itself.
    pub fn wal_watch(&self) -> WalWatch {
        let files = match self {
            Self::Sqlite(path) => vec![("journal", path.clone()), ("projections", read_models_path(path))],
            Self::Postgres(_) => Vec::new(),
        };
        WalWatch::new(files, wal::LARGE)
    }

    /// Where the read models are, in words.
    pub fn read_models_place(&self) -> String {
        match self {
            Self::Sqlite(path) => read_models_path(path).display().to_string(),
            Self::Postgres(settings) => format!("the tables of the read models in {}", settings.place()),
        }
    }

    /// The file in which the only process that may write says where it serves: `journal.db` has `journal.db.address`.
    pub fn address_note(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(".address");
                Some(name.into())
            }
            Self::Postgres(_) => None,
        }
    }
}

/// Without anything that is secret.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(settings) => f.write_str(&settings.place()),
        }
    }
}

/// `journal.db` has `journal-projections.db`.
fn read_models_path(journal: &Path) -> PathBuf {
    beside(journal, "projections")
}

/// `journal.db` has `journal-consumers.db`.
fn consumers_path(journal: &Path) -> PathBuf {
    beside(journal, "consumers")
}

fn beside(journal: &Path, what: &str) -> PathBuf {
    let stem = journal.file_stem().unwrap_or_default().to_string_lossy();
    journal.with_file_name(format!("{stem}-{what}.db"))
}

#[cfg(test)]
mod tests {
    use zeroload_clock::Ids;

    use super::*;

    #[tokio::test]
    async fn the_cursors_of_consumers_lie_beside_the_journal_and_outlive_its_read_models() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = Database::Sqlite(folder.path().join("journal.db"));
        let (clock, ids) = (Clock::system(), Ids::seeded(1));
        let id = || ids.new_id(clock.now());
        let (journal, writer) = database.start_journal(id()).await.expect("nobody else writes");
        let consumers = || database.consumers(journal.reader(), clock.clone(), id());
        assert_eq!(consumers().list().await.expect("there is none"), []);
        assert!(!folder.path().join("journal-consumers.db").exists());
        consumers().register("lake", 0).await.expect("nothing stands against it");
        assert!(folder.path().join("journal-consumers.db").exists());
        database.open_read_models().await.expect("they are made").close().await;
        std::fs::remove_file(folder.path().join("journal-projections.db")).expect("removed");
        let listed = consumers().list().await.expect("it can be read");
        assert_eq!(listed.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), ["lake"]);
        writer.stop().await;
    }
}
