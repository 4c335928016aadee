//! Removes an object of our own in the same way as items, so that no item is claimed that then cannot be removed.
//!
//! The object lies where probes write, so a later probe removes the object of a killed rehearsal. Where removals do not
//! work, each rehearsal of one name tries to remove the object of the first, and writes no further one.

use std::collections::HashSet;

use aws_sdk_s3::primitives::ByteStream;

use super::{
    deletion::{DELETE_MARKER, Deletion},
    error::StorageError,
    gateway::Gateway,
};

const BODY: &[u8] = b"probe";

impl Gateway {
    /// Writes an object, copies it if items are to go into the trash, and removes both. Each collector has a `name` of
    /// its own.
    ///
    /// # Errors
    /// Names the step that does not work, with the server's answer.
    pub async fn rehearse(&self, name: &str, into_trash: bool) -> Result<(), String> {
        let key = self.prefix().probe(&format!("{name}-rehearsal"));
        let mut keys = vec![key.clone()];
        // The object is written unless a HEAD shows that it is there already.
        if !matches!(self.head_key(&key).await, Ok(Some(_))) {
            self.write(&key).await.map_err(|error| format!("an object cannot be written ({error})"))?;
        }
        // Where versions are kept, the trash needs no copy: the object stays where it is, under a delete marker.
        if into_trash && !self.adds_versions() {
            let copy = self.prefix().probe(&format!("{name}-rehearsed"));
            keys.push(copy.clone());
            if let Err(error) = self.copy_as_seen(&key, &copy).await {
                // Best effort: a later probe removes the objects of a failed rehearsal, too.
                let _either_way = self.remove_keys(&keys).await;
                return Err(format!("an object cannot be copied into the trash ({error})"));
            }
        }
        self.remove_keys(&keys).await
    }

    async fn copy_as_seen(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let seen = self.head_key(from).await?;
        let seen = seen.ok_or_else(|| StorageError::answer("an object that was just written is not there"))?;
        self.copy(from, None, &seen.etag, to).await
    }

    async fn write(&self, key: &str) -> Result<(), StorageError> {
        self.asked(|| async {
            let put = self.client().put_object().bucket(self.bucket().as_str()).key(key);
            let put = put.content_type("text/plain").body(ByteStream::from_static(BODY));
            put.send().await.map(drop).map_err(|error| StorageError::from(&error))
        })
        .await
    }

    async fn remove_keys(&self, keys: &[String]) -> Result<(), String> {
        let uploads = self.abort_uploads(&keys.iter().map(String::as_str).collect::<HashSet<_>>()).await;
        uploads.map_err(|error| format!("unfinished uploads cannot be listed ({error})"))?;
        let mut named: Vec<(&str, Option<String>)> = Vec::new();
        for key in keys {
            if self.expects_versions() {
                let versions =
                    self.versions_of(key).await.map_err(|error| format!("versions cannot be listed ({error})"))?;
                named.extend(versions.into_iter().map(|version| (key.as_str(), Some(version.id))));
            } else {
                named.push((key, None));
            }
        }
        let named: Vec<_> = named.iter().map(|(key, version)| (*key, version.as_deref())).collect();
        let deleted = self.delete_all(&named).await;
        for (key, version) in &named {
            match deleted.of(key, *version) {
                Some(Deletion::Gone) => {}
                // Versioning was switched on a moment ago. That is no failure: versions of items are then removed by
                // their ids.
                Some(Deletion::Failed { code }) if code == DELETE_MARKER => {}
                Some(Deletion::Failed { code }) => return Err(format!("a delete is refused ({code})")),
                Some(Deletion::Unknown { why }) => return Err(format!("a delete has failed ({why})")),
                None => return Err("the answer to a delete does not name its key".to_owned()),
            }
        }
        Ok(())
    }
}
