//! Tickets: for a new item, once more for an item that was requested before, and renewed.
//!
//! Before an item gets a ticket once more, a HEAD is sent for its object. A client whose upload arrived while the
//! answer was lost sends the bytes again, and the server refuses them with 412 since the object exists; another ticket
//! would lead to the next 412. So an object that is found is recorded, and the answer says so. A bucket that does not
//! answer soon changes nothing: tickets are issued while the bucket is away.

use std::time::Duration;

use chrono::{DateTime, Utc};
use zeroload_domain::{
    Command, FileName, Fingerprint, IdempotencyKey, Media, MediaId, ObjectKey, SeenVia, Tenant, command::RequestMedia,
};

use super::{Allowance, Issued, NewMedia, Service};
use crate::{
    media::{Loaded, ServiceError, commands::Origin},
    storage::{Location, SignError, TicketSpec},
};

/// How long a ticket waits at most for that HEAD; after this time the ticket is issued without it.
const LOOK: Duration = Duration::from_secs(2);

impl Service {
    /// Whether a ticket needs nothing but the journal at present: no check of the bucket, no new credentials.
    pub fn issues_at_once(&self) -> bool {
        self.guard.last().absence_is_proof() && self.gateway.has_fresh_credentials(self.clock.now())
    }

    /// Issues a ticket for a new item, or for the item that was requested with the same `key` before.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing is recorded unless the ticket could be handed out.
    pub async fn request(
        &self,
        tenant: &Tenant,
        wish: NewMedia,
        key: Option<&IdempotencyKey>,
        origin: &Origin,
    ) -> Result<Issued, ServiceError> {
        let allowance = self.allowance();
        self.may_issue(&allowance).await?;
        let (mut loaded, request, filename) = self.begin(tenant, wish, key).await?;
        if is_repeated(&loaded, &request) {
            loaded = self.with_what_is_there(loaded, tenant, origin, &allowance).await?;
        }
        self.issue(loaded, tenant, request, filename, origin).await
    }

    /// As [`Service::request`], without a HEAD: `None` for an item that was requested before and waits for its upload,
    /// and where [`Service::issues_at_once`] is false.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn request_at_once(
        &self,
        tenant: &Tenant,
        wish: NewMedia,
        key: Option<&IdempotencyKey>,
        origin: &Origin,
    ) -> Result<Option<Issued>, ServiceError> {
        if !self.issues_at_once() {
            return Ok(None);
        }
        let (loaded, request, filename) = self.begin(tenant, wish, key).await?;
        if is_repeated(&loaded, &request) {
            return Ok(None);
        }
        self.issue(loaded, tenant, request, filename, origin).await.map(Some)
    }

    /// A ticket once more for a pending item: the same one in the first half of its life, and later a new one.
    ///
    /// # Errors
    /// [`ServiceError`]; [`zeroload_domain::Refusal::AlreadyUploaded`] also if the HEAD finds the object.
    pub async fn renew(
        &self,
        id: MediaId,
        tenant: &Tenant,
        filename: Option<FileName>,
        origin: &Origin,
    ) -> Result<Issued, ServiceError> {
        let allowance = self.allowance();
        self.may_issue(&allowance).await?;
        let loaded = self.commands.load(id, tenant).await?;
        let loaded = self.with_what_is_there(loaded, tenant, origin, &allowance).await?;
        let now = self.clock.now();
        let loaded = self.commands.execute_on(loaded, tenant, Command::RenewTicket, origin, now).await?;
        self.with_ticket(loaded, filename, now).await
    }

    /// Checks that a ticket may be issued and can be signed, before the journal promises it.
    async fn may_issue(&self, allowance: &Allowance) -> Result<(), ServiceError> {
        if self.issues_at_once() {
            return Ok(());
        }
        let asked = async {
            self.guard.may_issue().await.map_err(ServiceError::Storage)?;
            self.gateway.can_sign(self.clock.now()).await.map_err(ServiceError::Sign)
        };
        allowance.within(Box::pin(asked)).await?
    }

    /// The item as the journal has it, and the request for it.
    async fn begin(
        &self,
        tenant: &Tenant,
        wish: NewMedia,
        key: Option<&IdempotencyKey>,
    ) -> Result<(Loaded, RequestMedia, Option<FileName>), ServiceError> {
        let id = key.map_or_else(|| self.ids.new_id(self.clock.now()).into(), |key| MediaId::derived(tenant, key));
        let loaded = match key {
            // An id that was just made can have no events.
            None => Loaded::unrequested(id),
            Some(_) => self.commands.load_internal(id).await?,
        };
        let filename = wish.filename.clone();
        Ok((loaded, self.to_request(tenant, id, wish, key), filename))
    }

    async fn issue(
        &self,
        loaded: Loaded,
        tenant: &Tenant,
        request: RequestMedia,
        filename: Option<FileName>,
        origin: &Origin,
    ) -> Result<Issued, ServiceError> {
        let now = self.clock.now();
        let loaded = self.commands.execute_on(loaded, tenant, Command::Request(request), origin, now).await?;
        self.with_ticket(loaded, filename, now).await
    }

    fn to_request(&self, tenant: &Tenant, id: MediaId, wish: NewMedia, key: Option<&IdempotencyKey>) -> RequestMedia {
        // Without a key there is no repeat to compare. The secret in its place keeps the file name from being guessed
        // by comparing fingerprints.
        let key = key.map_or_else(|| self.ids.secret(), |key| key.as_str().to_owned());
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

    /// The item after a HEAD, with its upload recorded if the object is there. An item whose bucket is not served here
    /// is refused before the HEAD, with nothing recorded: no ticket could be signed for it.
    async fn with_what_is_there(
        &self,
        loaded: Loaded,
        tenant: &Tenant,
        origin: &Origin,
        allowance: &Allowance,
    ) -> Result<Loaded, ServiceError> {
        let Media::Pending(ticketed) = &loaded.media else { return Ok(loaded) };
        let Location { store, bucket, .. } = Location::of(&ticketed.request);
        if !self.gateway.serves(&Location::of(&ticketed.request)) {
            return Err(ServiceError::Sign(SignError::OtherBucket { store: store.clone(), bucket: bucket.clone() }));
        }
        let short = Allowance::new(LOOK, &self.waits.sleeper);
        let looked = allowance.within(self.look(&loaded.media, &short)).await;
        let facts = match looked.and_then(|looked| looked) {
            Ok(Some(facts)) => facts,
            Ok(None) => return Ok(loaded),
            Err(ServiceError::Storage(why)) => {
                tracing::debug!(media.id = %loaded.id, why, "a ticket is issued without a HEAD of the object");
                // The check of the marker may have shown that the bucket is another journal's; a bucket that is away is
                // not asked again here.
                Box::pin(self.guard.may_issue()).await.map_err(ServiceError::Storage)?;
                return Ok(loaded);
            }
            Err(error) => return Err(error),
        };
        self.checksum_policy.check(&loaded.media, Some(&facts))?;
        let command = Command::RecordUpload { facts, seen_via: SeenVia::Notice, collected: None };
        Ok(self.commands.execute_on(loaded, tenant, command, origin, self.clock.now()).await?)
    }

    /// The item, with a ticket if it is pending and its permission to upload has not ended.
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
}

/// Whether the same request was made before, and its upload is not recorded yet.
fn is_repeated(loaded: &Loaded, request: &RequestMedia) -> bool {
    matches!(&loaded.media, Media::Pending(ticketed) if ticketed.request.fingerprint == request.fingerprint)
}
