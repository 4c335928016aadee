//! One probe: the checks in their order.

use chrono::{DateTime, TimeDelta, Utc};
use zeroload_domain::{ByteSize, ContentType, ObjectFacts, Sha256Digest, StoredType};

use super::{
    Check, ProbeReport, Status,
    tries::{ServerClock, put},
};
use crate::storage::{
    Deletion, Multipart, StorageError, Versioning,
    gateway::Gateway,
    ticket::{SignError, Signer, Upload, required_headers},
};

pub(super) const BODY: &[u8] = b"probe";
const OTHER_BODY: &[u8] = b"other";
/// How long a probe's tickets live.
const TICKET_LIFE: TimeDelta = TimeDelta::minutes(5);
/// Older than this, a probe's object was left behind by one that was killed.
const LEFT_BEHIND_AFTER: TimeDelta = TimeDelta::hours(1);
const SKEW_NOTICED: TimeDelta = TimeDelta::minutes(1);
/// AWS refuses requests that are dated further off.
const SKEW_REFUSED: TimeDelta = TimeDelta::minutes(15);

pub(super) struct Trial<'a> {
    gateway: &'a Gateway,
    now: DateTime<Utc>,
    checks: Vec<Check>,
    versioned: bool,
    can_list: bool,
    /// What was written, with its version if the server named one.
    written: Vec<(String, Option<String>)>,
}

impl<'a> Trial<'a> {
    pub fn new(gateway: &'a Gateway, now: DateTime<Utc>) -> Self {
        Self { gateway, now, checks: Vec::new(), versioned: false, can_list: false, written: Vec::new() }
    }

    pub async fn run(mut self) -> ProbeReport {
        if self.bucket().await {
            self.versioning().await;
            if self.ticket().await {
                self.public_address().await;
                self.replay().await;
                self.checksum_kept().await;
                self.checksum_verified().await;
                self.unsigned_header().await;
                self.conditional_delete().await;
                self.delete().await;
                self.multipart().await;
            }
            self.clean_up().await;
        }
        ProbeReport { checks: self.checks, versioned: self.versioned }
    }

    pub(super) fn gateway(&self) -> &'a Gateway {
        self.gateway
    }

    pub(super) fn found(&mut self, name: &'static str, status: Status, detail: impl Into<String>) {
        self.checks.push(Check { name, status, detail: detail.into() });
    }

    /// A trial that ended in neither of the two expected ways.
    pub(super) fn not_found_out(&mut self, name: &'static str, error: &StorageError) {
        self.found(name, Status::Degraded, format!("could not be found out: {error}"));
    }

    /// The bucket, the right to list it, and the clock. False if nothing else can be tried.
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
                self.found("s3-list", Status::Degraded, detail);
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
            Ok(Versioning::Never) => self.found("s3-versioning", Status::Ok, "the bucket keeps no versions"),
            Ok(Versioning::Kept | Versioning::Suspended) => self.versions().await,
            Ok(Versioning::NeedsMfa) => {
                self.versioned = true;
                let detail = "the bucket keeps versions, whose delete needs a second factor (MFA delete): collection is \
                              refused";
                self.found("s3-versioning", Status::Failed, detail);
            }
            Err(error) => {
                let detail = format!("could not be found out ({error}): versions are noticed when they appear");
                self.found("s3-versioning", Status::Degraded, detail);
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

    /// Whether unfinished uploads, which a ticket cannot begin but other credentials can, are found.
    async fn multipart(&mut self) {
        const NAME: &str = "s3-multipart";
        match self.gateway.multipart().await {
            Ok(Multipart::Listed) => self.found(NAME, Status::Ok, "unfinished multipart uploads are found"),
            Ok(Multipart::Unsupported) => self.found(NAME, Status::Ok, "the server has no multipart uploads"),
            Ok(Multipart::Denied) => {
                let detail = "unfinished multipart uploads of an item's key cannot be listed, so they stay: grant \
                              s3:ListBucketMultipartUploads";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Whether a client can upload with a ticket. Without that nothing else can be tried.
    async fn ticket(&mut self) -> bool {
        match self.put("whole", BODY, BODY, None).await {
            Ok(()) => {
                self.found("s3-ticket", Status::Ok, "a ticket's upload is accepted");
                true
            }
            Err(error) => {
                self.found("s3-ticket", Status::Failed, format!("a ticket's upload is not accepted: {error}"));
                false
            }
        }
    }

    async fn replay(&mut self) {
        const NAME: &str = "s3-conditional-put";
        match self.put("whole", BODY, BODY, None).await {
            Ok(()) => {
                let detail = "If-None-Match is ignored, so a ticket can overwrite its own object while it is valid: a \
                              confirm pins the ETag that was seen";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if matches!(error.status(), Some(409 | 412)) => {
                self.found(NAME, Status::Ok, "a ticket's second upload is refused");
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    async fn checksum_kept(&mut self) {
        let facts = match self.gateway.head_key(&self.key("whole")).await {
            Ok(Some(facts)) => facts,
            Ok(None) => return self.found("s3-head", Status::Failed, "an object that was just written is not there"),
            Err(error) => return self.found("s3-head", Status::Failed, format!("a look at an object failed: {error}")),
        };
        let ObjectFacts { content_length, content_type, checksum_sha256, .. } = facts;
        let as_written = content_type.is_none_or(|kind| kind.is_same(&StoredType::from(&media_type())));
        if content_length != ByteSize::new(BODY.len() as u64) || !as_written {
            return self.found("s3-head", Status::Failed, "an object's length or type is not as it was written");
        }
        self.found("s3-head", Status::Ok, "an object is described as it was written");
        if checksum_sha256 == Some(Sha256Digest::of(BODY)) {
            self.found("s3-checksum", Status::Ok, "an object's SHA-256 is kept and returned");
        } else {
            let detail = "no SHA-256 is returned for an object: an upload is compared by size and type only";
            self.found("s3-checksum", Status::Degraded, detail);
        }
    }

    async fn checksum_verified(&mut self) {
        const NAME: &str = "s3-checksum-verified";
        match self.put("wrong", BODY, OTHER_BODY, None).await {
            Ok(()) => {
                let detail = "an upload whose SHA-256 is not the declared one is accepted: an upload is compared by size \
                              and type only";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if refuses(&error) => {
                self.found(NAME, Status::Ok, "an upload whose SHA-256 is not the declared one is refused");
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    async fn unsigned_header(&mut self) {
        const NAME: &str = "s3-unsigned-headers";
        match self.put("extra", BODY, BODY, Some(("x-amz-meta-zeroload-probe", "1"))).await {
            Ok(()) if self.gateway.has_own_ticket_keys() => {
                let detail = "a ticket's client may add x-amz headers: tickets are signed with keys of their own, which \
                              limit what that can do";
                self.found(NAME, Status::Degraded, detail);
            }
            Ok(()) => {
                let detail = "a ticket's client may add x-amz headers, such as one that copies any object the signer may \
                              read: set ticket keys that can only put objects under the prefix";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if refuses(&error) => {
                self.found(NAME, Status::Ok, "headers that the ticket does not sign are refused")
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    async fn conditional_delete(&mut self) {
        const NAME: &str = "s3-conditional-delete";
        if let Err(error) = self.put("kept", BODY, BODY, None).await {
            return self.not_found_out(NAME, &error);
        }
        let delete = self.gateway.client().delete_object().bucket(self.gateway.bucket().as_str());
        let delete = delete.key(self.key("kept")).if_match("\"00000000000000000000000000000000\"");
        match delete.send().await.as_ref().map_err(StorageError::from) {
            Ok(answer) => {
                if let Some(marker) = answer.version_id().filter(|id| *id != "null") {
                    self.written.push((self.key("kept"), Some(marker.to_owned())));
                }
                let detail =
                    "If-Match is ignored on deletes: nothing relies on it, the journal decides before a delete";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if refuses(&error) => self.found(NAME, Status::Ok, "a delete of a changed object is refused"),
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Deletes what the first ticket wrote, and looks whether it is gone.
    async fn delete(&mut self) {
        const NAME: &str = "s3-delete";
        let key = self.key("whole");
        // A second upload that was not refused is a second version.
        let written: Vec<_> = self.written.iter().filter(|(written, _)| *written == key).cloned().collect();
        let named = written.iter().map(|(key, version)| (key.as_str(), version.as_deref()));
        let answers = self.gateway.delete_page(named).await;
        let first = written.first().and_then(|(_, version)| version.as_deref());
        match answers.as_ref().map(|answers| answers.of(&key, first)) {
            Ok(Some(Deletion::Gone)) => {}
            Ok(Some(Deletion::Failed { code })) => {
                let right = if self.versioned { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
                // Of a key in a whole answer only the code is known.
                let advice = if code == "AccessDenied" { format!("; grant {right}") } else { String::new() };
                let detail = format!("a delete is refused ({code}): nothing can be collected{advice}");
                return self.found(NAME, Status::Failed, detail);
            }
            Ok(_) => return self.found(NAME, Status::Failed, "the answer to a delete does not name its key"),
            Err(error) => return self.found(NAME, Status::Failed, format!("a delete failed: {error}")),
        }
        match self.gateway.head_key(&key).await {
            Ok(None) => self.found(NAME, Status::Ok, "a deleted object is gone"),
            Ok(Some(_)) => self.found(NAME, Status::Failed, "an object is still there after its delete"),
            Err(_) if !self.can_list => self.found(NAME, Status::Ok, "a delete is accepted"),
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Best effort: what stays is found by a later probe.
    async fn clean_up(&mut self) {
        let mut left = std::mem::take(&mut self.written);
        if self.can_list {
            left.extend(self.left_behind().await);
        }
        if left.is_empty() {
            return;
        }
        let keys = left.iter().map(|(key, version)| (key.as_str(), version.as_deref()));
        if let Err(error) = self.gateway.delete_page(keys).await {
            tracing::warn!(%error, "objects of a probe were left behind");
        }
    }

    /// What probes that were killed have written; as far as it can be listed.
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
    async fn put(
        &mut self,
        name: &str,
        body: &'static [u8],
        declared: &[u8],
        extra: Option<(&'static str, &'static str)>,
    ) -> Result<(), StorageError> {
        let key = self.key(name);
        let ticket = self.sign(self.gateway.signer(), &key, Sha256Digest::of(declared)).await;
        let ticket = ticket.map_err(|error| StorageError::answer(error.to_string()))?;
        let outcome = put(self.gateway, ticket, body, extra).await;
        // Also after an error: a refused upload may have left its bytes behind.
        let version = outcome.as_ref().ok().cloned().flatten();
        if version.is_some() && !self.versioned {
            self.gateway.expect_versions(true);
            self.versions().await;
        }
        self.was_written(key, version);
        outcome.map(|_| ())
    }

    /// Or may have been.
    pub(super) fn was_written(&mut self, key: String, version: Option<String>) {
        // Where versions were kept once, what is written now is the version `null`.
        self.written.push((key, version.or_else(|| self.versioned.then(|| "null".to_owned()))));
    }

    /// A ticket for a body of five bytes.
    pub(super) async fn sign(&self, signer: &Signer, key: &str, sha256: Sha256Digest) -> Result<Upload, SignError> {
        let headers = required_headers(&media_type(), ByteSize::new(BODY.len() as u64), Some(sha256));
        let credentials = self.gateway.ticket_credentials_at(self.now).await?;
        signer.sign(&credentials, key, headers, self.now, self.now + TICKET_LIFE)
    }

    pub(super) fn key(&self, name: &str) -> String {
        let run = format!("{:x}-{:x}", self.now.timestamp_micros(), std::process::id());
        self.gateway.prefix().probe(&format!("{run}-{name}"))
    }
}

fn media_type() -> ContentType {
    ContentType::parse("text/plain").expect("a media type")
}

/// Whether the server has looked at the request and said no, rather than failed.
fn refuses(error: &StorageError) -> bool {
    error.status().is_some_and(|status| (400..500).contains(&status) && status != 429 && status != 408)
}
