//! The statements that apply a batch to one version of the table that is folded into.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Table;

/// Rows per statement: each size is prepared once per version and then found in the connection's cache, and a batch
/// takes at most one statement of each but the largest. Every statement is a round trip to the connection's thread.
pub(super) const CHUNKS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

#[derive(Debug)]
pub(super) struct VersionStatements {
    version: u32,
    /// With the keys as a JSON array.
    pub(super) load: String,
    /// By the index of [`CHUNKS`].
    pub(super) insert: [String; CHUNKS.len()],
    pub(super) update: [String; CHUNKS.len()],
}

/// The statements of the versions in use: the live one and perhaps one that is being built.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements(Arc<Mutex<Vec<Arc<VersionStatements>>>>);

impl Statements {
    pub(super) fn of(&self, table: &Table, version: u32) -> Arc<VersionStatements> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|s| s.version == version) {
            return Arc::clone(found);
        }
        let made = Arc::new(VersionStatements::new(table, version));
        // Versions only go up, so the lowest is the one that went out of use.
        known.push(Arc::clone(&made));
        known.sort_by_key(|s| std::cmp::Reverse(s.version));
        known.truncate(2);
        made
    }
}

impl VersionStatements {
    fn new(table: &Table, version: u32) -> Self {
        let (name, names, key) = (table.of_version(version), table.names(), table.key.join(", "));
        let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
        let insert =
            CHUNKS.map(|rows| format!("INSERT INTO {name} ({names})\nVALUES {}", vec![row.as_str(); rows].join(", ")));
        let update = insert.clone().map(|insert| format!("{insert}\n{}", table.or_replace()));
        let load = format!("SELECT {names} FROM {name} WHERE {key} IN (SELECT value FROM json_each(?1))");
        Self { version, load, insert, update }
    }
}
