//! Removes items for good: everything that the bucket keeps under their keys, with proof (P-7).
//!
//! ```text
//! abort     unfinished uploads of the keys       one list for all of them; nothing where the server has none
//! delete    the keys, in one call                where no versions are or were kept: done
//! versions  list each key ─▶ delete what is there by version id ─▶ list again, until a list shows nothing
//! ```
//!
//! The order matters: an aborted upload cannot be completed any more, so no object appears after the delete. Every step
//! may be repeated, also by another process at the same time: requests name only these keys.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, stream};
use zeroload_domain::{ByteSize, ObjectKey};

use super::{
    deletion::{DELETE_MARKER, Deletion},
    error::StorageError,
    gateway::Gateway,
    location::Location,
    multipart::{UPLOAD_DENIED, UPLOAD_LEFT},
    versioning::{Version, VersionKind},
};

/// A version is under retention (S3 Object Lock).
pub const RETAINED: &str = "retained";
/// A version is under a legal hold (S3 Object Lock).
pub const LEGAL_HOLD: &str = "legal-hold";
/// The delete of a version is denied for another reason, most likely a missing right.
pub const VERSION_DENIED: &str = "version-denied";
/// Versions of the key went on appearing.
pub const VERSIONS_LEFT: &str = "versions-left";
/// A copy differs from its source, or the server does not show that they are the same.
pub const COPY_DIFFERS: &str = "copy-differs";
/// The object in the trash is gone: somebody else has removed it.
pub const TRASH_LOST: &str = "trash-lost";

/// The bucket asked for fewer requests, and the item was left alone.
pub const SLOW_DOWN: &str = "slow-down";

/// Lists of versions, and HEADs of versions whose delete was denied, under way at once.
const LISTS: usize = 32;
/// Rounds of list and delete: a list shows at most a thousand versions, and late PUTs and others' delete markers may
/// come in between.
const ROUNDS: usize = 8;

/// What is known about one item after it was to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The bucket keeps nothing under the item's key.
    Gone {
        /// Bytes of the versions that were removed; absent if none was, or if the bucket keeps no versions.
        freed: Option<ByteSize>,
    },
    /// The server refused, or, with a code in small letters, this gateway.
    Failed { code: String },
    /// The object may be gone or not.
    Unknown { why: StorageError },
}

/// Codes of failures that last until an operator acts, so that an early repeat is no use.
pub const LASTING: [&str; 6] = [RETAINED, LEGAL_HOLD, VERSION_DENIED, COPY_DIFFERS, TRASH_LOST, UPLOAD_DENIED];

/// Whether a failure is one of [`LASTING`].
pub fn is_lasting(code: &str) -> bool {
    LASTING.contains(&code)
}

/// The meaning of one of this gateway's own codes, for people.
pub fn explain(code: &str) -> Option<&'static str> {
    Some(match code {
        RETAINED => "a version is under retention (Object Lock), and cannot be deleted before that has ended",
        LEGAL_HOLD => "a version is under a legal hold (Object Lock), which somebody has to lift",
        VERSION_DENIED => "the server denies the delete of a version; grant s3:DeleteObjectVersion",
        VERSIONS_LEFT => "versions or delete markers of its key went on appearing",
        UPLOAD_DENIED => "an unfinished multipart upload of its key may not be aborted; grant s3:AbortMultipartUpload",
        COPY_DIFFERS => {
            "its copy has another length or SHA-256, or nothing shows that it is the same; nothing was removed"
        }
        TRASH_LOST => "what the trash kept of it is gone: somebody else has removed it",
        SLOW_DOWN => "the bucket asked for fewer requests, and it was left alone",
        UPLOAD_LEFT => "parts of an unfinished multipart upload of its key went on arriving",
        _ => return None,
    })
}

impl Gateway {
    /// Removes everything that the bucket keeps of these items; one answer each, in the same order.
    pub async fn remove(&self, items: &[Location<'_>]) -> Vec<Removal> {
        let ours = items.iter().filter(|at| self.refusal(at).is_none()).map(|at| at.object_key.as_str());
        let ours: HashSet<&str> = ours.collect();
        let with_uploads = match self.abort_uploads(&ours).await {
            Ok(failed) => failed,
            Err(why) => return self.all_unknown(items, &why),
        };
        let ready = |at: &Location<'_>| !with_uploads.contains_key(at.object_key.as_str());
        let mut known: HashMap<ObjectKey, Removal> = HashMap::new();
        let mut versioned: Vec<ObjectKey> = Vec::new();
        if self.expects_versions() {
            let keys =
                items.iter().filter(|at| self.refusal(at).is_none() && ready(at)).map(|at| at.object_key.clone());
            versioned.extend(keys);
        } else {
            let open: Vec<Location<'_>> = items.iter().filter(|at| ready(at)).copied().collect();
            for (at, deletion) in open.iter().zip(self.delete(&open).await) {
                match deletion {
                    // Versioning was switched on a moment ago.
                    Deletion::Failed { code } if code == DELETE_MARKER => versioned.push(at.object_key.clone()),
                    other => drop(known.insert(at.object_key.clone(), Removal::from(other))),
                }
            }
        }
        versioned.sort_unstable();
        versioned.dedup();
        known.extend(self.remove_versions(versioned).await);
        let of = |at: &Location<'_>| {
            if let Some(refusal) = self.refusal(at) {
                return Removal::from(refusal);
            }
            let upload = with_uploads.get(at.object_key.as_str()).cloned().map(Removal::from);
            let answer = upload.or_else(|| known.get(at.object_key).cloned());
            answer.unwrap_or_else(|| Removal::Unknown { why: StorageError::answer("nothing is said of the key") })
        };
        items.iter().map(of).collect()
    }

    fn all_unknown(&self, items: &[Location<'_>], why: &StorageError) -> Vec<Removal> {
        let of = |at: &Location<'_>| self.refusal(at).unwrap_or_else(|| Deletion::Unknown { why: why.clone() });
        items.iter().map(|at| Removal::from(of(at))).collect()
    }

    async fn remove_versions(&self, mut open: Vec<ObjectKey>) -> HashMap<ObjectKey, Removal> {
        let mut ended: HashMap<ObjectKey, Removal> = HashMap::new();
        let mut freed: HashMap<ObjectKey, u64> = HashMap::new();
        for _ in 0..ROUNDS {
            let mut found: Vec<(ObjectKey, Version)> = Vec::new();
            for (key, versions) in self.list_each(open).await {
                match versions {
                    Ok(versions) if versions.is_empty() => {
                        let freed = freed.get(&key).copied().map(ByteSize::new);
                        ended.insert(key, Removal::Gone { freed });
                    }
                    Ok(versions) => found.extend(versions.into_iter().map(|version| (key.clone(), version))),
                    Err(why) => drop(ended.insert(key, Removal::Unknown { why })),
                }
            }
            let mut denied: HashMap<ObjectKey, String> = HashMap::new();
            let named: Vec<_> = found.iter().map(|(key, version)| (key.as_str(), Some(version.id.as_str()))).collect();
            let deleted = self.delete_all(&named).await;
            for (key, version) in &found {
                match (deleted.of(key.as_str(), Some(&version.id)), version.what) {
                    (Some(Deletion::Gone), VersionKind::Object { bytes }) => {
                        *freed.entry(key.clone()).or_default() += bytes;
                    }
                    (Some(Deletion::Failed { code }), _) if code == "AccessDenied" => {
                        denied.entry(key.clone()).or_insert_with(|| version.id.clone());
                    }
                    (Some(failed @ (Deletion::Failed { .. } | Deletion::Unknown { .. })), _) => {
                        ended.entry(key.clone()).or_insert_with(|| Removal::from(failed));
                    }
                    // A version that the answer does not name appears in the next list, if it is still there.
                    (Some(Deletion::Gone) | None, _) => {}
                }
            }
            drop(deleted);
            ended.extend(self.reasons(denied).await);
            open = found.into_iter().map(|(key, _)| key).filter(|key| !ended.contains_key(key)).collect();
            open.dedup();
            if open.is_empty() {
                return ended;
            }
        }
        ended.extend(open.into_iter().map(|key| (key, Removal::Failed { code: VERSIONS_LEFT.to_owned() })));
        ended
    }

    async fn list_each(&self, keys: Vec<ObjectKey>) -> Vec<(ObjectKey, Result<Vec<Version>, StorageError>)> {
        let gateway = self.clone();
        let list = move |key: ObjectKey| {
            let gateway = gateway.clone();
            async move {
                let versions = gateway.versions_of(key.as_str()).await;
                (key, versions)
            }
        };
        stream::iter(keys).map(list).buffered(LISTS).collect().await
    }

    /// Why a version of each of these keys may not be deleted.
    async fn reasons(&self, denied: HashMap<ObjectKey, String>) -> Vec<(ObjectKey, Removal)> {
        let gateway = self.clone();
        let look = move |(key, version): (ObjectKey, String)| {
            let gateway = gateway.clone();
            async move {
                let code = gateway.why_denied(key.as_str(), &version).await.to_owned();
                (key, Removal::Failed { code })
            }
        };
        stream::iter(denied).map(look).buffer_unordered(LISTS).collect().await
    }

    /// Which of the reasons that S3 calls `AccessDenied` applies to a version. Without the right to see locks, the
    /// reason is taken for a missing right.
    async fn why_denied(&self, key: &str, version: &str) -> &'static str {
        let looked = self.asked(|| async {
            let looked = self.client().head_object().bucket(self.bucket().as_str()).key(key).version_id(version);
            looked.send().await.map_err(|error| StorageError::from(&error))
        });
        match looked.await {
            Ok(found) if found.object_lock_legal_hold_status().is_some_and(|hold| hold.as_str() == "ON") => LEGAL_HOLD,
            Ok(found) if found.object_lock_mode().is_some() => RETAINED,
            Ok(_) | Err(_) => VERSION_DENIED,
        }
    }
}

impl From<Deletion> for Removal {
    fn from(deletion: Deletion) -> Self {
        match deletion {
            Deletion::Gone => Self::Gone { freed: None },
            Deletion::Failed { code } => Self::Failed { code },
            Deletion::Unknown { why } => Self::Unknown { why },
        }
    }
}

#[cfg(test)]
mod tests;
