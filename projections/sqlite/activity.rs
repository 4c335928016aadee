//! The counts per minute.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::{ReadModels, statements::VersionStatements, write::json_array};
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
        let query = sqlx::query(include_str!("sql/activity.sql"));
        let rows = query.bind(minute_of(from)).bind(minute_of(until)).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(|row| activity::minute(row)).collect()
    }

    pub(crate) async fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Unanswered, Error> {
        let query = sqlx::query(include_str!("sql/unanswered.sql"));
        activity::unanswered(&query.bind(minute_of(from)).bind(minute_of(until)).fetch_one(&self.readers).await?)
    }
}

pub(super) async fn count(
    connection: &mut SqliteConnection,
    statements: &VersionStatements,
    counts: &Counts,
) -> Result<(), Error> {
    let rows = json_array(counts.rows().map(|(minute, [requested, confirmed, open, kept, expired])| {
        serde_json::json!([minute, requested, confirmed, open, kept, expired])
    }));
    sqlx::query(&statements.count).bind(rows).execute(connection).await?;
    Ok(())
}
