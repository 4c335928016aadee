//! One POST of a signed message, and its whole answer.
//!
//! Only addresses that were checked are connected to: no proxy, no redirect. An error names the kind of answer, and
//! quotes nothing of it.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE, redirect};

use super::{
    address::{Reach, Resolver},
    signature::Secret,
};
use crate::outside::{bounded, with_causes};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest cause of a failed connection, in characters; a certificate may name any number of hosts.
const MAX_CAUSE: usize = 300;

/// The recipient of messages, and how to call it.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Checked against `reach` as far as the URL itself names an address.
    pub url: Url,
    pub reach: Reach,
    pub secret: Secret,
    /// The time-out for a message and its whole answer.
    pub timeout: Duration,
}

/// Why there is no answer to read.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("was not reached: {0}")]
    Unreachable(String),
    #[error("answered with status {0}")]
    Status(u16),
    #[error("answered with more than {0} bytes")]
    TooLong(usize),
}

/// Sends messages to one recipient.
pub struct SignedClient {
    client: Client,
    url: Url,
    secret: Secret,
}

/// A message to send.
pub struct Message<'a> {
    /// Sent as the header `webhook-id`.
    pub id: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
    pub json: Vec<u8>,
}

impl SignedClient {
    /// # Errors
    /// Says why there can be no client, such as root certificates that cannot be read.
    pub fn new(recipient: Recipient) -> Result<Self, String> {
        let client = Client::builder()
            // A proxy or a redirect would lead elsewhere than the address that was checked.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(Resolver::new(recipient.reach)))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(recipient.timeout)
            .user_agent(concat!("zeroload/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| with_causes(&error))?;
        Ok(Self { client, url: recipient.url, secret: recipient.secret })
    }

    /// Sends a message, and returns the body of the answer if its status is 200 and the body no longer than `most`
    /// bytes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post(&self, message: Message<'_>, most: usize) -> Result<Vec<u8>, CallError> {
        let signature = self.secret.sign(message.id, message.timestamp, &message.json);
        let sent = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", signature)
            .body(message.json);
        let answer = sent.send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(CallError::Status(answer.status().as_u16()));
        }
        whole(answer, most).await
    }
}

async fn whole(mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + bytes.len() > most {
            return Err(CallError::TooLong(most));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> CallError {
    CallError::Unreachable(bounded(&with_causes(&error.without_url()), MAX_CAUSE))
}
