//! The one door to the bucket.
//!
//! A [`Gateway`] serves one bucket of one store and refuses items of any other: a HEAD or a delete in the wrong bucket
//! finds nothing, and "nothing" would be taken for absent or gone (P-1, P-7).
//!
//! The future of every method may be dropped. A dropped call leaves nothing behind in this process; its request may
//! have been carried out.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use aws_sdk_s3::Client;
use chrono::{DateTime, TimeDelta, Utc};
use zeroload_clock::{Ids, Sleeper};
use zeroload_domain::{Bucket, KeyPrefix, Store};

use super::{
    check::Check,
    connect::{self},
    credentials::CredentialSource,
    error::StorageError,
    headers::KeptHeaders,
    location::Location,
    manners::{Deletes, Manners},
    rate_limiter::{MAX_KEYS, PaceSettings, RateLimiter, TRIES, asks_for_fewer},
    settings::{ConnectError, GatewaySettings, KeepsVersions},
    ticket::{SignError, Signer, TicketSpec, Upload},
};

/// One bucket of one S3 server. Clones share their connections.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
    rate_limiter: Option<Arc<RateLimiter>>,
}

struct Inner {
    client: Client,
    store: Store,
    bucket: Bucket,
    prefix: KeyPrefix,
    signer: Signer,
    public_signer: Option<Signer>,
    ticket_credentials: CredentialSource,
    own_ticket_keys: bool,
    /// The end, in seconds since 1970, of the credentials for which the warning about shortened tickets was last
    /// logged.
    warned_of: AtomicI64,
    /// The bucket keeps or kept versions, as `GetBucketVersioning` or an upload has shown.
    versions: AtomicBool,
    /// The bucket keeps versions now: a plain delete adds a delete marker and removes nothing.
    adds_versions: AtomicBool,
    /// The server has said that it has no multipart uploads.
    no_uploads: AtomicBool,
    /// Headers that the server adds to an object by itself, as seen on the marker.
    own_headers: RwLock<KeptHeaders>,
    keeps_versions: KeepsVersions,
    manners: Manners,
    /// The `Date` header of the last answer to a GET of the marker, if there was one.
    server_date: Mutex<Option<DateTime<Utc>>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("store", self.store()).field("bucket", self.bucket()).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Finds region and credentials. The server need not be up.
    ///
    /// # Errors
    /// [`ConnectError`] says which setting is missing or wrong.
    pub async fn connect(settings: GatewaySettings) -> Result<Self, ConnectError> {
        Self::connect_with(settings, |_| ()).await
    }

    /// As [`Gateway::connect`], over another network or clock: `change` has the last word on the SDK's configuration.
    ///
    /// # Errors
    /// As [`Gateway::connect`].
    pub(crate) async fn connect_with(
        settings: GatewaySettings,
        change: impl FnOnce(&mut aws_sdk_s3::config::Builder),
    ) -> Result<Self, ConnectError> {
        let connection = connect::connect(&settings, change).await?;
        let inner = Inner {
            client: connection.client,
            store: settings.store,
            bucket: settings.bucket,
            prefix: settings.prefix,
            signer: connection.signer,
            public_signer: connection.public_signer,
            ticket_credentials: connection.ticket_credentials,
            warned_of: AtomicI64::new(0),
            own_ticket_keys: settings.ticket_keys.is_some(),
            versions: AtomicBool::new(false),
            adds_versions: AtomicBool::new(false),
            no_uploads: AtomicBool::new(false),
            own_headers: RwLock::default(),
            keeps_versions: settings.keeps_versions,
            manners: Manners::default(),
            server_date: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), rate_limiter: None })
    }

    /// The same bucket behind a rate limiter, which all clones of the returned gateway share.
    #[must_use]
    pub fn paced(&self, settings: PaceSettings, ids: Ids, sleeper: Sleeper) -> Self {
        Self { inner: self.inner.clone(), rate_limiter: Some(Arc::new(RateLimiter::new(settings, ids, sleeper))) }
    }

    /// Whether the server went on asking for fewer requests until this gateway gave up.
    pub fn is_throttled(&self) -> bool {
        self.rate_limiter.as_ref().is_some_and(|rate_limiter| rate_limiter.is_refused())
    }

    /// Forgets the server's wish for fewer requests, once enough time has passed.
    pub fn reset_throttle(&self) {
        if let Some(rate_limiter) = self.rate_limiter() {
            rate_limiter.answered();
        }
    }

    pub(super) fn rate_limiter(&self) -> Option<&RateLimiter> {
        self.rate_limiter.as_deref()
    }

    /// Keys that one call deletes at most.
    pub fn keys_per_call(&self) -> usize {
        self.rate_limiter().map_or(MAX_KEYS, RateLimiter::keys)
    }

    /// Sends a request when the rate limiter permits, and repeats it if the server asks for fewer requests.
    pub(super) async fn asked<T, F>(&self, ask: impl Fn() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let Some(rate_limiter) = self.rate_limiter() else { return ask().await };
        let mut tries = 1;
        loop {
            let turn = rate_limiter.turn().await;
            match ask().await {
                Err(error) if asks_for_fewer(&error) && tries < TRIES => rate_limiter.refused(turn).await,
                Err(error) => return Err(error),
                Ok(answer) => {
                    rate_limiter.answered();
                    return Ok(answer);
                }
            }
            tries += 1;
        }
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn bucket(&self) -> &Bucket {
        &self.inner.bucket
    }

    pub fn prefix(&self) -> &KeyPrefix {
        &self.inner.prefix
    }

    /// Signs a ticket; no call to the server. `now` and `expires_at` are those of the recorded decision.
    ///
    /// # Errors
    /// [`SignError`]; nothing was issued then.
    pub async fn sign_ticket(
        &self,
        ticket: &TicketSpec<'_>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Upload, SignError> {
        if !self.serves(&ticket.at) {
            let Location { store, bucket, .. } = ticket.at;
            return Err(SignError::OtherBucket { store: store.clone(), bucket: bucket.clone() });
        }
        let credentials = self.ticket_credentials_at(now).await?;
        let signer = self.inner.public_signer.as_ref().unwrap_or(&self.inner.signer);
        let mut headers = ticket.headers();
        self.adapt_headers(&mut headers);
        let upload = signer.sign(&credentials, ticket.at.object_key.as_str(), headers, now, expires_at)?;
        if upload.shortened {
            self.warn_of(&upload);
        }
        Ok(upload)
    }

    /// Logs the warning once for the credentials in use.
    fn warn_of(&self, upload: &Upload) {
        let end = upload.expires_at.timestamp();
        if self.inner.warned_of.swap(end, Ordering::AcqRel) != end {
            tracing::warn!(
                ends_at = %upload.expires_at,
                "tickets end before ticket_ttl is over, with the credentials that sign them: shorten ticket_ttl, or sign \
                 tickets with s3_ticket_access_key"
            );
        }
    }

    /// The state of the credentials that sign tickets, for people. `ttl` is the life that tickets are to have.
    pub fn credentials_check(&self, now: DateTime<Utc>, ttl: TimeDelta) -> Check {
        let (status, detail) = self.inner.ticket_credentials.report(now, ttl);
        Check { name: "s3-credentials", status, detail }
    }

    /// Whether there are credentials to sign with, so that no ticket is recorded that cannot be handed out.
    ///
    /// # Errors
    /// [`SignError::NoCredentials`].
    pub async fn can_sign(&self, now: DateTime<Utc>) -> Result<(), SignError> {
        self.ticket_credentials_at(now).await.map(drop)
    }

    /// Whether tickets can be signed without asking for new credentials.
    pub fn has_fresh_credentials(&self, now: DateTime<Utc>) -> bool {
        self.inner.ticket_credentials.are_fresh(now)
    }

    pub(super) async fn ticket_credentials_at(
        &self,
        now: DateTime<Utc>,
    ) -> Result<aws_credential_types::Credentials, SignError> {
        self.inner.ticket_credentials.at(now).await.map_err(|_| SignError::NoCredentials)
    }

    /// Whether a location is in the bucket that this gateway serves: elsewhere the gateway sends no HEAD and no delete.
    pub fn serves(&self, at: &Location<'_>) -> bool {
        at.store == self.store() && at.bucket == self.bucket()
    }

    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Signs for the address at which this process reaches S3.
    pub(super) fn signer(&self) -> &Signer {
        &self.inner.signer
    }

    /// Signs for the address that clients are given, if that is another one.
    pub(super) fn public_signer(&self) -> Option<&Signer> {
        self.inner.public_signer.as_ref()
    }

    pub(super) fn manners(&self) -> &Manners {
        &self.inner.manners
    }

    pub(super) fn keeps_versions(&self) -> KeepsVersions {
        self.inner.keeps_versions
    }

    /// How objects are deleted here, as far as the server has shown in this process.
    pub fn deletes(&self) -> Deletes {
        self.manners().deletes()
    }

    /// Takes out the header for which this server would refuse a ticket.
    pub(super) fn adapt_headers(&self, headers: &mut BTreeMap<&'static str, String>) {
        if self.manners().refuses_conditions.is_set() {
            headers.remove("if-none-match");
        }
    }

    pub(super) fn has_own_ticket_keys(&self) -> bool {
        self.inner.own_ticket_keys
    }

    pub(super) fn expects_versions(&self) -> bool {
        self.inner.versions.load(Ordering::Acquire)
    }

    pub(super) fn expect_versions(&self, expected: bool) {
        self.inner.versions.store(expected, Ordering::Release);
    }

    pub(super) fn adds_versions(&self) -> bool {
        self.inner.adds_versions.load(Ordering::Acquire)
    }

    pub(super) fn expect_new_versions(&self, expected: bool) {
        self.inner.adds_versions.store(expected, Ordering::Release);
    }

    pub(super) fn own_headers(&self) -> KeptHeaders {
        self.inner.own_headers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_own_headers(&self, of_marker: KeptHeaders) {
        *self.inner.own_headers.write().unwrap_or_else(PoisonError::into_inner) = of_marker;
    }

    /// The server's time at the last GET of the bucket's marker, if the answer had a `Date`.
    pub fn server_date(&self) -> Option<DateTime<Utc>> {
        *self.inner.server_date.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_server_date(&self, told: Option<DateTime<Utc>>) {
        *self.inner.server_date.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    pub(super) fn expects_uploads(&self) -> bool {
        !self.inner.no_uploads.load(Ordering::Acquire)
    }

    pub(super) fn expect_no_uploads(&self) {
        self.inner.no_uploads.store(true, Ordering::Release);
    }
}
