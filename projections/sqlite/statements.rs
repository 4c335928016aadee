//! The SQL of one version's table: the `.sql` files with the version's number in them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::columns;

/// Rows per statement: each size is prepared once per version and then found in the connection's cache, and a batch
/// takes at most one statement of each but the largest. Every statement is a round trip to the connection's thread.
pub(super) const CHUNKS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// The statements that apply a batch to one version.
#[derive(Debug)]
pub(super) struct VersionStatements {
    version: u32,
    pub(super) load: String,
    /// By the index of [`CHUNKS`].
    pub(super) insert: [String; CHUNKS.len()],
    pub(super) update: [String; CHUNKS.len()],
    pub(super) count: String,
    pub(super) run_record: String,
}

/// The statements of the versions in use: the live one and perhaps one that is being built.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements(Arc<Mutex<Vec<Arc<VersionStatements>>>>);

impl Statements {
    pub(super) fn of(&self, version: u32) -> Arc<VersionStatements> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|s| s.version == version) {
            return Arc::clone(found);
        }
        let made = Arc::new(VersionStatements::new(version));
        // Versions only go up, so the lowest is the one that went out of use.
        known.push(Arc::clone(&made));
        known.sort_by_key(|s| std::cmp::Reverse(s.version));
        known.truncate(2);
        made
    }
}

impl VersionStatements {
    fn new(version: u32) -> Self {
        let row = format!("({})", vec!["?"; columns::COUNT].join(", "));
        let insert = CHUNKS.map(|rows| {
            let values = vec![row.as_str(); rows].join(", ");
            numbered(include_str!("sql/insert_media.sql"), version).replace("{rows}", &values)
        });
        let update = insert.clone().map(|insert| format!("{insert}{}", include_str!("sql/update_media.sql")));
        let count = numbered(include_str!("sql/count_activity.sql"), version);
        let load = numbered(include_str!("sql/load_media.sql"), version);
        let run_record = numbered(include_str!("sql/write_run_record.sql"), version);
        Self { version, load, insert, update, count, run_record }
    }
}

pub(super) fn tables(version: u32) -> String {
    let media = concat!(
        include_str!("sql/create_media.sql"),
        include_str!("sql/index_collected.sql"),
        include_str!("sql/index_seals.sql")
    );
    numbered(&[media, include_str!("sql/create_activity.sql")].concat(), version)
}

/// The columns and indexes of seals for a version that was made without them.
pub(super) fn sealed(version: u32) -> String {
    numbered(concat!(include_str!("sql/add_seals.sql"), include_str!("sql/index_seals.sql")), version)
}

pub(super) fn media_view(version: u32) -> String {
    numbered(include_str!("sql/create_media_view.sql"), version)
}

pub(super) fn index_collected(version: u32) -> String {
    numbered(include_str!("sql/index_collected.sql"), version)
}

pub(super) fn views(version: u32) -> String {
    let views = concat!(include_str!("sql/create_media_view.sql"), include_str!("sql/create_activity_view.sql"));
    numbered(views, version)
}

/// The index of what a reconciliation reads.
pub(super) fn index_objects(version: u32) -> String {
    numbered(include_str!("sql/index_objects.sql"), version)
}

/// The table of the runs' records. It may be there: the step of the schema that brought it made it for each version.
pub(super) fn run_table(version: u32) -> String {
    numbered(include_str!("sql/create_run_records.sql"), version)
}

/// The column for what went into the trash, for a table that was made without it.
pub(super) fn trashed(version: u32) -> String {
    numbered(include_str!("sql/add_trashed.sql"), version)
}

pub(super) fn run_view(version: u32) -> String {
    numbered(include_str!("sql/create_run_records_view.sql"), version)
}

/// Renews the indexes of a table that was created before the trash.
pub(super) fn index_trash(version: u32) -> String {
    numbered(include_str!("sql/index_trash.sql"), version)
}

/// The counts of a version that was made without them.
pub(super) fn counted(version: u32) -> String {
    numbered(concat!(include_str!("sql/create_activity.sql"), include_str!("sql/fill_activity.sql")), version)
}

/// Counts a version anew whose counts were made by another rule.
pub(super) fn recounted(version: u32) -> String {
    numbered(concat!("DELETE FROM activity_v{version};\n", include_str!("sql/fill_activity.sql")), version)
}

pub(super) fn activity_view(version: u32) -> String {
    numbered(include_str!("sql/create_activity_view.sql"), version)
}

pub(super) fn drop_tables(version: u32) -> String {
    numbered("DROP TABLE media_v{version}; DROP TABLE activity_v{version}; DROP TABLE run_records_v{version}", version)
}

pub(super) fn dump(version: u32) -> String {
    numbered(include_str!("sql/dump_media.sql"), version)
}

fn numbered(sql: &str, version: u32) -> String {
    sql.replace("{version}", &version.to_string())
}
