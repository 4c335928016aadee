//! One item by its id.

use zeroload_domain::MediaId;

use super::MediaRow;
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
