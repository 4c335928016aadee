//! The place where a page ended.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeZone, Utc};
use uuid::Uuid;
use zeroload_domain::MediaId;

/// The place after one item in the order of `(collectable_at, media_id)`. To a client it is opaque, and needs no
/// escaping in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub collectable_at: DateTime<Utc>,
    pub media_id: MediaId,
}

/// Text that is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cursor must be the next_cursor of an earlier page")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}", self.collectable_at.timestamp_micros(), self.media_id.as_uuid().simple())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (micros, id) = text.strip_prefix("1.").and_then(|rest| rest.split_once('.')).ok_or(InvalidCursor)?;
        let micros: i64 = micros.parse().map_err(|_| InvalidCursor)?;
        let id = Uuid::try_parse(id).map_err(|_| InvalidCursor)?;
        let cursor = Self {
            collectable_at: Utc.timestamp_micros(micros).single().ok_or(InvalidCursor)?,
            media_id: MediaId::from(id),
        };
        // One place has one spelling.
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_needs_no_escaping() {
        let id = MediaId::parse("019a0d2e-7b1c-7000-8000-0123456789ab").unwrap();
        for micros in [-5, 0, 1_795_336_931_123_456] {
            let cursor = Cursor { collectable_at: Utc.timestamp_micros(micros).unwrap(), media_id: id };
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor));
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_cursor() {
        let id = "019a0d2e7b1c700080000123456789ab";
        for bad in ["", "1", "1..", "2.5.019a0d2e7b1c700080000123456789ab", "1.x.019a0d2e7b1c700080000123456789ab"] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad:?}");
        }
        for bad in
            [format!("1.+5.{id}"), format!("1.05.{id}"), format!("1.5.{id}0"), format!("1.9223372036854775807.{id}")]
        {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad:?}");
        }
    }
}
