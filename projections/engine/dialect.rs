//! The few words in which the databases differ.
//!
//! A statement stands once, with parameters `$1`, `$2` …, and in braces what each database says in its own way:
//!
//! | in a statement | is |
//! |---|---|
//! | `{columns}` | the columns of the rows that are read |
//! | `{in $1}`, `{not in $1}` | membership in a JSON array of texts |
//! | `{json $1}` | a parameter that holds JSON |
//! | `{rows $1: a text, b integer}` | a JSON array of arrays as rows with these columns |

use std::borrow::Cow;

use super::{
    Cell,
    field::Kind,
    row::{Column, names},
    table::{Index, Table, View},
};

/// A statement and its parameters.
pub(crate) type Statement = (Cow<'static, str>, Vec<Cell>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// A statement in the database's own words.
    pub(crate) fn statement(self, sql: &str, columns: &[Column]) -> String {
        let mut text = String::with_capacity(2 * sql.len());
        let mut rest = sql;
        while let Some((before, behind)) = rest.split_once('{') {
            let (word, behind) = behind.split_once('}').expect("each brace is closed");
            text.push_str(before);
            text.push_str(&self.word(word, columns));
            rest = behind;
        }
        text.push_str(rest);
        text
    }

    fn word(self, word: &str, columns: &[Column]) -> String {
        if word == "columns" {
            return names(columns);
        }
        if let Some(rows) = word.strip_prefix("rows ") {
            let (parameter, columns) = rows.split_once(": ").expect("columns follow a parameter");
            return self.rows(parameter, columns);
        }
        let (word, parameter) = word.rsplit_once(' ').expect("a word has a parameter");
        match (word, self) {
            ("in", Self::Sqlite) => format!("IN (SELECT value FROM json_each({parameter}))"),
            ("not in", Self::Sqlite) => format!("NOT IN (SELECT value FROM json_each({parameter}))"),
            ("json", Self::Sqlite) => parameter.to_owned(),
            // As arrays, which the planner looks up in an index one by one.
            ("in", Self::Postgres) => format!("= ANY (ARRAY(SELECT json_array_elements_text({parameter}::json)))"),
            ("not in", Self::Postgres) => format!("<> ALL (ARRAY(SELECT json_array_elements_text({parameter}::json)))"),
            ("json", Self::Postgres) => format!("({parameter}::json)"),
            _ => unreachable!("no statement has the word {word}"),
        }
    }

    fn rows(self, parameter: &str, columns: &str) -> String {
        let cell = |(index, column): (usize, &str)| {
            let (name, kind) = column.split_once(' ').expect("a column has a type");
            match (self, kind) {
                (Self::Postgres, "integer") => format!("(value ->> {index})::bigint AS {name}"),
                _ => format!("value ->> {index} AS {name}"),
            }
        };
        let cells = columns.split(", ").enumerate().map(cell).collect::<Vec<_>>().join(", ");
        match self {
            Self::Sqlite => format!("(SELECT {cells} FROM json_each({parameter})) AS given"),
            Self::Postgres => format!("(SELECT {cells} FROM json_array_elements({parameter}::json)) AS given"),
        }
    }

    /// The type of a column, with all that follows its name.
    pub(crate) fn column(self, column: &Column) -> String {
        let kind = match (self, column.kind) {
            (_, Kind::Text) if self == Self::Sqlite => "TEXT",
            // Compared byte by byte, as on SQLite.
            (_, Kind::Text) => "TEXT COLLATE \"C\"",
            (Self::Sqlite, Kind::Integer) => "INTEGER",
            (Self::Postgres, Kind::Integer) => "BIGINT",
        };
        let required = if column.required { " NOT NULL" } else { "" };
        format!("{} {kind}{required}", column.name)
    }

    /// Makes a table that is not there, without its indexes.
    pub(crate) fn create(self, table: &Table, name: &str) -> String {
        let columns: Vec<_> = table.columns.iter().map(|column| self.column(column)).collect();
        let options = match self {
            Self::Sqlite if table.without_rowid => " STRICT, WITHOUT ROWID",
            Self::Sqlite => " STRICT",
            Self::Postgres => "",
        };
        let (columns, key) = (columns.join(",\n  "), table.key.join(", "));
        format!("CREATE TABLE IF NOT EXISTS {name}\n(\n  {columns},\n  PRIMARY KEY ({key})\n){options};\n")
    }

    pub(crate) fn create_index(index: &Index, table: &str) -> String {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let filter = index.filter.map_or(String::new(), |filter| format!(" WHERE {filter}"));
        let Index { name, on, .. } = index;
        format!("CREATE {unique}INDEX IF NOT EXISTS {table}_{name} ON {table} ({on}){filter};\n")
    }

    /// Puts a view in the place of the one of that name, if there is one.
    pub(crate) fn create_view(self, view: &View) -> String {
        self.view(view.name, &self.statement(view.query, &[]))
    }

    /// What readers see: the live version, under a name that stays.
    pub(crate) fn live_view(self, table: &Table, version: u32) -> String {
        self.view(table.name, &format!("SELECT {}\nFROM {}", table.names(), table.of_version(version)))
    }

    pub(crate) fn view(self, name: &str, query: &str) -> String {
        match self {
            Self::Sqlite => format!("DROP VIEW IF EXISTS {name};\nCREATE VIEW {name} AS\n{query};\n"),
            Self::Postgres => format!("CREATE OR REPLACE VIEW {name} AS\n{query};\n"),
        }
    }
}
