//! What the pages name must exist: places in the repository, and tests.

use std::path::{Path, PathBuf};

use crate::document::{ARCHITECTURE, README, quoted};

/// Folders with sources: the crates, and the tests of the whole.
const SOURCES: [&str; 8] =
    ["src", "clock", "database-access", "domain", "embedded-s3", "journal", "projections", "tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

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
    for place in quoted(README).into_iter().chain(quoted(ARCHITECTURE)) {
        let is_place =
            tops.iter().any(|top| place.starts_with(top.as_str())) || place.ends_with(".toml") && place.contains('-');
        if is_place && !place.contains([' ', '{']) {
            places += 1;
            assert!(root().join(place).exists(), "{place}");
        }
    }
    assert!(places > 30, "only {places} were found");
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
    let named: Vec<&str> = quoted(ARCHITECTURE).into_iter().filter(is_sentence).collect();
    assert!(named.len() > 20, "only {} were found", named.len());
    for test in named {
        assert!(source.contains(&format!("fn {test}")), "{test}");
    }
}

#[test]
fn every_link_within_the_pages_leads_somewhere() {
    for (page, folder) in [(README, root().to_owned()), (ARCHITECTURE, root().join("docs"))] {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if file.starts_with("http") {
                continue;
            }
            let target =
                if file.is_empty() { page.to_owned() } else { std::fs::read_to_string(folder.join(file)).expect(link) };
            let headings = target.lines().filter(|line| line.starts_with('#')).map(|line| {
                let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                words.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
            });
            assert!(heading.is_empty() || headings.into_iter().any(|found| found == heading), "{link}");
        }
    }
}
