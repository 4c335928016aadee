//! The numbered steps that bring tables up to date, forward only, as data that both databases carry out.
//!
//! A step is taken in one transaction with its number. It may meet tables that have all of it already, since a table is made
//! as it is defined now. The views are made anew after the last step, so a step may change what they show.

use super::table::Table;

/// What a new number means.
#[derive(Debug)]
pub(crate) struct Step {
    /// On SQLite; none where SQLite has nothing to do.
    pub sqlite: Option<i64>,
    /// On Postgres.
    pub postgres: Option<i64>,
    pub changes: &'static [Change],
}

#[derive(Debug)]
pub(crate) enum Change {
    /// A table that belongs to no version.
    Table(&'static Table),
    /// A table of each version of the projection.
    VersionedTable(&'static Table),
    /// Columns of a table that belongs to no version, with what older rows have there.
    Columns(&'static Table, &'static [(&'static str, &'static str)]),
    /// Columns of a table of each version, NULL in older rows.
    VersionedColumns(&'static Table, &'static [&'static str]),
    /// Indexes of a table of each version.
    Indexes(&'static Table, &'static [&'static str]),
    /// Indexes of a table of each version that were defined otherwise.
    RenewedIndexes(&'static Table, &'static [&'static str]),
    /// Statements for each version, whose number is `{version}`.
    ForEachVersion(&'static str),
    /// Statements for Postgres alone, and a table that they make, if they do.
    Postgres(&'static str, Option<&'static str>),
    /// Statements for Postgres alone, for each version.
    PostgresForEachVersion(&'static str),
}

/// The schema of one database of read models.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Tables that belong to no version.
    pub tables: &'static [&'static Table],
    /// Statements for a new database of Postgres, beside the tables.
    pub postgres: &'static [&'static str],
    /// From the second step on; the first one makes everything as it is now.
    pub steps: &'static [Step],
    /// The newest step that tells more of the past than tables can take up without a rebuild.
    pub rebuild_since: i64,
}

impl Schema {
    pub(crate) fn newest(&self, number: fn(&Step) -> Option<i64>) -> i64 {
        self.steps.iter().filter_map(number).max().unwrap_or(1)
    }
}
