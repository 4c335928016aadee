//! Applying a batch: rows and checkpoint in one transaction.

use std::borrow::Cow;

use sqlx::SqliteConnection;

use super::{
    MEDIA, ReadModels, activity, bind,
    statements::{CHUNKS, VersionStatements},
    transaction::WriteTransaction,
};
use crate::{Applied, Error, MediaRow, RecordedEvent, batch, columns, runs, time_text};

/// Which version a batch goes to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Whichever is live when the transaction begins.
    Live,
    Building(u32),
}

impl ReadModels {
    pub(crate) async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        self.apply_to(Target::Live, &events.into()).await
    }

    pub(super) async fn apply_to(&self, target: Target, events: &[RecordedEvent]) -> Result<Applied, Error> {
        let mut tx = WriteTransaction::begin(self.writer()?).await?;
        let (version, position) = claim(&mut tx, target).await?;
        let fresh = batch::fresh(events, position)?;
        let Some(last) = fresh.last() else {
            tx.rollback().await?;
            return Ok(Applied { position, applied: 0 });
        };
        apply_rows(&mut tx, &self.statements.of(version), fresh).await?;
        sqlx::query(
            "UPDATE projection_checkpoints SET position = ?3, recorded_at = ?4 WHERE name = ?1 AND version = ?2",
        )
        .bind(MEDIA)
        .bind(version)
        .bind(columns::integer(last.position))
        .bind(time_text::format(last.recorded_at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Applied { position: last.position, applied: fresh.len() })
    }
}

/// Version and position of the target, under the write lock.
pub(super) async fn claim(connection: &mut SqliteConnection, target: Target) -> Result<(u32, u64), Error> {
    let (status, wanted) = match target {
        Target::Live => ("live", None),
        Target::Building(version) => ("building", Some(version)),
    };
    let select = "SELECT version, position FROM projection_checkpoints
                  WHERE name = ?1 AND status = ?2 AND version = coalesce(?3, version)";
    let found: Option<(u32, i64)> =
        sqlx::query_as(select).bind(MEDIA).bind(status).bind(wanted).fetch_optional(&mut *connection).await?;
    match (found, wanted) {
        (Some((version, position)), _) => Ok((version, position.unsigned_abs())),
        (None, Some(version)) => Err(Error::RebuildReplaced { version }),
        // The migration makes a live version and a swap exchanges it.
        (None, None) => Err(Error::Database(sqlx::Error::RowNotFound)),
    }
}

async fn apply_rows(
    connection: &mut SqliteConnection,
    statements: &VersionStatements,
    events: &[RecordedEvent],
) -> Result<(), Error> {
    let ids = batch::touched(events);
    let mut stored = Vec::with_capacity(ids.len());
    if !ids.is_empty() {
        let ids = json_array(ids.iter().map(|id| serde_json::Value::String(id.to_string())));
        for row in sqlx::query(&statements.load).bind(ids).fetch_all(&mut *connection).await? {
            stored.push(columns::media_row(&row)?);
        }
    }
    let changes = batch::changes(events, stored);
    write(connection, &statements.insert, &changes.inserted).await?;
    write(connection, &statements.update, &changes.updated).await?;
    for row in runs::changes(events) {
        bind::bind_cells(sqlx::query(&statements.run_record), runs::cells(&row).into())
            .execute(&mut *connection)
            .await?;
    }
    activity::count(connection, statements, &changes.counts).await
}

/// Writes all rows with the fewest statements that [`CHUNKS`] allows.
async fn write(
    connection: &mut SqliteConnection,
    statements: &[String; CHUNKS.len()],
    mut rows: &[MediaRow],
) -> Result<(), Error> {
    for (size, statement) in CHUNKS.iter().zip(statements) {
        while let Some((chunk, rest)) = rows.split_at_checked(*size) {
            let query = chunk.iter().fold(sqlx::query(statement), bind::bind);
            query.execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}

pub(super) fn json_array(values: impl Iterator<Item = serde_json::Value>) -> String {
    serde_json::Value::Array(values.collect()).to_string()
}
