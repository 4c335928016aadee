//! One transaction per batch, and what becomes of the files when it fails.
//!
//! After any error the connection is closed and the next batch opens a new one. On a full disk SQLite
//! ends the transaction itself, and sqlx would go on counting one that is gone; so BEGIN and COMMIT
//! are plain statements here, and no state of a failed transaction is ever carried on.
//!
//! What a failure leaves of the new files:
//! - Before COMMIT was sent, or if it could not write, there is no row and there will be none: the
//!   files go at once, which on a full disk makes the room that a delete needs.
//! - If COMMIT failed otherwise, for one because the log could not be synced, the rows are unseen
//!   but may lie complete in the log, and a crash would bring them back. Such files stay (P-8) until
//!   a later transaction has been written over them, and then go if no row names them. What a stop
//!   or a crash leaves of them is swept at the next open.

use std::collections::HashSet;
use std::io;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Error, SqliteConnection};
use zeroload_database_access::open_files::OpenFiles;

use super::apply::apply;
use super::blobs::{Blob, BlobName};
use super::index;
use super::write::{Files, Outcome, Write};

/// The rows, write side.
pub(super) struct Rows {
    options: SqliteConnectOptions,
    /// What is written to a file that no name leads to is gone with the process.
    files: OpenFiles,
    /// `None` after a failure: the next batch opens a new one.
    connection: Option<SqliteConnection>,
    /// Files of rows whose COMMIT has an unknown outcome.
    doubtful: Vec<BlobName>,
}

impl Rows {
    /// `options` open what `connection` is connected to.
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection, files: OpenFiles) -> Self {
        Self { options, files, connection: Some(connection), doubtful: Vec::new() }
    }

    fn check(&self) -> Result<(), Error> {
        self.files.check().map_err(|changed| Error::Io(io::Error::other(changed)))
    }

    /// All or nothing. Takes from `writes` as far as it comes, and leaves in `files` what is to be dropped and
    /// removed whatever the result is.
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
            // Waits until it is closed, so that what it began has ended when the next one opens. There is
            // nothing to do about a failure of this.
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
        // Without a change COMMIT writes nothing, and settles nothing.
        let changed = !files.named.is_empty() || !files.unneeded.is_empty();
        let settles = changed && !self.doubtful.is_empty();
        let found = if settles { index::named(connection, &self.doubtful).await } else { Ok(HashSet::new()) };
        let found = found.inspect_err(|_| files.unneeded.clear())?;

        // From here until the answer both are possible, also for a future that is dropped here.
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

    /// So that the file alone is the whole index after a stop.
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

/// Everything but COMMIT.
async fn prepare(
    connection: &mut SqliteConnection,
    writes: &mut impl Iterator<Item = Write>,
    files: &mut Files,
) -> Result<Vec<Outcome>, Error> {
    // The write lock from the start: what conditions are checked against stays true.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let mut outcomes = Vec::with_capacity(writes.size_hint().0);
    for write in writes {
        outcomes.push(apply(connection, write, files).await?);
    }
    Ok(outcomes)
}

/// SQLITE_FULL or SQLITE_IOERR_WRITE. The frame that would commit is the last that is written to the log, and one
/// that is not whole does not count: even a crash brings no such transaction back.
fn could_not_write(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
    matches!(code, Some(13 | 778))
}
