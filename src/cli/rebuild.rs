//! `zeroload projections rebuild`.

use std::process::ExitCode;

use tokio::sync::mpsc;
use zeroload_journal::Reader;
use zeroload_projections::Swapped;

use super::{Ended, fail, output::print, progress::Progress};
use crate::{
    background::projector::{Batch, ProjectorError, read_batch},
    settings::Settings,
};

/// Works beside a running `serve`: readers see the old tables until the new ones have caught up.
pub async fn run(settings: &Settings) -> Ended {
    let database = &settings.database;
    let journal = database.open_reader().await?;
    let read_models = database.open_read_models().await?;
    let rebuild = read_models.begin_rebuild().await?;
    let progress = Progress::start("events applied", 0);
    let mut applied = 0;
    loop {
        // The next batch is read and decoded while this one is written.
        let (sender, mut batches) = mpsc::channel(1);
        let reading = tokio::spawn(read_on(journal.clone(), applied, database.rebuild_batch(), sender));
        while let Some(batch) = batches.recv().await {
            rebuild.apply(&batch.events, batch.mark.as_ref()).await?;
            applied = batch.events.last().map_or(applied, |last| last.position);
            progress.at(applied, journal.head().await?.position);
        }
        reading.await??;
        match rebuild.swap().await? {
            Swapped::Swapped => {
                progress.end();
                let printed = print(format_args!("version {} is live at position {applied}", rebuild.version()));
                read_models.close().await;
                printed?;
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

/// Sends batch after batch of at most so many `events` until the journal has no more.
async fn read_on(
    journal: Reader,
    mut after: u64,
    events: u32,
    batches: mpsc::Sender<Batch>,
) -> Result<(), ProjectorError> {
    loop {
        let batch = read_batch(&journal, after, events).await?;
        let Some(last) = batch.events.last() else { return Ok(()) };
        after = last.position;
        if batches.send(batch).await.is_err() {
            // The writing side has failed, and says why.
            return Ok(());
        }
    }
}
