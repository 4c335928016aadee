//! `zeroload projections rebuild`.

use std::process::ExitCode;

use zeroload_projections::{ReadModels, Swapped};

use super::{Ended, fail, progress::Progress};
use crate::{
    app::read_models_path,
    journal::sqlite::SqliteJournal,
    projector::read_batch,
    settings::{DatabaseUrl, Settings},
};

/// Works beside a running `serve`: readers see the old tables until the new ones have caught up.
pub async fn run(settings: &Settings) -> Ended {
    let DatabaseUrl::Sqlite(path) = &settings.database_url;
    let journal = SqliteJournal::open_reader(path).await?;
    let read_models = ReadModels::open(read_models_path(path)).await?;
    let rebuild = read_models.begin_rebuild().await?;
    let progress = Progress::start("events applied");
    let mut applied = 0;
    loop {
        let batch = read_batch(&journal, applied).await?;
        if let Some(last) = batch.last() {
            applied = last.position;
            rebuild.apply(&batch).await?;
            progress.at(applied, journal.head().await?.position);
            continue;
        }
        match rebuild.swap().await? {
            Swapped::Swapped => {
                progress.end();
                println!("version {} is live at position {applied}", rebuild.version());
                read_models.close().await;
                return Ok(ExitCode::SUCCESS);
            }
            // The journal has no more, and the live version is further: it belongs to another past.
            Swapped::Behind { by } if journal.head().await?.position <= applied => {
                progress.end();
                let path = read_models_path(path);
                return fail(format!(
                    "{} is {by} positions ahead of the journal, so it belongs to another one or the journal was restored \
                     from a backup; remove it, it is built anew from the journal",
                    path.display()
                ));
            }
            Swapped::Behind { .. } => {}
        }
    }
}
