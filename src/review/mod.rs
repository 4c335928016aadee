//! Asks the backend, before anything is claimed, which of the due items are in use after all.
//!
//! ```text
//! POST review_url   {"ids": ["…"]}                    signed as Standard Webhooks (standardwebhooks.com)
//! 200               {"in_use": {"…": "post-1"}}       of the ids that were asked about, each with its attached_to or null
//! ```
//!
//! Guards P-1 against a confirm that the backend means to have made. Whatever is no such answer is an error, and then the
//! caller claims nothing: no answer is never taken for "not in use". An error ends up in the journal, in the log and in
//! `/readyz`, so it says what kind of answer came and where it is wrong, and quotes nothing of it.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | which addresses may be asked: not those behind which an attacker wants to reach something of ours |
//! | [`signature`] | the signature of a question |

mod address;
mod signature;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::{Client, Url, header::CONTENT_TYPE, redirect};
use serde::{Deserialize, Serialize};
use zeroload_clock::Ids;
use zeroload_domain::{AttachedTo, MediaId};

pub use self::{address::Reach, signature::Secret};
use crate::outside::{bounded, json};

/// Bytes of an answer: a thousand ids with their places, each as long as may be, are a quarter of it.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Characters of what a failed connection says of itself; a certificate names as many hosts as it likes.
const MAX_CAUSE: usize = 300;

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct ReviewSettings {
    /// Checked against `reach` as far as it says where it leads.
    pub url: Url,
    pub reach: Reach,
    pub secret: Secret,
    /// For a question and its whole answer.
    pub timeout: Duration,
}

/// Why it is not known what is in use. Of the answer the text holds a status, an id or a place, and no more.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error("the backend was not reached: {0}")]
    Unreachable(String),
    #[error("the backend answered with status {0}")]
    Status(u16),
    #[error("the backend's answer is not {{\"in_use\": {{id: attached_to}}}}: {0}")]
    Malformed(#[from] json::Fault),
    #[error("the backend's answer names {0}, which was not asked about")]
    NotAsked(MediaId),
    #[error("the backend's answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
}

/// What the backend said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Of the question; the backend has it as `webhook-id`.
    pub message_id: String,
    pub in_use: HashMap<MediaId, Option<AttachedTo>>,
}

/// Asks one backend.
pub struct Reviewer {
    client: Client,
    settings: ReviewSettings,
    ids: Ids,
}

#[derive(Serialize)]
struct Question<'a> {
    ids: &'a [MediaId],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// An id that is given twice has two answers, so none.
    #[serde(deserialize_with = "json::unique")]
    in_use: HashMap<MediaId, Option<AttachedTo>>,
}

impl Reviewer {
    /// # Errors
    /// Says why there can be no client, such as root certificates that cannot be read.
    pub fn new(settings: ReviewSettings, ids: Ids) -> Result<Self, String> {
        let client = Client::builder()
            // A proxy or a redirect would lead elsewhere than the address that was checked.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(address::Resolver::new(settings.reach)))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .user_agent(concat!("zeroload/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { client, settings, ids })
    }

    /// Which of `ids` are in use.
    ///
    /// # Errors
    /// [`ReviewError`]: nothing is known of any of them.
    pub async fn ask(&self, ids: &[MediaId], now: DateTime<Utc>) -> Result<Review, ReviewError> {
        let body = serde_json::to_vec(&Question { ids }).expect("ids are plain JSON");
        let message_id = format!("msg_{}", self.ids.new_id(now));
        let timestamp = now.timestamp();
        let signature = self.settings.secret.sign(&message_id, timestamp, &body);
        let asked = self
            .client
            .post(self.settings.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        let answer = asked.send().await.map_err(unreachable)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(ReviewError::Status(answer.status().as_u16()));
        }
        let in_use = read(&whole(answer).await?, ids)?;
        Ok(Review { message_id, in_use })
    }
}

async fn whole(mut answer: reqwest::Response) -> Result<Vec<u8>, ReviewError> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + bytes.len() > MAX_ANSWER {
            return Err(ReviewError::TooLong);
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

fn read(body: &[u8], asked: &[MediaId]) -> Result<HashMap<MediaId, Option<AttachedTo>>, ReviewError> {
    let Answer { in_use } = json::parse(body)?;
    let asked: HashSet<&MediaId> = asked.iter().collect();
    match in_use.keys().find(|id| !asked.contains(id)) {
        Some(other) => Err(ReviewError::NotAsked(*other)),
        None => Ok(in_use),
    }
}

fn unreachable(error: reqwest::Error) -> ReviewError {
    ReviewError::Unreachable(bounded(&chain(&error.without_url()), MAX_CAUSE))
}

/// The error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}

#[cfg(test)]
mod tests;
