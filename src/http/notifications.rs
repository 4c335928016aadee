//! The bucket's notifications about uploads.

use actix_web::{HttpResponse, web};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Problem, Role, call::Call, paths, subscription};
use crate::media::{
    ServiceError,
    commands::CommandError,
    notifications::{Malformed, Notification},
    service::Notified,
};

/// Objects of one message that are checked at once.
const LOOKS: usize = 16;

/// Unreadable records that an answer names at most.
const NAMED: usize = 10;

/// The outcome for the objects that a message names.
#[derive(Serialize, ToSchema)]
pub struct NotificationResult {
    /// Objects of ours that were checked with a HEAD; uploads that were found are recorded.
    looked: u64,
    /// Objects that are not ours, were not written, or are named twice.
    ignored: u64,
    /// Records that cannot be read.
    unreadable: u64,
    /// The first unreadable records: the member at fault, and what it must be.
    problems: Vec<String>,
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let detail = malformed.to_string();
        Self::invalid(malformed.field, detail)
    }
}

/// Take a notification of S3 that objects were written
///
/// For all tenants, whichever the key belongs to. Understands what AWS S3 sends (also by SNS, SQS, EventBridge and its
/// Pipes), MinIO, Ceph, Cloudflare R2 (also by Queues), Backblaze B2 and Google Cloud Storage (by Pub/Sub), whatever
/// the `Content-Type`. A notification is a hint and no more: zeroload checks each object with a HEAD, as for `POST
/// /v1/media/{id}/uploaded`. The answer is 200 also for objects that are not ours, and for a message of which only some
/// records can be read: the answer names the others. After a 503 the sender should repeat.
#[utoipa::path(
    post, path = paths::notifications::PATH, operation_id = "notify_s3", tag = "notifications",
    request_body(content = Object, content_type = "application/json", description = "the sender's message, or a list of them, at most 1000 records"),
    responses(
        (status = 200, body = NotificationResult),
        (status = 503, description = "`storage-unavailable`, `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn s3(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Notifier])?;
    call.no_parameters()?;
    let Notification { objects, others, malformed, subscription } = Notification::parse(call.plain_body()?)?;
    if let Some(asked) = subscription {
        subscription::log(&asked);
    }
    let unreadable = malformed.len() as u64;
    let problems: Vec<String> = malformed.iter().take(NAMED).map(ToString::to_string).collect();
    if unreadable > 0 {
        tracing::warn!(unreadable, ?problems, "a notification has records that cannot be read; the others were taken");
    }
    let mut result = NotificationResult { looked: 0, ignored: others, unreadable, problems };
    let (service, origin) = (api.service.clone(), call.origin(paths::notifications::POST));
    let allowance = service.allowance();
    let work = async move {
        stream::iter(objects)
            .map(|written| {
                let (service, origin, allowance) = (&service, &origin, &allowance);
                async move {
                    match written.object_key() {
                        Some(key) => service.notified(&written.bucket, &key, origin, allowance).await,
                        None => Ok(Notified::NotOurs),
                    }
                }
            })
            .buffer_unordered(LOOKS)
            .collect::<Vec<_>>()
            .await
    };
    for notified in api.on_runtime(work).await? {
        match notified {
            Ok(Notified::LateCheck) => result.looked += 1,
            Ok(Notified::NotOurs) => result.ignored += 1,
            // Uploads of the message that were found are recorded, and a repeat of the message does not change them.
            Err(error) => return Err(repeat(error)),
        }
    }
    api.metrics.notified(result.looked, result.ignored, result.unreadable);
    Ok(HttpResponse::Ok().json(result))
}

/// The problem of an error after which the sender should repeat: senders repeat after a 5xx only.
fn repeat(error: ServiceError) -> Problem {
    match error {
        ServiceError::Command(CommandError::Contended) => Problem::new(503, "overloaded", error.to_string()),
        other => other.into(),
    }
}
