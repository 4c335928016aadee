//! Finds bytes that arrived after their item had been collected, and claims them for collection once more.
//!
//! Keeps P-7. Whatever may find such bytes (a notice, the bucket's notification, a re-check, a walk through the bucket)
//! calls this module: HEAD decides, and the claim goes the ordinary write path with the reason `late_upload`. The
//! collector finishes that claim like any other. The event's metadata say who found the bytes.
//!
//! A claim cannot be taken back, so no item is checked unless the bucket's marker names this journal.

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

/// What the check of a collected item showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateCheck {
    /// The bucket holds no bytes of the item, as the journal says.
    Gone,
    /// Bytes were there; they are claimed.
    Found,
    /// The item is not collected, or was claimed again since: nothing was claimed here.
    NotCollected,
}

/// Why a collected item could not be checked, or its late bytes not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Checks collected items for late uploads. Cheap to clone.
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

    /// Checks one item, of whichever tenant, if it is collected.
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

    /// Sends a HEAD for an item that the claim `collected` had collected, and claims bytes that are there. The caller
    /// has checked that the bucket is ours.
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
            // The item was claimed again since: the bytes that were found belong to that claim.
            Err(CommandError::Refused(_)) => Ok(LateCheck::NotCollected),
            Err(error) => Err(error.into()),
        }
    }

    /// What the trash holds of an item that the claim `collected` had collected, and whose own key holds nothing: an
    /// object that was moved there by a process which did not know yet that another had collected the item, and which
    /// died before it could undo the move.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn left_over(&self, at: &Location<'_>, collected: Claim) -> Result<Option<ObjectFacts>, StorageError> {
        if !self.commands.keeps_trash() {
            return Ok(None);
        }
        self.gateway.left_over(at, collected).await
    }

    /// Claims bytes that were found after the claim `collected` had been finished. If the bytes are claimed already,
    /// this changes nothing.
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
