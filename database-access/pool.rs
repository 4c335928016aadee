//! Connections that are kept.

use std::time::Duration;

use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long after its last use a connection is taken to be alive. To ask is a round trip more; a
/// statement that meets one which has died within this time fails, and a repeat of the call gets another.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// A pool that opens at most so many `connections`, when they are needed, on the runtime that it is made on. A connection
/// that was idle for a while is asked whether it is alive before it is given out.
pub fn lazy(options: PgConnectOptions, connections: u32, acquire_timeout: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move { Ok(used.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(options)
}
