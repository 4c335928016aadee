//! The table of who may know whom, against the imports of the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use crate::{
    document::{root, table},
    imports::{Source, imports, sources},
};

/// The folder of the rooms.
const ROOMS: &str = "src";

/// Its files beside the rooms: they hold no more than the map and the first line.
const BESIDE: [&str; 2] = ["lib", "main"];

/// Each place of the table, with those that it may know.
fn places() -> BTreeMap<String, BTreeSet<String>> {
    let names = |cell: &str| -> Vec<String> {
        cell.split(", ").filter(|name| *name != "–").map(|name| name.trim_end_matches('/').to_owned()).collect()
    };
    let place = |row: Vec<String>| match &row[..] {
        [place, _, knows] => (names(place).remove(0), names(knows).into_iter().collect()),
        _ => panic!("{row:?} has not three cells"),
    };
    table("places").into_iter().map(place).collect()
}

/// The folder of a crate that is imported as `name`.
fn folder_of(name: &str) -> String {
    name.trim_start_matches("zeroload_").replace('_', "-")
}

/// What the code of each place knows.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut note = |place: String, source: &Source, rooms: BTreeSet<String>| {
        let entry = known.entry(place.clone()).or_default();
        entry.extend(rooms.into_iter().filter(|room| *room != place));
        entry.extend(source.crates.iter().map(|name| folder_of(name)));
    };
    for crate_folder in crates() {
        for source in sources(&root().join(&crate_folder)) {
            note(crate_folder.clone(), &source, BTreeSet::new());
        }
    }
    for source in sources(&root().join(ROOMS)) {
        let Some(room) = source.module.first().filter(|name| !BESIDE.contains(&name.as_str())) else { continue };
        let rooms = source.own.iter().filter_map(|path| Some(format!("{ROOMS}/{}", path.first()?))).collect();
        note(format!("{ROOMS}/{room}"), &source, rooms);
    }
    known
}

/// The folders of the crates, as the table names them.
fn crates() -> Vec<String> {
    places().into_keys().filter(|place| !place.starts_with(ROOMS)).collect()
}

#[test]
fn no_place_knows_more_than_the_table_says() {
    let (table, known) = (places(), known());
    let rooms = std::fs::read_dir(root().join(ROOMS)).expect("a folder").map(|entry| entry.expect("an entry"));
    for room in rooms.filter(|entry| entry.path().is_dir() && entry.file_name() != "simulation") {
        let room = format!("{ROOMS}/{}", room.file_name().to_str().expect("a name"));
        assert!(table.contains_key(&room), "the table lacks {room}");
    }
    for (place, may_know) in &table {
        assert_eq!(
            known.get(place).unwrap_or(&BTreeSet::new()),
            may_know,
            "what {place} knows, and what the table says"
        );
    }
    assert_eq!(table.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    assert_no_circle(&table);
}

#[test]
fn no_files_import_each_other() {
    for folder in crates().into_iter().chain([ROOMS.to_owned()]) {
        let sources = sources(&root().join(&folder));
        let imports = imports(&sources);
        assert_no_circle(&imports.into_iter().map(|(file, others)| (file, others.into_iter().collect())).collect());
    }
}

/// Takes away whoever imports nobody that is left, until nobody is left.
fn assert_no_circle<T: Ord + Clone + Debug>(imports: &BTreeMap<T, BTreeSet<T>>) {
    let mut left = imports.clone();
    loop {
        let others: BTreeSet<T> = left.keys().cloned().collect();
        let count = left.len();
        left.retain(|_, imported| imported.iter().any(|one| others.contains(one)));
        if left.len() == count {
            break;
        }
    }
    for imported in left.values_mut() {
        imported.retain(|one| imports.contains_key(one));
    }
    assert!(left.is_empty(), "in a circle, or leading to one: {left:#?}");
}
