//! `zeroload verify`.

use std::process::ExitCode;
use zeroload_journal::{self as journal, Hash, VerifyError};

use super::{Ended, fail, output::print, progress::Progress};
use crate::settings::Settings;

#[derive(clap::Args)]
pub struct Arguments {
    /// A position and its hash that were kept elsewhere: finds a rewritten or cut journal too
    #[arg(long, value_name = "POSITION:HASH", value_parser = expected)]
    expect: Option<(u64, Hash)>,
}

fn expected(raw: &str) -> Result<(u64, Hash), String> {
    let parsed = raw.split_once(':').and_then(|(position, hash)| Some((position.parse().ok()?, hash.parse().ok()?)));
    parsed.ok_or_else(|| "must be POSITION:HASH as `zeroload verify` prints it".to_owned())
}

pub async fn run(settings: &Settings, arguments: &Arguments) -> Ended {
    let journal = settings.database.open_reader().await?;
    let progress = Progress::start("events verified", 0);
    let verified = journal::verify(&journal, arguments.expect, |done, total| progress.at(done, total)).await;
    progress.end();
    match verified {
        Ok(verified) => {
            print(format_args!("{}:{}", verified.position, verified.hash))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ (VerifyError::Broken { .. } | VerifyError::NotAsExpected { .. })) => fail(error),
        Err(error) => Err(error.into()),
    }
}
