//! `zeroload collect`.

use std::process::ExitCode;
use zeroload_clock::{Clock, Ids};

use super::{Ended, log, output::print};
use crate::{
    app::{Core, StartError, serving_address},
    background::collector::{CollectOptions, RunReport},
    media::commands::Origin,
    settings::Settings,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing, only say what would go and why
    #[arg(long)]
    dry_run: bool,
    /// Collect although the brake is on; who started this stands in the history of each item
    #[arg(long)]
    override_brake: bool,
}

impl Arguments {
    /// Whether another run follows. One that overrides the brake does so once: whoever wants another looks at the first.
    fn goes_on(&self, report: &RunReport) -> bool {
        let got_on = report.collected + report.trashed + report.absent > 0;
        report.more && got_on && !self.dry_run && !self.override_brake
    }
}

pub async fn run(settings: &Settings, arguments: &Arguments, clock: Clock, ids: Ids) -> Ended {
    let core = match Core::open(settings, clock, ids).await {
        Ok(core) => core,
        Err(StartError::Journal(error)) if error.is_already_writing() => {
            let wanted = [("dry_run", arguments.dry_run), ("override_brake", arguments.override_brake)];
            let members: Vec<_> =
                wanted.iter().filter(|(_, is)| *is).map(|(name, _)| format!("\"{name}\":true")).collect();
            let body = match members.as_slice() {
                [] => String::new(),
                members => format!(" -H 'Content-Type: application/json' -d '{{{}}}'", members.join(",")),
            };
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
        let now = core.clock.now();
        let override_brake = arguments.override_brake.then(|| Origin {
            request_id: core.ids.new_id(now).to_string(),
            caller: "zeroload collect".to_owned(),
            route: "zeroload collect --override-brake",
        });
        let caller = Some("zeroload collect".to_owned());
        let wanted = CollectOptions { dry_run: arguments.dry_run, override_brake, caller };
        let report = match core.collector.run(wanted).await {
            Ok(report) => report,
            Err(error) => {
                core.close().await;
                return Err(error.into());
            }
        };
        if let Err(error) = print(serde_json::to_string_pretty(&report)?) {
            core.close().await;
            return Err(error.into());
        }
        if report.failed + report.unknown > 0 {
            code = ExitCode::FAILURE;
        }
        if let Some(reason) = report.braked.as_ref().filter(|_| !arguments.override_brake) {
            log::say(&format!("zeroload: the collector is braked: {reason}, or collect --override-brake"));
            code = if arguments.dry_run { code } else { ExitCode::FAILURE };
        }
        if let Some(reason) = &report.withheld {
            log::say(&format!("zeroload: {reason}"));
            code = ExitCode::FAILURE;
        }
        if !arguments.goes_on(&report) || !core.collector.may_go_on() {
            if arguments.override_brake && report.more {
                log::say(
                    "zeroload: more is due; each run that overrides the brake is asked for by a command of its own",
                );
            }
            core.close().await;
            return Ok(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_run_that_overrides_the_brake_or_got_nowhere_is_followed_by_none() {
        let asked = |dry_run, override_brake| Arguments { dry_run, override_brake };
        let mut report = RunReport::new(Uuid::nil(), false);
        (report.more, report.absent) = (true, 1);
        assert!(asked(false, false).goes_on(&report));
        assert!(!asked(false, true).goes_on(&report), "20,000 items and a person, each time");
        assert!(!asked(true, false).goes_on(&report));
        assert!(!asked(false, false).goes_on(&RunReport { absent: 0, ..report.clone() }));
        assert!(!asked(false, false).goes_on(&RunReport { more: false, ..report }));
    }
}
