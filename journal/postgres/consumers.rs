//! The cursors of stored consumers in a table beside the journal's.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use tokio::runtime::Handle;
use zeroload_database_access::pool;

use super::connection::{answered, on, store_error};
use super::fetch::fetch_on;
use super::settings::Settings;
use crate::consumers::{Cell, CursorTable, RawConsumer};
use crate::error::StoreError;

const CONNECTIONS: u32 = 2;

/// How long a call waits for one of them.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Several machines share the table, and one clock.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// See [`CursorTable`].
pub struct PostgresConsumers {
    pool: PgPool,
    pooled: bool,
    /// Where the connections live.
    runtime: Handle,
}

impl PostgresConsumers {
    /// Opens no connection yet.
    pub fn of(settings: &Settings, runtime: &Handle) -> Self {
        // The pool looks after itself on the runtime that it is made on.
        let _entered = runtime.enter();
        let pool = pool::lazy(settings.options.clone(), CONNECTIONS, ACQUIRE_TIMEOUT);
        Self { pool, pooled: settings.pooled, runtime: runtime.clone() }
    }
}

impl CursorTable for PostgresConsumers {
    /// A migration of the journal has made it.
    fn make(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn rows(&self, sql: &str, now: i64, cells: Vec<Cell>) -> BoxFuture<'_, Result<Vec<RawConsumer>, StoreError>> {
        let (sql, pool, pooled) = (sql.replace("{now}", NOW), self.pool.clone(), self.pooled);
        let fetch = async move {
            let mut query = sqlx::query(&sql).bind(now);
            for cell in cells {
                query = match cell {
                    Cell::Text(text) => query.bind(text),
                    Cell::Number(number) => query.bind(number),
                    Cell::Bytes(bytes) => query.bind(bytes),
                    Cell::Flag(flag) => query.bind(flag),
                };
            }
            let rows = fetch_on(&mut *pool.acquire().await?, pooled, query).await?;
            rows.iter().map(RawConsumer::from_row).collect()
        };
        async move { on(&self.runtime, async move { answered(fetch).await.map_err(store_error) }).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.pool.close().boxed()
    }
}
