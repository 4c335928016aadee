//! Where a projection stands.

use chrono::{DateTime, Utc};
use zeroload_domain::Sha256Digest;

use super::field::{Kind, Scalar, Sink};
use crate::{
    Error,
    engine::{Index, Row, Table, row},
};

row! {
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
        /// The schema by which it was begun; 0 for one of before that was noted.
        pub begun_by: i64,
        /// The latest commit of the journal that is known to begin at or before `position`; none before the first, and until
        /// a version of an earlier build has been fed again.
        pub commit_id: Option<u64>,
        /// The hash of that commit, as 64 hex digits.
        pub commit_hash: Option<String>,
    }
}

impl Checkpoint {
    /// By what its past is recognised.
    pub fn mark(&self) -> Option<Mark> {
        Some(Mark { commit_id: self.commit_id?, commit_hash: self.commit_hash.clone()? })
    }
}

/// A commit of the journal, by whose hash a journal with the same past is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub commit_id: u64,
    /// As 64 hex digits.
    pub commit_hash: String,
}

/// Rows and checkpoint always change in one transaction.
pub(crate) const CHECKPOINTS: Table = Table {
    name: "projection_checkpoints",
    columns: Checkpoint::COLUMNS,
    key: &["name", "version"],
    indexes: &[Index { name: "live", unique: true, on: "name", filter: Some("status = 'live'") }],
    without_rowid: true,
};

row! {
    /// The newest version number ever given to a projection: none is used twice, so that a rebuild that was replaced finds its
    /// version gone and never writes into another's.
    struct Newest {
        name: String,
        newest: u32,
    }
}

pub(crate) const VERSIONS: Table =
    Table { name: "projection_versions", columns: Newest::COLUMNS, key: &["name"], indexes: &[], without_rowid: true };

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

impl Scalar for Status {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(self.as_str()));
    }

    fn of_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
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

/// What was read of one version of a projection: equal versions have equal rows and digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dump {
    pub version: u32,
    /// The checkpoint at which it was read.
    pub position: u64,
    pub rows: u64,
    /// Over all columns of all rows in order of id.
    pub digest: Sha256Digest,
}

impl Dump {
    pub(crate) fn of_no_rows(version: u32, position: u64) -> Self {
        Self { version, position, rows: 0, digest: Sha256Digest::of(b"zeroload media rows") }
    }

    pub(crate) fn add(&mut self, row: &impl std::fmt::Debug) {
        // Each digest covers the one before it. The debug form names and quotes every field.
        self.digest = Sha256Digest::of(format!("{} {row:?}", self.digest).as_bytes());
        self.rows += 1;
    }
}

/// All versions of all projections.
pub(crate) const SELECT: &str = "SELECT {columns} FROM projection_checkpoints ORDER BY name, version";

/// Moves the checkpoint of a version, together with its rows. Without a commit the one that is noted stays: it is earlier, and
/// as true.
pub(crate) const MOVE: &str = "UPDATE projection_checkpoints
    SET position = $3, recorded_at = $4, commit_id = coalesce($5, commit_id), commit_hash = coalesce($6, commit_hash)
    WHERE name = $1 AND version = $2";

/// The live one of all checkpoints.
pub(crate) fn live(all: Vec<Checkpoint>) -> Result<Checkpoint, Error> {
    // The migration makes a live version and a swap exchanges it.
    all.into_iter().find(|c| c.status == Status::Live).ok_or(Error::Database(sqlx::Error::RowNotFound))
}

/// The checkpoint of a version, of the live one if none is named.
pub(crate) fn version(all: Vec<Checkpoint>, version: Option<u32>) -> Result<Checkpoint, Error> {
    all.into_iter()
        .find(|c| version.map_or(c.status == Status::Live, |version| c.version == version))
        .ok_or(Error::NoSuchVersion { version: version.unwrap_or_default() })
}
