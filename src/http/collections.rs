//! The operator's call: collect now.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Api, Problem, call::Call};
use crate::collector::{RunReport, Wanted};

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectBody {
    /// Change nothing, only say what would go and why.
    #[serde(default)]
    dry_run: bool,
    /// Claim what is due although the brake is on, in this run only. Who asked stands in the history of each item.
    #[serde(default)]
    override_brake: bool,
}

/// Collect now, after a run that is under way
///
/// For all tenants, whichever the key belongs to.
#[utoipa::path(
    post, path = "/v1/collections", operation_id = "collect", tag = "collections", request_body(content = Option<CollectBody>),
    responses(
        (status = 200, body = RunReport),
        (status = 503, description = "`storage-unavailable`: nothing is collected, and why; `collector-unavailable`, `journal-unavailable`, `projection-unavailable`"),
    )
)]
pub async fn run(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[])?;
    call.no_parameters()?;
    let CollectBody { dry_run, override_brake } = call.optional_json()?;
    let override_brake = override_brake.then(|| call.origin("POST /v1/collections override_brake"));
    let report = api.collector.run_now(Wanted { dry_run, override_brake }).await.map_err(|stopped| {
        Problem::new(503, "collector-unavailable", format!("the collector did not answer: {stopped}"))
    })??;
    Ok(HttpResponse::Ok().json(report))
}
