//! Checks of a probe: what a delete does, and with which requests this server deletes.

use super::trial::{BODY, Trial, refuses};
use crate::storage::{
    Deletes, Deletion, StorageError, check::Status, delete_singly::may_lack_bulk_delete, marker::refuses_condition,
};

const NAME: &str = "s3-delete";

impl Trial<'_> {
    pub(super) async fn conditional_delete(&mut self) {
        const NAME: &str = "s3-conditional-delete";
        if let Err(error) = self.put("kept", BODY, BODY).await {
            return self.not_found_out(NAME, &error);
        }
        let delete = self.gateway.client().delete_object().bucket(self.gateway.bucket().as_str());
        let delete = delete.key(self.key("kept")).if_match("\"00000000000000000000000000000000\"");
        match delete.send().await.as_ref().map_err(StorageError::from) {
            Ok(answer) => {
                if let Some(marker) = answer.version_id().filter(|id| *id != "null") {
                    self.written.push((self.key("kept"), Some(marker.to_owned())));
                }
                let detail =
                    "If-Match is ignored on deletes: nothing relies on it, the journal decides before a delete";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if matches!(error.status(), Some(409 | 412)) => {
                self.found(NAME, Status::Ok, "a delete of a changed object is refused");
            }
            Err(error) if refuses_condition(&error) => {
                let detail = "the server refuses deletes with If-Match: nothing relies on them";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if refuses(&error) => self.found(NAME, Status::Ok, "a delete of a changed object is refused"),
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Deletes the object of the first ticket, and checks with a HEAD that it is gone. The collector claims nothing
    /// where this fails.
    pub(super) async fn delete(&mut self) {
        let key = self.key("whole");
        // The key may have two versions: a second upload that was not refused makes one.
        let written: Vec<_> = self.written.iter().filter(|(written, _)| *written == key).cloned().collect();
        let named: Vec<_> = written.iter().map(|(key, version)| (key.as_str(), version.as_deref())).collect();
        let (answers, no_bulk) = match self.gateway.delete_in_bulk(&named).await {
            Err(why) if may_lack_bulk_delete(&why) => (Ok(self.gateway.delete_singly(&named).await), Some(why)),
            answers => (answers, None),
        };
        let first = written.first().and_then(|(_, version)| version.as_deref());
        match answers.as_ref().map(|answers| answers.of(&key, first)) {
            Ok(Some(Deletion::Gone)) => {}
            Ok(Some(Deletion::Failed { code })) => {
                let right = if self.versioned { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
                // `StorageError::advice` is for refused calls; here the call was answered, and one key in it refused.
                let advice = if code == "AccessDenied" { format!("; grant {right}") } else { String::new() };
                return self.no_delete(format!("a delete is refused ({code}): nothing can be collected{advice}"));
            }
            Ok(Some(Deletion::Unknown { why })) => return self.no_delete(format!("a delete failed: {why}")),
            Ok(None) => return self.no_delete("the answer to a delete does not name its key".to_owned()),
            Err(error) => return self.no_delete(format!("a delete failed: {error}")),
        }
        match self.gateway.head_key(&key).await {
            Ok(None) => self.deletes("a deleted object is gone", no_bulk.as_ref()),
            Ok(Some(_)) => self.no_delete("an object is still there after its delete".to_owned()),
            Err(_) if !self.can_list => self.deletes("a delete is accepted", no_bulk.as_ref()),
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    fn deletes(&mut self, detail: &'static str, no_bulk: Option<&StorageError>) {
        match no_bulk {
            None => {
                self.gateway.manners().deletes_singly.set(false);
                self.gateway.manners().note_deletes(Deletes::Bulk);
                self.found(NAME, Status::Ok, detail);
            }
            Some(why) => {
                self.gateway.delete_singly_from_now_on(why);
                self.gateway.manners().note_deletes(Deletes::Single);
                let detail = format!("{detail}; DeleteObjects is refused ({why}), so objects are deleted one by one");
                self.found(NAME, Status::Degraded, detail);
            }
        }
    }

    fn no_delete(&mut self, reason: String) {
        self.gateway.manners().note_deletes(Deletes::Refused { reason: reason.clone() });
        self.found(NAME, Status::Failed, reason);
    }
}
