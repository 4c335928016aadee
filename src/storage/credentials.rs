//! Credentials that are kept until they have to be renewed.
//!
//! Signing a ticket must not wait for a metadata service. So the credentials are asked for once and kept; from ten
//! minutes before they end, one caller at a time asks for new ones, at most twice a minute, and the others go on with
//! what there is. While new ones cannot be had, the old ones serve until they end.
//!
//! Where there are none, be it from the start, the source is asked again after 1 s, then after twice as long each time, up
//! to a minute. The SDK asks here too, so no number of calls makes that more.

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
/// While the old ones serve.
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(30);
/// Where there are none: doubled from one second.
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// How long one answer of the source is waited for; a process that it runs may hang.
const ANSWER_MAY_TAKE: Duration = Duration::from_secs(10);
/// The same at the start, which has more to do.
const FIRST_MAY_TAKE: Duration = Duration::from_secs(5);
/// Characters of the SDK's words on a configuration that it cannot use.
const MAX_REASON: usize = 300;

/// No credentials can be had, and those that were there have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCredentials;

pub(super) enum CredentialSource {
    /// They are not renewed.
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
            Self::Cached(cache) => cache.kept().is_some_and(|kept| is_fresh(&kept, now)),
        }
    }

    /// How well tickets that live for `ttl` can be signed; for people.
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
                // A process that had some can do all that needs none, and no other process would do more.
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

/// Asks one source. Clones share what it gave.
#[derive(Clone)]
pub(super) struct CredentialCache(Arc<Inner>);

pub(super) struct Inner {
    provider: SharedCredentialsProvider,
    clock: Clock,
    state: RwLock<State>,
    /// Held while new ones are asked for.
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
    /// Of the last answer, if that was none.
    failure: Option<String>,
}

#[derive(Default)]
struct Renewal {
    ask_from: Option<DateTime<Utc>>,
    /// In a row.
    failures: u32,
}

impl CredentialCache {
    /// Asks the source for the first time. One that is down may come later.
    ///
    /// # Errors
    /// [`ConnectError`]: there is no source, or it can never give anything.
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

    /// Dropped while it waits, it leaves the old credentials in place and the next caller asks again.
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
        // Somebody else may have renewed them while this caller waited.
        let alive = self.kept().filter(|kept| is_alive(kept, now));
        if alive.as_ref().is_some_and(|kept| is_fresh(kept, now)) || renewal.ask_from.is_some_and(|from| now < from) {
            return alive.ok_or(NoCredentials);
        }
        match (self.ask(&mut renewal, now, ANSWER_MAY_TAKE).await, alive) {
            (Ok(renewed), _) if is_alive(&renewed, now) => Ok(renewed),
            (_, alive) => alive.ok_or(NoCredentials),
        }
    }

    /// Says from when on to ask again before it asks, so that a caller who goes away meanwhile changes nothing about that.
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
                // The same ones again, as a metadata service does until it has new ones, are no failure of it.
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

/// When credentials end; what signs with them ends then, too.
pub(super) fn end_of(credentials: &Credentials) -> Option<DateTime<Utc>> {
    credentials.expiry().map(DateTime::from)
}

/// The last place that the SDK looks at is the metadata service of the machine, which may come up later than this process.
fn has_no_metadata_service() -> bool {
    std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The SDK's own words may hold what the source has answered, or an address with a secret.
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

/// What is wrong with the files and variables that configure the source: nothing of it has come from elsewhere.
fn misconfigured(error: &CredentialsError) -> String {
    let said: Vec<String> = causes(error).map(ToString::to_string).collect();
    let said = said.join(": ");
    // The SDK names the part of it that is left out here.
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
