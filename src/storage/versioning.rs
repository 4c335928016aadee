//! Buckets that keep versions, or once did. There a plain delete hides the object behind a delete marker and frees
//! nothing, so all versions of a key are listed and deleted by their version ids (P-7).

use aws_sdk_s3::types::{BucketVersioningStatus, MfaDeleteStatus};

use super::{
    error::{Fault, StorageError},
    gateway::Gateway,
    settings::KeepsVersions,
    whole::{RootElement, WholeAnswer},
};

/// The root element of the answer to `GetBucketVersioning`.
const ROOT: &str = "VersioningConfiguration";

/// What a bucket does with versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// The bucket keeps no versions and never did.
    Never,
    /// The bucket kept versions until versioning was suspended: old versions are still there, and a delete can remove
    /// the newest.
    Suspended,
    /// The bucket keeps versions.
    Kept,
    /// As `Kept`, and the delete of a version needs a second factor (MFA), which a service cannot give.
    NeedsMfa,
}

/// One version of a key, or one delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub key: String,
    /// `null` for an object that was written while no versions were kept.
    pub id: String,
    pub what: VersionKind,
    /// Without quotes; a delete marker has no ETag.
    pub etag: Option<String>,
    pub is_latest: bool,
    /// Seconds since 1970.
    pub last_modified: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VersionKind {
    Object { bytes: u64 },
    DeleteMarker,
}

impl Gateway {
    /// Whether versions are kept, or were kept before versioning was suspended. The gateway remembers the answer for
    /// later deletes.
    ///
    /// # Errors
    /// [`StorageError`] when the server does not say.
    pub async fn versioning(&self) -> Result<Versioning, StorageError> {
        let versioning = match self.keeps_versions() {
            KeepsVersions::AsAsked => self.ask_versioning().await?,
            KeepsVersions::Never => Versioning::Never,
            // `Suspended` works whether or not versions are still kept: the trash then gets a copy rather than a delete
            // marker.
            KeepsVersions::Always => Versioning::Suspended,
        };
        self.expect_versions(versioning != Versioning::Never);
        self.expect_new_versions(versioning == Versioning::Kept);
        Ok(versioning)
    }

    async fn ask_versioning(&self) -> Result<Versioning, StorageError> {
        let root = RootElement::default();
        let asked = self.client().get_bucket_versioning().bucket(self.bucket().as_str());
        let answer = asked.customize().interceptor(root.clone()).send().await;
        // A server that does not know `GetBucketVersioning` may answer another request instead, such as a list.
        if let Some(name) = root.name().filter(|name| *name != ROOT) {
            let came = if name.is_empty() { "something that is no XML".to_owned() } else { format!("<{name}>") };
            return Err(StorageError::answer(format!(
                "GetBucketVersioning was answered with {came} instead of <{ROOT}>"
            )));
        }
        match answer.map_err(|error| StorageError::from(&error)) {
            // A server without versions need not know `GetBucketVersioning`.
            Err(error) if error.code() == Some("NotImplemented") || matches!(error.status(), Some(405 | 501)) => {
                Ok(Versioning::Never)
            }
            Err(error) => Err(error),
            Ok(answer) => Ok(match (answer.status(), answer.mfa_delete()) {
                (
                    Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended),
                    Some(MfaDeleteStatus::Enabled),
                ) => Versioning::NeedsMfa,
                (Some(BucketVersioningStatus::Enabled), _) => Versioning::Kept,
                (Some(BucketVersioningStatus::Suspended), _) => Versioning::Suspended,
                (None, _) => Versioning::Never,
                (Some(other), _) if matches!(other.as_str(), "" | "Disabled") => Versioning::Never,
                (Some(other), _) => {
                    let other: String = other.as_str().chars().take(32).collect();
                    return Err(StorageError::answer(format!(
                        "the bucket's versioning is {other:?}, which S3 has not"
                    )));
                }
            }),
        }
    }

    /// Whether versions can be listed, without which none can be removed.
    ///
    /// # Errors
    /// [`StorageError`]: they cannot, so nothing can be collected.
    pub async fn can_list_versions(&self) -> Result<(), StorageError> {
        self.versions_of(&self.prefix().marker()).await.map(drop)
    }

    /// The versions and delete markers of exactly this key. At most a thousand: a list has no more entries, and once
    /// these are deleted the next list shows the rest. An empty answer means that there are none.
    pub(super) async fn versions_of(&self, key: &str) -> Result<Vec<Version>, StorageError> {
        let mut after = (None, None);
        loop {
            let page = self.asked(|| self.list_versions(key, after.clone())).await?;
            // The list shows all keys that begin with this key; the key itself comes first.
            let found: Vec<Version> = page.versions.into_iter().filter(|version| version.key == key).collect();
            if !found.is_empty() {
                return Ok(found);
            }
            match page.next {
                Some((next, version)) if next.as_str() <= key => after = (Some(next), version),
                Some(_) | None => return Ok(found),
            }
        }
    }

    /// One page of the versions and delete markers under `prefix`.
    pub(super) async fn list_versions(
        &self,
        prefix: &str,
        (key, version): (Option<String>, Option<String>),
    ) -> Result<Page, StorageError> {
        let asked = self.client().list_object_versions().bucket(self.bucket().as_str()).prefix(prefix);
        let asked = asked.set_key_marker(key.clone()).set_version_id_marker(version.clone());
        let answer = asked.customize().interceptor(WholeAnswer("ListVersionsResult>")).send().await;
        let answer = answer.map_err(|error| StorageError::from(&error))?;
        let unnamed = || StorageError::answer("the list of versions has an entry without key or version");
        let mut versions = Vec::new();
        for found in answer.versions.unwrap_or_default() {
            versions.push(Version {
                key: found.key.ok_or_else(unnamed)?,
                id: found.version_id.filter(|id| !id.is_empty()).ok_or_else(unnamed)?,
                what: VersionKind::Object {
                    bytes: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                },
                etag: found.e_tag.map(|etag| etag.trim_matches('"').to_owned()),
                is_latest: found.is_latest.unwrap_or_default(),
                last_modified: found.last_modified.map(|at| at.secs()),
            });
        }
        for found in answer.delete_markers.unwrap_or_default() {
            versions.push(Version {
                key: found.key.ok_or_else(unnamed)?,
                id: found.version_id.filter(|id| !id.is_empty()).ok_or_else(unnamed)?,
                what: VersionKind::DeleteMarker,
                etag: None,
                is_latest: found.is_latest.unwrap_or_default(),
                last_modified: found.last_modified.map(|at| at.secs()),
            });
        }
        let next = match (answer.is_truncated, answer.next_key_marker) {
            (Some(false), _) => None,
            (Some(true), Some(next)) if (Some(&next), &answer.next_version_id_marker) != (key.as_ref(), &version) => {
                Some((next, answer.next_version_id_marker))
            }
            _ => return Err(StorageError::answer("the list of versions does not say how it goes on")),
        };
        Ok(Page { versions, next })
    }

    /// Removes all but the newest version of a key: old versions of an object that is rewritten often, such as the
    /// marker, would pile up.
    pub(super) async fn remove_old_versions(&self, key: &str) -> Result<(), StorageError> {
        let versions = self.versions_of(key).await?;
        let old = versions.iter().filter(|version| !version.is_latest).map(|version| (key, Some(version.id.as_str())));
        let old: Vec<_> = old.collect();
        if old.is_empty() { Ok(()) } else { self.delete_page(&old).await.map(drop) }
    }
}

/// What an operator can do where [`Gateway::versioning`] has failed, as the end of a sentence; empty where the failure
/// has nothing to do with versions.
pub fn versioning_advice(error: &StorageError) -> String {
    const TELL: &str = "set s3_versioning to off if the bucket never kept versions, else to on";
    let grant = error.advice("s3:GetBucketVersioning");
    match error {
        _ if !grant.is_empty() => format!("{grant}, or {TELL}"),
        // A refusal because of access keys or clocks concerns every request, not this one alone.
        StorageError::Unavailable { kind: Fault::Refused, status: Some(401 | 403), .. } => String::new(),
        StorageError::Unavailable { kind: Fault::Refused | Fault::Answer, .. } => format!("; {TELL}"),
        StorageError::Unavailable { .. } | StorageError::OtherBucket { .. } => "; the bucket is asked again".to_owned(),
    }
}

/// A page of a list, and where the next page begins.
pub(super) struct Page {
    pub versions: Vec<Version>,
    pub next: Option<(String, Option<String>)>,
}
