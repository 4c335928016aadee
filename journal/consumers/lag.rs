//! How far a consumer is behind.

use chrono::{DateTime, Utc};

use crate::reader::Reader;
use crate::stored::ReadError;

/// How far a cursor is behind the journal's head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    pub events: u64,
    /// The age of the first event behind the cursor; 0 where there is none.
    pub seconds: f64,
}

/// How far `position` is behind `head`, the journal's last position.
///
/// # Errors
/// [`ReadError`].
pub async fn lag(reader: &Reader, head: u64, position: u64, now: DateTime<Utc>) -> Result<Lag, ReadError> {
    let events = head.saturating_sub(position);
    let oldest = if events == 0 { None } else { reader.read(position, 1).await?.into_iter().next() };
    let seconds = oldest.map_or(0.0, |event| (now - event.recorded_at).as_seconds_f64().max(0.0));
    Ok(Lag { events, seconds })
}
