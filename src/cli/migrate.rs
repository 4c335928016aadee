//! `zeroload migrate`.

use std::process::ExitCode;

use super::Ended;
use crate::{
    app::{make_dir, read_models_path},
    clock::{Clock, Ids},
    journal::{WriteStore, sqlite::SqliteJournal},
    settings::{DatabaseUrl, Settings},
};

/// Opening for writing migrates; both databases refuse a file that a newer binary has written.
pub async fn run(settings: &Settings, clock: Clock, ids: Ids) -> Ended {
    make_dir(&settings.data_dir)?;
    let DatabaseUrl::Sqlite(path) = &settings.database_url;
    let journal = SqliteJournal::open_writer(path, ids.new_id(clock.now())).await?;
    let position = journal.reader.head().await?.position;
    journal.reader.close().await;
    journal.writer.close().await;
    let models = read_models_path(path);
    zeroload_projections::ReadModels::open(&models).await?.close().await;
    println!("{} is up to date, at position {position}", path.display());
    println!("{} is up to date", models.display());
    Ok(ExitCode::SUCCESS)
}
