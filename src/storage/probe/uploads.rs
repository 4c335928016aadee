//! Checks of a probe: which uploads the server accepts with a ticket, and which with one that was tampered with.

use chrono::TimeDelta;
use zeroload_domain::Sha256Digest;

use super::trial::{BODY, OTHER_BODY, Trial, refuses};
use crate::storage::{StorageError, Upload, check::Status, head::Head, marker::refuses_condition};

/// A body of another length than [`BODY`].
const LONGER: &[u8] = b"longer than signed";
/// How long ago a ticket begins that has surely ended, however far the two clocks differ.
const LONG_AGO: TimeDelta = TimeDelta::hours(2);

impl Trial<'_> {
    /// Whether a client can upload with a ticket. If not, no further check can be made.
    pub(super) async fn ticket(&mut self) -> bool {
        const NAME: &str = "s3-ticket";
        let mut accepted = self.put("whole", BODY, BODY).await;
        if let Err(refused) = &accepted
            && refuses_condition(refused)
        {
            let refused = refused.clone();
            self.conditional = false;
            // If the upload without the condition is refused too, the first refusal is reported.
            accepted = self.put("whole", BODY, BODY).await.map_err(|_| refused);
        }
        match accepted {
            Ok(()) => {
                self.gateway.manners().refuses_conditions.set(!self.conditional);
                self.found(NAME, Status::Ok, "a ticket's upload is accepted");
                true
            }
            Err(error) => {
                self.found(NAME, Status::Failed, format!("a ticket's upload is not accepted: {error}"));
                false
            }
        }
    }

    pub(super) async fn replay(&mut self) {
        const NAME: &str = "s3-conditional-put";
        if !self.conditional {
            let detail = "the server refuses uploads with If-None-Match: tickets are signed without it and can overwrite \
                          their own object while they are valid; a confirm pins the ETag that was seen, and a seal \
                          looks again after the last ticket";
            return self.found(NAME, Status::Degraded, detail);
        }
        match self.put("whole", BODY, BODY).await {
            Ok(()) => {
                let detail = "If-None-Match is ignored, so a ticket can overwrite its own object while it is valid: a \
                              confirm pins the ETag that was seen";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if matches!(error.status(), Some(409 | 412)) => {
                self.found(NAME, Status::Ok, "a ticket's second upload is refused");
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Whether bytes with another SHA-256 than the declared one are refused, and whether none of them are kept.
    pub(super) async fn checksum_verified(&mut self) {
        const NAME: &str = "s3-checksum-verified";
        let accepted = match self.put("wrong", BODY, OTHER_BODY).await {
            Ok(()) => true,
            Err(error) if refuses(&error) => false,
            Err(error) => return self.not_found_out(NAME, &error),
        };
        let kept = match self.gateway.ask_head(&self.key("wrong"), None).await {
            Ok(Head::Found { object, .. }) => Some(object.facts),
            Ok(Head::NotFound(_)) => None,
            // Without the right to list, the HEAD of a missing key is refused too, so nothing is known.
            Err(_) if !self.can_list => None,
            Err(error) => return self.not_found_out(NAME, &error),
        };
        let repeats = kept.as_ref().is_some_and(|facts| facts.checksum_sha256 == Some(Sha256Digest::of(OTHER_BODY)));
        self.gateway.manners().repeats_checksums.set(repeats);
        let (status, detail) = match (accepted, kept, repeats) {
            (false, None, _) => (Status::Ok, "an upload whose SHA-256 is not the declared one is refused"),
            (_, _, true) => (
                Status::Degraded,
                "an upload whose SHA-256 is not the declared one is kept, and the declared one is shown as its own: the \
                 server's checksums prove nothing and are left aside, an upload is compared by size and type only",
            ),
            (true, ..) => (
                Status::Degraded,
                "an upload whose SHA-256 is not the declared one is accepted: an upload is compared by size and type only",
            ),
            (false, Some(facts), false) if facts.checksum_sha256.is_some() => (
                Status::Degraded,
                "an upload whose SHA-256 is not the declared one is refused, and its bytes are kept all the same: a \
                 confirm sees by their SHA-256 that they are others",
            ),
            (false, Some(_), false) => (
                Status::Degraded,
                "an upload whose SHA-256 is not the declared one is refused, and its bytes are kept all the same without \
                 a SHA-256: a confirm takes them for the right ones unless checksum_policy is require",
            ),
        };
        self.found(NAME, status, detail);
    }

    pub(super) async fn unsigned_header(&mut self) {
        const NAME: &str = "s3-unsigned-headers";
        let extra = ("x-amz-meta-zeroload-probe", "1");
        let outcome = match self.ticket_for("extra", BODY.len(), Some(Sha256Digest::of(BODY)), self.now).await {
            Ok(ticket) => self.send("extra", ticket, BODY, Some(extra)).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) if self.gateway.has_own_ticket_keys() => {
                let detail = "a ticket's client may add x-amz headers: tickets are signed with keys of their own, which \
                              limit what that can do";
                self.found(NAME, Status::Degraded, detail);
            }
            Ok(()) => {
                let detail = "a ticket's client may add x-amz headers, such as one that copies any object the signer may \
                              read: set ticket keys that can only put objects under the prefix";
                self.found(NAME, Status::Degraded, detail);
            }
            Err(error) if refuses(&error) => {
                self.found(NAME, Status::Ok, "headers that the ticket does not sign are refused");
            }
            Err(error) => self.not_found_out(NAME, &error),
        }
    }

    /// Whether the server verifies signatures.
    pub(super) async fn signature(&mut self) {
        const NAME: &str = "s3-signature";
        let outcome = match self.ticket_for("spoiled", BODY.len(), Some(Sha256Digest::of(BODY)), self.now).await {
            Ok(ticket) => self.send("spoiled", spoiled(ticket), BODY, None).await,
            Err(error) => Err(error),
        };
        let accepted = "an upload whose signature is wrong is accepted: tickets protect nothing here, whoever reaches the \
                        server can write whatever they like; keep real uploads away from it";
        self.tampered(NAME, outcome, "an upload whose signature is wrong is refused", accepted);
    }

    pub(super) async fn expiry(&mut self) {
        const NAME: &str = "s3-expiry";
        let begun = self.now - LONG_AGO;
        let outcome = match self.ticket_for("expired", BODY.len(), Some(Sha256Digest::of(BODY)), begun).await {
            Ok(ticket) => self.send("expired", ticket, BODY, None).await,
            Err(error) => Err(error),
        };
        let accepted = "an upload with a ticket that has ended is accepted: whoever once had a ticket can write its object \
                        for ever; keep real uploads away from this server";
        self.tampered(NAME, outcome, "an upload with a ticket that has ended is refused", accepted);
    }

    pub(super) async fn length(&mut self) {
        const NAME: &str = "s3-length";
        // The ticket declares no checksum, which would be a reason of its own to refuse the upload.
        let outcome = match self.ticket_for("longer", BODY.len(), None, self.now).await {
            Ok(mut ticket) => {
                ticket.headers.insert("content-length", LONGER.len().to_string());
                self.send("longer", ticket, LONGER, None).await
            }
            Err(error) => Err(error),
        };
        let accepted = "an upload of another length than the signed one is accepted: a ticket's client can fill the bucket; \
                        a confirm compares the length";
        self.tampered(NAME, outcome, "an upload of another length than the signed one is refused", accepted);
    }

    fn tampered(
        &mut self,
        name: &'static str,
        outcome: Result<(), StorageError>,
        refused: &'static str,
        accepted: &'static str,
    ) {
        match outcome {
            Ok(()) => {
                tracing::error!(check.name = name, "{accepted}");
                self.found(name, Status::Degraded, accepted);
            }
            Err(error) if refuses(&error) => self.found(name, Status::Ok, refused),
            Err(error) => self.not_found_out(name, &error),
        }
    }
}

/// The same ticket with a wrong signature.
fn spoiled(ticket: Upload) -> Upload {
    const BEFORE: &str = "X-Amz-Signature=";
    let Some(at) = ticket.url.find(BEFORE).map(|at| at + BEFORE.len()) else { return ticket };
    let mut url = ticket.url;
    let other = if url[at..].starts_with('0') { "1" } else { "0" };
    url.replace_range(at..=at, other);
    Upload { url, ..ticket }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_spoiled_ticket_differs_in_its_signature_alone() {
        for (signature, other) in [("0a1b", "1a1b"), ("f00d", "000d")] {
            let url = |signature: &str| format!("http://s3/b/k?X-Amz-Signature={signature}&X-Amz-Security-Token=t");
            let expires_at = chrono::DateTime::UNIX_EPOCH;
            let headers = BTreeMap::new();
            let ticket = Upload { method: "PUT", url: url(signature), headers, expires_at, shortened: false };
            assert_eq!(spoiled(ticket).url, url(other));
        }
    }
}
