//! The media type that a server tells of an object.

use serde::{Deserialize, Deserializer, Serialize};

use super::{ContentType, Shared};

/// Bytes that are kept. No [`ContentType`] is longer, so what was cut is equal to none.
const MOST: usize = 255;

/// A media type as the server tells it: text that may be none, since others than tickets write objects too, and a server
/// may change what it was given. Only ever compared and shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct StoredType(Shared);

impl StoredType {
    /// Takes any text; of a long one only the beginning is kept, with an ellipsis behind it.
    pub fn of(raw: &str) -> Self {
        if raw.len() <= MOST {
            return Self(raw.into());
        }
        Self(format!("{}…", &raw[..raw.floor_char_boundary(MOST)]).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a ticket could have asked for it, to the letter.
    pub fn is_media_type(&self) -> bool {
        ContentType::check(self.0.clone()).is_ok_and(|parsed| parsed.as_str() == self.as_str())
    }

    /// Whether both name the same type, however they are spelled; a text that is no media type is the same as itself alone.
    pub fn is_same(&self, other: &Self) -> bool {
        match (ContentType::check(self.0.clone()), ContentType::check(other.0.clone())) {
            (Ok(ours), Ok(theirs)) => ours.is_same(&theirs),
            _ => self == other,
        }
    }
}

impl From<&ContentType> for StoredType {
    fn from(content_type: &ContentType) -> Self {
        Self::of(content_type.as_str())
    }
}

impl std::fmt::Display for StoredType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StoredType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Shared::deserialize(deserializer).map(|text| Self::of(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_kept_and_a_long_one_cut_where_no_media_type_ends() {
        for (raw, is_one) in [("image/jpeg", true), ("nonsense", false), ("", false), ("image/jpeg\t", false)] {
            let stored = StoredType::of(raw);
            assert_eq!((stored.as_str(), stored.is_media_type()), (raw, is_one));
        }
        for long in [format!("a/{}", "b".repeat(300)), "ü".repeat(200)] {
            let stored = StoredType::of(&long);
            assert!(stored.as_str().len() <= MOST + '…'.len_utf8() && !stored.is_media_type(), "{stored}");
            assert_eq!(StoredType::of(stored.as_str()), stored, "what was recorded is read back");
        }
    }

    #[test]
    fn types_are_the_same_by_what_they_mean_and_other_texts_by_the_letter() {
        let same = |ours: &str, theirs: &str| StoredType::of(ours).is_same(&StoredType::of(theirs));
        assert!(same("video/webm;codecs=vp8,opus", "Video/WebM; codecs=\"vp8,opus\""));
        assert!(same("nonsense", "nonsense"));
        assert!(!same("nonsense", "Nonsense") && !same("image/jpeg", "nonsense") && !same("image/jpeg", "image/png"));
    }
}
