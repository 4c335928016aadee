//! Calls for operators: liveness, readiness, metrics.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use zeroload_journal::consumers::lag;

use super::{Api, Problem, paths};
use crate::{metrics::Levels, outside::bounded, storage::Status};

/// Due items that one scrape of the metrics counts at most.
const MOST_DUE: u32 = 100_000;

/// Characters of a check's detail.
const MAX_DETAIL: usize = 1000;

/// How long readiness waits for the bucket.
const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds of lag from which a projection is called degraded.
const LAGGING: f64 = 30.0;

#[derive(Serialize, ToSchema)]
pub struct Liveness {
    /// Always true: a process that is not alive gives no answer.
    alive: bool,
}

#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// False as soon as one check has failed.
    ready: bool,
    checks: Vec<ReadyCheck>,
}

#[derive(Serialize, ToSchema)]
pub struct ReadyCheck {
    name: String,
    /// `ok`, `degraded` or `failed`.
    status: &'static str,
    detail: String,
}

/// A check with a bounded detail: details are shown to any caller, and some quote a database or a server.
fn check(name: &str, status: Status, detail: impl Into<String>) -> ReadyCheck {
    ReadyCheck { name: name.to_owned(), status: status.as_str(), detail: bounded(&detail.into(), MAX_DETAIL) }
}

/// Whether the process is alive
#[utoipa::path(get, path = paths::livez::PATH, tag = "operations", responses((status = 200, body = Liveness)))]
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Liveness { alive: true })
}

/// Whether the service can do its work, and what is wrong if not
#[utoipa::path(
    get, path = paths::readyz::PATH, tag = "operations",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness, description = "a check has failed"))
)]
pub async fn readyz(api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let shared = api.clone();
    let mut checks = api.on_runtime(async move { checks(&shared).await }).await?;
    checks.push(match api.collector.last_failure().or_else(|| api.collector.withheld()) {
        None => check("collector", Status::Ok, "the last run ended well"),
        Some(failure) => check("collector", Status::Degraded, failure),
    });
    // Not failed: tickets and confirms work, and a load balancer that took this process out would gain nothing.
    checks.push(match api.collector.braked() {
        None => check("brake", Status::Ok, "what is due is what is usual"),
        Some(reason) => check("brake", Status::Degraded, format!("nothing is claimed: {reason}")),
    });
    checks.push(match api.inspector.last_failure() {
        None => check("inspector", Status::Ok, "the last run ended well"),
        Some(failure) => check("inspector", Status::Degraded, failure),
    });
    checks.push(match api.reconciler.last() {
        None => check("reconciliation", Status::Ok, "none has ended since the start"),
        Some(Ok(walk)) => {
            let zeroload_projections::Counts { missing, differs, unreadable, .. } = walk.counts;
            let status = if missing + differs + unreadable > 0 { Status::Degraded } else { Status::Ok };
            let detail = format!(
                "of the confirmed items {missing} have no object, and {differs} another one; {unreadable} objects could \
                 not be read"
            );
            check("reconciliation", status, detail)
        }
        Some(Err(failure)) => check("reconciliation", Status::Degraded, failure),
    });
    let ready = checks.iter().all(|check| check.status != "failed");
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(response.json(Readiness { ready, checks }))
}

async fn checks(api: &Api) -> Vec<ReadyCheck> {
    let mut checks = Vec::new();
    match api.journal.head().await {
        Ok(head) => {
            checks.push(if api.journal.is_running() && !api.journal.is_failing() {
                check("journal", Status::Ok, format!("head at position {}", head.position))
            } else if api.journal.is_running() {
                // Not failed: only further writes show that the database works again.
                check(
                    "journal",
                    Status::Degraded,
                    "the last write failed; see the log, and whether the database's disk is full",
                )
            } else {
                check("journal", Status::Failed, "the writer has ended; see the log, and restart")
            });
            checks.push(projection(api, head.position).await);
            checks.push(content(api).await);
        }
        Err(error) => checks.push(check("journal", Status::Failed, error.to_string())),
    }
    checks.extend(write_ahead_logs(api));
    checks.push(bucket(api).await);
    let credentials = api.gateway.credentials_check(api.clock.now(), api.ticket_ttl);
    checks.push(check(credentials.name, credentials.status, credentials.detail));
    checks.extend(api.guard.checks().into_iter().map(|probe| check(probe.name, probe.status, probe.detail)));
    checks
}

/// `None` on Postgres. A problem is not failed: the service goes on, only slower and on a disk that fills.
fn write_ahead_logs(api: &Api) -> Option<ReadyCheck> {
    let logs = api.wal.states();
    if logs.is_empty() {
        return None;
    }
    let name = "write-ahead-log";
    let problems: Vec<String> = logs.iter().filter_map(|log| log.problem.clone()).collect();
    Some(match problems.is_empty() {
        true => {
            let sizes: Vec<String> = logs.iter().map(|log| format!("{} {} bytes", log.name, log.bytes)).collect();
            check(name, Status::Ok, sizes.join(", "))
        }
        false => check(name, Status::Degraded, problems.join("; ")),
    })
}

/// Not failed if a bucket that was ours gives no answer: tickets, and confirms of items that were seen uploaded, work
/// without the bucket, and a load balancer that took this process out would gain nothing.
async fn bucket(api: &Api) -> ReadyCheck {
    let name = "bucket";
    let seen = api.guard.within(PATIENCE).await;
    match seen.problem() {
        None => check(name, Status::Ok, "the marker names this journal"),
        Some(problem) if seen.may_pass() && api.guard.was_ours() => check(name, Status::Degraded, problem),
        Some(problem) => check(name, Status::Failed, problem),
    }
}

/// Not failed: a load balancer that took this process out would not bring an object back.
async fn content(api: &Api) -> ReadyCheck {
    let name = "content";
    match api.read_models.inspections().substituted_count(MOST_DUE).await {
        Ok(0) => check(name, Status::Ok, "no object in use is known to be another one than was confirmed"),
        Ok(count) => {
            let detail =
                format!("{count} items are in use whose object is not the confirmed one; see substituted_media");
            check(name, Status::Degraded, detail)
        }
        Err(error) => check(name, Status::Failed, error.to_string()),
    }
}

async fn projection(api: &Api, head: u64) -> ReadyCheck {
    let name = "projections";
    if let Some(failure) = api.projector.failure() {
        return check(name, Status::Failed, failure);
    }
    let lag = match api.read_models.checkpoint().await {
        Ok(checkpoint) => lag(api.journal.reader(), head, checkpoint.position, api.clock.now()).await,
        Err(error) => return check(name, Status::Failed, error.to_string()),
    };
    match lag {
        Ok(lag) if lag.seconds > LAGGING => {
            check(name, Status::Degraded, format!("{} events and {:.0} s behind", lag.events, lag.seconds))
        }
        Ok(lag) => check(name, Status::Ok, format!("{} events behind", lag.events)),
        Err(error) => check(name, Status::Failed, error.to_string()),
    }
}

/// Counters and gauges, in the OpenMetrics text format
#[utoipa::path(get, path = paths::metrics::PATH, tag = "operations", responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "OpenMetrics 1.0")))]
pub async fn metrics(api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let shared = api.clone();
    let levels = api.on_runtime(async move {
        let now = shared.clock.now();
        let retries = shared.read_models.retries();
        // All at once: while the database is away, each of these queries waits a while for it.
        let inspections = shared.read_models.inspections();
        let (head, checkpoint, due, waiting, substituted) = tokio::join!(
            shared.journal.head(),
            shared.read_models.checkpoint(),
            shared.read_models.due_count(now, MOST_DUE),
            retries.count_by_code(),
            inspections.substituted_count(MOST_DUE),
        );
        Levels {
            head: head.ok().map(|head| head.position),
            applied: checkpoint.ok().map(|checkpoint| checkpoint.position),
            due: due.ok(),
            waiting: waiting.ok().map(|codes| codes.values().sum()),
            substituted: substituted.ok(),
            logs: shared.wal.states(),
        }
    });
    let text = api.metrics.text(levels.await?).map_err(|_| Problem::internal())?;
    Ok(HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text))
}
