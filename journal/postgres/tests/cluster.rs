//! A database per test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use zeroload_test_postgres::shared;

use super::super::Settings;

/// A new database, empty.
pub(super) struct Database {
    pub name: String,
    url: String,
}

impl Database {
    pub async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let url = shared(&["max_connections=200"]);
        let name = format!("zeroload_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(url).await;
        connection.execute(format!("DROP DATABASE IF EXISTS {name}").as_str()).await.expect("it is not in use");
        connection.execute(format!("CREATE DATABASE {name}").as_str()).await.expect("the role may");
        connection.close().await.expect("it was open");
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let base = base.rsplit_once('/').expect("the URL names a database").0;
        Self { url: format!("{base}/{name}?{query}"), name }
    }

    pub fn settings(&self) -> Settings {
        Settings::parse(&self.url).expect("the URL is right")
    }

    pub fn settings_with(&self, parameter: &str) -> Settings {
        Settings::parse(&format!("{}&{parameter}", self.url)).expect("the URL is right")
    }

    /// The same database for another role, which needs no password here.
    pub fn settings_of(&self, role: &str) -> Settings {
        let settings = self.settings();
        Settings { options: settings.options.username(role), ..settings }
    }

    /// A connection that anyone with the owner's password could open.
    pub async fn outsider(&self) -> PgConnection {
        connect(&self.url).await
    }
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("the URL is right");
    options.connect().await.expect("the server runs")
}
