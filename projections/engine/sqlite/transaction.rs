//! A transaction that writes.

use std::ops::{Deref, DerefMut};

use sqlx::{
    Sqlite, SqliteConnection, SqlitePool, TransactionManager, pool::PoolConnection, sqlite::SqliteTransactionManager,
};

/// A transaction that holds the write lock from its beginning, so what it has read is still true when it writes.
///
/// One that ends in any other way than by commit or rollback, through an error or because its future was dropped, takes
/// its connection along, and the pool opens a new one. `Pool::begin_with` of sqlx 0.8.6 is not enough: a future that is
/// dropped after `BEGIN` was acknowledged leaves the transaction open in the pool, with the write lock; and where
/// SQLite itself has rolled back, on a full disk for instance, sqlx goes on counting a transaction that is gone.
pub(super) struct WriteTransaction {
    connection: PoolConnection<Sqlite>,
    finished: bool,
}

impl WriteTransaction {
    pub(super) async fn begin(writer: &SqlitePool) -> Result<Self, sqlx::Error> {
        let mut tx = Self { connection: writer.acquire().await?, finished: false };
        let begun = SqliteTransactionManager::begin(&mut tx.connection, Some("BEGIN IMMEDIATE".into())).await;
        // SQLite refused, for one because it is busy: there is no transaction, and the connection is as it was.
        tx.finished = matches!(begun, Err(sqlx::Error::Database(_)));
        begun.map(|()| tx)
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        SqliteTransactionManager::commit(&mut self.connection).await?;
        self.finished = true;
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        SqliteTransactionManager::rollback(&mut self.connection).await?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
