//! Applying a batch: rows and checkpoint in one transaction.

use std::borrow::Cow;

use zeroload_domain::time_text;

use super::{Database, Mode, Transaction, copy::copy, query::read};
use crate::{
    Error, RecordedEvent,
    engine::{
        Columns, Dialect, Projection,
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
        self.apply_to::<P>(Target::Live, events.into_owned(), mark.cloned()).await
    }

    pub(super) async fn apply_to<P: Projection>(
        &self,
        target: Target,
        events: Vec<RecordedEvent>,
        mark: Option<Mark>,
    ) -> Result<Applied, Error> {
        let database = self.clone();
        self.run(async move { database.apply_here::<P>(target, &events, mark.as_ref()).await }).await
    }

    /// As [`Database::apply_to`], on the runtime that owns the sockets.
    pub(super) async fn apply_here<P: Projection>(
        &self,
        target: Target,
        events: &[RecordedEvent],
        mark: Option<&Mark>,
    ) -> Result<Applied, Error> {
        let mut tx = self.write(Mode::Rows).await?;
        let claimed = match target {
            Target::Live => claim_live::<P>(&mut tx).await?,
            Target::Building(version) => Some((version, claim_building::<P>(&mut tx, version).await?)),
        };
        let Some((version, position)) = claimed else {
            let position = live_position::<P>(&mut tx).await?;
            tx.rollback().await?;
            return Ok(Applied { position, applied: 0 });
        };
        let fresh = projection::fresh(events, position)?;
        let Some(last) = fresh.last() else {
            tx.rollback().await?;
            return Ok(Applied { position, applied: 0 });
        };
        apply_rows::<P>(&mut tx, version, fresh).await?;
        tx.query(MOVE)
            .bind(P::NAME)
            .bind(i64::from(version))
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

/// Version and position of the live version, unless another process is at it.
async fn claim_live<P: Projection>(tx: &mut Transaction) -> Result<Option<(u32, u64)>, Error> {
    let row = tx.query(include_str!("claim_live.sql")).bind(P::NAME).fetch_optional(&mut **tx).await?;
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::of(&row);
    Ok(Some((columns.read("version")?, columns.read("position")?)))
}

/// As [`claim_live`], but waits for the process that is at it.
pub(super) async fn await_live<P: Projection>(tx: &mut Transaction) -> Result<(u32, u64), Error> {
    let row = tx.query(include_str!("await_live.sql")).bind(P::NAME).fetch_one(&mut **tx).await?;
    let mut columns = Columns::of(&row);
    Ok((columns.read("version")?, columns.read("position")?))
}

/// The position of a version that is being built. It has one feeder, so it waits for whoever holds it: the feeder's own
/// last call, perhaps, or a rebuild that takes over.
pub(super) async fn claim_building<P: Projection>(tx: &mut Transaction, version: u32) -> Result<u64, Error> {
    let query = tx.query(include_str!("claim_building.sql")).bind(P::NAME).bind(i64::from(version));
    let row = query.fetch_optional(&mut **tx).await?.ok_or(Error::RebuildReplaced { version })?;
    Columns::of(&row).read("position")
}

async fn live_position<P: Projection>(tx: &mut Transaction) -> Result<u64, Error> {
    let select = "SELECT position FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
    let row = tx.query(select).bind(P::NAME).fetch_one(&mut **tx).await?;
    Columns::of(&row).read("position")
}

async fn apply_rows<P: Projection>(tx: &mut Transaction, version: u32, events: &[RecordedEvent]) -> Result<(), Error> {
    let keys = P::touched(events);
    let mut stored = Vec::with_capacity(keys.len());
    if !keys.is_empty() {
        let sql = take::<P>(version);
        for row in tx.query(&sql).bind(keys).fetch_all(&mut **tx).await? {
            stored.push(read(&row)?);
        }
    }
    let folded = P::fold(events, stored);
    copy(tx, P::TABLE, version, &folded.updated).await?;
    copy(tx, P::TABLE, version, &folded.inserted).await?;
    for upsert in projection::upserts::<P>(&folded, version) {
        let sql = Dialect::Postgres.statement(&upsert.sql, &[]);
        tx.query(&sql).bind(upsert.rows).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Removes rows and answers with them. They are written again in the same transaction: every change of a row moves its
/// entries in the indexes anyway, and one COPY of all rows, new and changed, costs less than an upsert.
fn take<P: Projection>(version: u32) -> String {
    let (table, names, key) = (P::TABLE.of_version(version), P::TABLE.names(), P::TABLE.key.join(", "));
    format!("DELETE FROM {table} WHERE {key} = ANY ($1::text[]) RETURNING {names}")
}
