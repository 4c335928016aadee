//! Values as they may be: each type is parsed once at the edge, after that it cannot be wrong.

mod facts;
mod media_type;
mod shared;
mod stored_type;
mod text;

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use facts::{
    Claim, CollectOutcome, CollectReason, Found, ObjectFacts, ReleaseReason, Seen, SeenVia, UnsignedHeader,
};
pub use media_type::ContentType;
pub(crate) use shared::Shared;
pub use stored_type::StoredType;
pub use text::{AttachedTo, Bucket, ETag, FileName, IdempotencyKey, Owner, Store, Tenant, VersionId};

/// A value that was refused: which kind of value, and what is allowed instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{what} must be {allowed}")]
pub struct Invalid {
    pub what: &'static str,
    pub allowed: &'static str,
}

/// The id of one media item and of its stream: a UUID in its 36-character form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MediaId(Uuid);

impl MediaId {
    /// # Errors
    /// [`Invalid`] for all but the hyphenated form, so that one id has one spelling.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { what: "id", allowed: "a UUID such as 019a0d2e-7b1c-7000-8000-0123456789ab" };
        if raw.len() != 36 {
            return Err(invalid);
        }
        Uuid::try_parse(raw).map(Self).map_err(|_| invalid)
    }

    /// The id that belongs to a tenant's idempotency key, for ever: a UUIDv8 from SHA-256.
    pub fn derived(tenant: &Tenant, key: &IdempotencyKey) -> Self {
        let digest = digest_of(&[b"zeroload media id", tenant.as_str().as_bytes(), key.as_str().as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(id).into_uuid())
    }

    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for MediaId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl<'de> Deserialize<'de> for MediaId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SHA-256 of an object's bytes; in JSON and in S3's headers it is base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// # Errors
    /// [`Invalid`] unless it is the padded base64 of exactly 32 bytes.
    pub fn parse(base64: &str) -> Result<Self, Invalid> {
        let invalid = Invalid { what: "checksum_sha256", allowed: "the base64 of 32 bytes (44 characters)" };
        let bytes = STANDARD.decode(base64).map_err(|_| invalid.clone())?;
        bytes.try_into().map(Self).map_err(|_| invalid)
    }

    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a request asked for, so that a repeat with another body is noticed. Its key is the idempotency key, or a random
/// one where the request has none; neither is ever recorded, so nothing can be guessed back from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Shared);

impl Fingerprint {
    pub fn of(key: &str, fields: &[&str]) -> Self {
        let mut parts = vec![b"zeroload request".as_slice(), key.as_bytes()];
        parts.extend(fields.iter().map(|field| field.as_bytes()));
        Self(hex::encode(digest_of(&parts)).into())
    }
}

/// SHA-256 over length-prefixed parts, so that no two lists of parts share an input.
fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_may_be_long_and_in_any_script_but_not_mislead() {
        let long = "漢".repeat(200);
        for good in [
            "a",
            "photo \"of\" me.jpg",
            "C:\\fakepath\\a.jpg",
            "\u{200e}WhatsApp Image.jpeg",
            "तस्वीर.png",
            long.as_str(),
        ] {
            assert_eq!(FileName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a/b", "a\nb", "a\u{0}b", "a\u{9b}b", "gnp.\u{202e}exe", "a\u{2066}b", "a\u{2028}b"] {
            assert!(FileName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(FileName::parse("a".repeat(1025)).is_err());
    }

    #[test]
    fn tenants_fit_into_object_keys() {
        for good in ["default", "a", "tenant-1"] {
            assert!(Tenant::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "-a", "A", "a/b", "a.b", "ä"] {
            assert!(Tenant::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Tenant::parse("a".repeat(64)).is_err());
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = "019a0d2e-7b1c-7000-8000-0123456789ab";
        assert_eq!(MediaId::parse(id).map(|i| i.to_string()), Ok(id.to_owned()));
        for bad in [
            "",
            "7",
            "019a0d2e7b1c700080000123456789ab",
            "{019a0d2e-7b1c-7000-8000-0123456789ab}",
            "x19a0d2e-7b1c-7000-8000-0123456789ab",
        ] {
            assert!(MediaId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_idempotency_key_names_one_id_per_tenant() {
        let (a, b) = (Tenant::parse("a").unwrap(), Tenant::parse("b").unwrap());
        let key = IdempotencyKey::parse("k-1").unwrap();
        assert_eq!(MediaId::derived(&a, &key), MediaId::derived(&a, &key));
        assert_ne!(MediaId::derived(&a, &key), MediaId::derived(&b, &key));
        assert_eq!(MediaId::derived(&a, &key).as_uuid().get_version_num(), 8);
    }

    #[test]
    fn checksums_are_the_base64_of_32_bytes() {
        let digest = Sha256Digest::of(b"abc");
        assert_eq!(Sha256Digest::parse(&digest.to_string()), Ok(digest));
        for bad in ["", "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa=", "aGVsbG8="] {
            assert!(Sha256Digest::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_fingerprint_keeps_its_fields_apart() {
        assert_ne!(Fingerprint::of("k", &["ab", "c"]), Fingerprint::of("k", &["a", "bc"]));
        assert_ne!(Fingerprint::of("k", &["a"]), Fingerprint::of("l", &["a"]));
    }

    #[test]
    fn stored_values_are_checked_when_read() {
        assert!(serde_json::from_str::<Tenant>("\"A B\"").is_err());
        assert!(serde_json::from_str::<MediaId>("\"7\"").is_err());
    }
}
