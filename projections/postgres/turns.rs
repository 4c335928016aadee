//! The turns of inspectors, in a table of the same database, by the database's clock.

use chrono::TimeDelta;
use uuid::Uuid;
use zeroload_domain::{Bucket, Store};

use super::{Mode, ReadModels};
use crate::{Error, Inspection};

impl ReadModels {
    pub(crate) async fn take_turn(
        &self,
        store: &Store,
        bucket: &Bucket,
        inspection: Inspection,
        run_id: Uuid,
        held_for: TimeDelta,
    ) -> Result<bool, Error> {
        let (models, store, bucket) = (self.clone(), store.to_string(), bucket.to_string());
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            let taken = tx
                .query(include_str!("sql/take_turn.sql"))
                .bind(store)
                .bind(bucket)
                .bind(inspection.as_str())
                .bind(run_id.to_string())
                .bind(held_for.as_seconds_f64())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(taken.rows_affected() == 1)
        })
        .await
    }

    pub(crate) async fn keep_turns(&self, run_id: Uuid, held_for: TimeDelta) -> Result<(), Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            let keep = tx.query(include_str!("sql/keep_turns.sql")).bind(run_id.to_string());
            keep.bind(held_for.as_seconds_f64()).execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }

    pub(crate) async fn give_turns_back(&self, run_id: Uuid) -> Result<(), Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            let give = tx.query(include_str!("sql/give_turns_back.sql")).bind(run_id.to_string());
            give.execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }
}
