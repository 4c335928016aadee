//! The pages that runs of a collector hold. One process has the file for writing, so they are in its memory.

use std::sync::{MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{ReadModels, write::json_array};
use crate::{
    DueItem, Error,
    pages::{HeldPages, PageOf, PageRequest},
};

impl ReadModels {
    fn pages(&self) -> MutexGuard<'_, HeldPages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn take_page(&self, wanted: PageRequest) -> Result<Vec<DueItem>, Error> {
        let sql = match wanted.list {
            PageOf::Due => include_str!("sql/due.sql"),
            PageOf::Unfinished => include_str!("sql/unfinished.sql"),
        };
        loop {
            // Before the list is read: what it shows is at least as new.
            let position = self.checkpoint().await?.position;
            let held = json_array(self.pages().items(wanted.clock, position).into_iter().map(|id| json!(id)));
            let listed = self.collectable(sql, wanted.now, wanted.after, wanted.limit, &held).await?;
            let none = listed.is_empty();
            let taken = self.pages().take(&wanted, position, listed);
            // Others may have taken all of it meanwhile.
            if none || !taken.is_empty() {
                return Ok(taken);
            }
        }
    }

    pub(crate) async fn keep_pages(
        &self,
        run_id: Uuid,
        held_for: TimeDelta,
        clock: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.pages().keep(run_id, clock + held_for);
        Ok(())
    }

    pub(crate) async fn give_pages_back(&self, run_id: Uuid, page: u32, position: u64) -> Result<(), Error> {
        self.pages().give_back(run_id, page, position);
        Ok(())
    }
}
