//! The pages that runs of a collector hold, in a table of the same database, by the database's clock.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Mode, ReadModels};
use crate::{
    DueItem, Error,
    answers::{self, Place},
    columns,
    pages::{PageOf, PageRequest},
    time_text,
};

/// Of the lock under which a page is taken, "zlRMpage" in ASCII: advisory locks share one space per database. It ends with
/// its transaction, so no pooler can lose it.
const TURN: i64 = 0x7a6c_524d_7061_6765;

/// Seconds, as the statements want them.
fn seconds(span: TimeDelta) -> f64 {
    span.as_seconds_f64()
}

impl ReadModels {
    pub(crate) async fn take_page(&self, wanted: PageRequest) -> Result<Vec<DueItem>, Error> {
        let sql = match wanted.list {
            PageOf::Due => include_str!("sql/take_due.sql"),
            PageOf::Unfinished => include_str!("sql/take_unfinished.sql"),
        };
        let models = self.clone();
        self.run(async move {
            let place = Place::after(wanted.after);
            let mut tx = models.write(Mode::Rows).await?;
            // The next statement sees all pages that were taken before.
            tx.query("SELECT pg_advisory_xact_lock($1)").bind(TURN).execute(&mut *tx).await?;
            let rows = tx
                .query(sql)
                .bind(time_text::format(wanted.now))
                .bind(place.collectable_at)
                .bind(place.media_id)
                .bind(i64::from(wanted.limit))
                .bind(wanted.run_id.to_string())
                .bind(i64::from(wanted.page))
                .bind(seconds(wanted.held_for))
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            rows.iter().map(|row| answers::due_item(row)).collect()
        })
        .await
    }

    pub(crate) async fn keep_pages(&self, run_id: Uuid, held_for: TimeDelta, _: DateTime<Utc>) -> Result<(), Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            let keep = tx.query(include_str!("sql/keep_pages.sql")).bind(run_id.to_string()).bind(seconds(held_for));
            keep.execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }

    pub(crate) async fn give_pages_back(&self, run_id: Uuid, page: u32, position: u64) -> Result<(), Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            tx.query(include_str!("sql/give_pages_back.sql"))
                .bind(run_id.to_string())
                .bind(i64::from(page))
                .bind(columns::integer(position))
                .execute(&mut *tx)
                .await?;
            tx.commit().await
        })
        .await
    }
}
