//! The API keys in force.
//!
//! The file can be reread while serving, so that a key is added or withdrawn without a restart. A file that cannot be
//! read changes nothing: a typing error must not lock everybody out, nor let everybody in.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use super::{ApiKeys, KeysError};

/// The API keys, with the file to reread them from.
pub struct KeyRing {
    path: Option<PathBuf>,
    keys: RwLock<Option<Arc<ApiKeys>>>,
}

impl KeyRing {
    /// Without keys every call belongs to the tenant `default`.
    pub fn new(source: Option<(PathBuf, ApiKeys)>) -> Self {
        let (path, keys) = source.map_or((None, None), |(path, keys)| (Some(path), Some(Arc::new(keys))));
        Self { path, keys: RwLock::new(keys) }
    }

    pub(super) fn current(&self) -> Option<Arc<ApiKeys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again. Returns the number of keys, or `None` where no file is set.
    ///
    /// # Errors
    /// [`KeysError`]: the old keys stay in force.
    pub fn reread(&self) -> Result<Option<usize>, KeysError> {
        let Some(path) = &self.path else { return Ok(None) };
        let keys = ApiKeys::read(path)?;
        let count = keys.len();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        Ok(Some(count))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn file_of(keys: &[&str]) -> String {
        let mut text = String::new();
        for key in keys {
            let digest = hex::encode(Sha256::digest(key));
            text += &format!("[[key]]\ntenant = \"acme\"\nname = \"k\"\nrole = \"backend\"\nsha256 = \"{digest}\"\n");
        }
        text
    }

    #[test]
    fn keys_are_added_and_withdrawn_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        std::fs::write(&path, file_of(&["old"])).unwrap();
        let ring = KeyRing::new(Some((path.clone(), ApiKeys::read(&path).unwrap())));
        let knows = |key: &str| ring.current().unwrap().find(key).is_some();
        assert!(knows("old") && !knows("new"));
        std::fs::write(&path, file_of(&["new", "newer"])).unwrap();
        assert!(knows("old"), "only when it is asked to");
        assert_eq!(ring.reread().unwrap(), Some(2));
        assert!(!knows("old") && knows("new") && knows("newer"));
    }

    #[test]
    fn a_file_that_cannot_be_used_leaves_the_old_keys_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        std::fs::write(&path, file_of(&["old"])).unwrap();
        let ring = KeyRing::new(Some((path.clone(), ApiKeys::read(&path).unwrap())));
        for broken in ["", "[[key]]", "no toml", "[[key]]\ntenant = 5"] {
            std::fs::write(&path, broken).unwrap();
            assert!(ring.reread().is_err(), "{broken}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(ring.reread().is_err());
        assert!(ring.current().unwrap().find("old").is_some());
    }

    #[test]
    fn without_a_file_there_is_nothing_to_reread() {
        let ring = KeyRing::new(None);
        assert_eq!(ring.reread().unwrap(), None);
        assert!(ring.current().is_none());
    }
}
