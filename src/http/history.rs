//! The auditor's calls: the events, and the proof that none of them was changed.

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;
use zeroload_domain::{Refusal, Tenant};
use zeroload_journal::{self as journal, Journal, ReadError, StoredEvent, VerifyError};

use super::{Api, Problem, Role, call::Call, paths, shapes::EventShape};

/// Events that are read from the journal at once.
const PAGE: u32 = 500;

/// Events of one item in an answer at most.
const EVENTS: u32 = 1000;

#[derive(Serialize, ToSchema)]
#[schema(as = MediaHistory)]
pub struct Events<'a> {
    events: Vec<EventShape<'a>>,
    /// Give it as `after` for the events behind these; null if there are none.
    #[schema(required = true)]
    next: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VerifiedJournal)]
pub struct Verified {
    /// The last position that was verified.
    position: u64,
    /// The hash of the last commit, hex. Keep both elsewhere: `zeroload verify --expect POSITION:HASH` then finds a rewritten journal too.
    hash: String,
}

/// The history of one item
#[utoipa::path(
    get, path = paths::media_events::PATH, operation_id = "get_media_events", tag = "history",
    params(("id" = uuid::Uuid, Path),
           ("after" = Option<u64>, Query, minimum = 0, description = "the `sequence` of the last event already known"),
           ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "events at most; 1000 if not given")),
    responses(
        (status = 200, body = Events, description = "in order"),
        (status = 404, description = "`not-found`"),
    )
)]
pub async fn of_media(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend, Role::Auditor])?;
    let mut query = call.query()?;
    let after = query.number("after", 0..=i64::MAX.unsigned_abs())?.unwrap_or(0);
    let limit = query.number("limit", 1..=EVENTS)?.unwrap_or(EVENTS);
    query.finish()?;
    let (journal, id) = (api.journal.clone(), call.id()?.as_uuid());
    let read = async move {
        // One event more than fits shows whether there are more. An empty page needs the item's first event, to know
        // the tenant.
        let page = journal.stream_after(id, after, limit + 1).await?;
        let first = if page.is_empty() { journal.stream_after(id, 0, 1).await? } else { Vec::new() };
        Ok::<_, ReadError>((page, first))
    };
    let (mut page, first) = api.on_runtime(read).await??;
    if page.first().or(first.first()).is_none_or(|event| event.tenant != call.tenant.as_str()) {
        return Err(Refusal::NotFound.into());
    }
    let more = page.len() > limit as usize;
    page.truncate(limit as usize);
    let next = page.last().filter(|_| more).map(|event| event.sequence);
    let events = page.iter().map(|event| EventShape::of(event).ok_or_else(unreadable)).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(Events { events, next }))
}

/// The journal in order, one Event per line
///
/// Only events of the caller's tenant; for an operator also the events of collection runs, which belong to no tenant.
/// Without `limit` the answer ends at the position that was the head when the call came. An answer without the closing
/// chunk was cut.
#[utoipa::path(
    get, path = paths::events::PATH, operation_id = "get_events", tag = "history",
    params(("after" = Option<u64>, Query, minimum = 0, description = "the last position already known"),
           ("limit" = Option<u64>, Query, minimum = 1, description = "events at most")),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson", description = "one Event per line"),
    )
)]
pub async fn all(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Auditor])?;
    let mut query = call.query()?;
    let after = query.number("after", 0..=i64::MAX.unsigned_abs())?.unwrap_or(0);
    let limit = query.number("limit", 1..=i64::MAX.unsigned_abs())?.unwrap_or(u64::MAX);
    query.finish()?;
    let journal = api.journal.clone();
    let head = api.on_runtime(async move { journal.head().await }).await??;
    let with_runs = call.is_operator();
    let cursor = Cursor { tenant: call.tenant, with_runs, after, until: head.position, left: limit, ended: false };
    let lines = stream::try_unfold((api, cursor), |(api, cursor)| async move {
        if cursor.ended {
            return Ok::<_, Problem>(None);
        }
        let journal = api.journal.clone();
        let (lines, cursor) = api.on_runtime(async move { page(&journal, cursor).await }).await??;
        Ok(Some((lines, (api, cursor))))
    });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines))
}

struct Cursor {
    tenant: Tenant,
    /// Also read the events that belong to no tenant.
    with_runs: bool,
    after: u64,
    until: u64,
    left: u64,
    ended: bool,
}

async fn page(journal: &Journal, mut cursor: Cursor) -> Result<(Bytes, Cursor), Problem> {
    let limit = u32::try_from(cursor.left).unwrap_or(PAGE).min(PAGE);
    let mut events = journal.read_tenant(cursor.tenant.as_str(), cursor.after, limit).await?;
    if cursor.with_runs {
        // As many of these as the page may hold, so that the first events of both together are the next ones.
        events.extend(journal.read_tenant("", cursor.after, limit).await?);
        events.sort_unstable_by_key(|event| event.position);
        events.truncate(limit as usize);
    }
    let mut lines = Vec::new();
    for event in events.iter().filter(|event| event.position <= cursor.until) {
        let shape = EventShape::of(event).ok_or_else(unreadable)?;
        serde_json::to_writer(&mut lines, &shape).map_err(|_| Problem::internal())?;
        lines.push(b'\n');
        cursor.left -= 1;
    }
    cursor.after = events.last().map_or(cursor.until, |event: &StoredEvent| event.position);
    cursor.ended = events.len() < limit as usize || cursor.left == 0 || cursor.after >= cursor.until;
    Ok((lines.into(), cursor))
}

/// Verify the whole journal
///
/// Covers all tenants, since there is one hash chain. A call that comes while a verification is under way gets the
/// outcome of that one.
#[utoipa::path(
    get, path = paths::verify::PATH, operation_id = "verify_journal", tag = "history",
    responses(
        (status = 200, body = Verified),
        (status = 409, description = "`journal-broken`, with the position"),
    )
)]
pub async fn verify(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Auditor])?;
    call.no_parameters()?;
    let journal = api.journal.clone();
    let work = move || async move {
        let verified = journal::verify(journal.reader(), None, |_, _| {}).await?;
        // An older copy of the journal is whole too. `head` recognises one by the head that this process has seen
        // before.
        journal.head().await?;
        Ok(verified)
    };
    let outcome = tokio::select! {
        outcome = api.verifying.outcome(&api.runtime, work) => outcome.ok_or_else(Problem::internal)?,
        () = call.hangup() => return Err(Problem::new(408, "timeout", "the client did not wait for the answer")),
    };
    match outcome {
        Ok(verified) => {
            Ok(HttpResponse::Ok().json(Verified { position: verified.position, hash: verified.hash.to_string() }))
        }
        Err(error @ VerifyError::Broken { position, .. }) => {
            Err(Problem::new(409, "journal-broken", error.to_string()).at_position(position))
        }
        Err(VerifyError::Read(error)) => Err(error.into()),
        Err(error @ VerifyError::NotAsExpected { .. }) => {
            Err(Problem::new(503, "journal-unreadable", error.to_string()))
        }
    }
}

fn unreadable() -> Problem {
    Problem::new(503, "journal-unreadable", "a stored event is no JSON; run verify")
}
