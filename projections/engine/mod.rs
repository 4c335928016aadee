//! What keeps any projection's tables in step with the journal: versions, checkpoints, batches, a rebuild beside the live
//! version and the swap, on SQLite and on Postgres. Knows nothing of media.
//!
//! | module | holds |
//! |---|---|
//! | [`field`] | a value in a column, and back |
//! | [`row`] | a struct whose fields are the columns of a row |
//! | [`table`] | a table: columns, key and indexes, written once for both databases |
//! | [`dialect`] | the few words in which the databases differ |
//! | [`projection`] | what a projection says of itself: its tables, and how events change them |
//! | [`schema`] | the numbered steps that bring tables up to date |
//! | [`checkpoint`] | where a projection stands |
//! | [`database`] | one database, whichever it is |
//! | `sqlite`, `postgres` | what really differs |

pub(crate) mod checkpoint;
pub(crate) mod database;
pub(crate) mod dialect;
pub(crate) mod field;
pub(crate) mod postgres;
pub(crate) mod projection;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod sqlite;
pub(crate) mod table;

pub(crate) use database::Database;
pub(crate) use dialect::Dialect;
pub(crate) use field::{Cell, Columns, Field, Scalar, Sink};
pub(crate) use projection::{Derived, Folded, Merge, Projection};
pub(crate) use row::{Column, Row, row};
pub(crate) use schema::{Change, Step};
pub(crate) use table::{Index, Table, View};

#[cfg(test)]
mod tests;
