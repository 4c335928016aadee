//! HEAD requests: what the bucket holds under a key, and how much of an answer counts.

use aws_sdk_s3::{
    error::SdkError,
    operation::{RequestId, head_object::HeadObjectOutput},
    types::ChecksumMode,
};
use chrono::{DateTime, Utc};
use zeroload_domain::{ByteSize, ETag, ObjectFacts, Seen, Sha256Digest, StoredType, UnsignedHeader, VersionId};

use super::{error::StorageError, gateway::Gateway, headers::KeptHeaders, location::Location, not_found::NotFoundLook};

/// An object that may be an item's upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub facts: ObjectFacts,
    /// A header that came with the bytes although no ticket signs it.
    pub unsigned: Option<UnsignedHeader>,
}

/// An object as the server describes it.
#[derive(Debug)]
pub(super) struct Described {
    pub facts: ObjectFacts,
    /// By the server's clock.
    pub last_modified: Option<DateTime<Utc>>,
    pub kept: KeptHeaders,
}

/// The answer to a HEAD.
#[derive(Debug)]
pub(super) enum Head {
    Found {
        object: Described,
        /// The answer has an `x-amz-request-id`.
        request_id: bool,
    },
    /// A 404, from the S3 server or from something in front of it.
    NotFound(NotFoundLook),
}

impl Gateway {
    /// What the bucket holds at a location: `None` is a proof that it holds nothing there now.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn head(&self, at: &Location<'_>) -> Result<Option<ObjectFacts>, StorageError> {
        self.require_served(at)?;
        self.head_key(at.object_key.as_str()).await
    }

    /// As [`Gateway::head`], with the headers that an upload must not bring along. Headers that the server adds by
    /// itself are known once the bucket's marker was read.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn look(&self, at: &Location<'_>) -> Result<Option<Sighting>, StorageError> {
        self.require_served(at)?;
        let found = self.asked(|| self.head_once(at.object_key.as_str(), None)).await?;
        Ok(found.map(|Described { facts, kept, .. }| Sighting { facts, unsigned: kept.unsigned(&self.own_headers()) }))
    }

    /// The facts about the object that a claim records.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known.
    pub async fn seen(&self, at: &Location<'_>) -> Result<Seen, StorageError> {
        self.require_served(at)?;
        let found = self.asked(|| self.head_once(at.object_key.as_str(), None)).await?;
        Ok(found.map_or(
            Seen::Absent,
            |Described { facts: ObjectFacts { etag, content_length, .. }, last_modified, .. }| Seen::Present {
                etag,
                content_length,
                last_modified,
            },
        ))
    }

    fn require_served(&self, at: &Location<'_>) -> Result<(), StorageError> {
        match self.serves(at) {
            true => Ok(()),
            false => Err(StorageError::OtherBucket { store: at.store.clone(), bucket: at.bucket.clone() }),
        }
    }

    pub(super) async fn head_key(&self, key: &str) -> Result<Option<ObjectFacts>, StorageError> {
        self.head_version(key, None).await
    }

    pub(super) async fn head_version(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectFacts>, StorageError> {
        Ok(self.asked(|| self.head_once(key, version)).await?.map(|object| object.facts))
    }

    pub(super) async fn head_once(&self, key: &str, version: Option<&str>) -> Result<Option<Described>, StorageError> {
        match self.ask_head(key, version).await? {
            Head::Found { object, request_id } => self.believed(object, request_id).map(Some),
            Head::NotFound(look) => self.after_not_found(key, version, look).await,
        }
    }

    /// The part of a HEAD's answer that counts on this server; an error if the answer cannot have come from this
    /// server.
    pub(super) fn believed(&self, object: Described, request_id: bool) -> Result<Described, StorageError> {
        if !request_id && self.manners().found_has_id() {
            let strange = "200 without x-amz-request-id".to_owned();
            let error = StorageError::answer(format!("a {strange} is not this server's: it may come from a proxy"));
            self.manners().note_strange_answer(strange);
            return Err(error);
        }
        Ok(match self.manners().repeats_checksums.is_set() {
            true => Described { facts: ObjectFacts { checksum_sha256: None, ..object.facts }, ..object },
            false => object,
        })
    }

    /// One HEAD, without a judgement whether the answer came from the S3 server.
    pub(super) async fn ask_head(&self, key: &str, version: Option<&str>) -> Result<Head, StorageError> {
        let asked = self.client().head_object().bucket(self.bucket().as_str()).key(key);
        let asked = asked.set_version_id(version.map(str::to_owned));
        // Boxed, since this future is large and part of every call that may send a HEAD.
        match Box::pin(asked.checksum_mode(ChecksumMode::Enabled).send()).await {
            Ok(found) => {
                let last_modified =
                    found.last_modified().and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos()));
                let object = Described { facts: facts(&found)?, last_modified, kept: KeptHeaders::of_head(&found) };
                Ok(Head::Found { object, request_id: found.request_id().is_some() })
            }
            Err(error) => {
                let raw = if let SdkError::ServiceError(refused) = &error { Some(refused.raw()) } else { None };
                let not_found = raw.and_then(NotFoundLook::of);
                not_found.map(Head::NotFound).ok_or_else(|| StorageError::from(&error))
            }
        }
    }
}

fn facts(found: &HeadObjectOutput) -> Result<ObjectFacts, StorageError> {
    let etag = found.e_tag().unwrap_or_default();
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    let length = found.content_length().and_then(|length| u64::try_from(length).ok());
    Ok(ObjectFacts {
        etag: ETag::parse(etag).map_err(|_| unusable("etag"))?,
        content_length: ByteSize::new(length.ok_or_else(|| unusable("content length"))?),
        // A text that is no media type is kept, too: it differs from any that a ticket has signed.
        content_type: found.content_type().filter(|text| !text.is_empty()).map(StoredType::of),
        // The SHA-256 of a multipart upload ends in `-N` and is not that of the bytes.
        checksum_sha256: found.checksum_sha256().and_then(|text| Sha256Digest::parse(text).ok()),
        version_id: found.version_id().filter(|id| *id != "null").and_then(|id| VersionId::parse(id).ok()),
    })
}

fn unusable(what: &str) -> StorageError {
    StorageError::answer(format!("storage describes the object without a usable {what}"))
}

#[cfg(test)]
mod tests;
