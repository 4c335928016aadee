//! The analyst's calls: the PENDING view, and the positions of the projections.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroload_domain::Owner;
use zeroload_journal::consumers::lag;
use zeroload_projections::{Cursor, PendingQuery};

use super::{Api, Problem, call::Call, paths, shapes::time};
use crate::http::Role;

/// How long a read waits for its `min_position`.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Serialize, ToSchema)]
pub struct Pending {
    items: Vec<PendingItem>,
    /// Give it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// The answer includes all events up to this position.
    position: u64,
}

#[derive(Serialize, ToSchema)]
pub struct PendingItem {
    id: Uuid,
    owner: String,
    /// `pending` or `uploaded`.
    state: &'static str,
    object_key: String,
    /// Bytes.
    content_length: u64,
    #[serde(serialize_with = "time")]
    requested_at: DateTime<Utc>,
    #[serde(serialize_with = "time")]
    confirm_by: DateTime<Utc>,
    #[serde(serialize_with = "time")]
    collectable_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub struct Projections {
    /// The journal's last position.
    head: u64,
    projections: Vec<ProjectionState>,
}

#[derive(Serialize, ToSchema)]
pub struct ProjectionState {
    name: String,
    version: u32,
    /// `live` or `building`.
    status: String,
    position: u64,
    /// Events that are not applied yet.
    lag_events: u64,
    /// The age of the first event that is not applied yet.
    lag_seconds: f64,
    /// Whether the tables hold the whole past. False after an update with new columns or tables that only a rebuild can
    /// fill.
    complete: bool,
}

/// The PENDING view: requested or uploaded, neither confirmed nor being collected
#[utoipa::path(
    get, path = paths::pending::PATH, operation_id = "get_pending", tag = "projections",
    params(("owner" = Option<String>, Query, min_length = 1, max_length = 255, description = "only items of this owner"),
           ("due_before" = Option<DateTime<Utc>>, Query, description = "only items collectable before then"),
           ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "items at most, 100 where absent"),
           ("cursor" = Option<String>, Query, description = "the next_cursor of an earlier page"),
           ("min_position" = Option<u64>, Query, minimum = 0, description = "waits until this position is applied")),
    responses(
        (status = 200, body = Pending, description = "in order of collectable_at"),
        (status = 503, description = "`projection-behind`: min_position was not reached in time; `projection-unavailable`, `journal-unavailable`"),
    )
)]
pub async fn pending(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Analyst])?;
    let mut query = call.query()?;
    let owner = query.take("owner", |raw| Ok(Owner::parse(raw)?))?;
    let due_before = query.take("due_before", |raw| {
        DateTime::parse_from_rfc3339(raw).map(|time| time.with_timezone(&Utc)).map_err(|_| {
            Problem::invalid("due_before", "due_before must be an RFC 3339 time such as 2026-01-02T03:04:05Z")
        })
    })?;
    let limit = query.number("limit", 1..=1000_u32)?.unwrap_or(100);
    let cursor = query.take("cursor", |raw| {
        raw.parse::<Cursor>().map_err(|_| Problem::invalid("cursor", "cursor must be a next_cursor of an earlier page"))
    })?;
    let min_position = query.number("min_position", 0..=i64::MAX.unsigned_abs())?.unwrap_or(0);
    query.finish()?;

    let (projector, read_models, journal) = (api.projector.clone(), api.read_models.clone(), api.journal.clone());
    let wanted = PendingQuery { tenant: call.tenant, owner, due_before, limit, cursor };
    let work = async move {
        if !projector.wait_for(min_position, WAIT).await {
            let detail = format!("position {min_position} is not applied yet; try again");
            return Err(Problem::new(503, "projection-behind", detail));
        }
        let page = read_models.pending(&wanted).await?;
        // `head` fails if the database was replaced by an older copy, whose page must not be returned.
        journal.head().await?;
        Ok(page)
    };
    let page = api.on_runtime(work).await??;
    let items = page.items.into_iter().map(|row| PendingItem {
        id: row.media_id.as_uuid(),
        owner: row.owner.to_string(),
        state: row.state.as_str(),
        object_key: row.object_key.to_string(),
        content_length: row.content_length.bytes(),
        requested_at: row.requested_at,
        confirm_by: row.confirm_by,
        collectable_at: row.collectable_at,
    });
    let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(Pending { items: items.collect(), next_cursor, position: page.position }))
}

/// How far each projection is
#[utoipa::path(
    get, path = paths::projections::PATH, operation_id = "get_projections", tag = "projections",
    responses(
        (status = 200, body = Projections),
        (status = 503, description = "`journal-unavailable`, `projection-unavailable`"),
    )
)]
pub async fn projections(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Analyst])?;
    call.no_parameters()?;
    let (journal, read_models, now) = (api.journal.clone(), api.read_models.clone(), api.clock.now());
    let work = async move {
        let checkpoints = read_models.checkpoints().await?;
        let head = journal.head().await?.position;
        let mut projections = Vec::with_capacity(checkpoints.len());
        for checkpoint in checkpoints {
            let lag = lag(journal.reader(), head, checkpoint.position, now).await?;
            projections.push(ProjectionState {
                name: checkpoint.name.to_string(),
                version: checkpoint.version,
                status: checkpoint.status.as_str().to_owned(),
                position: checkpoint.position,
                lag_events: lag.events,
                lag_seconds: lag.seconds,
                complete: checkpoint.is_complete(),
            });
        }
        Ok::<_, Problem>(Projections { head, projections })
    };
    Ok(HttpResponse::Ok().json(api.on_runtime(work).await??))
}
