//! One query on a connection: of the pool, or of one that is kept for streams.

use std::sync::Arc;

use sqlx::Connection;
use sqlx::error::Error as SqlxError;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgRow, Postgres};
use sqlx::query::Query;
use tokio::sync::Mutex;

use super::connection::{answered, store_error, was_ended};
use crate::error::{StoreError, StoreErrorKind};

pub(super) type PgQuery = Query<'static, Postgres, PgArguments>;

/// One statement, and behind a pooler a transaction around it.
pub(super) async fn fetch_on(
    connection: &mut PgConnection,
    pooled: bool,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<Vec<PgRow>, SqlxError> {
    if !pooled {
        return query.fetch_all(connection).await;
    }
    let mut transaction = connection.begin().await?;
    let rows = query.persistent(false).fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// A connection that is kept: one of the pool would be asked after each query whether it is alive.
#[derive(Clone)]
pub(super) struct StreamConnection {
    /// Gives a new one, where it can be had in time.
    pool: PgPool,
    kept: Arc<Mutex<Kept>>,
}

/// What is known of the connection.
enum Kept {
    None,
    Open(PgConnection),
    Closed,
}

impl StreamConnection {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, kept: Arc::new(Mutex::new(Kept::None)) }
    }

    pub(super) async fn fetch(&self, pooled: bool, query: impl Fn() -> PgQuery) -> Result<Vec<PgRow>, StoreError> {
        let mut kept = self.kept.lock().await;
        // It is used only once it is out of there, so that one whose answer nobody awaited is never used again.
        match std::mem::replace(&mut *kept, Kept::None) {
            Kept::Closed => {
                *kept = Kept::Closed;
                return Err(StoreError::new(StoreErrorKind::Closed, "the reader was closed"));
            }
            Kept::Open(mut connection) => match answered(fetch_on(&mut connection, pooled, query())).await {
                Ok(rows) => {
                    *kept = Kept::Open(connection);
                    return Ok(rows);
                }
                // The server has ended it since, or was ended: the next one says what is true now.
                Err(error) if was_ended(&error) => {}
                Err(error) => return Err(store_error(error)),
            },
            Kept::None => {}
        }
        let mut connection = self.pool.acquire().await.map_err(store_error)?.detach();
        let rows = answered(fetch_on(&mut connection, pooled, query())).await.map_err(store_error)?;
        *kept = Kept::Open(connection);
        Ok(rows)
    }

    pub(super) async fn close(&self) {
        let kept = std::mem::replace(&mut *self.kept.lock().await, Kept::Closed);
        if let Kept::Open(connection) = kept
            && let Err(error) = answered(connection.close()).await
        {
            tracing::warn!(%error, "a reading connection was not closed cleanly");
        }
    }
}
