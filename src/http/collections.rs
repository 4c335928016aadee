//! The operator's calls: collect now, and show the runs.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroload_domain::{Event, MediaId, run::CollectionRunEnded};
use zeroload_journal::{Reader, StreamKind};
use zeroload_projections::RunRow;

use super::{
    Api, Problem,
    call::Call,
    paths,
    shapes::{optional_time, time},
};
use crate::{
    background::collector::{CollectOptions, RunReport},
    media::commands::decode,
    outside::bounded,
};

/// Items that an answer names at most.
const MAX_ITEMS: usize = 1000;

/// Characters of the reason why a run broke off.
const MAX_REASON: usize = 1000;

/// Events that are read from the journal at once.
const PAGE: u32 = 1000;

/// Events after the beginning of a run that are searched for its claims: a run handles at most 20 000 items, and other
/// writers append events in between.
const MAX_EVENTS: u64 = 200_000;

#[derive(Default, Deserialize, ToSchema)]
#[schema(as = NewCollection)]
#[serde(deny_unknown_fields)]
pub struct CollectBody {
    /// Change nothing, only say which items would go and why.
    #[serde(default)]
    dry_run: bool,
    /// Claim due items although the brake is on, in this run only. The history of each item then names the caller.
    #[serde(default)]
    override_brake: bool,
}

/// Collect now, after a run that is under way
///
/// For all tenants, whichever the key belongs to.
#[utoipa::path(
    post, path = paths::collections::PATH, operation_id = "collect", tag = "collections", request_body(content = Option<CollectBody>),
    responses(
        (status = 200, body = RunReport),
        (status = 503, description = "`storage-unavailable`: nothing is collected, and why; `review-unavailable`: the backend does not say what is in use, and nothing more is claimed; `collector-unavailable`, `journal-unavailable`, `projection-unavailable`"),
    )
)]
pub async fn run(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    call.no_parameters()?;
    let CollectBody { dry_run, override_brake } = call.optional_json()?;
    let override_brake = override_brake.then(|| call.origin(paths::OVERRIDES_THE_BRAKE));
    let wanted = CollectOptions { dry_run, override_brake, caller: Some(call.caller().to_owned()) };
    let report = api.collector.run_now(wanted).await.map_err(|stopped| {
        Problem::new(503, "collector-unavailable", format!("the collector did not answer: {stopped}"))
    })??;
    Ok(HttpResponse::Ok().json(report))
}

#[derive(Serialize, ToSchema)]
pub struct Collections {
    runs: Vec<CollectionRun>,
    /// Give it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    next_cursor: Option<Uuid>,
}

/// The record of a run that found items due. Its counts are null until it has ended.
#[derive(Serialize, ToSchema)]
pub struct CollectionRun {
    run_id: Uuid,
    status: RunStatus,
    /// Who began it: `timer`, the name of an API key, or the subcommand.
    caller: String,
    #[serde(serialize_with = "time")]
    started_at: DateTime<Utc>,
    #[serde(serialize_with = "optional_time")]
    #[schema(required = true)]
    ended_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    duration_seconds: Option<f64>,
    /// Due items that the run handled.
    #[schema(required = true)]
    due: Option<u64>,
    #[schema(required = true)]
    collected: Option<u64>,
    /// Items whose object was moved into the trash.
    #[schema(required = true)]
    trashed: Option<u64>,
    #[schema(required = true)]
    absent: Option<u64>,
    #[schema(required = true)]
    in_use: Option<u64>,
    #[schema(required = true)]
    failed: Option<u64>,
    #[schema(required = true)]
    unknown: Option<u64>,
    /// Bytes.
    #[schema(required = true)]
    bytes_freed: Option<u64>,
    /// Whether the run ended at its limit, with more items due.
    #[schema(required = true)]
    more: Option<bool>,
    /// How many of the collected items went for each reason.
    #[schema(required = true)]
    reasons: Option<BTreeMap<String, u64>>,
    /// How many of the failed and unknown items for each code.
    #[schema(required = true)]
    failures: Option<BTreeMap<String, u64>>,
    /// Why the run ended before its work was done.
    #[schema(required = true)]
    broken_off: Option<String>,
    /// Position of the run's newest event in the journal.
    position: u64,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = CollectionRunStatus)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Ended,
    /// It is under way, or it was cut off.
    Unfinished,
}

/// A run with its claims.
#[derive(Serialize, ToSchema)]
#[schema(as = CollectionRunDetails)]
pub struct CollectionRunWhole {
    run: CollectionRun,
    /// The items that the run claimed, in order, at most 1000. Items that an earlier run had claimed and this run
    /// finished are listed with the earlier run.
    items: Vec<ClaimedItem>,
}

#[derive(Serialize, ToSchema)]
pub struct ClaimedItem {
    #[schema(value_type = Uuid)]
    id: MediaId,
    claim: u32,
    /// Why it was claimed: `expired`, `cancelled`, `detached` or `late_upload`.
    reason: &'static str,
    /// `deleted`, `trashed` or `absent`; null if the object was neither proven gone nor in the trash before the run
    /// ended.
    #[schema(required = true)]
    outcome: Option<&'static str>,
    /// Position of the claim in the journal.
    position: u64,
}

impl CollectionRun {
    fn of(row: RunRow) -> Self {
        let ended = row.ended.as_deref();
        let of = |value: fn(&CollectionRunEnded) -> u64| ended.map(value);
        Self {
            run_id: row.run_id,
            status: if ended.is_some() { RunStatus::Ended } else { RunStatus::Unfinished },
            caller: row.caller.clone(),
            started_at: row.started_at,
            ended_at: ended.map(|ended| ended.ended_at),
            duration_seconds: ended.map(|ended| (ended.ended_at - ended.started_at).as_seconds_f64().max(0.0)),
            due: of(|ended| ended.due),
            collected: of(|ended| ended.collected),
            trashed: of(|ended| ended.trashed),
            absent: of(|ended| ended.absent),
            in_use: of(|ended| ended.in_use),
            failed: of(|ended| ended.failed),
            unknown: of(|ended| ended.unknown),
            bytes_freed: of(|ended| ended.bytes_freed.bytes()),
            more: ended.map(|ended| ended.more),
            reasons: ended.map(|ended| ended.reasons.clone()),
            failures: ended.map(|ended| ended.failures.clone()),
            // Records of earlier versions may hold a reason of any length.
            broken_off: ended.and_then(|ended| ended.broken_off.as_deref()).map(|reason| bounded(reason, MAX_REASON)),
            position: row.position,
        }
    }
}

/// The runs that found something due, newest first
///
/// Of all tenants, whichever the key belongs to.
#[utoipa::path(
    get, path = paths::collections::PATH, operation_id = "get_collections", tag = "collections",
    params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "runs at most, 100 where absent"),
           ("cursor" = Option<Uuid>, Query, description = "the next_cursor of an earlier page")),
    responses(
        (status = 200, body = Collections),
        (status = 503, description = "`projection-unavailable`"),
    )
)]
pub async fn list(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    let mut query = call.query()?;
    let limit = query.number("limit", 1..=1000_u32)?.unwrap_or(100);
    let cursor = query.take("cursor", |raw| {
        let id = MediaId::parse(raw).map(|id| id.as_uuid());
        id.map_err(|_| Problem::invalid("cursor", "cursor must be a next_cursor of an earlier page"))
    })?;
    query.finish()?;
    let read_models = api.read_models.clone();
    let page = api.on_runtime(async move { read_models.run_records(cursor, limit).await }).await??;
    let runs = page.runs.into_iter().map(CollectionRun::of).collect();
    Ok(HttpResponse::Ok().json(Collections { runs, next_cursor: page.next }))
}

/// One run, with what it claimed
#[utoipa::path(
    get, path = paths::collection::PATH, operation_id = "get_collection", tag = "collections",
    params(("id" = Uuid, Path, description = "the run's id")),
    responses(
        (status = 200, body = CollectionRunWhole),
        (status = 404, description = "`not-found`: there is no record of such a run"),
        (status = 503, description = "`projection-unavailable`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn one(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    call.no_parameters()?;
    let run_id = call.id()?.as_uuid();
    let (read_models, journal) = (api.read_models.clone(), api.journal.clone());
    let work = async move {
        let Some(row) = read_models.run_record(run_id).await? else {
            return Err(Problem::new(404, "not-found", format!("there is no record of a run {run_id}")));
        };
        let items = claimed_by(&row, journal.reader()).await?;
        Ok(CollectionRunWhole { run: CollectionRun::of(row), items })
    };
    Ok(HttpResponse::Ok().json(api.on_runtime(work).await??))
}

/// The claims of a run, read from the journal between the run's first event and its end, if it has ended.
async fn claimed_by(run: &RunRow, journal: &Reader) -> Result<Vec<ClaimedItem>, Problem> {
    let last = run.first_position + MAX_EVENTS;
    let last = if run.ended.is_some() { last.min(run.position) } else { last };
    let mut items: Vec<ClaimedItem> = Vec::new();
    let mut places = BTreeMap::new();
    let mut after = run.first_position;
    while after < last {
        let events = journal.read(after, PAGE).await?;
        let Some(newest) = events.last() else { break };
        after = newest.position;
        for stored in events.iter().filter(|event| event.kind == StreamKind::Media && event.position <= last) {
            let id = MediaId::from(stored.aggregate_id);
            let event = decode(stored).map_err(|error| Problem::new(503, "journal-unreadable", error.to_string()))?;
            match event {
                Event::CollectionStarted(started) if started.run_id == run.run_id && items.len() < MAX_ITEMS => {
                    places.insert((id, started.claim), items.len());
                    let (claim, reason) = (started.claim.number(), started.reason.as_str());
                    items.push(ClaimedItem { id, claim, reason, outcome: None, position: stored.position });
                }
                Event::Collected(collected) => {
                    if let Some(item) = places.get(&(id, collected.claim)).and_then(|place| items.get_mut(*place)) {
                        item.outcome = Some(collected.outcome.as_str());
                    }
                }
                Event::Trashed(trashed) => {
                    if let Some(item) = places.get(&(id, trashed.claim)).and_then(|place| items.get_mut(*place)) {
                        item.outcome = Some("trashed");
                    }
                }
                _ => {}
            }
        }
    }
    Ok(items)
}
