//! The object that ties a bucket to its journal: `{prefix}/.zeroload` holds the journal's id, and the commit that the
//! journal had reached when it last collected.
//!
//! A missing key and a missing or wrong bucket look the same to HEAD, and deleting from the wrong bucket "succeeds". So
//! collection runs only where the marker names our own journal (P-1, P-7): with a restored or copied database, or a
//! setting that points elsewhere, collection stops instead.

use aws_sdk_s3::{operation::put_object::builders::PutObjectFluentBuilder, primitives::ByteStream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{error::StorageError, gateway::Gateway, headers::KeptHeaders, server_clock::ServerClock};
use crate::outside::json;

/// A marker is about 200 bytes long; more than this is somebody else's object.
const MAX_BYTES: usize = 4096;

const WHAT: &str = "the zeroload service with this journal keeps its media beside this object and deletes what is \
                    never confirmed; without this object it deletes nothing";

/// Why the bucket is not known to be ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    #[error("the bucket has no marker")]
    Missing,
    #[error("the bucket belongs to {}", found.map_or_else(|| "something else".to_owned(), |id| format!("journal {id}")))]
    OtherJournal {
        /// The journal that the marker names, if it names one.
        found: Option<Uuid>,
    },
    #[error("another process has written the bucket's marker meanwhile")]
    Moved,
    #[error(transparent)]
    Unavailable(#[from] StorageError),
}

/// A commit of the journal, as the marker names it. A journal that was restored from a backup or rewritten does not
/// hold this commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedCommit {
    pub commit_id: u64,
    /// The commit's last position.
    pub position: u64,
    /// The commit's hash, hex.
    pub hash: String,
}

/// A marker that names this journal, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The commit that the journal had reached when the marker was written, if the marker names one.
    pub anchor: Option<MarkedCommit>,
    etag: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    journal_id: Uuid,
    #[serde(default, deserialize_with = "json::optional_object", skip_serializing_if = "Option::is_none")]
    anchor: Option<MarkedCommit>,
    #[serde(default)]
    what: String,
}

impl Gateway {
    /// The bucket's marker, if it names this journal.
    ///
    /// # Errors
    /// [`MarkerError`]: nothing may be deleted.
    pub async fn check_marker(&self, journal_id: Uuid) -> Result<Marked, MarkerError> {
        let asked = self.client().get_object().bucket(self.bucket().as_str()).key(self.prefix().marker());
        let clock = ServerClock::default();
        let answer = asked.customize().interceptor(clock.clone()).send().await;
        self.note_server_date(clock.read());
        let answer = answer.map_err(|error| missing_or_unavailable(StorageError::from(&error)))?;
        let own_headers = KeptHeaders::of_get(&answer);
        let etag = answer.e_tag;
        let Some(body) = read(answer.body).await? else { return Err(MarkerError::OtherJournal { found: None }) };
        match json::parse::<Marker>(&body) {
            Ok(marker) if marker.journal_id == journal_id => {
                self.note_own_headers(own_headers);
                self.manners().note_marker_of(journal_id);
                Ok(Marked { anchor: marker.anchor, etag })
            }
            Ok(marker) => Err(MarkerError::OtherJournal { found: Some(marker.journal_id) }),
            Err(_) => Err(MarkerError::OtherJournal { found: None }),
        }
    }

    /// Writes the marker if there is none, and succeeds only if the bucket then names this journal. Of two journals
    /// that claim a bucket at once, one wins where the server honours `If-None-Match`; elsewhere the later write wins,
    /// and the other journal finds out with its next check.
    ///
    /// # Errors
    /// [`MarkerError`]: the bucket is not ours, or not known to be.
    pub async fn claim_marker(&self, journal_id: Uuid) -> Result<Marked, MarkerError> {
        match self.check_marker(journal_id).await {
            Err(MarkerError::Missing) => {}
            decided => return decided,
        }
        let mut written = self.put_marker(journal_id, None).if_none_match("*").send().await;
        if written.as_ref().is_err_and(|error| refuses_condition(&StorageError::from(error))) {
            written = self.put_marker(journal_id, None).send().await;
        }
        // The marker is read back whatever the answer was: after a lost answer to a successful PUT, the SDK's repeat is
        // refused.
        match (self.check_marker(journal_id).await, written) {
            (Err(MarkerError::Missing), Err(error)) => Err(MarkerError::Unavailable(StorageError::from(&error))),
            (decided, _) => decided,
        }
    }

    /// Replaces the marker `seen` by one with the journal's present commit, where the server knows `If-Match`;
    /// elsewhere replaces whatever marker is there by then.
    ///
    /// # Errors
    /// [`MarkerError::Moved`] or [`MarkerError::Missing`]: nothing was written, or the answer to the PUT was lost and
    /// its repeat was refused. [`MarkerError::OtherJournal`]: the marker names another journal by now. After any other
    /// error the marker is the old or the new one.
    pub async fn advance_marker(
        &self,
        journal_id: Uuid,
        seen: &Marked,
        anchor: Option<MarkedCommit>,
    ) -> Result<(), MarkerError> {
        if !self.put_over(journal_id, seen, &anchor).await? {
            let written = self.put_marker(journal_id, anchor).send().await;
            written.map_err(|error| StorageError::from(&error))?;
        }
        if self.expects_versions()
            && let Err(error) = self.remove_old_versions(&self.prefix().marker()).await
        {
            tracing::warn!(%error, "old versions of the bucket's marker were left behind");
        }
        Ok(())
    }

    /// Writes the marker on condition that it is still the one `seen`. False where the server cannot do that.
    async fn put_over(
        &self,
        journal_id: Uuid,
        seen: &Marked,
        anchor: &Option<MarkedCommit>,
    ) -> Result<bool, MarkerError> {
        let Some(etag) = &seen.etag else { return Ok(false) };
        // Ceph compares the header as it comes, and keeps ETags without quotes.
        for condition in [etag, etag.trim_matches('"')] {
            let written = self.put_marker(journal_id, anchor.clone()).if_match(condition).send().await;
            let Err(error) = written else { return Ok(true) };
            let error = StorageError::from(&error);
            match error.status() {
                Some(409 | 412) if self.check_marker(journal_id).await? != *seen => {
                    return Err(MarkerError::Moved);
                }
                // The marker is still the one seen, so the server refused only the form of the ETag.
                Some(412) => {}
                Some(404) => return Err(missing_or_unavailable(error)),
                _ if refuses_condition(&error) => return Ok(false),
                _ => return Err(MarkerError::Unavailable(error)),
            }
        }
        Ok(false)
    }

    fn put_marker(&self, journal_id: Uuid, anchor: Option<MarkedCommit>) -> PutObjectFluentBuilder {
        let marker = Marker { journal_id, anchor, what: WHAT.to_owned() };
        let body = serde_json::to_vec_pretty(&marker).expect("a marker is plain JSON");
        let put = self.client().put_object().bucket(self.bucket().as_str()).key(self.prefix().marker());
        put.content_type("application/json").body(ByteStream::from(body))
    }
}

/// Whether a conditional write was refused because the server does not understand its condition. Refusals with another
/// status have other reasons, and may pass.
pub(super) fn refuses_condition(error: &StorageError) -> bool {
    matches!(error.status(), Some(400 | 405 | 501))
}

/// Tells a missing marker from a missing bucket or a proxy's 404: these have another code in their body, or none.
fn missing_or_unavailable(error: StorageError) -> MarkerError {
    match error.code() {
        Some("NoSuchKey") if error.status() == Some(404) => MarkerError::Missing,
        _ => MarkerError::Unavailable(error),
    }
}

/// The body, or `None` if it is too long for a marker.
async fn read(mut stream: ByteStream) -> Result<Option<Vec<u8>>, StorageError> {
    let mut body = Vec::new();
    loop {
        match stream.try_next().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return Ok(Some(body)),
            Err(_) => return Err(StorageError::answer("the marker could not be read to its end")),
        }
        if body.len() > MAX_BYTES {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests;
