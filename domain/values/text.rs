//! Values that are text: each alphabet is checked once, also when a stored value is read.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Invalid, shared::Shared};

/// A validated string: `parse` at the edge, `as_str` inside, the same check on stored JSON.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Shared);

        impl $name {
            /// # Errors
            /// [`Invalid`] says what is allowed.
            pub fn parse(raw: impl Into<Arc<str>>) -> Result<Self, Invalid> {
                Self::check(raw.into().into())
            }

            fn check(raw: Shared) -> Result<Self, Invalid> {
                if Self::fits(&raw) {
                    Ok(Self(raw))
                } else {
                    Err(Invalid { what: $what, allowed: $allowed })
                }
            }

            pub(crate) fn fits(raw: &str) -> bool {
                let fits: fn(&str) -> bool = $check;
                fits(raw)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::check(Shared::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

text_value!(
    /// Whose API key asked. Part of every object key, hence the small alphabet.
    Tenant, "tenant", "1 to 63 characters of a-z, 0-9 and -, not starting with -",
    |s| (1..=63).contains(&s.len())
        && !s.starts_with('-')
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

text_value!(
    /// The backend's own, opaque name for whose media it is.
    Owner, "owner", "1 to 255 bytes of text without control characters", is_opaque_name
);

text_value!(
    /// What the media belongs to once confirmed, in the backend's own words (a post's id, say).
    AttachedTo, "attached_to", "1 to 255 bytes of text without control characters", is_opaque_name
);

text_value!(
    /// An entity tag without quotes. Opaque: only ever compared.
    ETag, "etag", "1 to 1024 bytes of visible ASCII without quotes",
    |s| (1..=1024).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
);

text_value!(
    /// The name of a bucket (S3's naming rules, loosely: the server has the last word).
    Bucket, "bucket", "3 to 255 characters of A-Z, a-z, 0-9, '.', '_' and '-'",
    |s| (3..=255).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);

text_value!(
    /// Which S3 holds the bucket: `embedded`, `aws`, or the endpoint's address.
    Store, "store", "1 to 255 bytes of visible ASCII",
    |s| (1..=255).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic())
);

text_value!(
    /// The id of an object version, as S3 names it.
    VersionId, "version_id", "1 to 1024 bytes of visible ASCII",
    |s| (1..=1024).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic())
);

text_value!(
    /// A file name for `Content-Disposition`. It is signed into the ticket and never recorded.
    FileName, "filename", "1 to 1024 characters without '/', control characters and those that change the direction of text",
    |s| (1..=1024).contains(&s.chars().count()) && !s.chars().any(|c| c == '/' || misleads(c))
);

text_value!(
    /// A client's `Idempotency-Key`.
    IdempotencyKey, "Idempotency-Key", "1 to 255 visible ASCII characters",
    |s| (1..=255).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic())
);

fn is_opaque_name(s: &str) -> bool {
    (1..=255).contains(&s.len()) && !s.chars().any(char::is_control)
}

/// Control characters, and what makes a name look like another one: embeddings, overrides and isolates of direction, and
/// the separators of lines and paragraphs. The marks U+200E, U+200F and U+061C stay: names in Hebrew and Arabic have them.
fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
