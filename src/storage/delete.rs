//! Deletes by exact key, and what their answers prove.
//!
//! A key is gone only if a whole answer lists it as deleted or as unknown to the server (P-7). After any other answer
//! the key has failed, or nothing is known of it; a repeat is always safe, since a request names only the keys that
//! were handed in.

use std::collections::HashMap;

use aws_sdk_s3::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut},
    error::BoxError,
    operation::delete_objects::DeleteObjectsOutput,
    types::{Delete, ObjectIdentifier},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use zeroload_domain::ObjectKey;

use super::{
    connect::delete_config,
    delete_singly::has_no_bulk_delete,
    deletion::{Answers, DELETE_MARKER, Deletion, Named},
    error::{StorageError, clean_code},
    gateway::Gateway,
    location::Location,
    manners::Deletes,
    split::may_be_one_key,
    whole::WholeAnswer,
};

/// The key is not under our prefix; no request was sent.
pub const OUTSIDE_PREFIX: &str = "outside-prefix";
/// The item is in a bucket that is not served here; no request was sent.
pub const OTHER_BUCKET: &str = "other-bucket";

impl Gateway {
    /// Deletes objects; one answer each, in the same order. A thousand keys are one call, or several where the server
    /// wants smaller ones. After a call that failed for a reason of all keys, the rest is not tried.
    pub async fn delete(&self, items: &[Location<'_>]) -> Vec<Deletion> {
        let refusal = |at: &Location<'_>| self.refusal(at);
        let mut keys: Vec<&ObjectKey> =
            items.iter().filter(|at| refusal(at).is_none()).map(|at| at.object_key).collect();
        keys.sort_unstable();
        keys.dedup();

        let named: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
        let deleted = self.delete_all(&named).await;
        let unnamed = || StorageError::answer("the answer to the delete does not name the key");
        let of_key = |at: &Location<'_>| {
            let answer = deleted.of(at.object_key.as_str(), None);
            answer.unwrap_or_else(|| Deletion::Unknown { why: unnamed() })
        };
        items.iter().map(|at| refusal(at).unwrap_or_else(|| of_key(at))).collect()
    }

    /// Deletes objects under our prefix that belong to no item; one answer each, in the same order. Refuses where
    /// versions are kept: a delete would hide the object and free nothing.
    ///
    /// These keys may hold any characters. A key that `DeleteObjects` cannot carry is deleted by a call of its own.
    pub async fn delete_unowned(&self, keys: &[&str]) -> Vec<Deletion> {
        if self.expects_versions() {
            return keys.iter().map(|_| Deletion::failed(DELETE_MARKER)).collect();
        }
        let inside = |key: &str| key.strip_prefix(self.prefix().as_str()).is_some_and(|rest| rest.starts_with('/'));
        let mut asked: Vec<_> = keys.iter().filter(|key| inside(key)).map(|key| (*key, None)).collect();
        asked.sort_unstable();
        asked.dedup();
        let deleted = self.delete_all(&asked).await;
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            outcomes.push(match deleted.of(key, None) {
                _ if !inside(key) => Deletion::failed(OUTSIDE_PREFIX),
                Some(Deletion::Unknown { why }) if !may_be_one_key(&why) => Deletion::Unknown { why },
                Some(Deletion::Unknown { .. }) | None => self.delete_alone(key).await,
                Some(outcome) => outcome,
            });
        }
        outcomes
    }

    /// Deletes one key with `DeleteObject`, whose key is in the URL, where any character can be escaped.
    async fn delete_alone(&self, key: &str) -> Deletion {
        let deleted = self.asked(|| self.delete_one(key, None)).await;
        deleted.unwrap_or_else(|why| Deletion::Unknown { why })
    }

    /// Why this gateway may not delete at this location, if it may not.
    pub(super) fn refusal(&self, at: &Location<'_>) -> Option<Deletion> {
        let inside =
            at.object_key.as_str().strip_prefix(self.prefix().as_str()).is_some_and(|rest| rest.starts_with('/'));
        if !self.serves(at) {
            Some(Deletion::failed(OTHER_BUCKET))
        } else if !inside {
            Some(Deletion::failed(OUTSIDE_PREFIX))
        } else {
            None
        }
    }

    /// Deletes at most [`MAX_KEYS`](super::rate_limiter::MAX_KEYS) keys, each with the version to delete if one is
    /// named: with one call, or with one call per key where the server has no `DeleteObjects`.
    pub(super) async fn delete_page(&self, named: &[Named<'_>]) -> Result<Answers, StorageError> {
        if !self.manners().deletes_singly.is_set() {
            match self.asked(|| self.delete_in_bulk(named)).await {
                Err(why) if has_no_bulk_delete(&why) => self.delete_singly_from_now_on(&why),
                answers => return answers.inspect(|answers| self.note_deleted(answers, Deletes::Bulk)),
            }
        }
        let answers = self.delete_singly(named).await;
        self.note_deleted(&answers, Deletes::Single);
        Ok(answers)
    }

    fn note_deleted(&self, answers: &Answers, shown: Deletes) {
        if answers.0.values().any(|deletion| *deletion == Deletion::Gone) {
            self.manners().note_deleted(shown);
        }
    }

    pub(super) async fn delete_in_bulk(&self, named: &[Named<'_>]) -> Result<Answers, StorageError> {
        let objects = named.iter().map(|(key, version)| {
            ObjectIdentifier::builder()
                .key(*key)
                .set_version_id(version.map(str::to_owned))
                .build()
                .expect("the key is given")
        });
        // Not quiet: in quiet mode an answer names failures only, so a cut answer would look like success.
        let delete =
            Delete::builder().set_objects(Some(objects.collect())).quiet(false).build().expect("objects are given");
        let asked = self.client().delete_objects().bucket(self.bucket().as_str()).delete(delete);
        let asked = asked.customize().config_override(delete_config()).interceptor(WholeAnswer("DeleteResult>"));
        match asked.interceptor(ContentMd5).send().await {
            Ok(answer) => Ok(answers_of(answer)),
            Err(error) => Err(StorageError::from(&error)),
        }
    }
}

/// Adds the `Content-MD5` that S3 once demanded of `DeleteObjects`, and some servers still do, beside the SDK's CRC32.
#[derive(Debug)]
struct ContentMd5;

impl Intercept for ContentMd5 {
    fn name(&self) -> &'static str {
        "ContentMd5"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if let Some(body) = request.body().bytes() {
            let digest = STANDARD.encode(Md5::digest(body));
            request.headers_mut().try_insert("content-md5", digest)?;
        }
        Ok(())
    }
}

fn answers_of(answer: DeleteObjectsOutput) -> Answers {
    let mut named = HashMap::new();
    let version = |id: Option<String>| id.filter(|id| !id.is_empty());
    for deleted in answer.deleted.unwrap_or_default() {
        if let Some(key) = deleted.key {
            let version = version(deleted.version_id);
            let outcome = match deleted.delete_marker {
                // In the answer to a version's delete, `DeleteMarker` says that the version was a delete marker.
                Some(true) if version.is_none() => Deletion::failed(DELETE_MARKER),
                Some(_) | None => Deletion::Gone,
            };
            named.insert((key, version), outcome);
        }
    }
    // Errors come after the deleted keys: a key that is in both lists has failed.
    for error in answer.errors.unwrap_or_default() {
        if let Some(key) = error.key {
            let code = error.code.as_deref().and_then(clean_code).unwrap_or_else(|| "unreadable-code".to_owned());
            let gone = matches!(code.as_str(), "NoSuchKey" | "NoSuchVersion");
            let outcome = if gone { Deletion::Gone } else { Deletion::Failed { code } };
            named.insert((key, version(error.version_id)), outcome);
        }
    }
    Answers(named)
}

#[cfg(test)]
mod tests;
