//! Media items as they are now: the read model `media`, and the lists that are read from it.
//!
//! | module | holds |
//! |---|---|
//! | [`row`] | a row, column by column: the public interface of the table |
//! | [`fold`] | one row and one event give the next row |
//! | `table` | key and indexes |
//! | [`batch`] | many events folded in memory, so that each touched row is written once |
//! | `due` | what the collector works on |
//! | [`pending`] | the PENDING view of a tenant, page by page |
//! | `views` | what analysts ask of it |

pub(crate) mod batch;
mod due;
pub mod fold;
pub(crate) mod pending;
pub mod row;
pub(crate) mod table;
pub(crate) mod views;

pub use due::DueItem;
pub(crate) use due::{DueRecord, List};
pub use pending::{Cursor, InvalidCursor, PendingItem, PendingPage, PendingQuery};
pub use row::{FoundAs, MediaRow, SeenAs};

use zeroload_domain::MediaId;

use crate::{Error, ReadModels, engine::Cell};

impl ReadModels {
    /// One item as it is at the checkpoint.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn media_row(&self, id: MediaId) -> Result<Option<MediaRow>, Error> {
        self.database()?.find(include_str!("media_by_id.sql"), vec![Cell::of(&id)]).await
    }
}

#[cfg(test)]
mod tests;
