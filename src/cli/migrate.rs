//! `zeroload migrate`.

use std::process::ExitCode;
use zeroload_clock::{Clock, Ids};

use super::{Ended, output::print};
use crate::{app::make_dir, settings::Settings};

/// Opening for writing migrates; both databases refuse a file that a newer binary has written.
pub async fn run(settings: &Settings, clock: Clock, ids: Ids) -> Ended {
    make_dir(&settings.data_dir)?;
    let database = &settings.database;
    let position = database.migrate_journal(ids.new_id(clock.now())).await?;
    let printed = print(format_args!("{database} is up to date, at position {position}"));
    database.open_read_models().await?.close().await;
    printed?;
    print(format_args!("{} is up to date", database.read_models_place()))?;
    Ok(ExitCode::SUCCESS)
}
