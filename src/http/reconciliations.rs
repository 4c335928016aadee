//! The operator's calls: the bucket against the journal.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroload_domain::MediaId;
use zeroload_projections::{Counts, Finding, Walk};

use super::{
    Api, Problem,
    call::Call,
    paths,
    shapes::{optional_time, time},
};
use crate::background::reconciler::{LEAST_AGE, ReconcileError, WalkRequest};

#[derive(Default, Deserialize, ToSchema)]
#[schema(as = NewReconciliation)]
#[serde(deny_unknown_fields)]
pub struct ReconcileBody {
    /// Delete objects that belong to no item and are older than this, such as `7d`; at least 24h.
    #[serde(default)]
    delete_unknown_older_than: Option<String>,
}

/// A walk of the bucket against the journal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reconciliation {
    id: Uuid,
    #[schema(value_type = ReconciliationStatus)]
    status: &'static str,
    /// Who began it: `timer`, the name of an API key, or the subcommand.
    caller: String,
    #[serde(serialize_with = "time")]
    started_at: DateTime<Utc>,
    /// When the walk's progress was last saved; after a stop the walk goes on from there.
    #[serde(serialize_with = "time")]
    saved_at: DateTime<Utc>,
    #[serde(serialize_with = "optional_time")]
    #[schema(required = true)]
    ended_at: Option<DateTime<Utc>>,
    /// Objects that were expected when the walk began.
    expected: u64,
    /// Objects that the walk has met.
    objects: u64,
    /// Bytes of these objects.
    bytes: u64,
    /// Requests to S3.
    requests: u64,
    /// Objects of items that were collected; each is collected again.
    came_back: u64,
    /// Objects of no item.
    unknown: u64,
    /// Confirmed items without their object.
    missing: u64,
    /// Confirmed items whose object is not the confirmed one.
    differs: u64,
    /// Unknown and orphaned objects that were deleted.
    deleted: u64,
    /// Entries whose metadata cannot be read, so that nothing is known of them.
    unreadable: u64,
    /// Copies in the trash that their item no longer names.
    orphaned: u64,
    /// Seconds; null if the walk was to delete nothing.
    #[schema(required = true)]
    delete_unknown_older_than: Option<u64>,
    /// Why the walk only reports and changes nothing; null if it may collect again and delete.
    #[schema(required = true)]
    report_only: Option<String>,
    /// Why the walk last stopped before its end.
    #[schema(required = true)]
    broken_off: Option<String>,
}

/// The state of a reconciliation.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described here; the read models' own type writes it")]
enum ReconciliationStatus {
    /// Under way, or cut off and taken up again.
    Running,
    Ended,
    /// Another one took its place.
    Abandoned,
    /// It cannot be continued; `broken_off` says why.
    Failed,
}

#[derive(Serialize, ToSchema)]
pub struct Reconciliations {
    reconciliations: Vec<Reconciliation>,
    /// Give it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    next_cursor: Option<Uuid>,
}

/// A reconciliation with its findings.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationReport {
    pub reconciliation: Reconciliation,
    /// In order of key.
    pub findings: Vec<FindingShape>,
    /// Give it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// One object or item that is not as it should be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingShape {
    /// `came_back`, `unknown`, `missing`, `differs`, `unreadable` or `orphaned`.
    pub kind: &'static str,
    pub object_key: String,
    /// Null for an object of no item.
    #[schema(value_type = Option<Uuid>, required = true)]
    pub media_id: Option<MediaId>,
    #[serde(serialize_with = "time")]
    pub found_at: DateTime<Utc>,
    /// Bytes of the object; null where there is none.
    #[schema(required = true)]
    pub size: Option<u64>,
    #[schema(required = true)]
    pub etag: Option<String>,
    #[serde(serialize_with = "optional_time")]
    #[schema(required = true)]
    pub last_modified: Option<DateTime<Utc>>,
    /// Bytes, as recorded.
    #[schema(required = true)]
    pub expected_size: Option<u64>,
    #[schema(required = true)]
    pub expected_etag: Option<String>,
    /// `reported`, `collected_again`, `deleted`, or why it was not deleted or read.
    pub action: String,
}

impl From<Walk> for Reconciliation {
    fn from(walk: Walk) -> Self {
        let Counts { objects, bytes, requests, came_back, unknown, missing, differs, deleted, unreadable, orphaned } =
            walk.counts;
        Self {
            id: walk.id,
            status: walk.status.as_str(),
            caller: walk.caller,
            started_at: walk.started_at,
            saved_at: walk.saved_at,
            ended_at: walk.ended_at,
            expected: walk.expected,
            objects,
            bytes,
            requests,
            came_back,
            unknown,
            missing,
            differs,
            deleted,
            unreadable,
            orphaned,
            delete_unknown_older_than: walk.delete_older_than,
            report_only: walk.report_only,
            broken_off: walk.broken_off,
        }
    }
}

impl From<Finding> for FindingShape {
    fn from(finding: Finding) -> Self {
        Self {
            kind: finding.kind.as_str(),
            object_key: finding.object_key,
            media_id: finding.media_id,
            found_at: finding.found_at,
            size: finding.size,
            etag: finding.etag,
            last_modified: finding.last_modified,
            expected_size: finding.expected_size,
            expected_etag: finding.expected_etag,
            action: finding.action,
        }
    }
}

impl From<ReconcileError> for Problem {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Running | ReconcileError::TakenOver => Self::new(409, "already-running", error.to_string()),
            ReconcileError::Bucket(_)
            | ReconcileError::Storage(_)
            | ReconcileError::Listing(_)
            | ReconcileError::Disorder { .. } => Self::new(503, "storage-unavailable", error.to_string()),
            ReconcileError::Command(error) => error.into(),
            ReconcileError::Journal(error) => error.into(),
            ReconcileError::ReadModels(error) => error.into(),
        }
    }
}

/// Parses an age such as `7d`.
///
/// # Errors
/// Says which ages are allowed.
pub fn parse_age(raw: &str) -> Result<TimeDelta, String> {
    let age = humantime::parse_duration(raw).ok().filter(|age| *age <= Duration::from_secs(36_500 * 86_400));
    let age = age.and_then(|age| TimeDelta::from_std(age).ok()).filter(|age| *age >= LEAST_AGE);
    age.ok_or_else(|| "must be 24h to 36500d, such as 7d".to_owned())
}

/// Walk the bucket against the journal, in the background
///
/// For all tenants, whichever the key belongs to. A walk that was cut off is continued if it has the same options as
/// this call.
#[utoipa::path(
    post, path = paths::reconciliations::PATH, operation_id = "reconcile", tag = "collections",
    request_body(content = Option<ReconcileBody>),
    responses(
        (status = 202, body = Reconciliation, description = "under way; see it at `/v1/reconciliations/{id}`"),
        (status = 409, description = "`already-running`: another one is under way"),
        (status = 503, description = "`collector-unavailable`: the service is stopping; `projection-unavailable`"),
    )
)]
pub async fn begin(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    call.no_parameters()?;
    let body: ReconcileBody = call.optional_json()?;
    let field = "delete_unknown_older_than";
    let age = body.delete_unknown_older_than.as_deref().map(parse_age).transpose();
    let delete_older_than = age.map_err(|allowed| Problem::invalid(field, format!("{field} {allowed}")))?;
    let wanted = WalkRequest { caller: call.caller().to_owned(), delete_older_than };
    let walk = api
        .reconciler
        .begin(wanted)
        .await
        .map_err(|stopped| Problem::new(503, "collector-unavailable", format!("nothing was begun: {stopped}")))??;
    Ok(HttpResponse::Accepted().json(Reconciliation::from(walk)))
}

/// Reconciliations, newest first
#[utoipa::path(
    get, path = paths::reconciliations::PATH, operation_id = "get_reconciliations", tag = "collections",
    params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "reconciliations at most, 100 where absent"),
           ("cursor" = Option<Uuid>, Query, description = "the next_cursor of an earlier page")),
    responses(
        (status = 200, body = Reconciliations),
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
    let page = api.on_runtime(async move { read_models.walks().list(cursor, limit).await }).await??;
    let reconciliations = page.items.into_iter().map(Reconciliation::from).collect();
    Ok(HttpResponse::Ok().json(Reconciliations { reconciliations, next_cursor: page.next }))
}

/// One reconciliation, and what it has found so far
#[utoipa::path(
    get, path = paths::reconciliation::PATH, operation_id = "get_reconciliation", tag = "collections",
    params(("id" = Uuid, Path),
           ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "findings at most, 100 where absent"),
           ("cursor" = Option<String>, Query, description = "the next_cursor of an earlier page")),
    responses(
        (status = 200, body = ReconciliationReport),
        (status = 404, description = "`not-found`"),
        (status = 503, description = "`projection-unavailable`"),
    )
)]
pub async fn one(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    let id = call.id()?.as_uuid();
    let mut query = call.query()?;
    let limit = query.number("limit", 1..=1000_u32)?.unwrap_or(100);
    let cursor = query.take("cursor", |raw| match raw {
        // An object key has at most 1024 bytes, and Postgres takes no text with a NUL.
        raw if (1..=1024).contains(&raw.len()) && !raw.contains('\0') => Ok(raw.to_owned()),
        _ => Err(Problem::invalid("cursor", "cursor must be a next_cursor of an earlier page")),
    })?;
    let cursor = cursor.unwrap_or_default();
    query.finish()?;
    let read_models = api.read_models.clone();
    let work = async move {
        let walks = read_models.walks();
        let Some(walk) = walks.find(id).await? else {
            return Err(Problem::new(404, "not-found", format!("there is no reconciliation {id}")));
        };
        let page = walks.findings(id, &cursor, limit).await?;
        let findings = page.items.into_iter().map(FindingShape::from).collect();
        Ok(ReconciliationReport { reconciliation: walk.into(), findings, next_cursor: page.next })
    };
    Ok(HttpResponse::Ok().json(api.on_runtime(work).await??))
}
