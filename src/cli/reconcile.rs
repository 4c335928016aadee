//! `zeroload reconcile`.

use std::{io::Write, process::ExitCode};

use chrono::TimeDelta;
use zeroload_clock::{Clock, Ids};
use zeroload_projections::{Walk, WalkStatus};

use super::{Ended, fail, log, output::Output, progress::Progress};
use crate::{
    app::{Core, StartError, serving_address},
    background::reconciler::WalkRequest,
    http::{FindingShape, Reconciliation, parse_age},
    settings::Settings,
};

/// Findings that are read at once.
const PAGE: u32 = 1000;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only say how many requests it will take, and what they cost
    #[arg(long, conflicts_with_all = ["delete_unknown", "json"])]
    estimate: bool,
    /// Delete objects that belong to no item and are old enough
    #[arg(long)]
    delete_unknown: bool,
    /// How old they must be, 24h or more [default: the setting reconcile_unknown_age]
    #[arg(long, value_name = "AGE", requires = "delete_unknown", value_parser = parse_age)]
    older_than: Option<TimeDelta>,
    /// One JSON object per line: what was found, and last the reconciliation itself
    #[arg(long)]
    json: bool,
}

pub async fn run(settings: &Settings, arguments: &Arguments, clock: Clock, ids: Ids) -> Ended {
    let delete_older_than =
        arguments.delete_unknown.then(|| arguments.older_than.unwrap_or(settings.reconcile_unknown_age));
    let core = match Core::open(settings, clock, ids).await {
        Ok(core) => core,
        Err(StartError::Journal(error)) if error.is_already_writing() => {
            let body = delete_older_than.map_or_else(String::new, |age| {
                let age = humantime::format_duration(age.to_std().unwrap_or_default());
                format!(r#" -H 'Content-Type: application/json' -d '{{"delete_unknown_older_than":"{age}"}}'"#)
            });
            return fail(format!(
                "{error}\nask it instead: curl -X POST{body} http://{}/v1/reconciliations",
                serving_address(settings)
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let ended = with_core(&core, arguments, delete_older_than).await;
    core.close().await;
    ended
}

async fn with_core(core: &Core, arguments: &Arguments, delete_older_than: Option<TimeDelta>) -> Ended {
    let reconciler = &core.reconciler;
    core.projector.catch_up().await;
    let estimate = reconciler.estimate().await?;
    // Up front and on standard error: standard output belongs to the result.
    log::say(&format!(
        "about {} objects: {} LIST requests, {} s at the rate that is set, {:.4} USD at AWS's price, and a HEAD for each finding",
        estimate.objects, estimate.requests, estimate.seconds, estimate.usd
    ));
    if arguments.estimate {
        return Ok(ExitCode::SUCCESS);
    }
    let begun = reconciler.begin(&WalkRequest { caller: "zeroload reconcile".to_owned(), delete_older_than }).await?;
    let progress = Progress::start("objects", 0);
    let ended =
        reconciler.run(begun, |walk| progress.at(walk.counts.objects, walk.expected.max(walk.counts.objects))).await;
    progress.end();
    let walk = ended?;
    report(core, &walk, arguments.json).await?;
    let alarm = walk.counts.missing + walk.counts.differs + walk.counts.unreadable > 0;
    let whole = walk.status == WalkStatus::Ended;
    Ok(if alarm || !whole { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn report(core: &Core, walk: &Walk, json: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut out = Output::lock();
    let mut after = Some(String::new());
    while let Some(from) = after {
        let page = core.read_models.walks().findings(walk.id, &from, PAGE).await?;
        for finding in page.items.into_iter().map(FindingShape::from) {
            if json {
                writeln!(out, "{}", serde_json::to_string(&finding)?)?;
            } else {
                writeln!(out, "{:<10}  {:<16}  {}", finding.kind, finding.action, finding.object_key)?;
            }
        }
        after = page.next;
    }
    if json {
        writeln!(out, "{}", serde_json::to_string(&Reconciliation::from(walk.clone()))?)?;
    } else {
        let counts = walk.counts;
        writeln!(
            out,
            "{} objects, {} bytes, {} requests: {} came back, {} unknown, {} orphaned ({} deleted), {} unreadable, {} missing, \
             {} differ",
            counts.objects,
            counts.bytes,
            counts.requests,
            counts.came_back,
            counts.unknown,
            counts.orphaned,
            counts.deleted,
            counts.unreadable,
            counts.missing,
            counts.differs
        )?;
        if let Some(reason) = &walk.report_only {
            writeln!(out, "only reported, nothing was done: {reason}")?;
        }
    }
    Ok(out.flush()?)
}
