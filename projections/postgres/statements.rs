//! The SQL of one version's table: the `.sql` files with the version's number in them.

pub(super) fn tables(version: u32) -> String {
    numbered(concat!(include_str!("sql/create_media.sql"), include_str!("sql/create_activity.sql")), version)
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

pub(super) fn write_run_record(version: u32) -> String {
    numbered(include_str!("sql/write_run_record.sql"), version)
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

/// Whoever may use the one may use the other.
pub(super) fn grants(from: &str, to: &str) -> String {
    include_str!("sql/hand_rights_on.sql").replace("{from}", from).replace("{to}", to)
}

pub(super) fn count(version: u32) -> String {
    numbered(include_str!("sql/count_activity.sql"), version)
}

pub(super) fn dump(version: u32) -> String {
    numbered(include_str!("sql/dump_media.sql"), version)
}

/// Whoever may change rows may remove them.
pub(super) fn grant_delete(version: u32) -> String {
    numbered(include_str!("sql/grant_delete.sql"), version)
}

/// Removes rows and answers with them.
pub(super) fn take(version: u32) -> String {
    numbered(include_str!("sql/take_media.sql"), version)
}

pub(super) fn copy(version: u32) -> String {
    numbered(include_str!("sql/copy_media.sql"), version)
}

/// All but the key's, for the tables of [`tables`].
pub(super) fn indexes(version: u32) -> String {
    let all = [
        include_str!("sql/create_media_indexes.sql"),
        include_str!("sql/index_collected.sql"),
        include_str!("sql/index_seals.sql"),
        include_str!("sql/index_objects.sql"),
    ];
    numbered(&all.join("\n"), version)
}

fn numbered(sql: &str, version: u32) -> String {
    sql.replace("{version}", &version.to_string())
}
