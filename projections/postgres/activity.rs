//! The counts per minute.

use chrono::{DateTime, Utc};

use super::{ReadModels, Transaction, statements};
use crate::{
    Error, Minute, Unanswered,
    activity::{self, Counts, minute_of},
};

impl ReadModels {
    pub(crate) async fn activity(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Minute>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/activity.sql")).bind(minute_of(from)).bind(minute_of(until));
            let rows = query.bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(|row| activity::minute(row)).collect()
        })
        .await
    }

    pub(crate) async fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Unanswered, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/unanswered.sql"));
            let row = query.bind(minute_of(from)).bind(minute_of(until)).fetch_one(&mut *tx).await?;
            tx.commit().await?;
            activity::unanswered(&row)
        })
        .await
    }
}

pub(super) async fn count(tx: &mut Transaction, version: u32, counts: &Counts) -> Result<(), Error> {
    let rows: Vec<_> = counts.rows().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let column = |index: usize| rows.iter().map(|(_, changes)| changes[index]).collect::<Vec<_>>();
    let sql = statements::count(version);
    tx.query(&sql)
        .bind(rows.iter().map(|(minute, _)| minute.clone()).collect::<Vec<_>>())
        .bind(column(0))
        .bind(column(1))
        .bind(column(2))
        .bind(column(3))
        .bind(column(4))
        .execute(&mut **tx)
        .await?;
    Ok(())
}
