//! A database per test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use zeroload_test_postgres::shared;

use crate::PostgresSettings;

/// A new, empty database.
pub async fn database() -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = tokio::task::spawn_blocking(|| shared(&["max_connections=300", "fsync=off"])).await.unwrap();
    let options: PgConnectOptions = url.parse().unwrap();
    let name = format!("models_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    options.database(&name)
}

/// On the runtime of the test.
pub fn settings() -> PostgresSettings {
    PostgresSettings::new(tokio::runtime::Handle::current())
}
