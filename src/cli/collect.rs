//! `zeroload collect`.

use std::process::ExitCode;

use super::Ended;
use crate::{
    app::{Core, StartError, serving_address},
    clock::{Clock, Ids},
    settings::Settings,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing, only say what would go and why
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(settings: &Settings, arguments: &Arguments, clock: Clock, ids: Ids) -> Ended {
    let core = match Core::open(settings, clock, ids).await {
        Ok(core) => core,
        Err(StartError::Journal(error)) if error.is_already_writing() => {
            let body =
                if arguments.dry_run { r#" -H 'Content-Type: application/json' -d '{"dry_run":true}'"# } else { "" };
            return super::fail(format!(
                "{error}\nask it instead: curl -X POST{body} http://{}/v1/collections",
                serving_address(settings)
            ));
        }
        Err(error) => return Err(error.into()),
    };
    if !arguments.dry_run {
        core.look_at_bucket().await;
    }
    let mut code = ExitCode::SUCCESS;
    loop {
        let report = match core.collector.run(arguments.dry_run).await {
            Ok(report) => report,
            Err(error) => {
                core.close().await;
                return Err(error.into());
            }
        };
        println!("{}", serde_json::to_string_pretty(&report)?);
        if report.failed + report.unknown > 0 {
            code = ExitCode::FAILURE;
        }
        if arguments.dry_run || !report.more || report.collected + report.absent == 0 {
            core.close().await;
            return Ok(code);
        }
    }
}
