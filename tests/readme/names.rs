//! What the pages name must exist: places in the repository, and tests.

use std::path::PathBuf;

use crate::document::{page, pages, root};

/// Folders with sources: the crates, and the tests of the whole.
const SOURCES: [&str; 8] =
    ["src", "clock", "database-access", "domain", "embedded-s3", "journal", "projections", "tests"];

fn sources(folder: PathBuf, found: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&std::fs::read_to_string(path).expect("text"));
        }
    }
}

#[test]
fn every_place_that_is_named_is_there() {
    let tops = SOURCES.iter().chain(&["benches", "scripts", "docs"]);
    let tops: Vec<String> = tops.map(|top| format!("{top}/")).collect();
    let mut places = 0;
    for page in pages() {
        for place in page.quoted() {
            let is_place = tops.iter().any(|top| place.starts_with(top.as_str()))
                || place.ends_with(".toml") && place.contains('-');
            if is_place && !place.contains([' ', '{', '*']) {
                places += 1;
                assert!(root().join(place).exists(), "{}: {place}", page.path);
            }
        }
    }
    assert!(places > 60, "only {places} were found");
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut source = String::new();
    for folder in SOURCES {
        sources(root().join(folder), &mut source);
    }
    let is_sentence = |word: &&str| {
        word.matches('_').count() >= 4 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let architecture = page("docs/architecture.md");
    let named: Vec<&str> = architecture.quoted().into_iter().filter(is_sentence).collect();
    assert!(named.len() > 20, "only {} were found", named.len());
    for test in named {
        assert!(source.contains(&format!("fn {test}")), "{test}");
    }
}
