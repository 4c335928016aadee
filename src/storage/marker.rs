//! The object that ties a bucket to its journal: `{prefix}/.zeroload` holds the journal's id, and how far that journal
//! was when it last collected.
//!
//! A missing key and a missing or wrong bucket look the same to HEAD, and deleting from the wrong bucket "succeeds". So
//! collection runs only where the marker names our own journal (P-1, P-7): with a restored or copied database, or a setting
//! that points elsewhere, it stops instead.

use aws_sdk_s3::{operation::put_object::builders::PutObjectFluentBuilder, primitives::ByteStream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{error::StorageError, gateway::Gateway};

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
        /// Whose it is, if the marker says so.
        found: Option<Uuid>,
    },
    #[error(transparent)]
    Unavailable(#[from] StorageError),
}

/// A commit of the journal: one that was restored from a backup, or rewritten, does not hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub commit_id: u64,
    /// The commit's last position.
    pub position: u64,
    /// The commit's hash, hex.
    pub hash: String,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    journal_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<Anchor>,
    #[serde(default)]
    what: String,
}

impl Gateway {
    /// How far the journal was when the bucket's marker was last written, if the marker names this journal.
    ///
    /// # Errors
    /// [`MarkerError`]: nothing may be deleted.
    pub async fn check_marker(&self, journal_id: Uuid) -> Result<Option<Anchor>, MarkerError> {
        let asked = self.client().get_object().bucket(self.bucket().as_str()).key(self.prefix().marker());
        let answer = asked.send().await.map_err(|error| match StorageError::from(&error) {
            // A GET has a body: a missing bucket or a proxy's 404 has another code, or none.
            missing if missing.status() == Some(404) && missing.code() == Some("NoSuchKey") => MarkerError::Missing,
            unavailable => MarkerError::Unavailable(unavailable),
        })?;
        let Some(body) = read(answer.body).await? else { return Err(MarkerError::OtherJournal { found: None }) };
        match serde_json::from_slice::<Marker>(&body) {
            Ok(marker) if marker.journal_id == journal_id => Ok(marker.anchor),
            Ok(marker) => Err(MarkerError::OtherJournal { found: Some(marker.journal_id) }),
            Err(_) => Err(MarkerError::OtherJournal { found: None }),
        }
    }

    /// Writes the marker if there is none, and succeeds only if the bucket then names this journal. Of two journals that
    /// claim at once one wins, where the server honours `If-None-Match`; elsewhere the later one, and the other finds out
    /// with its next check.
    ///
    /// # Errors
    /// [`MarkerError`]: the bucket is not ours, or nobody knows.
    pub async fn claim_marker(&self, journal_id: Uuid) -> Result<Option<Anchor>, MarkerError> {
        match self.check_marker(journal_id).await {
            Err(MarkerError::Missing) => {}
            decided => return decided,
        }
        let written = self.put_marker(journal_id, None).if_none_match("*").send().await;
        // Read back whatever the answer was: a lost answer to a write that happened looks like a refused repeat.
        match (self.check_marker(journal_id).await, written) {
            (Err(MarkerError::Missing), Err(error)) => Err(MarkerError::Unavailable(StorageError::from(&error))),
            (decided, _) => decided,
        }
    }

    /// Writes how far the journal is into a marker that was just seen to be its own.
    ///
    /// # Errors
    /// [`StorageError`]; the marker is the old or the new one.
    pub async fn advance_marker(&self, journal_id: Uuid, anchor: Anchor) -> Result<(), StorageError> {
        let written = self.put_marker(journal_id, Some(anchor)).send().await;
        written.map_err(|error| StorageError::from(&error))?;
        if self.expects_versions()
            && let Err(error) = self.remove_old_versions(&self.prefix().marker()).await
        {
            tracing::warn!(%error, "old versions of the bucket's marker were left behind");
        }
        Ok(())
    }

    fn put_marker(&self, journal_id: Uuid, anchor: Option<Anchor>) -> PutObjectFluentBuilder {
        let marker = Marker { journal_id, anchor, what: WHAT.to_owned() };
        let body = serde_json::to_vec_pretty(&marker).expect("a marker is plain JSON");
        let put = self.client().put_object().bucket(self.bucket().as_str()).key(self.prefix().marker());
        put.content_type("application/json").body(ByteStream::from(body))
    }
}

/// The body, or nothing if it is too long for a marker.
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
