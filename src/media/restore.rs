//! Brings an item back from the trash, under a new key.
//!
//! ```text
//! RestoreStarted ─▶ copy to the new key, compare ─▶ remove what was kept ─▶ Restored
//! ```
//!
//! The first event decides the race with the collector: from then on the item cannot be claimed (P-1). A crash leaves
//! an item that is being restored; a repeat, or the collector's next run, checks which objects are there and goes on
//! (P-8). The new key is in the journal before an object is written under it, and no delete that is under way can name
//! that key.

use chrono::{DateTime, Utc};
use zeroload_domain::{AttachedTo, Command, Media, MediaId, Refusal, Tenant, TrashLocation};

use crate::{
    media::{
        Loaded,
        commands::{CommandError, Commands, Origin},
    },
    storage::{Gateway, Location, NotRestored, Removal, StorageError, remove},
};

/// Why an item is not restored. The restore may have begun; a repeat is safe.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("storage is unavailable: {0}")]
    Storage(#[from] StorageError),
    #[error("it cannot be restored ({code}): {}", remove::explain(code).unwrap_or("storage refuses"))]
    Failed { code: String },
}

impl RestoreError {
    /// The code of the error.
    pub fn code(&self) -> String {
        match self {
            Self::Command(CommandError::Refused(refusal)) => refusal.code().to_owned(),
            Self::Command(_) => "not-recorded".to_owned(),
            Self::Storage(error) => error.reason().to_owned(),
            Self::Failed { code } => code.clone(),
        }
    }
}

/// Restores an item of `tenant`, or of any tenant if none is named.
///
/// # Errors
/// [`RestoreError`]; [`Refusal::Gone`] also if the trash no longer holds the item's object.
pub async fn restore(
    commands: &Commands,
    gateway: &Gateway,
    (id, tenant): (MediaId, Option<&Tenant>),
    attached_to: Option<AttachedTo>,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<Loaded, RestoreError> {
    let loaded = commands.load_of(id, tenant).await?;
    if let Media::Trashed(ticketed, _, kept) = &loaded.media
        && !gateway.holds(&Location::of(&ticketed.request), kept).await?
    {
        return Err(CommandError::Refused(Refusal::Gone).into());
    }
    let command = Command::Restore { attached_to };
    let loaded = commands.execute_of(id, tenant, command, origin, now).await?;
    finish(commands, gateway, loaded, origin, now).await
}

/// Goes on with a restore that was begun.
///
/// # Errors
/// [`RestoreError`].
pub async fn resume(
    commands: &Commands,
    gateway: &Gateway,
    id: MediaId,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<Loaded, RestoreError> {
    let loaded = commands.load_of(id, None).await?;
    finish(commands, gateway, loaded, origin, now).await
}

/// A call and the collector may finish the same restore: an object that one of them has copied and removed, the other
/// no longer finds. So an error counts only if the item is still being restored.
async fn finish(
    commands: &Commands,
    gateway: &Gateway,
    loaded: Loaded,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<Loaded, RestoreError> {
    let id = loaded.id;
    match try_to_finish(commands, gateway, loaded, origin, now).await {
        Ok(restored) => Ok(restored),
        Err(error) => match commands.load_of(id, None).await {
            Ok(loaded) if !matches!(loaded.media, Media::Restoring(..)) => Ok(loaded),
            Ok(_) | Err(_) => Err(error),
        },
    }
}

async fn try_to_finish(
    commands: &Commands,
    gateway: &Gateway,
    loaded: Loaded,
    origin: &Origin,
    now: DateTime<Utc>,
) -> Result<Loaded, RestoreError> {
    let Media::Restoring(ticketed, kept, restoration) = &loaded.media else { return Ok(loaded) };
    let own = Location::of(&ticketed.request);
    let facts = gateway.bring_back(&own, kept, &restoration.object_key).await.map_err(|error| match error {
        NotRestored::Failed { code } => RestoreError::Failed { code: code.to_owned() },
        NotRestored::Unknown { why } => RestoreError::Storage(why),
    })?;
    let mut remains = vec![own];
    if let TrashLocation::Copy { trash_key } = &kept.place {
        remains.push(Location { object_key: trash_key, ..own });
    }
    for removal in gateway.remove(&remains).await {
        match removal {
            Removal::Gone { .. } => {}
            // The item has its new object: an old one that is locked must not keep the item from being used.
            Removal::Failed { code } if remove::is_lasting(&code) => {
                tracing::warn!(media.id = %loaded.id, code, "an old object of a restored item cannot be removed");
            }
            Removal::Failed { code } => return Err(RestoreError::Failed { code }),
            Removal::Unknown { why } => return Err(why.into()),
        }
    }
    Ok(commands.execute_of(loaded.id, None, Command::FinishRestore { facts }, origin, now).await?)
}
