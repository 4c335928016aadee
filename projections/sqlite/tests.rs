//! One file per subject, all against files of SQLite.

mod failures;
mod reading;
mod rebuilding;
mod writing;

use sqlx::SqlitePool;
use tempfile::TempDir;

use super::ReadModels;
use crate::{MediaRow, RecordedEvent, testing::Journal};

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
        fixture.models.apply(&journal.events).await.unwrap();
        fixture
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("projections.db")
    }

    fn writer(&self) -> &SqlitePool {
        self.models.writer().unwrap()
    }
}

async fn rows(models: &ReadModels) -> Vec<MediaRow> {
    let mut rows = Vec::new();
    models.dump(None, |row| rows.push(row.clone())).await.unwrap();
    rows
}

/// Feeds all that comes after the live checkpoint, in batches of one size.
async fn catch_up(models: &ReadModels, events: &[RecordedEvent], size: usize) -> usize {
    let mut applied = 0;
    loop {
        let position = usize::try_from(models.checkpoint().await.unwrap().position).unwrap();
        let Some(batch) = events[position..].chunks(size).next() else { return applied };
        applied += models.apply(batch).await.unwrap().applied;
    }
}
