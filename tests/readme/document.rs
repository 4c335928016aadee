//! The pages, and their marked blocks and tables.

use std::path::{Path, PathBuf};

/// A page of Markdown.
pub struct Page {
    /// From the repository's folder, such as `docs/http.md`.
    pub path: String,
    pub text: String,
}

pub struct Block {
    pub name: String,
    pub text: String,
}

/// The pages of the repository's own folder.
const OUTSIDE_THE_BOOK: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages, in the order of their paths.
pub fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = OUTSIDE_THE_BOOK.iter().map(PathBuf::from).collect();
    markdown_in(Path::new("docs"), &mut paths);
    paths.sort();
    paths.iter().map(|path| page(path.to_str().expect("text"))).collect()
}

/// The page at this path.
pub fn page(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Page { path: path.to_owned(), text }
}

fn markdown_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            markdown_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

impl Page {
    /// What stands under each marker, in order: a fenced block without its fences, or a table.
    pub fn blocks(&self) -> Vec<Block> {
        let mut lines = self.text.lines();
        let mut blocks = Vec::new();
        while let Some(line) = lines.next() {
            let name = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
            let Some(name) = name else { continue };
            let first = lines.next().unwrap_or_default();
            let text: Vec<&str> = if first.starts_with("```") {
                lines.by_ref().take_while(|line| *line != "```").collect()
            } else {
                std::iter::once(first).chain(lines.by_ref().take_while(|line| line.starts_with('|'))).collect()
            };
            assert!(!text.is_empty() && !text[0].is_empty(), "{}: nothing stands under {line}", self.path);
            blocks.push(Block { name: name.to_owned(), text: text.join("\n") });
        }
        blocks
    }

    /// The lines outside of fenced blocks.
    pub fn prose(&self) -> impl Iterator<Item = &str> {
        let mut fenced = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            fenced ^= is_fence;
            !fenced && !is_fence
        })
    }

    /// What stands between backquotes outside of fenced blocks.
    pub fn quoted(&self) -> Vec<&str> {
        self.prose().flat_map(quoted).collect()
    }

    /// The names of its headings in links.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let named = headings.map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
        });
        named.collect()
    }
}

/// What stands between backquotes.
pub fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of the rows of a table, without its head and the marks of code. A table may stand in several parts, each below
/// the same marker, on any page.
pub fn table(name: &str) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for block in pages().iter().flat_map(Page::blocks).filter(|block| block.name == name) {
        rows.extend(block.text.lines().skip(2).map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        }));
    }
    assert!(!rows.is_empty(), "the table {name} has no rows");
    rows
}
