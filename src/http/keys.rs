//! API keys: each has a role and a tenant.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroload_domain::Tenant;

use crate::outside::toml_problem;

/// The calls that a key may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Calls on media of its tenant.
    Backend,
    /// History and `verify`.
    Auditor,
    /// Projections.
    Analyst,
    /// Notifications of the bucket, and no other call.
    Notifier,
    /// All calls.
    Operator,
}

/// One key. The key itself is never stored, only its SHA-256.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub tenant: Tenant,
    pub name: String,
    pub role: Role,
    sha256: [u8; 32],
}

/// All keys of the file.
#[derive(Clone, Debug)]
pub struct ApiKeys(Vec<ApiKey>);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path}: {problem}")]
    Malformed { path: String, problem: String },
}

impl ApiKeys {
    /// # Errors
    /// [`KeysError`] says which key of the file is wrong.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KeysError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(&text).map_err(|problem| KeysError::Malformed { path: path.display().to_string(), problem })
    }

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            key: Vec<RawKey>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RawKey {
            tenant: Tenant,
            name: String,
            sha256: String,
            role: Role,
        }
        let file: File = toml::from_str(text).map_err(|error| toml_problem(text, &error))?;
        let mut keys: Vec<ApiKey> = Vec::with_capacity(file.key.len());
        for raw in file.key {
            let name = raw.name;
            if !(1..=64).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(format!("key {name:?}: name must be 1 to 64 visible ASCII characters"));
            }
            let sha256 = parse_hex(&raw.sha256).ok_or_else(|| {
                format!("key {name}: sha256 must be the 64 hex digits of the key's SHA-256, not the key itself")
            })?;
            if keys.iter().any(|key| key.sha256 == sha256) {
                return Err(format!("key {name}: another key has the same sha256"));
            }
            keys.push(ApiKey { tenant: raw.tenant, name, role: raw.role, sha256 });
        }
        if keys.is_empty() {
            return Err("there is no [[key]] in it".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key that was presented. Compares its digest with every stored one in constant time, so that the time of a
    /// call tells nothing about the keys.
    pub fn find(&self, presented: &str) -> Option<&ApiKey> {
        let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let mut found = 0_u64;
        for (index, key) in (1_u64..).zip(&self.0) {
            let equal: Choice = key.sha256.ct_eq(&digest);
            found.conditional_assign(&index, equal);
        }
        usize::try_from(found).ok()?.checked_sub(1).and_then(|index| self.0.get(index))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sha256: &str) -> String {
        format!("[[key]]\ntenant = \"acme\"\nname = \"web\"\nsha256 = \"{sha256}\"\nrole = \"backend\"\n")
    }

    fn hex_of(key: &str) -> String {
        hex::encode(Sha256::digest(key.as_bytes()))
    }

    #[test]
    fn a_key_is_found_by_its_digest_alone() {
        let keys = ApiKeys::parse(&file(&hex_of("secret"))).unwrap();
        assert_eq!(keys.find("secret").map(|key| key.name.as_str()), Some("web"));
        assert!(keys.find("secreT").is_none());
        assert!(keys.find("").is_none());
    }

    #[test]
    fn a_file_that_holds_the_key_itself_is_refused() {
        let problem = ApiKeys::parse(&file("secret")).unwrap_err();
        assert!(problem.contains("key web") && problem.contains("not the key itself"), "{problem}");
    }

    #[test]
    fn roles_tenants_and_doubles_are_checked() {
        let good = file(&hex_of("secret"));
        assert!(ApiKeys::parse(&good.replace("backend", "root")).is_err());
        assert!(ApiKeys::parse(&good.replace("acme", "A B")).is_err());
        assert!(ApiKeys::parse(&good.replace("role", "roll")).is_err());
        assert!(ApiKeys::parse(&format!("{good}{good}")).is_err());
        assert!(ApiKeys::parse("").is_err());
    }
}
