//! The SQL of one version's table: the `.sql` files with the version's number in them.

pub(super) fn table(version: u32) -> String {
    numbered(include_str!("sql/create_media.sql"), version)
}

pub(super) fn view(version: u32) -> String {
    numbered(include_str!("sql/create_media_view.sql"), version)
}

pub(super) fn grants(version: u32) -> String {
    numbered(include_str!("sql/hand_rights_on.sql"), version)
}

pub(super) fn dump(version: u32) -> String {
    numbered(include_str!("sql/dump_media.sql"), version)
}

pub(super) fn load(version: u32) -> String {
    numbered(include_str!("sql/load_media.sql"), version)
}

pub(super) fn insert(version: u32) -> String {
    numbered(include_str!("sql/insert_media.sql"), version)
}

pub(super) fn update(version: u32) -> String {
    format!("{}{}", insert(version), include_str!("sql/update_media.sql"))
}

fn numbered(sql: &str, version: u32) -> String {
    sql.replace("{version}", &version.to_string())
}
