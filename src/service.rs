//! What a backend can ask for: the write path combined with looks at the bucket.
//!
//! Keeps P-6: bytes never pass here, only tickets for them and what a HEAD shows. A look happens before the command and
//! its result travels inside it, so a decision never waits for the network.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use zeroload_domain::{
    AttachedTo, ByteSize, Command, ContentType, FileName, Fingerprint, IdempotencyKey, Media, MediaId, ObjectFacts,
    ObjectKey, Owner, Refusal, SeenVia, Sha256Digest, Tenant, command::RequestMedia,
};

use crate::{
    bucket::BucketGuard,
    clock::{Clock, Ids},
    commands::{CommandError, Commands, Loaded, Origin},
    late_uploads::LateUploads,
    restore::{self, RestoreError},
    storage::{Gateway, Location, SignError, StorageError, TicketSpec, Upload},
};

/// What a backend says about the media it wants a ticket for.
#[derive(Clone, Debug)]
pub struct Wish {
    pub owner: Owner,
    pub content_type: ContentType,
    pub content_length: ByteSize,
    pub checksum_sha256: Option<Sha256Digest>,
    pub filename: Option<FileName>,
}

/// A media item, with a ticket where one can be used.
#[derive(Debug)]
pub struct Issued {
    pub loaded: Loaded,
    pub upload: Option<Upload>,
}

/// What became of an object that the bucket says was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// It is one of ours; what was there is recorded.
    Looked,
    NotOurs,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("storage is unavailable: {0}")]
    Storage(String),
    #[error("a ticket cannot be signed: {0}")]
    Sign(SignError),
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        Self::Command(refusal.into())
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
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
}

impl Service {
    pub fn new(
        commands: Commands,
        late_uploads: LateUploads,
        gateway: Gateway,
        guard: Arc<BucketGuard>,
        clock: Clock,
        ids: Ids,
    ) -> Self {
        Self { commands, late_uploads, gateway, guard, clock, ids }
    }

    /// Whether a ticket needs nothing but the journal at present: no look at the bucket, no new credentials.
    pub fn issues_at_once(&self) -> bool {
        self.guard.last().can_be_believed() && self.gateway.has_fresh_credentials(self.clock.now())
    }

    /// Issues a ticket for a new item, or repeats the one of `key`.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing is recorded unless the ticket could be handed out.
    pub async fn request(
        &self,
        tenant: &Tenant,
        wish: Wish,
        key: Option<&IdempotencyKey>,
        origin: &Origin,
    ) -> Result<Issued, ServiceError> {
        self.guard.may_issue().await.map_err(ServiceError::Storage)?;
        let now = self.clock.now();
        self.gateway.can_sign(now).await.map_err(ServiceError::Sign)?;
        let id = key.map_or_else(|| self.ids.new_id(now).into(), |key| MediaId::derived(tenant, key));
        let filename = wish.filename.clone();
        let command = Command::Request(self.to_request(tenant, id, wish, key));
        let loaded = match key {
            None => self.commands.execute_new(id, tenant, command, origin, now).await?,
            Some(_) => self.commands.execute(id, tenant, command, origin, now).await?,
        };
        self.with_ticket(loaded, filename, now).await
    }

    /// # Errors
    /// [`ServiceError`].
    pub async fn get(&self, id: MediaId, tenant: &Tenant) -> Result<Loaded, ServiceError> {
        Ok(self.commands.load(id, tenant).await?)
    }

    /// Somebody says that the upload is done: looks, and records what is there.
    ///
    /// # Errors
    /// [`Refusal::Gone`] for a collected item; bytes that arrived late are then claimed for collection (P-7).
    pub async fn uploaded(
        &self,
        id: MediaId,
        tenant: &Tenant,
        seen_via: SeenVia,
        origin: &Origin,
    ) -> Result<Loaded, ServiceError> {
        let loaded = self.commands.load(id, tenant).await?;
        let collected = match &loaded.media {
            Media::Released(..) | Media::Collecting(..) | Media::Restoring(..) => return Ok(loaded),
            // What arrives now goes with it, at the end of its time in the trash.
            Media::Trashed(..) => return Err(Refusal::Gone.into()),
            Media::Collected(_, claimed, _) => Some(claimed.claim),
            Media::Unrequested | Media::Pending(_) | Media::Uploaded(..) | Media::Confirmed(..) => None,
        };
        let Some(facts) = self.look(&loaded.media).await? else {
            // It may have been collected between the load and the look.
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
        if let Some(claim) = collected {
            self.late_uploads.claim(id, facts, claim, seen_via, origin, now).await?;
            return Err(Refusal::Gone.into());
        }
        let command = Command::RecordUpload { facts, seen_via, collected };
        Ok(self.commands.execute(id, tenant, command, origin, now).await?)
    }

    /// The bucket says that an object was written: a hint for which the same is done, if the object is one of ours.
    ///
    /// # Errors
    /// [`ServiceError`], but never a refusal: what is there is none of the sender's business, and a repeat would not
    /// change it.
    pub async fn notified(&self, bucket: &str, key: &ObjectKey, origin: &Origin) -> Result<Notified, ServiceError> {
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
        match self.uploaded(loaded.id, &request.tenant, SeenVia::Notification, origin).await {
            Err(ServiceError::Command(CommandError::Refused(refusal))) => {
                if matches!(refusal, Refusal::UploadMismatch { .. } | Refusal::ContentChanged { .. }) {
                    tracing::warn!(media.id = %loaded.id, %refusal, "the bucket holds an object that does not fit");
                }
                Ok(Notified::Looked)
            }
            other => other.map(|_| Notified::Looked),
        }
    }

    /// The backend's post is saved. Looks at the bucket only if the upload was never seen.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn confirm(
        &self,
        id: MediaId,
        tenant: &Tenant,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
    ) -> Result<Loaded, ServiceError> {
        match self.confirm_recorded(id, tenant, attached_to.clone(), origin).await? {
            Some(loaded) => Ok(loaded),
            None => self.confirm_found(id, tenant, attached_to, origin).await,
        }
    }

    /// As [`Service::confirm`], for an item whose upload was not seen: looks at the bucket, unless it has been by now.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn confirm_found(
        &self,
        id: MediaId,
        tenant: &Tenant,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
    ) -> Result<Loaded, ServiceError> {
        let loaded = self.commands.load(id, tenant).await?;
        // If it finds nothing, the item may have been collected between the load and the look: what is recorded by now
        // says whether there never was an object or there is none any more.
        let facts = match &loaded.media {
            media @ Media::Pending(_) => self.look(media).await?,
            _ => None,
        };
        let command = Command::Confirm { attached_to, facts };
        Ok(self.commands.execute(id, tenant, command, origin, self.clock.now()).await?)
    }

    /// As [`Service::confirm`], without a look at the bucket: nothing where the upload was never seen.
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
        let command = Command::Confirm { attached_to, facts: None };
        match self.commands.execute(id, tenant, command, origin, self.clock.now()).await {
            Err(CommandError::Refused(Refusal::NotUploaded)) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// # Errors
    /// [`ServiceError`].
    pub async fn renew(
        &self,
        id: MediaId,
        tenant: &Tenant,
        filename: Option<FileName>,
        origin: &Origin,
    ) -> Result<Issued, ServiceError> {
        self.guard.may_issue().await.map_err(ServiceError::Storage)?;
        let now = self.clock.now();
        self.gateway.can_sign(now).await.map_err(ServiceError::Sign)?;
        let loaded = self.commands.execute(id, tenant, Command::RenewTicket, origin, now).await?;
        self.with_ticket(loaded, filename, now).await
    }

    /// # Errors
    /// [`ServiceError`].
    pub async fn release(&self, id: MediaId, tenant: &Tenant, origin: &Origin) -> Result<Loaded, ServiceError> {
        Ok(self.commands.execute(id, tenant, Command::Release, origin, self.clock.now()).await?)
    }

    /// An operator brings an item back from the trash: it is in use again, under a new key.
    ///
    /// # Errors
    /// [`ServiceError`]; it may be on its way, and a repeat goes on.
    pub async fn restore(
        &self,
        id: MediaId,
        tenant: Option<&Tenant>,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
    ) -> Result<Loaded, ServiceError> {
        let status = self.guard.recent().await;
        if !status.can_be_believed() {
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

    fn to_request(&self, tenant: &Tenant, id: MediaId, wish: Wish, key: Option<&IdempotencyKey>) -> RequestMedia {
        let key = key.map_or_else(|| id.to_string(), |key| key.as_str().to_owned());
        let checksum = wish.checksum_sha256.map(|digest| digest.to_string()).unwrap_or_default();
        let fingerprint = Fingerprint::of(
            &key,
            &[
                wish.owner.as_str(),
                wish.content_type.as_str(),
                &wish.content_length.to_string(),
                &checksum,
                wish.filename.as_ref().map_or("", FileName::as_str),
            ],
        );
        RequestMedia {
            tenant: tenant.clone(),
            owner: wish.owner,
            store: self.gateway.store().clone(),
            bucket: self.gateway.bucket().clone(),
            object_key: ObjectKey::new(self.gateway.prefix(), tenant, id, &wish.content_type),
            content_type: wish.content_type,
            content_length: wish.content_length,
            checksum_sha256: wish.checksum_sha256,
            fingerprint,
        }
    }

    /// A ticket for a pending item whose permission to upload has not ended.
    async fn with_ticket(
        &self,
        loaded: Loaded,
        filename: Option<FileName>,
        now: DateTime<Utc>,
    ) -> Result<Issued, ServiceError> {
        let Media::Pending(ticketed) = &loaded.media else { return Ok(Issued { loaded, upload: None }) };
        let spec = TicketSpec::of(&ticketed.request, filename.as_ref());
        match self.gateway.sign_ticket(&spec, now, ticketed.deadlines.ticket_expires_at).await {
            Ok(upload) => Ok(Issued { loaded, upload: Some(upload) }),
            Err(SignError::Expired { .. }) => Ok(Issued { loaded, upload: None }),
            Err(error) => Err(ServiceError::Sign(error)),
        }
    }

    /// What the bucket holds. An answer counts only from the bucket that is this journal's.
    async fn look(&self, media: &Media) -> Result<Option<ObjectFacts>, ServiceError> {
        let Some(ticketed) = media.ticketed() else { return Err(Refusal::NotFound.into()) };
        let status = self.guard.recent().await;
        if !status.can_be_believed() {
            return Err(ServiceError::Storage(status.problem().unwrap_or_default()));
        }
        Ok(self.gateway.head(&Location::of(&ticketed.request)).await?)
    }
}
