//! What proves that the bucket holds nothing under a key (P-1, P-7).
//!
//! An answer to HEAD has no body, so a 404 shows nothing but its headers, and others than the S3 server send 404s too:
//! a reverse proxy while a container restarts, a web server at a wrong address. Taken for the S3 server's answer, such
//! a 404 would make an uploaded object "not uploaded", and a confirmed one lost. So a 404 counts only with traits that
//! are this server's own:
//!
//! ```text
//! the probe has seen        a 404 with them proves absence
//! a request id              if it has a request id and the same content type
//! no request id             if it has the same content type and Server, and the marker stands on both sides of a second one
//! nothing yet               if it has a request id, and the marker stands on both sides of a second one
//! ```
//!
//! For the same reason a 200 counts only with a request id, on a server that sends one with each answer. Any other
//! answer proves nothing. The gateway notes it, so that readiness names it and the server is probed again: should the
//! server itself have changed, that probe learns its new traits.

use super::{
    error::StorageError,
    gateway::Gateway,
    head::{Described, Head},
    marker::MarkerError,
    not_found::NotFoundLook,
};

/// What a 404 proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Absent,
    /// Absence, if the marker is in the bucket at the same time.
    BesideMarker,
    Nothing,
}

fn proof(known: Option<&NotFoundLook>, found: &NotFoundLook) -> Proof {
    match known {
        Some(known) if !known.is_like(found) => Proof::Nothing,
        Some(_) if found.has_request_id() => Proof::Absent,
        Some(_) => Proof::BesideMarker,
        None if found.has_request_id() => Proof::BesideMarker,
        None => Proof::Nothing,
    }
}

impl Gateway {
    /// Judges the 404 `found` that answered a HEAD of this key: the key is absent, or a second HEAD finds an object
    /// after all.
    pub(super) async fn after_not_found(
        &self,
        key: &str,
        version: Option<&str>,
        found: NotFoundLook,
    ) -> Result<Option<Described>, StorageError> {
        match proof(self.manners().known_not_found().as_ref(), &found) {
            Proof::Absent => Ok(None),
            Proof::BesideMarker => Box::pin(self.look_beside_marker(key, version, &found)).await,
            Proof::Nothing => Err(self.is_strange(found)),
        }
    }

    /// Checks the marker, repeats the HEAD, and checks the marker again: a proxy that was only there for a moment could
    /// have sent one 404 or two, but not with answers of the bucket between and after them.
    async fn look_beside_marker(
        &self,
        key: &str,
        version: Option<&str>,
        first: &NotFoundLook,
    ) -> Result<Option<Described>, StorageError> {
        self.require_marker().await?;
        match self.ask_head(key, version).await? {
            Head::Found { object, request_id } => self.believed(object, request_id).map(Some),
            Head::NotFound(second) if first.is_like(&second) => self.require_marker().await.map(|()| None),
            Head::NotFound(second) => Err(self.is_strange(second)),
        }
    }

    async fn require_marker(&self) -> Result<(), StorageError> {
        let beside = |what: &str| {
            StorageError::answer(format!(
                "a key was answered with a 404 that counts only beside the bucket's marker, and {what}"
            ))
        };
        let Some(journal_id) = self.manners().marker_of() else { return Err(beside("the marker was never seen")) };
        match self.check_marker(journal_id).await {
            Ok(_) => Ok(()),
            Err(MarkerError::Unavailable(error)) => Err(error),
            Err(error) => Err(beside(&error.to_string())),
        }
    }

    /// Sets the look of this server's 404s, as a probe would.
    #[cfg(test)]
    pub(crate) fn expect_not_found(&self, look: NotFoundLook) {
        self.manners().note_not_found(look, false);
    }

    fn is_strange(&self, found: NotFoundLook) -> StorageError {
        let known = self.manners().known_not_found();
        let known = known.map_or_else(|| "is not known yet".to_owned(), |known| format!("is a {known}"));
        let error = StorageError::answer(format!(
            "a {found} is not this server's word that a key is missing, which {known}: it may come from a proxy"
        ));
        self.manners().note_strange_answer(found.to_string());
        error
    }

    /// The last answer to a HEAD that was not this server's, if there was one since the server was last probed.
    pub fn strange_answer(&self) -> Option<String> {
        self.manners().strange_answer()
    }

    /// Learns how this server answers a HEAD of a key that was never written. `there` is a key that exists: a 200 for
    /// it between two equal 404s shows that the S3 server sent all three. `None` if the never-written key is said to
    /// exist.
    ///
    /// # Errors
    /// [`StorageError`]: nothing was learned.
    pub(super) async fn learn_not_found(&self, never: &str, there: &str) -> Result<Option<NotFoundLook>, StorageError> {
        let Head::NotFound(first) = self.ask_head(never, None).await? else { return Ok(None) };
        let between = self.ask_head(there, None).await?;
        let Head::NotFound(second) = self.ask_head(never, None).await? else { return Ok(None) };
        match between {
            Head::Found { request_id, .. } if first.is_like(&second) => {
                self.manners().note_not_found(second.clone(), request_id);
                Ok(Some(second))
            }
            Head::Found { .. } => {
                let why = format!("a missing key is answered now with a {first}, now with a {second}");
                Err(StorageError::answer(why))
            }
            Head::NotFound(_) => Err(StorageError::answer("a key that is there is answered as a missing one")),
        }
    }
}

#[cfg(test)]
mod tests;
