//! The trash of a bucket: a collected object leaves its key, is kept for a while, and can be restored.
//!
//! ```text
//! no versions, or suspended   copy to a key in the trash ─▶ compare ─▶ remove the item's own key
//! versions on                 a delete marker over the version that is kept, unless that one is of a time without
//! back                        copy to a new key ─▶ compare ─▶ remove what was kept (by the caller)
//! ```
//!
//! Every step first asks the bucket what is there, so each may be repeated, and no object is removed before its copy
//! was compared with it. The trash keeps the object that was seen at the claim: bytes that arrive later, between two
//! tries, do not take its place. The server makes the copy: no byte passes through this process (P-6).

use zeroload_domain::{
    ByteSize, Claim, ETag, ObjectFacts, ObjectKey, Seen, TrashLocation, TrashedObject, VersionId, media::Claimed,
};

use super::{
    connect::copy_config,
    error::StorageError,
    gateway::Gateway,
    location::Location,
    remove::{COPY_DIFFERS, Removal, TRASH_LOST, VERSIONS_LEFT},
    versioning::{Version, VersionKind},
};
use crate::outside::escaped;

/// Entries that one list has at most.
const LIST: usize = 1000;

/// The version id of an object that was written while no versions were kept.
const NULL: &str = "null";

/// What became of an object that was to go into the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trashing {
    /// The object is in the trash, and a HEAD of its own key finds nothing.
    Kept(TrashedObject),
    /// There was no object to keep, or the try has failed; says what is known of the item's own key.
    Removed(Removal),
}

/// What a try to put an object into the trash finds in the bucket.
enum Source {
    /// The object to copy, with its version where a HEAD of the key alone does not find that object.
    Object {
        version: Option<String>,
        facts: ObjectFacts,
    },
    /// The copy that an earlier try has made.
    Moved(ObjectFacts),
    Nothing,
    /// There are more delete markers than a list shows.
    BeyondTheList,
}

/// Why an object could not be restored this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRestored {
    Failed { code: &'static str },
    Unknown { why: StorageError },
}

impl From<StorageError> for NotRestored {
    fn from(why: StorageError) -> Self {
        Self::Unknown { why }
    }
}

fn failed(code: &str) -> Trashing {
    Trashing::Removed(Removal::Failed { code: code.to_owned() })
}

fn unknown(why: StorageError) -> Trashing {
    Trashing::Removed(Removal::Unknown { why })
}

impl Gateway {
    /// Puts the object of an item into the trash, under the claim that collects the item.
    pub async fn trash(&self, at: &Location<'_>, claimed: &Claimed) -> Trashing {
        if let Some(refusal) = self.refusal(at) {
            return Trashing::Removed(Removal::from(refusal));
        }
        let trash_key = at.object_key.in_trash(claimed.claim);
        let outcome = if self.adds_versions() {
            self.hide(at, &claimed.seen, &trash_key).await
        } else {
            self.move_away(at, &claimed.seen, &trash_key).await
        };
        outcome.unwrap_or_else(unknown)
    }

    /// Whether the trash still holds the object of an item.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn holds(&self, at: &Location<'_>, kept: &TrashedObject) -> Result<bool, StorageError> {
        if !self.serves(at) {
            return Err(StorageError::OtherBucket { store: at.store.clone(), bucket: at.bucket.clone() });
        }
        match &kept.place {
            TrashLocation::Copy { trash_key } => Ok(self.head_key(trash_key.as_str()).await?.is_some()),
            TrashLocation::Version { version_id } => {
                let versions = self.versions_of(at.object_key.as_str()).await?;
                Ok(versions.iter().any(|version| version.id == version_id.as_str()))
            }
        }
    }

    /// The copy or hidden version that a try to put an object into the trash has left, although another process had
    /// already collected the item. No event names this object.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn left_over(&self, at: &Location<'_>, claim: Claim) -> Result<Option<ObjectFacts>, StorageError> {
        if !self.serves(at) {
            return Err(StorageError::OtherBucket { store: at.store.clone(), bucket: at.bucket.clone() });
        }
        if let Some(copy) = self.head_key(at.object_key.in_trash(claim).as_str()).await? {
            return Ok(Some(copy));
        }
        if !self.expects_versions() {
            return Ok(None);
        }
        let versions = self.versions_of(at.object_key.as_str()).await?;
        let Some(hidden) = newest(&versions) else { return Ok(None) };
        self.head_version(at.object_key.as_str(), Some(&hidden.id)).await
    }

    /// Copies an item's object from the trash to a new key, and returns what is under that key then. The object in the
    /// trash stays.
    ///
    /// # Errors
    /// [`NotRestored`]; a repeat goes on from what the bucket holds by then.
    pub async fn bring_back(
        &self,
        at: &Location<'_>,
        kept: &TrashedObject,
        to: &ObjectKey,
    ) -> Result<ObjectFacts, NotRestored> {
        let (from, version) = match &kept.place {
            TrashLocation::Copy { trash_key } => (trash_key, None),
            TrashLocation::Version { version_id } => (at.object_key, Some(version_id.as_str())),
        };
        let there = self.head(&Location { object_key: to, ..*at }).await?;
        let source = self.head_version(from.as_str(), version).await?;
        let copy = match (&source, there) {
            (_, Some(copy)) => copy,
            (None, None) => return Err(NotRestored::Failed { code: TRASH_LOST }),
            (Some(source), None) => {
                let copied = self.copy(from.as_str(), version, &source.etag, to.as_str()).await;
                let copy = self.head_key(to.as_str()).await?;
                // Another process that restores the same item may have made the copy, and removed the source before
                // this copy began.
                if copy.is_none() {
                    copied?;
                }
                copy.ok_or_else(|| StorageError::answer("a copy that was made is not there"))?
            }
        };
        // Only restores write under this key, so it holds the copy or nothing. A changed ETag is no sign of another
        // object: a copy may change it (encryption, parts). The source may be missing because an earlier try has
        // removed it, after comparing it with the copy.
        let length = source.as_ref().map_or(kept.content_length, |source| source.content_length);
        let fits = copy.content_length == length && !source.is_some_and(|source| digests_differ(&source, &copy));
        // Two restores at once make a version each, and which of them ends up newest is not known here.
        if fits {
            Ok(ObjectFacts { version_id: None, ..copy })
        } else {
            Err(NotRestored::Failed { code: COPY_DIFFERS })
        }
    }

    /// Copies the object into the trash, unless an earlier try has, and removes everything under the item's own key.
    async fn move_away(&self, at: &Location<'_>, seen: &Seen, trash_key: &ObjectKey) -> Result<Trashing, StorageError> {
        let copied = match self.source(at, seen, trash_key).await? {
            Source::Object { version, facts } => {
                self.copy(at.object_key.as_str(), version.as_deref(), &facts.etag, trash_key.as_str()).await?;
                match self.head_key(trash_key.as_str()).await? {
                    Some(copy) if same(&facts, &copy) => Some(copy),
                    Some(_) => return Ok(failed(COPY_DIFFERS)),
                    None => return Err(StorageError::answer("a copy that was made is not there")),
                }
            }
            Source::Moved(copy) => Some(copy),
            Source::Nothing => None,
            Source::BeyondTheList => return Ok(failed(VERSIONS_LEFT)),
        };
        let kept = copied.map(|copy| TrashedObject {
            place: TrashLocation::Copy { trash_key: trash_key.clone() },
            etag: copy.etag,
            content_length: copy.content_length,
        });
        Ok(self.clear_away(at, kept).await)
    }

    /// Removes everything under the item's own key, once its object is in the trash as `kept` says.
    async fn clear_away(&self, at: &Location<'_>, kept: Option<TrashedObject>) -> Trashing {
        match (self.remove(std::slice::from_ref(at)).await.pop(), kept) {
            (Some(Removal::Gone { .. }), Some(kept)) => Trashing::Kept(kept),
            (Some(removal), _) => Trashing::Removed(removal),
            (None, _) => unknown(StorageError::answer("nothing is said of the key")),
        }
    }

    async fn source(&self, at: &Location<'_>, seen: &Seen, trash_key: &ObjectKey) -> Result<Source, StorageError> {
        let key = at.object_key.as_str();
        let own = match self.head(at).await? {
            Some(own) if is_claimed(seen, &own.etag, own.content_length) => {
                return Ok(Source::Object { version: None, facts: own });
            }
            other => other,
        };
        // The key holds no object, or another one than at the claim. An earlier try may have copied the claimed one and
        // died before that was recorded.
        if let Some(copy) = self.head_key(trash_key.as_str()).await?
            && (own.is_none() || is_claimed(seen, &copy.etag, copy.content_length))
        {
            return Ok(Source::Moved(copy));
        }
        // Or versions were kept then, and that try has hidden the object under a delete marker.
        let versions = if self.expects_versions() { self.versions_of(key).await? } else { Vec::new() };
        let hidden = match (claimed_version(seen, &versions), own) {
            (Some(claimed), _) => claimed,
            (None, Some(own)) => return Ok(Source::Object { version: None, facts: own }),
            (None, None) => match newest(&versions) {
                Some(newest) => newest,
                None if versions.len() >= LIST => return Ok(Source::BeyondTheList),
                None => return Ok(Source::Nothing),
            },
        };
        let facts = self.head_version(key, Some(&hidden.id)).await?;
        let facts = facts.ok_or_else(|| StorageError::answer("a version that was listed is not there"))?;
        Ok(Source::Object { version: Some(hidden.id.clone()), facts })
    }

    /// Puts a delete marker over all versions, and keeps the one that was claimed, or else the newest.
    async fn hide(&self, at: &Location<'_>, seen: &Seen, trash_key: &ObjectKey) -> Result<Trashing, StorageError> {
        let key = at.object_key.as_str();
        let versions = self.versions_of(key).await?;
        let (claimed, newest) = (claimed_version(seen, &versions), newest(&versions));
        // The object may be in the trash already, copied there at a time when no versions were kept.
        let moved = claimed.is_none() && self.head_key(trash_key.as_str()).await?.is_some();
        let kept = match claimed.or(newest) {
            // The version `null` cannot be relied on: should versioning be suspended, the next write replaces it.
            Some(kept) if kept.id != NULL && !moved => kept,
            None if versions.len() < LIST && !moved => return Ok(self.clear_away(at, None).await),
            _ => return self.move_away(at, seen, trash_key).await,
        };
        if !versions.iter().any(|version| version.is_latest && version.what == VersionKind::DeleteMarker) {
            self.asked(|| async {
                let marked = self.client().delete_object().bucket(self.bucket().as_str()).key(key).send().await;
                marked.map(drop).map_err(|error| StorageError::from(&error))
            })
            .await?;
        }
        if self.head(at).await?.is_some() {
            return Err(StorageError::answer("an object is seen under a delete marker: it was written meanwhile"));
        }
        Ok(Trashing::Kept(kept_version(kept)?))
    }

    pub(super) async fn copy(
        &self,
        from: &str,
        version: Option<&str>,
        etag: &ETag,
        to: &str,
    ) -> Result<(), StorageError> {
        let mut source = format!("{}/{from}", self.bucket());
        if let Some(version) = version {
            source = format!("{source}?versionId={}", escaped(version).collect::<String>());
        }
        self.asked(|| async {
            let asked = self.client().copy_object().bucket(self.bucket().as_str()).key(to);
            let asked = asked.copy_source(&source).copy_source_if_match(format!("\"{etag}\""));
            let answer = asked.customize().config_override(copy_config()).send().await;
            answer.map(drop).map_err(|error| StorageError::from(&error))
        })
        .await
    }
}

fn kept_version(version: &Version) -> Result<TrashedObject, StorageError> {
    let unusable = |_| StorageError::answer("a version is listed without a usable id or etag");
    let VersionKind::Object { bytes } = version.what else {
        return Err(StorageError::answer("a delete marker cannot be kept"));
    };
    Ok(TrashedObject {
        place: TrashLocation::Version { version_id: VersionId::parse(version.id.as_str()).map_err(unusable)? },
        etag: ETag::parse(version.etag.as_deref().unwrap_or_default()).map_err(unusable)?,
        content_length: ByteSize::new(bytes),
    })
}

/// Whether an object is the one that was seen before the claim.
fn is_claimed(seen: &Seen, etag: &ETag, length: ByteSize) -> bool {
    matches!(seen, Seen::Present { etag: claimed, content_length, .. } if claimed == etag && *content_length == length)
}

fn claimed_version<'a>(seen: &Seen, versions: &'a [Version]) -> Option<&'a Version> {
    versions.iter().find(|version| {
        let etag = version.etag.as_deref().and_then(|etag| ETag::parse(etag).ok());
        match (version.what, etag) {
            (VersionKind::Object { bytes }, Some(etag)) => is_claimed(seen, &etag, ByteSize::new(bytes)),
            _ => false,
        }
    })
}

fn newest(versions: &[Version]) -> Option<&Version> {
    versions.iter().find(|version| matches!(version.what, VersionKind::Object { .. }))
}

/// Whether both have the same length and the same ETag or SHA-256: a copy may change one of the two (encryption,
/// parts).
fn same(source: &ObjectFacts, copy: &ObjectFacts) -> bool {
    let digests = source.checksum_sha256.zip(copy.checksum_sha256);
    source.content_length == copy.content_length
        && (source.etag == copy.etag || digests.is_some_and(|(source, copy)| source == copy))
}

/// Whether both SHA-256 are known and differ.
fn digests_differ(source: &ObjectFacts, copy: &ObjectFacts) -> bool {
    source.checksum_sha256.zip(copy.checksum_sha256).is_some_and(|(source, copy)| source != copy)
}

#[cfg(test)]
mod tests;
