//! How this server does things its own way, as far as it has shown, so that it is asked in a way that it understands.
//!
//! Nothing here is believed of a server before it was seen: a new process begins with S3's own manners, and the probe or an
//! answer corrects them. Clones of a gateway share them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use uuid::Uuid;

use super::not_found::NotFoundLook;

/// How objects are deleted on this server, as far as it has shown in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    /// No delete was tried yet.
    #[default]
    Untried,
    /// `DeleteObjects` takes a page of keys.
    Bulk,
    /// The server has no `DeleteObjects` that can be used: each key is a call of its own.
    Single,
    /// The probe's delete was refused or did nothing: nothing that is claimed could be deleted.
    Refused { reason: String },
}

#[derive(Debug, Default)]
pub(super) struct Manners {
    /// A PUT with `If-None-Match` or `If-Match` is refused for its condition.
    pub refuses_conditions: Flag,
    /// A listing claims `EncodingType=url` and shows its keys as they are.
    pub lists_keys_as_they_are: Flag,
    /// An object's SHA-256 is what its writer has declared, not what the server has computed.
    pub repeats_checksums: Flag,
    /// It has no `DeleteObjects` that can be used.
    pub deletes_singly: Flag,
    deletes: Mutex<Deletes>,
    answers: Mutex<Answers>,
    marker_of: Mutex<Option<Uuid>>,
}

/// What is known of this server's answers to HEAD.
#[derive(Debug, Default)]
struct Answers {
    /// What its 404s look like, as the probe saw them.
    not_found: Option<NotFoundLook>,
    /// The answer for a key that was there had a request id, too.
    found_has_id: bool,
    /// The last answer to a HEAD that cannot be this server's, for people.
    strange: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Returns what it was before.
    pub fn set(&self, to: bool) -> bool {
        self.0.swap(to, Ordering::AcqRel)
    }
}

impl Manners {
    pub fn deletes(&self) -> Deletes {
        lock(&self.deletes).clone()
    }

    /// As the probe has seen it.
    pub fn note_deletes(&self, deletes: Deletes) {
        *lock(&self.deletes) = deletes;
    }

    /// A server has said that it deleted something. Where the probe found that such words mean nothing, only a probe finds
    /// otherwise.
    pub fn note_deleted(&self, shown: Deletes) {
        let mut deletes = lock(&self.deletes);
        if !matches!(*deletes, Deletes::Refused { .. }) {
            *deletes = shown;
        }
    }

    pub fn known_not_found(&self) -> Option<NotFoundLook> {
        lock(&self.answers).not_found.clone()
    }

    pub fn note_not_found(&self, known: NotFoundLook, found_has_id: bool) {
        *lock(&self.answers) = Answers { not_found: Some(known), found_has_id, strange: None };
    }

    /// Whether this server gives each answer for an object a request id.
    pub fn found_has_id(&self) -> bool {
        lock(&self.answers).found_has_id
    }

    pub fn strange_answer(&self) -> Option<String> {
        lock(&self.answers).strange.clone()
    }

    pub fn note_strange_answer(&self, answer: String) {
        lock(&self.answers).strange = Some(answer);
    }

    /// Whose marker was last seen in the bucket.
    pub fn marker_of(&self) -> Option<Uuid> {
        *lock(&self.marker_of)
    }

    pub fn note_marker_of(&self, journal_id: Uuid) {
        *lock(&self.marker_of) = Some(journal_id);
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
