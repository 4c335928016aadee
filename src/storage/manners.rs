//! How this server differs from S3, as far as its answers have shown, so that it gets requests that it understands.
//!
//! A new process begins with S3's own manners, and corrects them by what the probe or an answer has shown. Clones of a
//! gateway share them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use uuid::Uuid;

use super::not_found::NotFoundLook;

/// How objects are deleted on this server, as far as its answers have shown in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    /// No delete was tried yet.
    #[default]
    Untried,
    /// `DeleteObjects` takes a page of keys.
    Bulk,
    /// The server has no `DeleteObjects` that can be used: each key is a call of its own.
    Single,
    /// The probe's delete was refused or did nothing: a claimed item could not be deleted.
    Refused { reason: String },
}

#[derive(Debug, Default)]
pub(super) struct Manners {
    /// The server refuses a PUT with `If-None-Match` for its condition.
    pub refuses_conditions: Flag,
    /// A listing claims `EncodingType=url` and shows its keys as they are.
    pub lists_keys_as_they_are: Flag,
    /// An object's SHA-256 is what its writer has declared, not what the server has computed.
    pub repeats_checksums: Flag,
    /// The server has no `DeleteObjects` that can be used.
    pub deletes_singly: Flag,
    deletes: Mutex<Deletes>,
    answers: Mutex<Answers>,
    marker_of: Mutex<Option<Uuid>>,
}

/// The traits of this server's answers to HEAD.
#[derive(Debug, Default)]
struct Answers {
    /// The headers of its 404s, as the probe saw them.
    not_found: Option<NotFoundLook>,
    /// The 200 for an existing key had a request id.
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

    /// Returns the previous value.
    pub fn set(&self, to: bool) -> bool {
        self.0.swap(to, Ordering::AcqRel)
    }
}

impl Manners {
    pub fn deletes(&self) -> Deletes {
        lock(&self.deletes).clone()
    }

    /// Notes the result of the probe's delete.
    pub fn note_deletes(&self, deletes: Deletes) {
        *lock(&self.deletes) = deletes;
    }

    /// Notes that the server said it deleted a key. Where the probe found that deletes do nothing in spite of such
    /// answers, only another probe corrects that.
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

    /// Whether this server's 200s to HEAD have a request id.
    pub fn found_has_id(&self) -> bool {
        lock(&self.answers).found_has_id
    }

    pub fn strange_answer(&self) -> Option<String> {
        lock(&self.answers).strange.clone()
    }

    pub fn note_strange_answer(&self, answer: String) {
        lock(&self.answers).strange = Some(answer);
    }

    /// The journal whose marker was last seen in the bucket.
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
