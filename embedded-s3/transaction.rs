//! Writes each batch in one transaction, and decides about the new files if the transaction fails.
//!
//! After any error the connection is closed and the next batch opens a new one. On a full disk SQLite ends the
//! transaction itself, while sqlx would still count it as open; so BEGIN and COMMIT are plain statements here, and no
//! state of a failed transaction is ever carried on.
//!
//! What happens to the new files after a failure:
//! - If COMMIT was not sent, or could not write, there are no rows and there will be none: the files are removed at
//!   once, which on a full disk makes the room that a delete needs.
//! - If COMMIT failed otherwise, for one because the log could not be synced, the rows are unseen but may lie complete
//!   in the log, and a crash would bring them back. Such files stay (P-8) until a later transaction has been written
//!   over them in the log; then a file that no row names is removed. Files that are left at a stop or a crash are swept
//!   at the next open.

use std::collections::HashSet;
use std::io;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Error, SqliteConnection};
use zeroload_database_access::open_files::OpenFiles;

use super::apply::apply;
use super::blobs::{Blob, BlobName};
use super::index;
use super::write::{Files, Outcome, Write};

/// The write side of the index.
pub(super) struct Rows {
    options: SqliteConnectOptions,
    /// The database's open files, checked to still be the ones under their names: a write to a file without a name
    /// would be lost with the process.
    files: OpenFiles,
    /// `None` after a failure: the next batch opens a new one.
    connection: Option<SqliteConnection>,
    /// Files of rows whose COMMIT has an unknown outcome.
    doubtful: Vec<BlobName>,
}

impl Rows {
    /// `options` open the same database as `connection`.
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection, files: OpenFiles) -> Self {
        Self { options, files, connection: Some(connection), doubtful: Vec::new() }
    }

    fn check(&self) -> Result<(), Error> {
        self.files.check().map_err(|changed| Error::Io(io::Error::other(changed)))
    }

    /// Applies all writes or none. After an error `writes` may be taken only in part. Whatever the result is, the
    /// caller drops and removes the files that are left in `files`.
    pub(super) async fn write(
        &mut self,
        writes: &mut impl Iterator<Item = Write>,
        files: &mut Files,
    ) -> Result<Vec<Outcome>, Error> {
        self.check()?;
        let mut connection = self.take_connection().await?;
        let result = match prepare(&mut connection, writes, files).await {
            Ok(outcomes) => self.commit(&mut connection, files).await.map(|()| outcomes),
            Err(error) => {
                files.unneeded.clear();
                Err(error)
            }
        };
        match result {
            Ok(_) => self.connection = Some(connection),
            // Waits until the connection is closed, so that its transaction has ended when the next connection opens. A
            // failed close has no remedy.
            Err(_) => drop(connection.close().await),
        }
        result
    }

    async fn take_connection(&mut self) -> Result<SqliteConnection, Error> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.options.connect().await,
        }
    }

    async fn commit(&mut self, connection: &mut SqliteConnection, files: &mut Files) -> Result<(), Error> {
        // Without a change COMMIT writes nothing, and does not settle doubtful files.
        let changed = !files.named.is_empty() || !files.unneeded.is_empty();
        let settles = changed && !self.doubtful.is_empty();
        let found = if settles { index::named(connection, &self.doubtful).await } else { Ok(HashSet::new()) };
        let found = found.inspect_err(|_| files.unneeded.clear())?;

        // From here until the answer the rows may be committed or not, also if this future is dropped here. So the
        // files must stay.
        let named: Vec<BlobName> = files.named.drain(..).map(Blob::keep).collect();
        match sqlx::query("COMMIT").execute(connection).await.and_then(|_| self.check()) {
            Ok(()) => {
                if settles {
                    let doubtful = self.doubtful.drain(..);
                    files.unneeded.extend(doubtful.filter(|name| !found.contains(name.as_str())));
                }
                Ok(())
            }
            Err(error) => {
                files.unneeded.clear();
                if could_not_write(&error) {
                    files.unneeded = named;
                } else {
                    self.doubtful.extend(named);
                }
                Err(error)
            }
        }
    }

    /// Folds the log into the database file, so that the file alone is the whole index after a stop.
    pub(super) async fn close(mut self) {
        let folded = async {
            let mut connection = self.take_connection().await?;
            let folded = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await;
            connection.close().await?;
            folded
        };
        match folded.await {
            Ok(0_i64) => {}
            Ok(_) => tracing::warn!("the embedded S3 server's index is in use: its log was not folded into its file"),
            Err(error) => tracing::warn!(%error, "the embedded S3 server's index was not closed cleanly"),
        }
    }
}

/// Begins the transaction and applies the writes, without COMMIT.
async fn prepare(
    connection: &mut SqliteConnection,
    writes: &mut impl Iterator<Item = Write>,
    files: &mut Files,
) -> Result<Vec<Outcome>, Error> {
    // IMMEDIATE takes the write lock at the start, so that no row changes after a condition was checked against it.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let mut outcomes = Vec::with_capacity(writes.size_hint().0);
    for write in writes {
        outcomes.push(apply(connection, write, files).await?);
    }
    Ok(outcomes)
}

/// Whether COMMIT failed with SQLITE_FULL or SQLITE_IOERR_WRITE. The commit frame is the last one that is written to
/// the log, and a frame that is not whole does not count: not even a crash brings such a transaction back.
fn could_not_write(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
    matches!(code, Some(13 | 778))
}
