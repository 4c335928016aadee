//! Where a journal lies: in SQLite, or in a database of its own on Postgres where `ZEROLOAD_TEST_JOURNAL=postgres` says so.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use zeroload_test_postgres::shared;

/// The setting `database_url` of a new journal; nothing for one in SQLite.
pub async fn new_journal() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    match std::env::var("ZEROLOAD_TEST_JOURNAL").as_deref() {
        Err(_) | Ok("sqlite") => return None,
        Ok("postgres") => {}
        Ok(other) => panic!("ZEROLOAD_TEST_JOURNAL must be sqlite or postgres, not {other}"),
    }
    let url = tokio::task::spawn_blocking(|| shared(&["max_connections=300"])).await.expect("the server starts");
    let options: PgConnectOptions = url.parse().expect("the URL is right");
    let name = format!("whole_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = options.connect().await.expect("the server runs");
    connection.execute(format!("CREATE DATABASE {name}").as_str()).await.expect("the role may");
    connection.close().await.expect("it was open");
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let base = base.rsplit_once('/').expect("the URL names a database").0;
    Some(format!("{base}/{name}?{query}"))
}
