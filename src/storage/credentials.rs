//! Credentials that are kept until they have to be renewed.
//!
//! Signing a ticket must not wait for a metadata service. So the credentials are asked for once and kept; from ten
//! minutes before they end, one caller at a time asks for new ones, at most twice a minute, and the others go on with
//! what there is. While new ones cannot be had, the old ones serve until they end.

use std::sync::{PoisonError, RwLock};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

/// Metadata services hand out new credentials at least five minutes before the old ones end.
const RENEW_BEFORE_END: TimeDelta = TimeDelta::minutes(10);
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(30);

/// No credentials can be had, and those that were there have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCredentials;

pub(super) enum CredentialSource {
    /// They don't end.
    Fixed(Credentials),
    Cached(CredentialCache),
}

impl CredentialSource {
    pub async fn at(&self, now: DateTime<Utc>) -> Result<Credentials, NoCredentials> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Cached(cache) => cache.at(now).await,
        }
    }

    /// Whether they need no renewal.
    pub fn are_fresh(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Cached(cache) => is_fresh(&cache.kept(), now),
        }
    }
}

pub(super) struct CredentialCache {
    provider: SharedCredentialsProvider,
    current: RwLock<Credentials>,
    /// Held while new ones are asked for; says from when on to ask again.
    renewal: Mutex<Option<DateTime<Utc>>>,
}

impl CredentialCache {
    pub async fn fill(provider: SharedCredentialsProvider) -> Result<Self, CredentialsError> {
        let current = RwLock::new(provider.provide_credentials().await?);
        Ok(Self { provider, current, renewal: Mutex::new(None) })
    }

    /// Dropped while it waits, it leaves the old credentials in place and the next caller asks again.
    async fn at(&self, now: DateTime<Utc>) -> Result<Credentials, NoCredentials> {
        let kept = self.kept();
        if is_fresh(&kept, now) {
            return Ok(kept);
        }
        let alive = end_of(&kept).is_none_or(|end| now < end);
        let mut ask_from = match self.renewal.try_lock() {
            Ok(ask_from) => ask_from,
            Err(_) if alive => return Ok(kept),
            Err(_) => self.renewal.lock().await,
        };
        // Somebody else may have renewed them while this caller waited.
        let kept = self.kept();
        let alive = end_of(&kept).is_none_or(|end| now < end);
        if is_fresh(&kept, now) || (alive && ask_from.is_some_and(|from| now < from)) {
            return Ok(kept);
        }
        *ask_from = Some(now + RETRY_AFTER);
        match self.provider.provide_credentials().await {
            Ok(renewed) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
                if end_of(&renewed).is_none_or(|end| now < end) { Ok(renewed) } else { Err(NoCredentials) }
            }
            Err(_) if alive => {
                tracing::warn!("credentials could not be renewed, the old ones still serve");
                Ok(kept)
            }
            Err(_) => Err(NoCredentials),
        }
    }

    fn kept(&self) -> Credentials {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn is_fresh(credentials: &Credentials, now: DateTime<Utc>) -> bool {
    end_of(credentials).is_none_or(|end| now < end - RENEW_BEFORE_END)
}

/// When credentials end; what signs with them ends then, too.
pub(super) fn end_of(credentials: &Credentials) -> Option<DateTime<Utc>> {
    credentials.expiry().map(DateTime::from)
}

#[cfg(test)]
mod tests;
