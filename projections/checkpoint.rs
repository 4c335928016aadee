//! Where a projection stands.

use chrono::{DateTime, Utc};

/// The name of the one projection, as checkpoints show it.
pub(crate) const MEDIA: &str = "media";

/// A version of a projection, and the last event in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The projection: `media`.
    pub name: String,
    /// 1, 2, …: each rebuild makes a new one and no number is used twice.
    pub version: u32,
    pub status: Status,
    /// Of the last event applied; 0 before the first.
    pub position: u64,
    /// When the last event applied was recorded.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// Who sees a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Readers see it, and there is always exactly one.
    Live,
    /// A rebuild fills it; no reader sees it.
    Building,
}

impl Status {
    pub const ALL: [Self; 2] = [Self::Live, Self::Building];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Building => "building",
        }
    }
}

/// What applying a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The checkpoint after it.
    pub position: u64,
    /// Events of the batch that were not in the projection before.
    pub applied: usize,
}

/// What an attempt to swap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// Readers see the rebuilt version now, and the old one is gone.
    Swapped,
    /// Nothing has changed: the live version is this many events ahead. Apply them and try again.
    Behind { by: u64 },
}
