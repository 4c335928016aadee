//! An event as the journal hands it over.

use chrono::{DateTime, Utc};
use zeroload_domain::{Event, MediaId, RunEvent};

/// One event of the journal, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Place in the one global order: 1, 2, 3 … without gaps.
    pub position: u64,
    /// By the journal's database.
    pub recorded_at: DateTime<Utc>,
    /// Whose API key asked; empty for what is no tenant's.
    pub tenant: String,
    /// Place in its stream: 1, 2, 3 …
    pub sequence: u64,
    pub what: RecordedBody,
}

/// What happened, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedBody {
    Media(MediaId, Event),
    Run(RunEvent),
}

impl RecordedEvent {
    /// The event of a media item, if it is one.
    pub fn of_media(&self) -> Option<(MediaId, &Event)> {
        match &self.what {
            RecordedBody::Media(id, event) => Some((*id, event)),
            RecordedBody::Run(_) => None,
        }
    }
}
