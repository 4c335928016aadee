//! `zeroload projections rebuild`.

use std::process::ExitCode;

use zeroload_projections::Swapped;

use super::{Ended, fail, progress::Progress};
use crate::{projector::read_batch, settings::Settings};

/// Works beside a running `serve`: readers see the old tables until the new ones have caught up.
pub async fn run(settings: &Settings) -> Ended {
    let database = &settings.database;
    let journal = database.open_reader().await?;
    let read_models = database.open_read_models().await?;
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
                return fail(format!(
                    "{} is {by} positions ahead of the journal, so it belongs to another one or the journal was restored \
                     from a backup; remove it, it is built anew from the journal",
                    database.read_models_place()
                ));
            }
            Swapped::Behind { .. } => {}
        }
    }
}
