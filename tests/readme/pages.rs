//! How the pages hang together: links, the book's summary, the length of the README.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::document::{Page, page, pages, root};

/// What a reader of the README has patience for.
const README_LINES: usize = 200;

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The targets of a page's links.
fn links(page: &Page) -> Vec<String> {
    let prose: Vec<&str> = page.prose().collect();
    let text = prose.join("\n");
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The file, from the repository's folder, and the heading that a link within the repository leads to.
fn target(page: &Page, link: &str) -> Option<(PathBuf, String)> {
    if link.starts_with("http://") || link.starts_with("https://") {
        return None;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = Path::new(&page.path);
    let file = if file.is_empty() { path.to_owned() } else { path.parent().unwrap_or(Path::new("")).join(file) };
    Some((plain(&file), heading.to_owned()))
}

#[test]
fn every_link_between_the_pages_leads_to_a_page_and_a_heading() {
    let mut followed = 0;
    for from in pages() {
        for link in links(&from) {
            let Some((file, heading)) = target(&from, &link) else { continue };
            followed += 1;
            assert!(root().join(&file).is_file(), "{}: {link}", from.path);
            let to = page(file.to_str().expect("text"));
            assert!(heading.is_empty() || to.anchors().contains(&heading), "{}: {link}", from.path);
        }
    }
    assert!(followed > 150, "only {followed} links were found");
}

#[test]
fn no_link_of_the_book_leads_out_of_it() {
    for from in pages().into_iter().filter(|page| page.path.starts_with("docs/")) {
        for link in links(&from) {
            let Some((file, _)) = target(&from, &link) else { continue };
            assert!(file.starts_with("docs"), "{}: {link}; the book holds docs/ alone", from.path);
        }
    }
}

#[test]
fn no_page_has_two_headings_of_one_name() {
    for page in pages().into_iter().filter(|page| page.path != "CHANGELOG.md") {
        let anchors = page.anchors();
        let names: BTreeSet<&String> = anchors.iter().collect();
        assert_eq!(names.len(), anchors.len(), "{}: {anchors:?}", page.path);
    }
}

#[test]
fn every_page_of_the_book_is_in_its_summary_once() {
    let summary = page("docs/SUMMARY.md");
    let listed: Vec<PathBuf> =
        links(&summary).iter().map(|link| target(&summary, link).expect("a page of the book").0).collect();
    let all = pages().into_iter().map(|page| PathBuf::from(page.path));
    let all: BTreeSet<PathBuf> =
        all.filter(|path| path.starts_with("docs") && *path != Path::new("docs/SUMMARY.md")).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), all);
    assert_eq!(listed.len(), all.len(), "a page is listed twice");
}

#[test]
fn the_readme_can_be_read_in_five_minutes() {
    let lines = page("README.md").text.lines().count();
    assert!(lines <= README_LINES, "the README has {lines} lines; {README_LINES} are allowed");
}

#[test]
fn the_readme_names_the_test_command() {
    let readme = page("README.md").text;
    assert!(readme.contains("\n```sh\nscripts/test\n```\n"), "the command that must pass for each change");
}

#[test]
fn every_word_of_the_glossary_is_explained_once() {
    let glossary = page("docs/glossary.md");
    let rows = glossary.text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| word |"));
    let words: Vec<&str> = rows.filter_map(|row| row.split('|').nth(1)).map(str::trim).collect();
    assert!(words.len() > 40, "only {} were found", words.len());
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "{words:?}");
}
