//! The calls of a backend: the write path combined with HEADs of the bucket.
//!
//! Keeps P-6: no media byte passes through here, only tickets and the answers to HEADs. A HEAD is sent before the
//! command and its answer travels inside the command, so a decision never waits for the network.

mod allowance;
mod checksums;
mod tickets;

use std::{sync::Arc, time::Duration};

use zeroload_clock::{Clock, Ids, Sleeper};
use zeroload_domain::{
    AttachedTo, ByteSize, Claim, Command, ContentType, FileName, Media, MediaId, ObjectFacts, ObjectKey, Owner,
    Refusal, SeenVia, Sha256Digest, Tenant,
};

pub use self::{allowance::Allowance, checksums::ChecksumPolicy};
use crate::{
    media::{
        Loaded, ServiceError,
        bucket::BucketGuard,
        commands::{CommandError, Commands, Origin},
        late_uploads::LateUploads,
        restore::{self, RestoreError},
    },
    storage::{Gateway, Location, Upload},
};

/// The media that a backend asks a ticket for.
#[derive(Clone, Debug)]
pub struct NewMedia {
    pub owner: Owner,
    pub content_type: ContentType,
    pub content_length: ByteSize,
    pub checksum_sha256: Option<Sha256Digest>,
    pub filename: Option<FileName>,
}

/// A media item, with a ticket if the item is pending and its permission to upload has not ended.
#[derive(Debug)]
pub struct Issued {
    pub loaded: Loaded,
    pub upload: Option<Upload>,
}

/// What a notification of the bucket led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// The key is an item's: the notification was treated like a notice for that item.
    LateCheck,
    NotOurs,
}

/// How long a call waits for the S3 server, and the sleeper that measures the time.
#[derive(Clone, Debug)]
pub struct Waits {
    /// For all requests of one call to the S3 server together.
    pub s3: Duration,
    pub sleeper: Sleeper,
}

/// The backend's calls. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    commands: Commands,
    late_uploads: LateUploads,
    gateway: Gateway,
    guard: Arc<BucketGuard>,
    clock: Clock,
    ids: Ids,
    waits: Waits,
    checksum_policy: ChecksumPolicy,
}

impl Service {
    pub fn new(
        commands: Commands,
        late_uploads: LateUploads,
        gateway: Gateway,
        guard: Arc<BucketGuard>,
        clock: Clock,
        ids: Ids,
        waits: Waits,
    ) -> Self {
        Self { commands, late_uploads, gateway, guard, clock, ids, waits, checksum_policy: ChecksumPolicy::Trust }
    }

    #[must_use]
    pub fn with_checksum_policy(self, checksum_policy: ChecksumPolicy) -> Self {
        Self { checksum_policy, ..self }
    }

    /// # Errors
    /// [`ServiceError`].
    pub async fn get(&self, id: MediaId, tenant: &Tenant) -> Result<Loaded, ServiceError> {
        Ok(self.commands.load(id, tenant).await?)
    }

    /// A notice that the upload is done: sends a HEAD, and records the object that is there.
    ///
    /// # Errors
    /// [`Refusal::Gone`] for an item that is collected or in the trash; late bytes of a collected item are claimed for
    /// collection (P-7).
    pub async fn uploaded(
        &self,
        id: MediaId,
        tenant: &Tenant,
        seen_via: SeenVia,
        origin: &Origin,
        allowance: &Allowance,
    ) -> Result<Loaded, ServiceError> {
        let loaded = self.commands.load(id, tenant).await?;
        let collected = match &loaded.media {
            Media::Released(..) | Media::Collecting(..) | Media::Restoring(..) => return Ok(loaded),
            // Bytes that arrive now are collected with the item, at the end of its time in the trash.
            Media::Trashed(..) => return Err(Refusal::Gone.into()),
            Media::Collected(_, claimed, _) => Some(claimed.claim),
            Media::Unrequested | Media::Pending(_) | Media::Uploaded(..) | Media::Confirmed(..) => None,
        };
        let seen = match (self.look(&loaded.media, allowance).await?, collected) {
            (None, Some(claim)) => self.left_over(&loaded.media, claim, allowance).await?,
            (seen, _) => seen,
        };
        let Some(facts) = seen else {
            // The item may have been collected between the load and the HEAD.
            let loaded = self.commands.load(id, tenant).await?;
            return match &loaded.media {
                Media::Released(..) | Media::Collecting(..) | Media::Restoring(..) => Ok(loaded),
                Media::Trashed(..) | Media::Collected(..) => Err(Refusal::Gone.into()),
                Media::Unrequested | Media::Pending(_) | Media::Uploaded(..) | Media::Confirmed(..) => {
                    Err(Refusal::NotUploaded.into())
                }
            };
        };
        let now = self.clock.now();
        if matches!(loaded.media, Media::Pending(_) | Media::Uploaded(..)) {
            self.checksum_policy.check(&loaded.media, Some(&facts))?;
        }
        if let Some(claim) = collected {
            self.late_uploads.claim(id, facts, claim, seen_via, origin, now).await?;
            return Err(Refusal::Gone.into());
        }
        let command = Command::RecordUpload { facts, seen_via, collected };
        Ok(self.commands.execute(id, tenant, command, origin, now).await?)
    }

    /// A notification of the bucket that an object was written. It is a hint: if the key is an item's, the same is done
    /// as for a notice, [`Service::uploaded`].
    ///
    /// # Errors
    /// [`ServiceError`], but never a refusal: a refusal tells of the object, which is none of the sender's business,
    /// and a repeat would be refused again.
    pub async fn notified(
        &self,
        bucket: &str,
        key: &ObjectKey,
        origin: &Origin,
        allowance: &Allowance,
    ) -> Result<Notified, ServiceError> {
        if bucket != self.gateway.bucket().as_str() || !key.is_in(self.gateway.prefix()) {
            return Ok(Notified::NotOurs);
        }
        let loaded = self.commands.load_internal(key.media_id()).await?;
        let request = match loaded.media.ticketed() {
            Some(ticketed) if ticketed.request.object_key == *key => &ticketed.request,
            _ => return Ok(Notified::NotOurs),
        };
        if !self.gateway.serves(&Location::of(request)) {
            return Ok(Notified::NotOurs);
        }
        match self.uploaded(loaded.id, &request.tenant, SeenVia::Notification, origin, allowance).await {
            Err(ServiceError::Command(CommandError::Refused(refusal))) => {
                if matches!(refusal, Refusal::UploadMismatch { .. } | Refusal::ContentChanged { .. }) {
                    tracing::warn!(media.id = %loaded.id, %refusal, "the bucket holds an object that does not fit");
                }
                Ok(Notified::LateCheck)
            }
            Err(error @ ServiceError::ChecksumUnverified) => {
                tracing::warn!(media.id = %loaded.id, %error, "an upload is not recorded");
                Ok(Notified::LateCheck)
            }
            other => other.map(|_| Notified::LateCheck),
        }
    }

    /// Confirms an item: the backend's post is saved. Sends a HEAD only if no upload was recorded.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn confirm(
        &self,
        id: MediaId,
        tenant: &Tenant,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
        allowance: &Allowance,
    ) -> Result<Loaded, ServiceError> {
        match self.confirm_recorded(id, tenant, attached_to.clone(), origin).await? {
            Some(loaded) => Ok(loaded),
            None => self.confirm_found(id, tenant, attached_to, origin, allowance).await,
        }
    }

    /// As [`Service::confirm`], for an item without a recorded upload: sends a HEAD, unless the upload was recorded
    /// meanwhile.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn confirm_found(
        &self,
        id: MediaId,
        tenant: &Tenant,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
        allowance: &Allowance,
    ) -> Result<Loaded, ServiceError> {
        let loaded = self.commands.load(id, tenant).await?;
        // If the HEAD finds nothing, the item may have been collected between the load and the HEAD: the command is
        // decided on the newest stream, which tells whether there never was an object or there is none any more.
        let facts = match &loaded.media {
            media @ Media::Pending(_) => self.look(media, allowance).await?,
            _ => None,
        };
        self.checksum_policy.check(&loaded.media, facts.as_ref())?;
        let command = Command::Confirm { attached_to, facts };
        Ok(self.commands.execute(id, tenant, command, origin, self.clock.now()).await?)
    }

    /// As [`Service::confirm`], without a HEAD: `None` if no upload was recorded.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn confirm_recorded(
        &self,
        id: MediaId,
        tenant: &Tenant,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
    ) -> Result<Option<Loaded>, ServiceError> {
        if self.checksum_policy == ChecksumPolicy::Require {
            // An upload that was recorded under another policy may lack its checksum.
            self.checksum_policy.check(&self.commands.load(id, tenant).await?.media, None)?;
        }
        let command = Command::Confirm { attached_to, facts: None };
        match self.commands.execute(id, tenant, command, origin, self.clock.now()).await {
            Err(CommandError::Refused(Refusal::NotUploaded)) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// # Errors
    /// [`ServiceError`].
    pub async fn release(&self, id: MediaId, tenant: &Tenant, origin: &Origin) -> Result<Loaded, ServiceError> {
        Ok(self.commands.execute(id, tenant, Command::Release, origin, self.clock.now()).await?)
    }

    /// Brings an item back from the trash, for an operator: the item is in use again, under a new key.
    ///
    /// # Errors
    /// [`ServiceError`]; the restore may have begun, and a repeat goes on with it.
    pub async fn restore(
        &self,
        id: MediaId,
        tenant: Option<&Tenant>,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
    ) -> Result<Loaded, ServiceError> {
        // The allowance covers the check of the marker alone: the copies that follow may take longer.
        let status = self.allowance().within(self.guard.recent()).await?;
        if !status.absence_is_proof() {
            return Err(ServiceError::Storage(status.problem().unwrap_or_default()));
        }
        let now = self.clock.now();
        let restored = restore::restore(&self.commands, &self.gateway, (id, tenant), attached_to, origin, now).await;
        restored.map_err(|error| match error {
            RestoreError::Command(error) => error.into(),
            RestoreError::Storage(error) => error.into(),
            error @ RestoreError::Failed { .. } => ServiceError::Storage(error.to_string()),
        })
    }

    /// The time that all requests of one call to the S3 server share.
    pub fn allowance(&self) -> Allowance {
        Allowance::new(self.waits.s3, &self.waits.sleeper)
    }

    /// Sends a HEAD for the item's object. The answer counts only if the bucket's marker names this journal.
    ///
    /// # Errors
    /// [`ServiceError::Storage`]: it is not known whether there is an object. [`Refusal::UploadMismatch`]: the object
    /// has a header that no ticket signs.
    async fn look(&self, media: &Media, allowance: &Allowance) -> Result<Option<ObjectFacts>, ServiceError> {
        let Some(ticketed) = media.ticketed() else { return Err(Refusal::NotFound.into()) };
        let at = Location::of(&ticketed.request);
        let looked = async {
            let status = self.guard.recent().await;
            if !status.absence_is_proof() {
                return Err(ServiceError::Storage(status.problem().unwrap_or_default()));
            }
            Ok(self.gateway.look(&at).await?)
        };
        // Boxed: the future is large, and would be part of every call that may send a HEAD.
        let Some(sighting) = allowance.within(Box::pin(looked)).await?? else { return Ok(None) };
        media.admits(sighting.unsigned.as_ref())?;
        Ok(Some(sighting.facts))
    }

    /// What the trash still holds of a collected item, after a HEAD has found nothing under the item's own key.
    ///
    /// # Errors
    /// [`ServiceError::Storage`]: it is not known whether the trash holds anything.
    async fn left_over(
        &self,
        media: &Media,
        collected: Claim,
        allowance: &Allowance,
    ) -> Result<Option<ObjectFacts>, ServiceError> {
        let Some(ticketed) = media.ticketed() else { return Ok(None) };
        let at = Location::of(&ticketed.request);
        Ok(allowance.within(Box::pin(self.late_uploads.left_over(&at, collected))).await??)
    }
}
