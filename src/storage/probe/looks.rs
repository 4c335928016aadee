//! Checks of a probe: how the server describes an object, a missing key and a list.

use aws_sdk_s3::{primitives::ByteStream, types::EncodingType};
use zeroload_domain::{ByteSize, ObjectFacts, Sha256Digest, StoredType};

use super::trial::{BODY, Trial, media_type, refuses};
use crate::storage::{StorageError, check::Status, head::Head, listing::unescaped};

/// A key that changes when it is escaped, with two characters of which a server may escape only one.
const ODD: &str = "a+b%20c";

impl Trial<'_> {
    pub(super) async fn head(&mut self) {
        let facts = match self.gateway.ask_head(&self.key("whole"), None).await {
            Ok(Head::Found { object, .. }) => object.facts,
            Ok(Head::NotFound(_)) => {
                return self.found("s3-head", Status::Failed, "an object that was just written is not there");
            }
            Err(error) => {
                return self.found("s3-head", Status::Failed, format!("the HEAD of an object failed: {error}"));
            }
        };
        let ObjectFacts { content_length, content_type, checksum_sha256, .. } = facts;
        let as_written = content_type.is_none_or(|kind| kind.is_same(&StoredType::from(&media_type())));
        if content_length != ByteSize::new(BODY.len() as u64) || !as_written {
            return self.found("s3-head", Status::Failed, "an object's length or type is not as it was written");
        }
        self.found("s3-head", Status::Ok, "an object is described as it was written");
        if checksum_sha256 == Some(Sha256Digest::of(BODY)) {
            self.found("s3-checksum", Status::Ok, "an object's SHA-256 is kept and returned");
        } else {
            let detail = "no SHA-256 is returned for an object: an upload is compared by size and type only";
            self.found("s3-checksum", Status::Degraded, detail);
        }
    }

    /// Learns the headers of this server's 404 for a missing key: from then on only such a 404 counts.
    pub(super) async fn absence(&mut self) {
        const NAME: &str = "s3-absence";
        match self.gateway.learn_not_found(&self.key("never"), &self.key("whole")).await {
            Ok(Some(look)) if look.has_request_id() => {
                self.found(
                    NAME,
                    Status::Ok,
                    format!("a missing key is answered with a {look}, and no other 404 counts"),
                );
            }
            Ok(Some(look)) => {
                let detail = format!(
                    "a missing key is answered with a {look}, which anybody could have sent: it counts only where the \
                     bucket's marker is seen beside a second one, which takes three more requests"
                );
                self.found(NAME, Status::Degraded, detail);
            }
            Ok(None) => self.found(NAME, Status::Failed, "a key that was never written is said to be there"),
            Err(_) if !self.can_list => {
                self.found(NAME, Status::Degraded, "a missing key looks forbidden: nothing counts as absent");
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Whether a list that claims to escape its keys does so.
    pub(super) async fn list_encoding(&mut self) {
        const NAME: &str = "s3-list-encoding";
        if !self.can_list {
            return;
        }
        let key = self.key(ODD);
        let (client, bucket) = (self.gateway.client(), self.gateway.bucket().as_str());
        let put = client.put_object().bucket(bucket).key(&key).body(ByteStream::from_static(BODY));
        let put = put.content_type(media_type().as_str()).send().await;
        let version = put.as_ref().ok().and_then(|written| written.version_id.clone());
        self.was_written(key.clone(), version);
        match put.as_ref().map_err(StorageError::from) {
            Ok(_) => {}
            Err(error) if refuses(&error) => {
                return self.found(NAME, Status::Ok, "the server has no keys that would have to be escaped");
            }
            Err(error) => return self.not_found_out(NAME, &error),
        }
        let list = client.list_objects_v2().bucket(bucket).prefix(self.key("a")).encoding_type(EncodingType::Url);
        let listed = match list.send().await.as_ref().map_err(StorageError::from) {
            Ok(listed) => (listed.encoding_type == Some(EncodingType::Url), listed.contents().first().cloned()),
            Err(error) => return self.not_found_out(NAME, &error),
        };
        let as_they_are = &self.gateway.manners().lists_keys_as_they_are;
        match (listed.0, listed.1.and_then(|object| object.key)) {
            (true, Some(shown)) if unescaped(&shown).as_ref() == Some(&key) => {
                as_they_are.set(false);
                self.found(NAME, Status::Ok, "a list escapes its keys as it says");
            }
            (true, Some(shown)) if shown == key => {
                as_they_are.set(true);
                let detail = "a list claims EncodingType=url and does not escape its keys: they are taken as they are";
                self.found(NAME, Status::Degraded, detail);
            }
            (false, Some(shown)) if shown == key => {
                as_they_are.set(false);
                self.found(NAME, Status::Ok, "a list shows its keys as they are");
            }
            (_, Some(_)) => {
                let detail = "a list shows a key with + and % under another name: reconciliations report such objects of \
                              others under wrong names";
                self.found(NAME, Status::Degraded, detail);
            }
            (_, None) => {
                self.not_found_out(NAME, &StorageError::answer("an object that was just written is not listed"))
            }
        }
    }
}
