//! The operator's call: restore an item from the trash.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroload_domain::AttachedTo;

use super::{Api, Problem, call::Call, paths, shapes::MediaShape};

#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Restoration)]
#[serde(deny_unknown_fields)]
pub struct RestoreBody {
    /// The backend's own name for the post that refers to the item from now on: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    attached_to: Option<AttachedTo>,
}

/// Restore: the item is brought back from the trash, and is confirmed
///
/// The object gets a new key, which no delete that is still under way can hit.
#[utoipa::path(
    post, path = paths::restore::PATH, operation_id = "restore_media", tag = "media", params(("id" = uuid::Uuid, Path)),
    request_body(content = Option<RestoreBody>),
    responses(
        (status = 200, body = MediaShape),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`not-trashed`, `restoring`, `attached-elsewhere`, `contended`"),
        (status = 410, description = "`gone`: its time in the trash is over, or nothing was kept of it"),
        (status = 503, description = "`storage-unavailable`: it may be on its way, try again; `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn restore(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    call.no_parameters()?;
    let (service, id) = (api.service.clone(), call.id()?);
    let RestoreBody { attached_to } = call.optional_json()?;
    let origin = call.origin(paths::restore::POST);
    let work = async move { service.restore(id, Some(&call.tenant), attached_to, &origin).await };
    let loaded = api.on_runtime(work).await??;
    Ok(HttpResponse::Ok().json(MediaShape::of(&loaded, None).ok_or_else(Problem::internal)?))
}
