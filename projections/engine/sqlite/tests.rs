//! One file per subject, all against files of SQLite.

mod failures;
mod reading;
mod rebuilding;
mod writing;

use sqlx::SqlitePool;
use tempfile::TempDir;

use super::Database;
use crate::{
    ReadModels, engine,
    testing::{
        Journal,
        contract::{catch_up, rows},
    },
    {projection::Media, read_models::Tables},
};

/// An empty file of read models, and the folder that ends with it.
struct Fixture {
    models: ReadModels,
    folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let models = ReadModels::open(folder.path().join("projections.db")).await.unwrap();
        Self { models, folder }
    }

    async fn with(journal: &Journal) -> Self {
        let fixture = Self::new().await;
        fixture.models.apply(&journal.events, None).await.unwrap();
        fixture
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("projections.db")
    }

    fn writer(&self) -> &SqlitePool {
        database(&self.models).writer().unwrap()
    }

    fn readers(&self) -> &SqlitePool {
        database(&self.models).readers()
    }
}

fn database(models: &ReadModels) -> &Database {
    match models.database().unwrap() {
        engine::Database::Sqlite(database) => database,
        engine::Database::Postgres(_) => unreachable!("these are files of SQLite"),
    }
}

/// Waits so long for another process's write.
async fn open_waiting(path: &std::path::Path, busy_timeout: std::time::Duration) -> ReadModels {
    let database = Database::open_waiting::<Media>(path, busy_timeout).await.unwrap();
    ReadModels::of(Tables::Database(engine::Database::Sqlite(database)))
}
