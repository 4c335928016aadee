//! The journal in one PostgreSQL database.
//!
//! Any number of processes append: the row lock on the head, held until commit, puts them in one order. A batch is
//! one statement and one round trip; the function `journal_append_all` does the rest beside the data, or, where a
//! stream has moved on, `journal_append` after it. Both turn `synchronous_commit` on for their own transaction,
//! whatever the session says (P-3).
//!
//! The role that serves needs `SELECT` on the tables and `EXECUTE` on the functions, and nothing else:
//! `migrations/postgres/grants.sql`. The schema is made and brought up to date by [`PostgresJournal::migrate`] alone.
//!
//! On failure: a clean error of the server means that nothing was written. Whatever else happens once a batch was
//! sent leaves its outcome unknown; see [`PostgresWriter`] for how it is found out.

mod connection;
mod consumers;
mod fetch;
mod high_water_mark;
mod migrate;
mod reader;
mod row;
mod settings;
mod stored_row;
mod writer;

#[cfg(test)]
mod tests;

use tokio::runtime::Handle;
use uuid::Uuid;

pub use self::consumers::PostgresConsumers;
pub use self::reader::PostgresReader;
pub use self::settings::{Settings, SettingsError};
pub use self::writer::PostgresWriter;

use self::high_water_mark::HighWaterMark;
use super::error::StoreError;
use super::reader::Reader;

/// A journal opened for writing: what [`start`](super::start) takes.
pub struct PostgresJournal {
    pub writer: PostgresWriter,
    pub reader: Reader,
}

/// Why the journal's database was not opened. `place` never holds the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database holds no journal, or one of an earlier program.
    #[error(
        "{place} has journal schema {found}, this program needs {needed}: \
         run `zeroload migrate` as the role that owns the journal"
    )]
    SchemaTooOld { place: String, found: i64, needed: i64 },
    /// A later version of the program wrote it.
    #[error("{place} has journal schema {found}, this program knows only {known}")]
    SchemaTooNew { place: String, found: i64, known: i64 },
    /// Text would be converted on its way, and hashes would not match what is stored.
    #[error("{place} has encoding {found}, a journal needs UTF8")]
    Encoding { place: String, found: String },
    #[error("the database {place} cannot be opened")]
    Database { place: String, source: StoreError },
}

impl PostgresJournal {
    /// Creates the journal `new_id`, or brings the one that is there up to date. Does nothing if it is. Any number
    /// of processes may do it at once.
    pub async fn migrate(settings: &Settings, new_id: Uuid) -> Result<(), OpenError> {
        migrate::migrate(settings, new_id).await
    }

    /// Opens the journal for writing, beside any other writers. The connection that writes lives on the first runtime, those
    /// that read on the second.
    pub async fn open_writer(settings: &Settings, writing: &Handle, reading: &Handle) -> Result<Self, OpenError> {
        let seen = HighWaterMark::default();
        let reader = Self::reader(settings, seen.clone(), reading).await?;
        let opening = PostgresWriter::open(settings.clone(), seen);
        let writer = connection::on(writing, opening).await.map_err(|source| settings.failed(source))?;
        Ok(Self { writer, reader })
    }

    /// Opens the journal for reading only. Its connections live on `runtime`, and its reads run there, wherever they
    /// are awaited.
    pub async fn open_reader(settings: &Settings, runtime: &Handle) -> Result<Reader, OpenError> {
        Self::reader(settings, HighWaterMark::default(), runtime).await
    }

    async fn reader(settings: &Settings, seen: HighWaterMark, runtime: &Handle) -> Result<Reader, OpenError> {
        let checked = settings.clone();
        runtime
            .spawn(async move { migrate::check(&checked).await })
            .await
            .map_err(|ended| settings.failed(connection::ended(ended)))??;
        let reader = PostgresReader::open(settings, seen, runtime);
        let raw = reader.unmarked();
        Ok(Reader::with_raw(reader, raw))
    }
}
