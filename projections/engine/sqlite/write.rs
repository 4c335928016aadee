//! Applying a batch: rows and checkpoint in one transaction.

use std::borrow::Cow;

use sqlx::SqliteConnection;
use zeroload_domain::time_text;

use super::{
    Database,
    query::{Binder, read},
    statements::{CHUNKS, VersionStatements},
    transaction::WriteTransaction,
};
use crate::{
    Error, RecordedEvent,
    engine::{
        Dialect, Projection, Row,
        checkpoint::{Applied, MOVE, Mark},
        field::integer,
        projection,
    },
};

/// Which version a batch goes to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Whichever is live when the transaction begins.
    Live,
    Building(u32),
}

impl Database {
    pub(crate) async fn apply<P: Projection>(
        &self,
        events: Cow<'_, [RecordedEvent]>,
        mark: Option<&Mark>,
    ) -> Result<Applied, Error> {
        self.apply_to::<P>(Target::Live, &events, mark).await
    }

    pub(super) async fn apply_to<P: Projection>(
        &self,
        target: Target,
        events: &[RecordedEvent],
        mark: Option<&Mark>,
    ) -> Result<Applied, Error> {
        let mut tx = WriteTransaction::begin(self.writer()?).await?;
        let (version, position) = claim::<P>(&mut tx, target).await?;
        let fresh = projection::fresh(events, position)?;
        let Some(last) = fresh.last() else {
            tx.rollback().await?;
            return Ok(Applied { position, applied: 0 });
        };
        apply_rows::<P>(&mut tx, &self.statements.of(P::TABLE, version), version, fresh).await?;
        sqlx::query(MOVE)
            .bind(P::NAME)
            .bind(version)
            .bind(integer(last.position))
            .bind(time_text::format(last.recorded_at))
            .bind(mark.map(|mark| integer(mark.commit_id)))
            .bind(mark.map(|mark| &mark.commit_hash))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Applied { position: last.position, applied: fresh.len() })
    }
}

/// Version and position of the target, under the write lock.
pub(super) async fn claim<P: Projection>(
    connection: &mut SqliteConnection,
    target: Target,
) -> Result<(u32, u64), Error> {
    let (status, wanted) = match target {
        Target::Live => ("live", None),
        Target::Building(version) => ("building", Some(version)),
    };
    let select = "SELECT version, position FROM projection_checkpoints
                  WHERE name = ?1 AND status = ?2 AND version = coalesce(?3, version)";
    let found: Option<(u32, i64)> =
        sqlx::query_as(select).bind(P::NAME).bind(status).bind(wanted).fetch_optional(&mut *connection).await?;
    match (found, wanted) {
        (Some((version, position)), _) => Ok((version, position.unsigned_abs())),
        (None, Some(version)) => Err(Error::RebuildReplaced { version }),
        // The migration makes a live version and a swap exchanges it.
        (None, None) => Err(Error::Database(sqlx::Error::RowNotFound)),
    }
}

async fn apply_rows<P: Projection>(
    connection: &mut SqliteConnection,
    statements: &VersionStatements,
    version: u32,
    events: &[RecordedEvent],
) -> Result<(), Error> {
    let keys = P::touched(events);
    let mut stored = Vec::with_capacity(keys.len());
    if !keys.is_empty() {
        let keys = serde_json::json!(keys).to_string();
        for row in sqlx::query(&statements.load).bind(keys).fetch_all(&mut *connection).await? {
            stored.push(read(&row)?);
        }
    }
    let folded = P::fold(events, stored);
    write(connection, &statements.insert, &folded.inserted).await?;
    write(connection, &statements.update, &folded.updated).await?;
    for upsert in projection::upserts::<P>(&folded, version) {
        let sql = Dialect::Sqlite.statement(&upsert.sql, &[]);
        sqlx::query(&sql).bind(upsert.rows).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes all rows with the fewest statements that [`CHUNKS`] allows.
async fn write<R: Row>(
    connection: &mut SqliteConnection,
    statements: &[String; CHUNKS.len()],
    mut rows: &[R],
) -> Result<(), Error> {
    for (size, statement) in CHUNKS.iter().zip(statements) {
        while let Some((chunk, rest)) = rows.split_at_checked(*size) {
            let mut binder = Binder::of(statement);
            chunk.iter().for_each(|row| row.write(&mut binder));
            binder.bound().execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}
