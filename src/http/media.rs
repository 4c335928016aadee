//! The backend's calls: tickets, confirms, releases.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::header::{self, ContentType as MediaType},
    web,
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;
use zeroload_domain::{AttachedTo, ByteSize, ContentType, FileName, MediaId, Owner, SeenVia, Sha256Digest};

use super::{
    Api, Problem, Role,
    call::Call,
    paths,
    problem::ProblemShape,
    shapes::{MediaShape, MediaState},
};
use crate::{
    media::{Loaded, service::NewMedia},
    storage::Upload,
};

/// Confirms of one call that are under way at once.
const CONFIRMS: usize = 64;

/// The upload for which a ticket is requested.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMedia)]
#[serde(deny_unknown_fields)]
pub struct RequestBody {
    /// The backend's own, opaque name for the person whose item this is: 1 to 255 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    owner: Owner,
    /// A media type such as `image/jpeg` or `video/webm;codecs="vp8,opus"`: ASCII, at most 255 characters.
    #[schema(value_type = String, max_length = 255)]
    content_type: ContentType,
    /// Bytes, exactly: 0 to `max_content_length`.
    #[serde(deserialize_with = "size")]
    #[schema(value_type = u64)]
    content_length: ByteSize,
    /// The SHA-256 of the bytes, base64.
    #[schema(value_type = Option<String>, min_length = 44, max_length = 44)]
    checksum_sha256: Option<Sha256Digest>,
    /// Signed into the ticket as `Content-Disposition`, never recorded: 1 to 1024 characters without `/`, control
    /// characters and those that change the direction of text. A name that is too long for S3 loses its middle.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024)]
    filename: Option<FileName>,
}

#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Confirmation)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// The backend's own name for the post that refers to the item: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    attached_to: Option<AttachedTo>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ConfirmMany)]
#[serde(deny_unknown_fields)]
pub struct ConfirmManyBody {
    /// 1 to 1000.
    #[schema(value_type = Vec<uuid::Uuid>, min_items = 1, max_items = 1000)]
    ids: Vec<MediaId>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    attached_to: Option<AttachedTo>,
}

#[derive(Default, Deserialize, ToSchema)]
#[schema(as = TicketRenewal)]
#[serde(deny_unknown_fields)]
pub struct TicketBody {
    /// Signed into the new ticket as `Content-Disposition`, never recorded: as for a request.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1024)]
    filename: Option<FileName>,
}

/// How each confirm of a call ended, in the order of the ids.
#[derive(Serialize, ToSchema)]
pub struct ConfirmResults<'a> {
    results: Vec<ConfirmResult<'a>>,
}

#[derive(Serialize, ToSchema)]
pub struct ConfirmResult<'a> {
    #[schema(value_type = uuid::Uuid)]
    id: MediaId,
    /// The HTTP status that a call for this id alone would have had.
    status: u16,
    /// Null unless the confirm succeeded.
    #[schema(value_type = Option<MediaState>, required = true)]
    state: Option<&'static str>,
    /// Null if the confirm succeeded.
    #[schema(value_type = Option<ProblemShape>, required = true)]
    problem: Option<ProblemShape<'a>>,
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    struct Bytes;
    impl de::Visitor<'_> for Bytes {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number of bytes, 0 or more")
        }

        fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<u64, E> {
            Ok(bytes)
        }
    }
    deserializer.deserialize_u64(Bytes).map(ByteSize::new)
}

/// Bytes of JSON that an item with its ticket typically has.
const TYPICAL: usize = 2048;

fn show(response: &mut HttpResponseBuilder, loaded: &Loaded, upload: Option<Upload>) -> Result<HttpResponse, Problem> {
    let shape = MediaShape::of(loaded, upload).ok_or_else(Problem::internal)?;
    let mut json = Vec::with_capacity(TYPICAL);
    serde_json::to_writer(&mut json, &shape).map_err(|_| Problem::internal())?;
    Ok(response.content_type(MediaType::json()).body(json))
}

/// Request a ticket
///
/// With `Idempotency-Key` a repeat answers with the same item, for ever. If that item is still pending, zeroload sends
/// a HEAD to the bucket first: if the bytes are there, the item's state is `uploaded` and there is no ticket. Without a
/// key each call makes a new item.
#[utoipa::path(
    post, path = paths::media::PATH, operation_id = "request_media", tag = "media", request_body = RequestBody,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "visible ASCII characters")),
    responses(
        (status = 201, body = MediaShape, headers(("Location" = String, description = "the item's address"))),
        (status = 409, description = "`upload-mismatch`, `checksum-unverified`: of a repeat whose object is not, or not known to be, what was requested; `contended`: try again"),
        (status = 410, description = "`gone`"),
        (status = 422, description = "`request-mismatch`"),
        (status = 503, description = "`storage-unavailable`, `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn request(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend])?;
    call.no_parameters()?;
    let key = call.idempotency_key()?;
    let body: RequestBody = call.json()?;
    if body.content_length.bytes() > api.max_content_length {
        let detail = format!("content_length must be at most {} bytes", api.max_content_length);
        return Err(Problem::invalid("content_length", detail));
    }
    let wish = NewMedia {
        owner: body.owner,
        content_type: body.content_type,
        content_length: body.content_length,
        checksum_sha256: body.checksum_sha256,
        filename: body.filename,
    };
    let origin = call.origin(paths::media::POST);
    let at_once = api.here(api.service.request_at_once(&call.tenant, wish.clone(), key.as_ref(), &origin)).await?;
    let issued = match at_once? {
        Some(issued) => issued,
        None => {
            let (service, tenant) = (api.service.clone(), call.tenant.clone());
            api.on_runtime(async move { service.request(&tenant, wish, key.as_ref(), &origin).await }).await??
        }
    };
    let location = format!("{}/{}", paths::media::PATH, issued.loaded.id);
    show(HttpResponse::Created().insert_header((header::LOCATION, location)), &issued.loaded, issued.upload)
}

/// Show an item
#[utoipa::path(
    get, path = paths::one::PATH, operation_id = "get_media", tag = "media", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = MediaShape),
        (status = 404, description = "`not-found`, also for another tenant's id"),
    )
)]
pub async fn get(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend, Role::Auditor])?;
    call.no_parameters()?;
    let (service, id) = (api.service.clone(), call.id()?);
    let loaded = api.on_runtime(async move { service.get(id, &call.tenant).await }).await??;
    show(&mut HttpResponse::Ok(), &loaded, None)
}

/// Say that the upload is done
///
/// zeroload checks the bucket with a HEAD; this call alone proves nothing.
#[utoipa::path(
    post, path = paths::uploaded::PATH, operation_id = "report_upload", tag = "media", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = MediaShape),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`not-uploaded`, `upload-mismatch`, `checksum-unverified`, `content-changed`, `contended`"),
        (status = 410, description = "`gone`: already collected; bytes that came late are collected again"),
        (status = 503, description = "`storage-unavailable`, `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn uploaded(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend])?;
    call.nothing_else()?;
    let (service, id) = (api.service.clone(), call.id()?);
    let origin = call.origin(paths::uploaded::POST);
    let allowance = service.allowance();
    let work = async move { service.uploaded(id, &call.tenant, SeenVia::Notice, &origin, &allowance).await };
    let loaded = api.on_runtime(work).await??;
    show(&mut HttpResponse::Ok(), &loaded, None)
}

/// Confirm: the backend's own post, which refers to the item, is saved
#[utoipa::path(
    post, path = paths::confirm::PATH, operation_id = "confirm_media", tag = "media", params(("id" = uuid::Uuid, Path)),
    request_body(content = Option<ConfirmBody>),
    responses(
        (status = 200, body = MediaShape),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`not-uploaded`, `upload-mismatch`, `checksum-unverified`, `attached-elsewhere`, `cancelled`, `contended`"),
        (status = 410, description = "`gone`: collection has started"),
        (status = 503, description = "`storage-unavailable`, `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn confirm(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend])?;
    call.no_parameters()?;
    let id = call.id()?;
    let ConfirmBody { attached_to } = call.optional_json()?;
    let origin = call.origin(paths::confirm::POST);
    let known = api.here(api.service.confirm_recorded(id, &call.tenant, attached_to.clone(), &origin)).await?;
    let loaded = match known? {
        Some(loaded) => loaded,
        None => {
            let (service, allowance) = (api.service.clone(), api.service.allowance());
            let work = async move { service.confirm_found(id, &call.tenant, attached_to, &origin, &allowance).await };
            api.on_runtime(work).await??
        }
    };
    show(&mut HttpResponse::Ok(), &loaded, None)
}

/// Confirm up to 1000 items; each succeeds or fails alone
#[utoipa::path(
    post, path = paths::confirm_many::PATH, operation_id = "confirm_many", tag = "media", request_body = ConfirmManyBody,
    responses(
        (status = 200, body = ConfirmResults),
        (status = 400, description = "`invalid`: a malformed id is named as `ids[3]`"),
    )
)]
pub async fn confirm_many(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend])?;
    call.no_parameters()?;
    let body: ConfirmManyBody = call.json()?;
    if !(1..=1000).contains(&body.ids.len()) {
        return Err(Problem::invalid("ids", "ids must name 1 to 1000 items"));
    }
    let (service, origin) = (api.service.clone(), call.origin(paths::confirm_many::POST));
    let (tenant, allowance) = (call.tenant.clone(), service.allowance());
    let work = async move {
        stream::iter(body.ids)
            .map(|id| {
                let (service, tenant, origin, allowance) = (&service, &tenant, &origin, &allowance);
                let attached_to = body.attached_to.clone();
                async move {
                    let confirmed = service.confirm(id, tenant, attached_to, origin, allowance).await;
                    (id, confirmed.map_err(Problem::from))
                }
            })
            .buffered(CONFIRMS)
            .collect::<Vec<_>>()
            .await
    };
    let outcomes = api.on_runtime(work).await?;
    let results = outcomes.iter().map(|(id, outcome)| match outcome {
        Ok(loaded) => ConfirmResult { id: *id, status: 200, state: Some(loaded.media.state().as_str()), problem: None },
        Err(problem) => ConfirmResult {
            id: *id,
            status: problem.status(),
            state: None,
            problem: Some(problem.shape(&call.request_id)),
        },
    });
    Ok(HttpResponse::Ok().json(ConfirmResults { results: results.collect() }))
}

/// A ticket once more for a pending item
///
/// zeroload sends a HEAD to the bucket first: if the bytes are there, the upload is recorded and the answer is
/// `already-uploaded`. In the first half of a ticket's life the answer is that ticket, signed once more, and nothing is
/// recorded.
#[utoipa::path(
    post, path = paths::ticket::PATH, operation_id = "renew_ticket", tag = "media", params(("id" = uuid::Uuid, Path)),
    request_body(content = Option<TicketBody>),
    responses(
        (status = 200, body = MediaShape),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`already-uploaded`, `already-confirmed`, `upload-mismatch`, `checksum-unverified`, `too-old`, `too-many-tickets`, `contended`"),
        (status = 410, description = "`gone`"),
        (status = 503, description = "`storage-unavailable`, `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn ticket(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend])?;
    call.no_parameters()?;
    let (service, id) = (api.service.clone(), call.id()?);
    let TicketBody { filename } = call.optional_json()?;
    let origin = call.origin(paths::ticket::POST);
    let work = async move { service.renew(id, &call.tenant, filename, &origin).await };
    let issued = api.on_runtime(work).await??;
    show(&mut HttpResponse::Ok(), &issued.loaded, issued.upload)
}

/// Release: the item is no longer wanted
#[utoipa::path(
    delete, path = paths::one::PATH, operation_id = "release_media", tag = "media", params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 202, body = MediaShape, description = "the object is deleted once no ticket can write it any more"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`contended`: try again"),
        (status = 503, description = "`overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn release(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Backend])?;
    call.nothing_else()?;
    let (service, id) = (api.service.clone(), call.id()?);
    let origin = call.origin(paths::one::DELETE);
    let loaded = api.on_runtime(async move { service.release(id, &call.tenant, &origin).await }).await??;
    show(&mut HttpResponse::Accepted(), &loaded, None)
}
