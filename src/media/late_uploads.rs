//! Bytes that arrived after their item had been collected: found, and claimed for collection once more.
//!
//! Keeps P-7. Whoever comes across such bytes (a notice, the bucket's notification, a re-check, a walk through the
//! bucket) comes through here: HEAD decides, and the claim goes the ordinary write path with the reason `late_upload`.
//! The collector finishes it like any other. The event's metadata say who found them.
//!
//! A claim cannot be taken back, so nothing is looked at unless the bucket is known to be this journal's.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use zeroload_domain::{Claim, Command, Media, MediaId, ObjectFacts, SeenVia};

use crate::{
    media::{
        Loaded, ServiceError,
        bucket::BucketGuard,
        commands::{CommandError, Commands, Origin},
    },
    metrics::Metrics,
    storage::{Gateway, Location, StorageError},
};

/// What a look at a collected item showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateCheck {
    /// The bucket holds nothing there: it is as the journal says.
    Gone,
    /// Bytes were there; they are claimed.
    Found,
    /// The item is not collected, or no longer: others deal with it.
    NotCollected,
}

/// Why it is not known, or not recorded, what became of a collected item.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Looks for late uploads. Cheap to clone.
#[derive(Clone)]
pub struct LateUploads {
    commands: Commands,
    gateway: Gateway,
    guard: Arc<BucketGuard>,
    metrics: Metrics,
}

impl LateUploads {
    pub fn new(commands: Commands, gateway: Gateway, guard: Arc<BucketGuard>, metrics: Metrics) -> Self {
        Self { commands, gateway, guard, metrics }
    }

    /// Looks at one item, whichever tenant it belongs to, if it is collected.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing is known then, and a repeat is safe.
    pub async fn check(
        &self,
        id: MediaId,
        seen_via: SeenVia,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<LateCheck, ServiceError> {
        let loaded = self.commands.load_internal(id).await?;
        let Media::Collected(ticketed, claimed, _) = &loaded.media else { return Ok(LateCheck::NotCollected) };
        let status = self.guard.recent().await;
        if let Some(problem) = status.problem() {
            return Err(ServiceError::Storage(problem));
        }
        let at = Location::of(&ticketed.request);
        self.look(id, &at, claimed.claim, seen_via, origin, now).await.map_err(|error| match error {
            LookError::Storage(error) => error.into(),
            LookError::Command(error) => error.into(),
        })
    }

    /// Looks where an item was that `collected` had collected before. The caller knows that the bucket is ours.
    ///
    /// # Errors
    /// [`LookError`]; nothing is known then, and a repeat is safe.
    pub async fn look(
        &self,
        id: MediaId,
        at: &Location<'_>,
        collected: Claim,
        seen_via: SeenVia,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<LateCheck, LookError> {
        let facts = match self.gateway.head(at).await? {
            None => self.left_over(at, collected).await?,
            seen => seen,
        };
        let Some(facts) = facts else { return Ok(LateCheck::Gone) };
        match self.claim(id, facts, collected, seen_via, origin, now).await {
            Ok(_) => Ok(LateCheck::Found),
            // Claimed and collected once more since: what was seen belongs to that claim.
            Err(CommandError::Refused(_)) => Ok(LateCheck::NotCollected),
            Err(error) => Err(error.into()),
        }
    }

    /// What the trash holds of an item that `collected` had collected, and whose key holds nothing: moved there by a process
    /// that did not know yet that others had collected the item, and that died before it could take it out again.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn left_over(&self, at: &Location<'_>, collected: Claim) -> Result<Option<ObjectFacts>, StorageError> {
        if !self.commands.keeps_trash() {
            return Ok(None);
        }
        self.gateway.left_over(at, collected).await
    }

    /// Claims bytes that were seen after `collected` had been collected. Where somebody else has done so already, this
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Commands::execute_internal`].
    pub async fn claim(
        &self,
        id: MediaId,
        facts: ObjectFacts,
        collected: Claim,
        seen_via: SeenVia,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        let size = facts.content_length;
        let command = Command::RecordUpload { facts, seen_via, collected: Some(collected) };
        let loaded = self.commands.execute_internal(id, command, origin, now).await?;
        tracing::warn!(
            media.id = %id, size_bytes = size.bytes(), found_by = seen_via.as_str(),
            "bytes arrived after the item had been collected; they are collected again"
        );
        self.metrics.late_upload(seen_via);
        Ok(loaded)
    }
}
