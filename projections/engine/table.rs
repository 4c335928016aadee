//! A table: columns, key and indexes, written once. Both databases' definitions, bulk writes, reads and dumps are made from it.

use super::row::Column;

#[derive(Debug)]
pub(crate) struct Table {
    /// A table of a projection has this name with the version behind it, and a view of this name shows the live version.
    pub name: &'static str,
    pub columns: &'static [Column],
    pub key: &'static [&'static str],
    pub indexes: &'static [Index],
    /// On SQLite rows lie in order of the key. Good for few rows; many rows with random keys are written twice as fast
    /// without.
    pub without_rowid: bool,
}

#[derive(Debug)]
pub(crate) struct Index {
    /// Behind the table's name.
    pub name: &'static str,
    pub unique: bool,
    /// Columns in their order.
    pub on: &'static str,
    /// Only the rows of which this is true.
    pub filter: Option<&'static str>,
}

/// A query that analysts ask by its name.
#[derive(Debug)]
pub(crate) struct View {
    pub name: &'static str,
    pub query: &'static str,
}

impl Table {
    /// The table of one version of a projection.
    pub(crate) fn of_version(&self, version: u32) -> String {
        format!("{}_v{version}", self.name)
    }

    pub(crate) fn names(&self) -> String {
        super::row::names(self.columns)
    }

    /// Adds one row, whose cells are the parameters from `$1` on.
    pub(crate) fn insert(&self) -> String {
        let parameters: Vec<_> = (1..=self.columns.len()).map(|number| format!("${number}")).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.name, self.names(), parameters.join(", "))
    }

    /// The columns beside the key, each with the parameter that [`Table::insert`] has for it.
    pub(crate) fn assignments(&self) -> String {
        let numbered = self.columns.iter().zip(1..).filter(|(column, _)| !self.key.contains(&column.name));
        numbered.map(|(column, number)| format!("{} = ${number}", column.name)).collect::<Vec<_>>().join(", ")
    }

    /// Behind an insertion: a row whose key is there takes the place of the other.
    pub(crate) fn or_replace(&self) -> String {
        let replaced = self.besides_key().map(|name| format!("{name} = excluded.{name}"));
        let (key, replaced) = (self.key.join(", "), replaced.collect::<Vec<_>>().join(", "));
        format!("ON CONFLICT ({key}) DO UPDATE SET {replaced}")
    }

    /// The names of the columns that are not part of the key.
    pub(crate) fn besides_key(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name).filter(|name| !self.key.contains(name))
    }

    /// # Panics
    /// Where there is no such column: steps of the schema name those that there are.
    pub(crate) fn column(&self, name: &str) -> &'static Column {
        self.columns.iter().find(|column| column.name == name).expect("a step names a column of its table")
    }

    /// # Panics
    /// Where there is no such index.
    pub(crate) fn index(&self, name: &str) -> &'static Index {
        self.indexes.iter().find(|index| index.name == name).expect("a step names an index of its table")
    }
}
