//! The marked blocks and tables of a Markdown page.

pub const README: &str = include_str!("../../README.md");
pub const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");

pub struct Block {
    pub name: &'static str,
    pub text: String,
}

/// What stands under each marker, in order: a fenced block without its fences, or a table.
pub fn blocks() -> Vec<Block> {
    let mut lines = README.lines();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let first = lines.next().unwrap_or_default();
        let text: Vec<&str> = if first.starts_with("```") {
            lines.by_ref().take_while(|line| *line != "```").collect()
        } else {
            std::iter::once(first).chain(lines.by_ref().take_while(|line| line.starts_with('|'))).collect()
        };
        assert!(!text.is_empty() && !text[0].is_empty(), "nothing stands under {line}");
        blocks.push(Block { name, text: text.join("\n") });
    }
    blocks
}

/// The cells of a table's rows below its head, without the marks of code.
pub fn table(name: &str) -> Vec<Vec<String>> {
    let block = blocks().into_iter().find(|block| block.name == name);
    let text = block.unwrap_or_else(|| panic!("no table {name}")).text;
    let rows = text.lines().skip(2).map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    assert!(!rows.is_empty(), "the table {name} has no rows");
    rows
}

/// What stands between backquotes outside of fenced blocks.
pub fn quoted(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let prose = page.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}
