//! Which modules a source file imports, read from its text; what is compiled for tests alone does not count.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A module path below the root of its crate.
pub type Module = Vec<String>;

/// One file of a crate.
pub struct Source {
    pub module: Module,
    /// What it names of its own crate, as paths below the root.
    pub own: Vec<Module>,
    /// The names that it gives to others by `pub use`, and the paths behind them.
    given: Vec<(String, Module)>,
    /// Own crates that it names, as `zeroload_journal`.
    pub crates: Vec<String>,
}

/// Files for tests alone, by the end of their module.
const OF_TESTS: [&str; 5] = ["tests", "testing", "contract", "test_s3", "simulation"];

/// All files below `folder`, which is the root of a crate.
pub fn sources(folder: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    list(folder, &mut files);
    let module = |file: &PathBuf| {
        let inside = file.strip_prefix(folder).expect("it was listed there").with_extension("");
        let mut names: Module = inside.iter().map(|name| name.to_str().expect("a name").to_owned()).collect();
        if names.last().is_some_and(|name| matches!(name.as_str(), "mod" | "lib" | "main")) {
            names.pop();
        }
        names
    };
    let files = files.iter().map(|file| (module(file), file));
    let files = files.filter(|(module, _)| !module.iter().any(|name| OF_TESTS.contains(&name.as_str())));
    files.map(|(module, file)| read(module, &fs::read_to_string(file).expect("text"))).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// For each file the files that it imports, through what modules give to others by `pub use` to where that stands. A module
/// and its parent may import each other, and are left out.
pub fn imports(sources: &[Source]) -> BTreeMap<&Module, Vec<&Module>> {
    let by_module: BTreeMap<&[String], &Source> = sources.iter().map(|source| (&source.module[..], source)).collect();
    let file_of = |path: &[String]| {
        let prefixes = (0..=path.len()).rev().map(|length| &path[..length]);
        prefixes.filter_map(|prefix| by_module.get(prefix)).next().copied()
    };
    let behind = |path: &Module| {
        let mut path = path.clone();
        loop {
            let file = file_of(&path)?;
            let name = path.get(file.module.len());
            match file.given.iter().find(|(given, target)| Some(given) == name && *target != path) {
                Some((_, target)) => path = [target, &path[file.module.len() + 1..]].concat(),
                None => return Some(&file.module),
            }
        }
    };
    let is_family =
        |one: &Module, other: &Module| one == other || one.split_last().is_some_and(|(_, parent)| parent == other);
    let of = |source: &Source| {
        let found = source.own.iter().filter_map(behind);
        found.filter(|found| !is_family(&source.module, found) && !is_family(found, &source.module)).collect()
    };
    sources.iter().map(|source| (&source.module, of(source))).collect()
}

fn read(module: Module, text: &str) -> Source {
    let tokens = without_tests(tokens(text));
    let (mut own, mut given, mut crates) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let (is_use, begins) = (at > 0 && tokens[at - 1] == "use", at == 0 || tokens[at - 1] != "::");
        let is_public = is_use && at > 1 && matches!(tokens[at - 2].as_str(), "pub" | ")");
        let first = &tokens[at];
        if !begins || !is_word(first) || !(is_use || tokens.get(at + 1).is_some_and(|next| next == "::")) {
            at += 1;
            continue;
        }
        let mut paths = Vec::new();
        at = tree(&tokens, at, &mut Vec::new(), &mut paths);
        for path in paths {
            if path[0].starts_with("zeroload_") {
                crates.push(path[0].clone());
            } else if let Some(absolute) = absolute(&module, &path) {
                if is_public {
                    given.push((absolute.last().cloned().unwrap_or_default(), absolute.clone()));
                }
                own.push(absolute);
            } else if is_public {
                // Of a child.
                given.push((path[path.len() - 1].clone(), [&module[..], &path[..]].concat()));
            }
        }
    }
    Source { module, own, given, crates }
}

/// A path below the root of the crate; nothing if it leads elsewhere, or to what is in scope.
fn absolute(module: &Module, path: &[String]) -> Option<Module> {
    if path[0] == "crate" {
        return Some(path[1..].to_vec());
    }
    let ups = path.iter().take_while(|name| matches!(name.as_str(), "super" | "self")).count();
    let supers = path[..ups].iter().filter(|name| *name == "super").count();
    let base = module.len().checked_sub(supers).filter(|_| ups > 0)?;
    Some([&module[..base], &path[ups..]].concat())
}

/// Adds the paths of a tree that begins at `at`, and says where it ends.
fn tree(tokens: &[String], mut at: usize, before: &mut Module, paths: &mut Vec<Module>) -> usize {
    let length = before.len();
    while tokens.get(at).is_some_and(|token| is_word(token)) {
        // `a::{self}` is `a`.
        if before.is_empty() || tokens[at] != "self" {
            before.push(tokens[at].clone());
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    if tokens.get(at).is_some_and(|token| token == "{") && at > 0 && matches!(tokens[at - 1].as_str(), "::" | "use") {
        at += 1;
        while tokens[at] != "}" {
            at = if is_word(&tokens[at]) { tree(tokens, at, before, paths) } else { at + 1 };
        }
        at += 1;
    } else {
        paths.push(before.clone());
    }
    before.truncate(length);
    if tokens.get(at).is_some_and(|token| token == "as") { at + 2 } else { at }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// Words, `::` and single signs, without comments and texts.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(length) = raw_text(rest) {
            length
        } else if first == '"' {
            ends_at(rest, '"')
        } else if first == '\'' && is_character(rest) {
            ends_at(rest, '\'')
        } else {
            let word = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
            let length = if word > 0 {
                word
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a text that begins with `r"` or `r#"`.
fn raw_text(rest: &str) -> Option<usize> {
    let marks = rest.strip_prefix('r')?.bytes().take_while(|byte| *byte == b'#').count();
    let begin = rest[1 + marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    Some(rest.len() - begin.len() + begin.find(&end)? + end.len())
}

/// The length of a text that begins and ends with `mark`.
fn ends_at(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        if character == mark && !escaped {
            return index + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    rest.len()
}

/// Not the name of a lifetime.
fn is_character(rest: &str) -> bool {
    let mut behind = rest.chars().skip(1);
    behind.next() == Some('\\') || behind.next() == Some('\'')
}

/// Leaves out each item that is there for tests alone.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].iter().map(String::as_str).take(marker.len()).eq(marker) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0_usize;
        at += marker.len();
        while at < tokens.len() {
            let token = tokens[at].as_str();
            at += 1;
            match token {
                "{" | "(" | "[" => depth += 1,
                ")" | "]" => depth -= 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" | "," if depth == 0 => break,
                _ => {}
            }
        }
        // `use a::{b};` ends behind its brace.
        if tokens.get(at).is_some_and(|token| token == ";") {
            at += 1;
        }
    }
    kept
}

#[test]
fn imports_are_read_as_they_are_written() {
    let text = r##"
        //! crate::comment::no
        use crate::{a::{self, B}, c::D as E};
        pub use self::child::Given;
        use zeroload_journal::{self as journal, Journal};
        #[cfg(test)]
        mod tests { use crate::tested::No; }
        fn f(text: &'static str) -> super::g::H { crate::i::j("crate::no", r#"crate::no"#, '"'); std::mem::drop(text) }
    "##;
    let source = read(vec!["room".to_owned(), "file".to_owned()], text);
    let own: Vec<String> = source.own.iter().map(|path| path.join("::")).collect();
    assert_eq!(own, ["a", "a::B", "c::D", "room::file::child::Given", "room::g::H", "i::j"]);
    assert_eq!(source.crates, ["zeroload_journal", "zeroload_journal"]);
    assert_eq!(source.given, [("Given".to_owned(), source.own[3].clone())]);
}
