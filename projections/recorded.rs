//! An event as the journal hands it over.

use chrono::{DateTime, Utc};
use zeroload_domain::{Event, MediaId};

/// One event of the journal, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Place in the one global order: 1, 2, 3 … without gaps.
    pub position: u64,
    /// By the journal's database.
    pub recorded_at: DateTime<Utc>,
    /// Whose API key asked.
    pub tenant: String,
    pub media_id: MediaId,
    /// Place in the item's stream: 1, 2, 3 …
    pub sequence: u64,
    pub event: Event,
}
