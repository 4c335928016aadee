//! Media items as they are now: the read model `media`, and the lists that are read from it.
//!
//! | module | holds |
//! |---|---|
//! | [`row`] | a row, column by column: the public interface of the table |
//! | [`fold`] | one row and one event give the next row |
//! | `table` | key and indexes |
//! | [`batch`] | many events folded in memory, so that each touched row is written once |
//! | `item` | one item by its id |
//! | `due` | what the collector works on |
//! | [`pending`] | the PENDING view of a tenant, page by page |
//! | `views` | what analysts ask of it |

pub(crate) mod batch;
mod due;
pub mod fold;
mod item;
pub(crate) mod pending;
pub mod row;
pub(crate) mod table;
pub(crate) mod views;

pub use due::DueItem;
pub(crate) use due::{DueRecord, List};
pub use pending::{Cursor, InvalidCursor, PendingItem, PendingPage, PendingQuery};
pub use row::{FoundAs, MediaRow, SeenAs};

#[cfg(test)]
mod tests;
