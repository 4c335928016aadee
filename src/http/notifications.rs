//! What the bucket itself says about uploads.

use actix_web::{HttpResponse, web};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Problem, call::Call};
use crate::{
    commands::CommandError,
    notification::{Malformed, Notification},
    service::{Notified, ServiceError},
    settings::Role,
};

pub const PATH: &str = "/v1/notifications/s3";

/// Objects of one message that are looked at at once.
const LOOKS: usize = 16;

/// Characters of a subscription's address that are logged at most.
const MAX_ADDRESS: usize = 1000;

/// What became of the objects that a message names.
#[derive(Default, Serialize, ToSchema)]
pub struct NotificationResult {
    /// Objects of ours that were looked at; what was there is recorded.
    looked: u64,
    /// Those that are not ours, were not written, or are named twice.
    ignored: u64,
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let detail = malformed.to_string();
        Self::invalid(malformed.field, detail)
    }
}

/// Take a notification of S3 that objects were written
///
/// For all tenants, whichever the key belongs to. Understands what AWS S3 sends (also by SNS or EventBridge), MinIO and
/// Ceph, whatever the `Content-Type`. It is a hint and no more: the bucket is looked at, as for
/// `POST /v1/media/{id}/uploaded`. What is not ours is answered 200 too. After a 503 the sender should repeat.
#[utoipa::path(
    post, path = "/v1/notifications/s3", operation_id = "notify_s3", tag = "notifications",
    request_body(content = Object, content_type = "application/json", description = "the sender's message, at most 1000 records"),
    responses(
        (status = 200, body = NotificationResult),
        (status = 503, description = "`storage-unavailable`, `overloaded`, `journal-unavailable`, `journal-unreadable`"),
    )
)]
pub async fn s3(api: web::Data<Api>, call: Call) -> Result<HttpResponse, Problem> {
    call.allow(&[Role::Notifier])?;
    call.no_parameters()?;
    let mut result = NotificationResult::default();
    match Notification::parse(call.plain_body()?)? {
        Notification::Nothing => {}
        Notification::Subscription { topic, confirm_at } => subscription(&topic, &confirm_at),
        Notification::Written { objects, others } => {
            result.ignored = others;
            let (service, origin) = (api.service.clone(), call.origin("POST /v1/notifications/s3"));
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
                    Ok(Notified::Looked) => result.looked += 1,
                    Ok(Notified::NotOurs) => result.ignored += 1,
                    // Everything before it is recorded, and a repeat of it changes nothing.
                    Err(error) => return Err(repeat(error)),
                }
            }
        }
    }
    api.metrics.notified(result.looked, result.ignored);
    Ok(HttpResponse::Ok().json(result))
}

/// Senders repeat after a 5xx only.
fn repeat(error: ServiceError) -> Problem {
    match error {
        ServiceError::Command(CommandError::Contended) => Problem::new(503, "overloaded", error.to_string()),
        other => other.into(),
    }
}

/// Opening an address that somebody sends us would let them choose what we call, so a person decides.
fn subscription(topic: &str, confirm_at: &str) {
    let shown = confirm_at.chars().take(MAX_ADDRESS).collect::<String>();
    let whose = match is_amazons(confirm_at) {
        true => "if the topic is yours, open the address",
        false => {
            "the address is not Amazon's: open it only if it leads to a server of yours that plays SNS, such as LocalStack"
        }
    };
    tracing::warn!(
        topic = ?topic.chars().take(200).collect::<String>(),
        confirm_at = ?shown,
        "a topic of SNS asks for its subscription to be confirmed; {whose}"
    );
}

/// By its host, however the address is written.
fn is_amazons(address: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default();
    let is_sns = host.starts_with("sns.") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"));
    url.scheme() == "https" && url.port().is_none() && url.username().is_empty() && url.password().is_none() && is_sns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_sns_is_known_by_its_host() {
        for amazons in [
            "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=1",
            "https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription",
        ] {
            assert!(is_amazons(amazons), "{amazons}");
        }
        for others in [
            "http://localhost.localstack.cloud:4566/?Action=ConfirmSubscription",
            "https://sns.evil.com#.amazonaws.com/",
            "https://sns.evil.com\\.amazonaws.com/",
            "https://sns.eu-central-1.amazonaws.com@evil.com/",
            "https://sns.eu-central-1.amazonaws.com.evil.com/",
            "http://sns.eu-central-1.amazonaws.com/",
            "https://sns.eu-central-1.amazonaws.com:8443/",
            "sns.eu-central-1.amazonaws.com",
        ] {
            assert!(!is_amazons(others), "{others}");
        }
    }
}
