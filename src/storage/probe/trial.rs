//! One probe: the checks in their order.

use chrono::{DateTime, TimeDelta, Utc};
use zeroload_domain::{ByteSize, ContentType, Sha256Digest};

use super::tries::put;
use crate::storage::{
    Fault, KeepsVersions, Multipart, StorageError, Versioning,
    check::{Check, ProbeReport, Status},
    gateway::Gateway,
    server_clock::ServerClock,
    ticket::{SignError, Signer, Upload, required_headers},
    versioning::versioning_advice,
};

pub(super) const BODY: &[u8] = b"probe";
pub(super) const OTHER_BODY: &[u8] = b"other";
/// How long a probe's tickets live.
const TICKET_LIFE: TimeDelta = TimeDelta::minutes(5);
/// A probe's object that is older than this was left behind by a probe that was killed.
const LEFT_BEHIND_AFTER: TimeDelta = TimeDelta::hours(1);
const SKEW_NOTICED: TimeDelta = TimeDelta::minutes(1);
/// AWS refuses requests whose date is further off than this.
const SKEW_REFUSED: TimeDelta = TimeDelta::minutes(15);

pub(super) struct Trial<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) now: DateTime<Utc>,
    checks: Vec<Check>,
    pub(super) versioned: bool,
    pub(super) can_list: bool,
    /// Tickets are signed with `If-None-Match`.
    pub(super) conditional: bool,
    unsettled: bool,
    /// The keys that were written, each with its version if the server named one.
    pub(super) written: Vec<(String, Option<String>)>,
}

impl<'a> Trial<'a> {
    pub fn new(gateway: &'a Gateway, now: DateTime<Utc>) -> Self {
        let (checks, written) = (Vec::new(), Vec::new());
        Self { gateway, now, checks, versioned: false, can_list: false, conditional: true, unsettled: false, written }
    }

    pub async fn run(mut self) -> ProbeReport {
        if self.bucket().await {
            self.versioning().await;
            if self.ticket().await {
                self.replay().await;
                self.head().await;
                self.absence().await;
                self.public_address().await;
                self.checksum_verified().await;
                self.unsigned_header().await;
                self.signature().await;
                self.expiry().await;
                self.length().await;
                self.list_encoding().await;
                self.conditional_delete().await;
                self.delete().await;
                self.multipart().await;
            }
            self.clean_up().await;
        }
        ProbeReport { checks: self.checks, versioned: self.versioned, unsettled: self.unsettled }
    }

    pub(super) fn found(&mut self, name: &'static str, status: Status, detail: impl Into<String>) {
        self.unsettled |= status == Status::Failed;
        self.checks.push(Check { name, status, detail: detail.into() });
    }

    /// Records a shortcoming that an operator can remedy, so a later probe is worth it.
    pub(super) fn lacking(&mut self, name: &'static str, detail: impl Into<String>) {
        self.unsettled = true;
        self.found(name, Status::Degraded, detail);
    }

    /// Records a check that ended in neither of the two expected ways.
    pub(super) fn not_found_out(&mut self, name: &'static str, error: &StorageError) {
        self.unsettled |= may_pass(error);
        self.found(name, Status::Degraded, format!("could not be found out: {error}"));
    }

    /// Checks the bucket, the right to list its objects, and the server's clock. False if no other check can be made.
    async fn bucket(&mut self) -> bool {
        let clock = ServerClock::default();
        let list = self.gateway.client().list_objects_v2().bucket(self.gateway.bucket().as_str());
        let list = list.prefix(format!("{}/", self.gateway.prefix().as_str())).max_keys(1);
        let answer = list.customize().interceptor(clock.clone()).send().await;
        let reached = match answer.as_ref().map_err(StorageError::from) {
            Ok(_) => {
                self.can_list = true;
                self.found("s3-bucket", Status::Ok, "the bucket answers");
                self.found("s3-list", Status::Ok, "a missing object is told from a forbidden one");
                true
            }
            Err(refused) if refused.code() == Some("AccessDenied") => {
                self.found("s3-bucket", Status::Ok, "the bucket answers");
                let detail = "the credentials lack s3:ListBucket, so a missing object looks forbidden: a confirm without \
                              an upload answers storage-unavailable, and nothing counts as absent";
                self.lacking("s3-list", detail);
                true
            }
            Err(error) => {
                self.found("s3-bucket", Status::Failed, error.to_string());
                false
            }
        };
        if let Some(theirs) = clock.read() {
            self.clock(theirs);
        }
        reached
    }

    fn clock(&mut self, theirs: DateTime<Utc>) {
        let skew = (self.now - theirs).abs();
        let detail = format!("the server's clock and ours differ by {} s", skew.num_seconds());
        let (status, detail) = if skew > SKEW_REFUSED {
            (Status::Failed, format!("{detail}: requests are refused; set the clock"))
        } else if skew > SKEW_NOTICED {
            (Status::Degraded, format!("{detail}: tickets live that much longer or shorter; set the clock"))
        } else {
            (Status::Ok, detail)
        };
        self.found("s3-clock", status, detail);
    }

    async fn versioning(&mut self) {
        match self.gateway.versioning().await {
            Ok(Versioning::Never) if self.is_told(KeepsVersions::Never) => {
                self.found("s3-versioning", Status::Ok, "the bucket keeps no versions: s3_versioning says so");
            }
            Ok(Versioning::Never) => self.found("s3-versioning", Status::Ok, "the bucket keeps no versions"),
            Ok(Versioning::Kept | Versioning::Suspended) => self.versions().await,
            Ok(Versioning::NeedsMfa) => {
                self.versioned = true;
                let detail = "the bucket keeps versions, whose delete needs a second factor (MFA delete): collection is \
                              refused";
                self.found("s3-versioning", Status::Failed, detail);
            }
            Err(error) => {
                let advice = versioning_advice(&error);
                let detail = format!("could not be found out ({error}): nothing is collected{advice}");
                self.lacking("s3-versioning", detail);
            }
        }
    }

    async fn versions(&mut self) {
        self.versioned = true;
        self.checks.retain(|check| check.name != "s3-versioning");
        match self.gateway.can_list_versions().await {
            Ok(()) => {
                self.found("s3-versioning", Status::Ok, "the bucket keeps or kept versions: each is deleted by its id");
            }
            Err(error) => {
                let detail = format!(
                    "the bucket keeps or kept versions, and they cannot be listed ({error}): collection is refused{}",
                    error.advice("s3:ListBucketVersions")
                );
                self.found("s3-versioning", Status::Failed, detail);
            }
        }
    }

    fn is_told(&self, told: KeepsVersions) -> bool {
        self.gateway.keeps_versions() == told
    }

    /// An upload has made a version in a bucket that was thought to keep none.
    async fn unexpected_version(&mut self) {
        self.gateway.expect_versions(true);
        if self.is_told(KeepsVersions::Never) {
            self.versioned = true;
            self.checks.retain(|check| check.name != "s3-versioning");
            let detail =
                "s3_versioning is off, and the bucket keeps versions: an upload has made one; set it to auto or on";
            return self.found("s3-versioning", Status::Failed, detail);
        }
        self.versions().await;
    }

    /// Whether unfinished multipart uploads can be listed. A ticket cannot begin one, but other credentials can.
    async fn multipart(&mut self) {
        const NAME: &str = "s3-multipart";
        match self.gateway.multipart().await {
            Ok(Multipart::Listed) => self.found(NAME, Status::Ok, "unfinished multipart uploads are found"),
            Ok(Multipart::Unsupported) => self.found(NAME, Status::Ok, "the server has no multipart uploads"),
            Ok(Multipart::Denied) => {
                let detail = "unfinished multipart uploads of an item's key cannot be listed, so they stay: grant \
                              s3:ListBucketMultipartUploads";
                self.lacking(NAME, detail);
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Deletes the probe's objects. Best effort: a later probe deletes the ones that stay.
    async fn clean_up(&mut self) {
        let mut left = std::mem::take(&mut self.written);
        if self.can_list {
            left.extend(self.left_behind().await);
        }
        if left.is_empty() {
            return;
        }
        let keys: Vec<_> = left.iter().map(|(key, version)| (key.as_str(), version.as_deref())).collect();
        if let Err(error) = self.gateway.delete_page(&keys).await {
            tracing::warn!(%error, "objects of a probe were left behind");
        }
    }

    /// Objects that killed probes have left behind, as far as they can be listed.
    async fn left_behind(&self) -> Vec<(String, Option<String>)> {
        let (folder, old) = (self.gateway.prefix().probe(""), (self.now - LEFT_BEHIND_AFTER).timestamp());
        let is_old = |at: Option<i64>| at.is_some_and(|at| at < old);
        if self.versioned {
            let listed = self.gateway.list_versions(&folder, (None, None)).await;
            let versions = listed.map(|page| page.versions).unwrap_or_default().into_iter();
            let versions = versions.filter(|version| is_old(version.last_modified));
            return versions.take(100).map(|version| (version.key, Some(version.id))).collect();
        }
        let list = self.gateway.client().list_objects_v2().bucket(self.gateway.bucket().as_str());
        let Ok(listed) = list.prefix(folder).max_keys(100).send().await else { return Vec::new() };
        let keys = listed.contents().iter().filter(|object| is_old(object.last_modified().map(|at| at.secs())));
        keys.filter_map(|object| object.key.clone()).map(|key| (key, None)).collect()
    }

    /// Uploads `body` with a ticket that declares the SHA-256 of `declared`, which has the same length.
    pub(super) async fn put(&mut self, name: &str, body: &'static [u8], declared: &[u8]) -> Result<(), StorageError> {
        let ticket = self.ticket_for(name, declared.len(), Some(Sha256Digest::of(declared)), self.now).await?;
        self.send(name, ticket, body, None).await
    }

    /// Uploads with a ticket that may have been tampered with, and notes the key for [`Trial::clean_up`].
    pub(super) async fn send(
        &mut self,
        name: &str,
        ticket: Upload,
        body: &'static [u8],
        extra: Option<(&'static str, &'static str)>,
    ) -> Result<(), StorageError> {
        let outcome = put(self.gateway, ticket, body, extra).await;
        // The key is noted after an error too: a refused upload may have left its bytes behind.
        let version = outcome.as_ref().ok().cloned().flatten();
        if version.is_some() && !self.versioned {
            self.unexpected_version().await;
        }
        self.was_written(self.key(name), version);
        outcome.map(|_| ())
    }

    /// Notes a key that was written, or may have been.
    pub(super) fn was_written(&mut self, key: String, version: Option<String>) {
        // In a bucket with suspended versioning, a write makes the version `null`.
        self.written.push((key, version.or_else(|| self.versioned.then(|| "null".to_owned()))));
    }

    /// A ticket for the address at which this process reaches S3.
    pub(super) async fn ticket_for(
        &self,
        name: &str,
        length: usize,
        checksum: Option<Sha256Digest>,
        from: DateTime<Utc>,
    ) -> Result<Upload, StorageError> {
        let signed = self.sign(self.gateway.signer(), &self.key(name), length, checksum, from).await;
        signed.map_err(|error| StorageError::answer(error.to_string()))
    }

    pub(super) async fn sign(
        &self,
        signer: &Signer,
        key: &str,
        length: usize,
        checksum: Option<Sha256Digest>,
        from: DateTime<Utc>,
    ) -> Result<Upload, SignError> {
        let mut headers = required_headers(&media_type(), ByteSize::new(length as u64), checksum);
        if !self.conditional {
            headers.remove("if-none-match");
        }
        let credentials = self.gateway.ticket_credentials_at(self.now).await?;
        signer.sign(&credentials, key, headers, from, from + TICKET_LIFE)
    }

    pub(super) fn key(&self, name: &str) -> String {
        let run = format!("{:x}-{:x}", self.now.timestamp_micros(), std::process::id());
        self.gateway.prefix().probe(&format!("{run}-{name}"))
    }
}

pub(super) fn media_type() -> ContentType {
    ContentType::parse("text/plain").expect("a media type")
}

/// Whether the same check may end otherwise in a while.
fn may_pass(error: &StorageError) -> bool {
    let StorageError::Unavailable { kind, status, .. } = error else { return false };
    *status != Some(501) && *kind != Fault::Refused
}

/// Whether the server has examined the request and refused it, rather than failed.
pub(super) fn refuses(error: &StorageError) -> bool {
    error.status().is_some_and(|status| (400..500).contains(&status) && status != 429 && status != 408)
}
