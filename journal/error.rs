//! What a database says of itself when it does not do what it was asked.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The database did not do what it was asked. Cheap to clone: one failure answers a whole batch.
#[derive(Debug, Clone)]
pub struct StoreError {
    pub kind: StoreErrorKind,
    source: Arc<dyn Error + Send + Sync>,
}

/// What a caller or an operator can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The disk or a quota is full.
    Full,
    /// The disk or the connection failed.
    Io,
    /// Another process holds a lock, or statements take too long, for longer than we wait.
    Busy,
    /// There is no connection to be had.
    NoConnection,
    /// The file can be read but not written.
    ReadOnly,
    /// What is stored contradicts itself.
    Corrupt,
    /// The database was closed.
    Closed,
    /// It lacks events that it had acknowledged: an older copy took its place.
    WentBack,
    /// A file of it was removed, replaced or cut while we have it open.
    FileChanged,
    /// It holds another journal than the one that was opened.
    OtherJournal,
    /// Anything else, for instance a missing table.
    Other,
}

impl StoreError {
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Arc::from(source.into()) }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            // Which file, and what to do.
            StoreErrorKind::FileChanged => return self.source.fmt(f),
            StoreErrorKind::Full => "the database's disk is full",
            StoreErrorKind::Io => "the database's disk or connection failed",
            StoreErrorKind::Busy => "the database is busy",
            StoreErrorKind::NoConnection => {
                "no connection to the database can be had: it is away, or all its connections (max_connections) are in use"
            }
            StoreErrorKind::ReadOnly => "the database is read-only",
            StoreErrorKind::Corrupt => "the database is corrupt",
            StoreErrorKind::Closed => "the database is closed",
            StoreErrorKind::WentBack => {
                "the database lacks events that it had acknowledged: an older copy took its place"
            }
            StoreErrorKind::OtherJournal => "the database holds another journal",
            StoreErrorKind::Other => "the database failed",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
