//! Credentials that are kept until they have to be renewed.
//!
//! Signing a ticket must not wait for a metadata service. So the source is asked for credentials once, and they are
//! kept; from ten minutes before they end, one caller at a time asks for new ones, at most twice a minute, while all
//! other callers sign with the old ones. While no new ones can be had, the old ones serve until they end.
//!
//! While there are no credentials at all, also at the start, the source is asked again after 1 s, then after twice as
//! long each time, up to a minute. The SDK takes its credentials from this cache too, so many calls do not ask the
//! source more often.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;
use zeroload_clock::Clock;

use super::{check::Status, settings::ConnectError};
use crate::outside::{causes, innermost};

/// Metadata services hand out new credentials at least five minutes before the old ones end.
const RENEW_BEFORE_END: TimeDelta = TimeDelta::minutes(10);
/// Pause between two questions for new credentials while the old ones serve.
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(30);
/// The longest pause while there are no credentials; doubled from one second.
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// How long to wait for one answer of the source; a process that the source runs may hang.
const ANSWER_MAY_TAKE: Duration = Duration::from_secs(10);
/// The same at the start of this process, which must not be held up for long.
const FIRST_MAY_TAKE: Duration = Duration::from_secs(5);
/// Characters that are kept of the SDK's message about a configuration that it cannot use.
const MAX_REASON: usize = 300;

/// No credentials can be had, and any earlier ones have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCredentials;

pub(super) enum CredentialSource {
    /// Credentials that are never renewed.
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

    /// Whether the credentials need no renewal yet.
    pub fn are_fresh(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Cached(cache) => cache.kept().is_some_and(|kept| is_fresh(&kept, now)),
        }
    }

    /// Whether tickets that live for `ttl` can be signed, and the reason if not, for people.
    pub fn report(&self, now: DateTime<Utc>, ttl: TimeDelta) -> (Status, String) {
        let (kept, failure, serve) = match self {
            Self::Fixed(credentials) => (Some(credentials.clone()), None, true),
            Self::Cached(cache) => {
                let state = cache.state.read().unwrap_or_else(PoisonError::into_inner);
                (state.current.clone(), state.failure.clone(), state.current.is_some())
            }
        };
        let end = kept.as_ref().and_then(end_of);
        let kept = kept.filter(|kept| is_alive(kept, now));
        match (kept, end, failure) {
            (None, _, failure) => {
                // A process whose credentials have ended can still do everything that needs none, and no other process
                // could do more: degraded is enough. One that never had any has failed.
                let status = if serve { Status::Degraded } else { Status::Failed };
                let why = failure.unwrap_or_else(|| "those that were there have ended".to_owned());
                (status, format!("no credentials can be had, so no ticket is signed: {why}"))
            }
            (Some(_), Some(end), failure) if end - now < ttl => {
                let why = failure.map(|why| format!(", and new ones cannot be had: {why}")).unwrap_or_default();
                let detail = format!("tickets end before ticket_ttl is over, with their credentials at {end}{why}");
                (Status::Degraded, detail)
            }
            (Some(_), Some(end), Some(why)) => {
                (Status::Degraded, format!("credentials end at {end}, and new ones cannot be had: {why}"))
            }
            (Some(_), Some(end), None) => (Status::Ok, format!("credentials are renewed before they end at {end}")),
            (Some(kept), None, _) if kept.session_token().is_some() => {
                let detail = "the credentials are temporary, and nothing says when they end: tickets end with them, and \
                              nothing renews them";
                (Status::Degraded, detail.to_owned())
            }
            (Some(_), None, _) => (Status::Ok, "the credentials do not end".to_owned()),
        }
    }
}

/// The credentials of one source. Clones share them.
#[derive(Clone)]
pub(super) struct CredentialCache(Arc<Inner>);

pub(super) struct Inner {
    provider: SharedCredentialsProvider,
    clock: Clock,
    state: RwLock<State>,
    /// Held while the source is asked for new credentials.
    renewal: Mutex<Renewal>,
}

impl std::ops::Deref for CredentialCache {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

#[derive(Default)]
struct State {
    current: Option<Credentials>,
    /// Why the source's last answer gave no credentials.
    failure: Option<String>,
}

#[derive(Default)]
struct Renewal {
    ask_from: Option<DateTime<Utc>>,
    /// Failed questions in a row.
    failures: u32,
}

impl CredentialCache {
    /// Asks the source for the first time. A source that does not answer yet is no error: it may come up later.
    ///
    /// # Errors
    /// [`ConnectError`]: there is no source, or the source can never give credentials.
    pub async fn start(provider: SharedCredentialsProvider, clock: Clock) -> Result<Self, ConnectError> {
        let cache = Self(Arc::new(Inner { provider, clock, state: RwLock::default(), renewal: Mutex::default() }));
        let now = cache.clock.now();
        let mut renewal = cache.renewal.lock().await;
        let answer = cache.ask(&mut renewal, now, FIRST_MAY_TAKE).await;
        drop(renewal);
        match answer {
            Err(error @ CredentialsError::InvalidConfiguration(_)) => {
                Err(ConnectError::Credentials { reason: misconfigured(&error) })
            }
            Err(CredentialsError::CredentialsNotLoaded(_)) if has_no_metadata_service() => {
                Err(ConnectError::NoCredentials)
            }
            Ok(_) | Err(_) => Ok(cache),
        }
    }

    /// The credentials at `now`. A call that is dropped while it waits leaves the old credentials in place, and the
    /// next caller asks again.
    async fn at(&self, now: DateTime<Utc>) -> Result<Credentials, NoCredentials> {
        let alive = match self.kept() {
            Some(kept) if is_fresh(&kept, now) => return Ok(kept),
            kept => kept.filter(|kept| is_alive(kept, now)),
        };
        let mut renewal = match (self.renewal.try_lock(), alive) {
            (Ok(renewal), _) => renewal,
            (Err(_), Some(kept)) => return Ok(kept),
            (Err(_), None) => self.renewal.lock().await,
        };
        // Another caller may have renewed the credentials while this one waited.
        let alive = self.kept().filter(|kept| is_alive(kept, now));
        if alive.as_ref().is_some_and(|kept| is_fresh(kept, now)) || renewal.ask_from.is_some_and(|from| now < from) {
            return alive.ok_or(NoCredentials);
        }
        match (self.ask(&mut renewal, now, ANSWER_MAY_TAKE).await, alive) {
            (Ok(renewed), _) if is_alive(&renewed, now) => Ok(renewed),
            (_, alive) => alive.ok_or(NoCredentials),
        }
    }

    /// Asks the source. Sets the time of the next question before it asks, so that the pause holds even if this call is
    /// dropped.
    async fn ask(
        &self,
        renewal: &mut Renewal,
        now: DateTime<Utc>,
        may_take: Duration,
    ) -> Result<Credentials, CredentialsError> {
        let alive = self.kept().is_some_and(|kept| is_alive(&kept, now));
        let pause = TimeDelta::seconds(1 << renewal.failures.min(6)).min(LONGEST_PAUSE);
        let pause = if alive { RETRY_AFTER } else { pause };
        renewal.ask_from = Some(now + pause);
        let answer = tokio::time::timeout(may_take, self.provider.provide_credentials()).await;
        let answer = answer.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(may_take)));
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Ok(renewed) => {
                // A metadata service gives the same credentials again until it has new ones; that is no failure.
                renewal.failures = if is_alive(renewed, now) { 0 } else { renewal.failures.saturating_add(1) };
                state.current = Some(renewed.clone());
                state.failure = None;
            }
            Err(error) => {
                renewal.failures = renewal.failures.saturating_add(1);
                let why = in_words(error);
                tracing::warn!(
                    why,
                    ask_again_s = pause.num_seconds(),
                    old_ones_serve = alive,
                    "no new credentials can be had"
                );
                state.failure = Some(why);
            }
        }
        answer
    }

    fn kept(&self) -> Option<Credentials> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }
}

impl std::fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialCache")
    }
}

impl ProvideCredentials for CredentialCache {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        provider::future::ProvideCredentials::new(async {
            let kept = self.at(self.clock.now()).await;
            kept.map_err(|NoCredentials| CredentialsError::provider_error("no credentials can be had"))
        })
    }
}

fn is_fresh(credentials: &Credentials, now: DateTime<Utc>) -> bool {
    end_of(credentials).is_none_or(|end| now < end - RENEW_BEFORE_END)
}

fn is_alive(credentials: &Credentials, now: DateTime<Utc>) -> bool {
    end_of(credentials).is_none_or(|end| now < end)
}

/// When credentials end; tickets that are signed with them end then, too.
pub(super) fn end_of(credentials: &Credentials) -> Option<DateTime<Utc>> {
    credentials.expiry().map(DateTime::from)
}

/// Whether the SDK never asks the machine's metadata service. That is the SDK's last source, and may come up later than
/// this process.
fn has_no_metadata_service() -> bool {
    std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Why no credentials came. The SDK's own message may quote the source's answer, or an address with a secret, so it is
/// not used.
fn in_words(error: &CredentialsError) -> String {
    let what = match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "none are found where the AWS SDK looks for them (environment, profile, web identity, ECS, EC2)"
        }
        CredentialsError::ProviderTimedOut(_) => "their source gave no answer in time",
        CredentialsError::InvalidConfiguration(_) => return misconfigured(error),
        _ => "their source failed",
    };
    innermost::<io::Error>(error).map_or_else(|| what.to_owned(), |io| format!("{what}: {io}"))
}

/// The SDK's message about the files and variables that configure the source: none of its text came over the network.
fn misconfigured(error: &CredentialsError) -> String {
    let said: Vec<String> = causes(error).map(ToString::to_string).collect();
    let said = said.join(": ");
    // The SDK names the feature of its own that this build leaves out.
    for (part, what) in [("enabled: sso", "SSO (IAM Identity Center)"), ("credentials-login", "aws login")] {
        if said.contains(part) {
            return format!(
                "the AWS profile signs in with {what}, which is for people: export its keys to the environment (aws \
                 configure export-credentials), have a credential_process run that, or name another profile in AWS_PROFILE"
            );
        }
    }
    said.chars().take(MAX_REASON).filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests;
