//! S3 keys: `{prefix}/{tenant}/{2 hex}/{media id}.{ext}`, and `{media id}.{n}.{ext}` for what was restored after its n-th
//! collection; in the trash the same behind `{prefix}/.trash/`.
//!
//! The two hex digits are the id's last byte. Ids begin with their time, and S3 limits requests per prefix, so without
//! them all writes of a moment would fall on one shard (S3 user guide, "Optimizing Amazon S3 performance").

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize};

use crate::values::{Claim, ContentType, Invalid, MediaId, Shared, Tenant};

const ALLOWED_KEY: &str = "{prefix}/{tenant}/{2 hex}/{media id}.{ext} or {media id}.{n}.{ext}";
const TRASH: &str = ".trash";

/// Characters of an extension that is chosen here.
const LONGEST_EXTENSION: usize = 16;

/// Characters of an id.
const ID: usize = uuid::fmt::Hyphenated::LENGTH;

/// The folder of a bucket that belongs to zeroload: nothing outside it is ever written or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// # Errors
    /// [`Invalid`] unless it is 1 to 128 characters of `a-z 0-9 . - /` without empty or dot-only parts.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        if Self::fits(raw) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(Invalid {
                what: "s3_prefix",
                allowed: "1 to 128 characters of a-z, 0-9, '.', '-' and '/', without a slash at either end",
            })
        }
    }

    fn fits(raw: &str) -> bool {
        (1..=128).contains(&raw.len())
            && raw.split('/').all(|part| {
                part.bytes().any(|b| b != b'.')
                    && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
            })
    }

    /// The key of the marker object that ties a bucket to its journal.
    pub fn marker(&self) -> String {
        format!("{}/.zeroload", self.0)
    }

    /// A key for a probe of what the server enforces; it can never be an item's key.
    pub fn probe(&self, name: &str) -> String {
        format!("{}/.zeroload-probe/{name}", self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key of one media item's object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ObjectKey(Shared);

impl ObjectKey {
    pub fn new(prefix: &KeyPrefix, tenant: &Tenant, id: MediaId, content_type: &ContentType) -> Self {
        let shard = id.as_uuid().as_bytes()[15];
        Self(format!("{}/{tenant}/{shard:02x}/{id}.{}", prefix.0, extension(content_type)).into())
    }

    /// # Errors
    /// [`Invalid`] for a key that [`ObjectKey::new`] cannot have made.
    pub fn parse(raw: impl Into<Arc<str>>) -> Result<Self, Invalid> {
        Self::check(raw.into().into())
    }

    fn check(raw: Shared) -> Result<Self, Invalid> {
        let key = Self(raw);
        let invalid = Invalid { what: "object_key", allowed: ALLOWED_KEY };
        let Some((id, _)) = key.read_id() else { return Err(invalid) };
        let mut parts = key.0.rsplitn(4, '/').skip(1);
        let (shard, tenant, prefix) = (parts.next(), parts.next(), parts.next());
        // An id is written in the same digits, its last byte at its end.
        let well_formed =
            shard == Some(&id[ID - 2..]) && tenant.is_some_and(Tenant::fits) && prefix.is_some_and(KeyPrefix::fits);
        if well_formed { Ok(key) } else { Err(invalid) }
    }

    /// Where the trash keeps the object that this claim took away. No tenant's name begins with a dot, so it is no item's.
    #[must_use]
    pub fn in_trash(&self, claim: Claim) -> Self {
        let (folder, id, extension) = self.parts();
        let mut parts = folder.rsplitn(3, '/');
        let (shard, tenant, prefix) = (parts.next(), parts.next(), parts.next());
        let [prefix, tenant, shard] = [prefix, tenant, shard].map(Option::unwrap_or_default);
        Self(format!("{prefix}/{TRASH}/{tenant}/{shard}/{id}.{}.{extension}", claim.number()).into())
    }

    /// The key of an item that is brought back after this claim. None had it before: claims only go up.
    #[must_use]
    pub fn restored(&self, claim: Claim) -> Self {
        let (folder, id, extension) = self.parts();
        Self(format!("{folder}/{id}.{}.{extension}", claim.number()).into())
    }

    /// Whether an item with this key was brought back from the trash.
    pub fn is_restored(&self) -> bool {
        self.0.rsplit('/').next().is_some_and(|name| name.split('.').count() > 2)
    }

    /// Folder, id and extension.
    fn parts(&self) -> (&str, &str, &str) {
        let (folder, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        let (id, rest) = name.split_once('.').unwrap_or((name, ""));
        (folder, id, rest.rsplit('.').next().unwrap_or_default())
    }

    pub fn media_id(&self) -> MediaId {
        let (_, id) = self.read_id().expect("every way to make a key puts an id in its last part");
        id
    }

    /// Whether it lies in this folder, as [`ObjectKey::new`] would have made it there.
    pub fn is_in(&self, prefix: &KeyPrefix) -> bool {
        self.0.rsplitn(4, '/').nth(3) == Some(prefix.as_str())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_extension(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    }

    /// As it is written, and as it is.
    fn read_id(&self) -> Option<(&str, MediaId)> {
        let (_, name) = self.0.rsplit_once('/')?;
        let (id, rest) = name.split_once('.')?;
        let extension = match rest.split_once('.') {
            None => rest,
            Some((claim, extension)) => {
                let number: u32 = claim.parse().ok().filter(|number| *number > 0)?;
                (number.to_string() == claim).then_some(extension)?
            }
        };
        if !Self::is_extension(extension) {
            return None;
        }
        let parsed = MediaId::parse(id).ok()?;
        (parsed.as_uuid().hyphenated().encode_lower(&mut [0; ID]) == id).then_some((id, parsed))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(Shared::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// From the declared type and never from a file name: names are personal data and hostile input. What the database of media
/// types calls a type's first extension is not always the one that people use.
fn extension(content_type: &ContentType) -> &'static str {
    let essence = content_type.essence();
    let known = match essence.as_str() {
        "image/jpeg" | "image/jpg" | "image/pjpeg" => "jpg",
        "image/tiff" => "tiff",
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/mpeg" => "mpeg",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/mp4" | "audio/x-m4a" => "m4a",
        "audio/aac" => "aac",
        "audio/ogg" => "ogg",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/webm" => "webm",
        "text/plain" => "txt",
        other => mime2ext::mime2ext(other).unwrap_or_default(),
    };
    if ObjectKey::is_extension(known) && known.len() <= LONGEST_EXTENSION { known } else { "bin" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(content_type: &str) -> ObjectKey {
        ObjectKey::new(
            &KeyPrefix::parse("media").unwrap(),
            &Tenant::parse("default").unwrap(),
            MediaId::parse("019a0d2e-7b1c-7000-8000-0123456789ab").unwrap(),
            &ContentType::parse(content_type).unwrap(),
        )
    }

    #[test]
    fn a_key_is_sharded_by_the_last_byte_of_its_id() {
        assert_eq!(key_of("image/jpeg").as_str(), "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg");
        assert_eq!(
            key_of("Text/Plain; charset=utf-8").as_str(),
            "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.txt"
        );
        assert_eq!(key_of("x/y").as_str(), "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.bin");
    }

    #[test]
    fn common_types_give_the_extension_that_people_know() {
        for (content_type, extension) in [
            ("image/heic", "heic"),
            ("image/heif", "heif"),
            ("image/jxl", "jxl"),
            ("image/avif", "avif"),
            ("image/webp", "webp"),
            ("image/svg+xml", "svg"),
            ("image/bmp", "bmp"),
            ("video/webm;codecs=vp8,opus", "webm"),
            ("video/x-matroska", "mkv"),
            ("video/3gpp", "3gp"),
            ("audio/webm;codecs=opus", "webm"),
            ("audio/mp4", "m4a"),
            ("audio/mpeg", "mp3"),
            ("application/pdf", "pdf"),
            ("application/zip", "zip"),
            ("application/json", "json"),
            ("text/csv", "csv"),
            ("text/markdown", "md"),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
            ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
            ("application/octet-stream", "bin"),
            ("x-unheard/of", "bin"),
        ] {
            let key = key_of(content_type);
            assert_eq!(key.as_str().rsplit('.').next(), Some(extension), "{content_type}");
            assert_eq!(ObjectKey::parse(key.as_str()), Ok(key));
        }
    }

    #[test]
    fn the_id_can_be_read_back() {
        let key = key_of("video/mp4");
        assert_eq!(key.media_id().to_string(), "019a0d2e-7b1c-7000-8000-0123456789ab");
        assert_eq!(ObjectKey::parse(key.as_str()), Ok(key));
    }

    #[test]
    fn each_collection_has_a_place_in_the_trash_and_a_key_to_come_back_to() {
        let (key, second) = (key_of("image/jpeg"), Claim::FIRST.next());
        let id = "019a0d2e-7b1c-7000-8000-0123456789ab";
        assert_eq!(key.in_trash(Claim::FIRST).as_str(), format!("media/.trash/default/ab/{id}.1.jpg"));
        let restored = key.restored(Claim::FIRST);
        assert_eq!(restored.as_str(), format!("media/default/ab/{id}.1.jpg"));
        assert_eq!((key.is_restored(), restored.is_restored()), (false, true));
        assert_eq!(restored.in_trash(second).as_str(), format!("media/.trash/default/ab/{id}.2.jpg"));
        assert_eq!(restored.restored(second).as_str(), format!("media/default/ab/{id}.2.jpg"));
        let deep = ObjectKey::parse(format!("a.b.c/b/default/ab/{id}.jpg")).unwrap();
        assert!(!deep.is_restored());
        assert_eq!(deep.in_trash(second).as_str(), format!("a.b.c/b/.trash/default/ab/{id}.2.jpg"));
        for made in [key.in_trash(second), restored, deep.in_trash(Claim::FIRST)] {
            assert_eq!(made.media_id().to_string(), id);
            assert_eq!(ObjectKey::parse(made.as_str()), Ok(made));
        }
    }

    #[test]
    fn foreign_keys_are_no_object_keys() {
        for bad in [
            "",
            "media/.zeroload",
            "secret.txt",
            "media/default/aa/019a0d2e-7b1c-7000-8000-0123456789ab.jpg",
            "media/default/ab/019A0D2E-7B1C-7000-8000-0123456789AB.jpg",
            "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab",
            "/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg",
            "default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg",
            "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.0.jpg",
            "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.01.jpg",
            "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.2.jpg",
            "media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg.jpg",
        ] {
            assert!(ObjectKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_lies_in_its_own_folder_and_in_no_other() {
        let key = key_of("image/jpeg");
        for (folder, lies) in [("media", true), ("med", false), ("media/default", false), ("other", false)] {
            assert_eq!(key.is_in(&KeyPrefix::parse(folder).unwrap()), lies, "{folder}");
        }
    }

    #[test]
    fn prefixes_cannot_climb_or_be_empty() {
        for good in ["media", "a/b", "app.v1/media-2"] {
            assert!(KeyPrefix::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "/", "a/", "/a", "a//b", "..", "a/../b", "A", "a b", "ä"] {
            assert!(KeyPrefix::parse(bad).is_err(), "{bad:?}");
        }
    }
}
