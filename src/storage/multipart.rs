//! Unfinished multipart uploads of an item's key. A ticket is one PUT, but a holder of other credentials can begin a
//! multipart upload: it is billed, a list of objects does not show it, and completing it makes an object. So before a
//! key counts as gone, its unfinished uploads are aborted (P-7).

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, stream};

use super::{
    deletion::Deletion,
    error::{Fault, StorageError},
    gateway::Gateway,
    whole::WholeAnswer,
};

/// An upload of the key could not be aborted for want of rights.
pub const UPLOAD_DENIED: &str = "upload-denied";
/// Parts of an upload of the key went on arriving.
pub const UPLOAD_LEFT: &str = "upload-left";

/// Rounds of abort and list: a part that is under way may land after an abort, so the upload is aborted again.
const ROUNDS: usize = 3;
/// Aborts under way at once.
const ABORTS: usize = 16;

/// Whether a server lists unfinished uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Multipart {
    Listed,
    /// The server has no multipart uploads.
    Unsupported,
    /// The credentials may not list them.
    Denied,
}

/// An unfinished upload: key and id.
type Unfinished = (String, String);

impl Gateway {
    /// Whether unfinished uploads under the prefix can be listed.
    ///
    /// # Errors
    /// [`StorageError`] when the server does not say.
    pub async fn multipart(&self) -> Result<Multipart, StorageError> {
        match self.list_uploads((None, None)).await {
            Ok(_) => Ok(Multipart::Listed),
            Err(error) if is_unsupported(&error) => Ok(Multipart::Unsupported),
            Err(error) if is_denied(&error) => Ok(Multipart::Denied),
            Err(error) => Err(error),
        }
    }

    /// Aborts the unfinished uploads of these keys, and returns the keys that still have one. Costs one list request if
    /// there are none, for any number of keys.
    ///
    /// # Errors
    /// [`StorageError`]: nothing is known about any of the keys.
    pub(super) async fn abort_uploads(&self, keys: &HashSet<&str>) -> Result<HashMap<String, Deletion>, StorageError> {
        let mut failed = HashMap::new();
        for _ in 0..ROUNDS {
            let open: Vec<Unfinished> = match self.uploads_of(keys).await? {
                Some(found) => found.into_iter().filter(|(key, _)| !failed.contains_key(key)).collect(),
                None => return Ok(failed),
            };
            if open.is_empty() {
                return Ok(failed);
            }
            let gateway = self.clone();
            let abort = move |(key, id): Unfinished| {
                let gateway = gateway.clone();
                async move { (gateway.asked(|| gateway.abort(&key, &id)).await, key) }
            };
            let mut aborted = stream::iter(open).map(abort).buffer_unordered(ABORTS);
            while let Some((outcome, key)) = aborted.next().await {
                match outcome {
                    Ok(()) => {}
                    Err(error) if is_denied(&error) => drop(failed.insert(key, Deletion::failed(UPLOAD_DENIED))),
                    Err(why) => drop(failed.insert(key, Deletion::Unknown { why })),
                }
            }
        }
        for (key, _) in self.uploads_of(keys).await?.unwrap_or_default() {
            failed.entry(key).or_insert_with(|| Deletion::failed(UPLOAD_LEFT));
        }
        Ok(failed)
    }

    /// The unfinished uploads of these keys; `None` where the server has no multipart uploads or does not list them.
    async fn uploads_of(&self, keys: &HashSet<&str>) -> Result<Option<Vec<Unfinished>>, StorageError> {
        if !self.expects_uploads() {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut after = (None, None);
        loop {
            match self.asked(|| self.list_uploads(after.clone())).await {
                Ok((page, next)) => {
                    found.extend(page.into_iter().filter(|(key, _)| keys.contains(key.as_str())));
                    let Some((key, id)) = next else { return Ok(Some(found)) };
                    after = (Some(key), id);
                }
                Err(error) if is_unsupported(&error) => {
                    self.expect_no_uploads();
                    return Ok(None);
                }
                // The probe reports the missing right. Objects that tickets can write are deleted all the same.
                Err(error) if is_denied(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    async fn list_uploads(
        &self,
        (key, id): (Option<String>, Option<String>),
    ) -> Result<(Vec<Unfinished>, Option<(String, Option<String>)>), StorageError> {
        let asked = self.client().list_multipart_uploads().bucket(self.bucket().as_str());
        let asked = asked.prefix(format!("{}/", self.prefix().as_str()));
        let asked = asked.set_key_marker(key.clone()).set_upload_id_marker(id.clone());
        let answer = asked.customize().interceptor(WholeAnswer("ListMultipartUploadsResult>")).send().await;
        let answer = answer.map_err(|error| StorageError::from(&error))?;
        let mut uploads = Vec::new();
        for upload in answer.uploads.unwrap_or_default() {
            let named = upload.key.zip(upload.upload_id);
            uploads.push(named.ok_or_else(|| StorageError::answer("the list of uploads has one without key or id"))?);
        }
        let next = match (answer.is_truncated, answer.next_key_marker) {
            (Some(false), _) => None,
            (Some(true), Some(next)) if (Some(&next), &answer.next_upload_id_marker) != (key.as_ref(), &id) => {
                Some((next, answer.next_upload_id_marker))
            }
            _ => return Err(StorageError::answer("the list of uploads does not say how it goes on")),
        };
        Ok((uploads, next))
    }

    /// Aborts one upload until nothing of it is left.
    async fn abort(&self, key: &str, id: &str) -> Result<(), StorageError> {
        for _ in 0..ROUNDS {
            let asked = self.client().abort_multipart_upload().bucket(self.bucket().as_str()).key(key).upload_id(id);
            match asked.send().await.map_err(|error| StorageError::from(&error)) {
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
            // A part that was under way may have landed after the abort, and is billed then.
            let parts = self.client().list_parts().bucket(self.bucket().as_str()).key(key).upload_id(id);
            match parts.send().await.map_err(|error| StorageError::from(&error)) {
                Ok(left) if left.parts().is_empty() => return Ok(()),
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Ok(()),
                // Without the right to list parts, the next list of uploads has to do.
                Err(error) if is_denied(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // The next list of uploads shows the upload, if it is still there.
        Ok(())
    }
}

/// Ceph answers `NoSuchKey` for a missing upload.
fn is_gone(error: &StorageError) -> bool {
    matches!(error.code(), Some("NoSuchUpload" | "NoSuchKey"))
}

fn is_unsupported(error: &StorageError) -> bool {
    error.code() == Some("NotImplemented") || matches!(error.status(), Some(405 | 501))
}

fn is_denied(error: &StorageError) -> bool {
    matches!(error, StorageError::Unavailable { kind: Fault::Refused, status: Some(403), .. })
}
