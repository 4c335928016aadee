//! What this machine does without the service, so that the service's figures mean something on another one.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    Failure,
    describe::machine_name,
    samples::{Samples, micros},
};

/// Of each measurement.
const LENGTH: Duration = Duration::from_secs(3);

/// A database page.
const PAGE: [u8; 4096] = [0x5a; 4096];

/// Pages of the file that is written to over and over, as SQLite does with its WAL.
const PAGES: u64 = 1000;

const DROP: &str = "DROP TABLE IF EXISTS uploads";
const CREATE: &str =
    "CREATE TABLE uploads (id TEXT PRIMARY KEY, owner TEXT, key TEXT, content_type TEXT, bytes INTEGER,
    created_at TEXT) STRICT";
const INSERT: &str = "INSERT INTO uploads VALUES (?1, 'user-1', 'media/' || ?1, 'image/jpeg', 123456, ?2)";

pub struct Machine {
    /// Cores, processor and main memory.
    pub description: String,
    /// Writes of one page, each followed by fdatasync.
    pub syncs: Samples,
    /// One row per transaction with `synchronous=FULL` over one connection, with the service's SQLite and driver: what
    /// a backend would do at the least to remember an upload.
    pub inserts: Samples,
}

impl Machine {
    /// Of each measurement the one with the higher rate.
    pub fn or_faster(self, other: Self) -> Self {
        let faster = |a: Samples, b: Samples| if a.per_second() < b.per_second() { b } else { a };
        Self {
            description: self.description,
            syncs: faster(self.syncs, other.syncs),
            inserts: faster(self.inserts, other.inserts),
        }
    }
}

pub async fn measure(folder: &Path) -> Result<Machine, Failure> {
    Ok(Machine {
        description: machine_name(),
        syncs: syncs(&folder.join("pages")).await?,
        inserts: inserts(&folder.join("plain.db")).await?,
    })
}

/// Takes the same step until the time is over.
async fn sample(mut step: impl AsyncFnMut() -> Result<(), Failure>) -> Result<Samples, Failure> {
    let (begun, mut lengths) = (Instant::now(), Vec::new());
    while begun.elapsed() < LENGTH {
        let since = Instant::now();
        step().await?;
        lengths.push(micros(since.elapsed()));
    }
    Ok(Samples::new(lengths, begun.elapsed()))
}

async fn syncs(path: &Path) -> Result<Samples, Failure> {
    let file = File::create(path)?;
    for page in 0..PAGES {
        file.write_all_at(&PAGE, page * PAGE.len() as u64)?;
    }
    file.sync_all()?;
    let mut pages = (0..PAGES).cycle();
    sample(async || {
        let page = pages.next().unwrap_or_default();
        file.write_all_at(&PAGE, page * PAGE.len() as u64)?;
        Ok(file.sync_data()?)
    })
    .await
}

async fn inserts(path: &Path) -> Result<Samples, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query(DROP).execute(&mut connection).await?;
    sqlx::query(CREATE).execute(&mut connection).await?;
    let inserts = sample(async || {
        let (id, now) = (uuid::Uuid::now_v7().to_string(), chrono::Utc::now().to_rfc3339());
        sqlx::query(INSERT).bind(id).bind(now).execute(&mut connection).await?;
        Ok(())
    })
    .await?;
    connection.close().await?;
    Ok(inserts)
}
