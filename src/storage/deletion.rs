//! The outcome of a delete for each key.

use std::collections::HashMap;

use super::error::StorageError;

/// The bucket is versioned: a delete marker hides the object, whose bytes are still there.
pub const DELETE_MARKER: &str = "delete-marker";

/// The outcome of a delete for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The bucket no longer holds the object.
    Gone,
    /// The server refused this key, or, with a code in small letters, this gateway.
    Failed { code: String },
    /// The object may be gone or not.
    Unknown { why: StorageError },
}

impl Deletion {
    pub(super) fn failed(code: &str) -> Self {
        Self::Failed { code: code.to_owned() }
    }
}

/// A key, and the version to delete if one is named.
pub(super) type Named<'k> = (&'k str, Option<&'k str>);

/// The outcomes in a delete's answer, by the keys and versions that it names.
#[derive(Debug, Default)]
pub(super) struct Answers(pub(super) HashMap<(String, Option<String>), Deletion>);

impl Answers {
    /// The outcome of one key, or of one version of it. A failure that names no version counts for each version of the
    /// key.
    pub fn of(&self, key: &str, version: Option<&str>) -> Option<&Deletion> {
        let named = |version: Option<&str>| self.0.get(&(key.to_owned(), version.map(str::to_owned)));
        named(version).or_else(|| named(None).filter(|whole| matches!(whole, Deletion::Failed { .. })))
    }

    pub(super) fn insert(&mut self, (key, version): Named<'_>, deletion: Deletion) {
        self.0.insert((key.to_owned(), version.map(str::to_owned)), deletion);
    }

    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether the server asks for fewer keys per call.
    pub fn ask_for_fewer(&self) -> bool {
        let slow = |code: &str| matches!(code, "SlowDown" | "ServiceUnavailable" | "InternalError");
        self.0.values().any(|deletion| matches!(deletion, Deletion::Failed { code } if slow(code)))
    }
}
