//! Deletes on a server without a usable `DeleteObjects`: one call for each key.
//!
//! The answer to a single delete has no body that names its key. A success counts if it has a request id; otherwise it
//! may come from a proxy that answers 200 to everything, and a HEAD afterwards shows whether the key is gone (P-7).

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::operation::RequestId;
use futures_util::{StreamExt, stream};

use super::{
    connect::delete_config,
    deletion::{Answers, DELETE_MARKER, Deletion, Named},
    error::{Fault, StorageError},
    gateway::Gateway,
};

/// Calls of a page under way at once; the rate limiter may allow fewer.
const AT_ONCE: usize = 16;

/// Whether a `DeleteObjects` was refused because the server has none.
pub(super) fn has_no_bulk_delete(why: &StorageError) -> bool {
    matches!(why.status(), Some(405 | 501)) || matches!(why.code(), Some("NotImplemented" | "MethodNotAllowed"))
}

/// Whether a `DeleteObjects` may have been refused because the server lacks it, and not for rights, load or the bucket:
/// then single deletes are worth a try.
pub(super) fn may_lack_bulk_delete(why: &StorageError) -> bool {
    has_no_bulk_delete(why) || matches!(why.status(), Some(400 | 411 | 415))
}

/// The failure for which the rest of a page is not tried.
#[derive(Default)]
struct Lost(Mutex<Option<StorageError>>);

impl Lost {
    fn why(&self) -> Option<StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, why: &StorageError) {
        if concerns_all(why) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.clone());
        }
    }
}

impl Gateway {
    /// Deletes with one call per key from now on, and logs that once.
    pub(super) fn delete_singly_from_now_on(&self, why: &StorageError) {
        if !self.manners().deletes_singly.set(true) {
            tracing::warn!(%why, "the server has no usable DeleteObjects: objects are deleted one by one");
        }
    }

    /// Sends one call for each key. After a call that fails for a reason of all keys, the others are not sent.
    pub(super) async fn delete_singly(&self, named: &[Named<'_>]) -> Answers {
        let (gateway, lost) = (self.clone(), Arc::new(Lost::default()));
        let delete = move |(key, version): (String, Option<String>)| {
            let (gateway, lost) = (gateway.clone(), Arc::clone(&lost));
            async move {
                let deletion = match lost.why() {
                    Some(why) => Err(why),
                    None => gateway.asked(|| gateway.delete_one(&key, version.as_deref())).await,
                };
                let deletion = deletion.unwrap_or_else(|why| {
                    lost.note(&why);
                    Deletion::Unknown { why }
                });
                (key, version, deletion)
            }
        };
        let owned: Vec<_> =
            named.iter().map(|(key, version)| ((*key).to_owned(), version.map(str::to_owned))).collect();
        let mut answers = Answers::default();
        let mut deleted = stream::iter(owned).map(delete).buffer_unordered(AT_ONCE);
        while let Some((key, version, deletion)) = deleted.next().await {
            answers.insert((&key, version.as_deref()), deletion);
        }
        answers
    }

    pub(super) async fn delete_one(&self, key: &str, version: Option<&str>) -> Result<Deletion, StorageError> {
        let asked = self.client().delete_object().bucket(self.bucket().as_str()).key(key);
        let asked = asked.set_version_id(version.map(str::to_owned));
        let answer = asked.customize().config_override(delete_config()).send().await;
        match answer.as_ref().map_err(StorageError::from) {
            // In the answer to a version's delete, `x-amz-delete-marker` says that the version was a delete marker.
            Ok(answer) if answer.delete_marker() == Some(true) && version.is_none() => {
                Ok(Deletion::failed(DELETE_MARKER))
            }
            // For a version no request id is needed: the list that follows shows whether the version is gone.
            Ok(answer) if answer.request_id().is_some() || version.is_some() => Ok(Deletion::Gone),
            Ok(_) => match self.head_once(key, None).await? {
                None => Ok(Deletion::Gone),
                Some(_) => Err(StorageError::answer("an object is still there after its delete")),
            },
            Err(why) => match why.code() {
                Some("NoSuchKey" | "NoSuchVersion") => Ok(Deletion::Gone),
                Some(code) if is_of_one_key(&why) => Ok(Deletion::failed(code)),
                _ => Err(why),
            },
        }
    }
}

/// Whether a refusal concerns this key alone, and will not pass by itself.
fn is_of_one_key(why: &StorageError) -> bool {
    matches!(why, StorageError::Unavailable { kind: Fault::Refused, status: Some(400 | 403 | 409 | 412), .. })
}

/// Whether the next key would fail for the same reason.
fn concerns_all(why: &StorageError) -> bool {
    let StorageError::Unavailable { kind, .. } = why else { return true };
    matches!(kind, Fault::Connection | Fault::Timeout | Fault::Throttled | Fault::Credentials)
}

#[cfg(test)]
mod tests;
