//! Asks the backend, before anything is claimed, which of the due items are in use after all.
//!
//! ```text
//! POST review_url   {"ids": ["…"]}                    signed as Standard Webhooks (standardwebhooks.com)
//! 200               {"in_use": {"…": "post-1"}}       of the ids that were asked about, each with its attached_to or null
//! ```
//!
//! Guards P-1 against a confirm that the backend believes to have made. Every other answer is an error, and then the
//! caller claims nothing: a missing answer never counts as "not in use". An error ends up in the journal, in the log
//! and in `/readyz`, so its text names the kind of answer and the place that is wrong, and quotes nothing of the
//! answer.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use zeroload_clock::Ids;
use zeroload_domain::{AttachedTo, MediaId};

use crate::{
    outbound::client::{CallError, Message, Recipient, SignedClient},
    outside::json,
};

/// Longest answer, in bytes: a thousand ids with their places, each as long as may be, take a quarter of it.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Why it is not known which items are in use. Of the answer, the text holds a status, an id or a place, and no more.
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

/// The backend's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// The id of the question, which was sent as `webhook-id`.
    pub message_id: String,
    pub in_use: HashMap<MediaId, Option<AttachedTo>>,
}

/// Asks one backend.
pub struct Reviewer {
    client: SignedClient,
    ids: Ids,
}

#[derive(Serialize)]
struct Question<'a> {
    ids: &'a [MediaId],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// An answer that names an id twice is refused.
    #[serde(deserialize_with = "json::unique")]
    in_use: HashMap<MediaId, Option<AttachedTo>>,
}

impl Reviewer {
    /// # Errors
    /// Says why there can be no client, such as root certificates that cannot be read.
    pub fn new(backend: Recipient, ids: Ids) -> Result<Self, String> {
        Ok(Self { client: SignedClient::new(backend)?, ids })
    }

    /// Asks the backend which of `ids` are in use.
    ///
    /// # Errors
    /// [`ReviewError`]: nothing is known of any of them.
    pub async fn ask(&self, ids: &[MediaId], now: DateTime<Utc>) -> Result<Review, ReviewError> {
        let json = serde_json::to_vec(&Question { ids }).expect("ids are plain JSON");
        let message_id = format!("msg_{}", self.ids.new_id(now));
        let message = Message { id: &message_id, timestamp: now.timestamp(), json };
        let in_use = read(&self.client.post(message, MAX_ANSWER).await?, ids)?;
        Ok(Review { message_id, in_use })
    }
}

impl From<CallError> for ReviewError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(why) => Self::Unreachable(why),
            CallError::Status(status) => Self::Status(status),
            CallError::TooLong(_) => Self::TooLong,
        }
    }
}

fn read(body: &[u8], asked: &[MediaId]) -> Result<HashMap<MediaId, Option<AttachedTo>>, ReviewError> {
    let Answer { in_use } = json::parse(body)?;
    let asked: HashSet<&MediaId> = asked.iter().collect();
    match in_use.keys().find(|id| !asked.contains(id)) {
        Some(other) => Err(ReviewError::NotAsked(*other)),
        None => Ok(in_use),
    }
}

#[cfg(test)]
mod tests;
