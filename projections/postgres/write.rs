//! Applying a batch: rows and checkpoint in one transaction.

use std::borrow::Cow;

use super::{Mode, ReadModels, Transaction, activity, copy::copy, statements, transaction::bind_cells};
use crate::{
    Applied, Error, RecordedEvent, batch,
    checkpoint::MEDIA,
    columns::{self, Columns},
    runs, time_text,
};

/// Which version a batch goes to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Whichever is live when the transaction begins.
    Live,
    Building(u32),
}

impl ReadModels {
    pub(crate) async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        self.apply_to(Target::Live, events.into().into_owned()).await
    }

    pub(super) async fn apply_to(&self, target: Target, events: Vec<RecordedEvent>) -> Result<Applied, Error> {
        let models = self.clone();
        self.run(async move { models.apply_here(target, &events).await }).await
    }

    /// As [`ReadModels::apply_to`], on the runtime that owns the sockets.
    pub(super) async fn apply_here(&self, target: Target, events: &[RecordedEvent]) -> Result<Applied, Error> {
        let mut tx = self.write(Mode::Rows).await?;
        let claimed = match target {
            Target::Live => claim_live(&mut tx).await?,
            Target::Building(version) => Some((version, claim_building(&mut tx, version).await?)),
        };
        let Some((version, position)) = claimed else {
            let position = live_position(&mut tx).await?;
            tx.rollback().await?;
            return Ok(Applied { position, applied: 0 });
        };
        let fresh = batch::fresh(events, position)?;
        let Some(last) = fresh.last() else {
            tx.rollback().await?;
            return Ok(Applied { position, applied: 0 });
        };
        apply_rows(&mut tx, version, fresh).await?;
        tx.query("UPDATE projection_checkpoints SET position = $3, recorded_at = $4 WHERE name = $1 AND version = $2")
            .bind(MEDIA)
            .bind(i64::from(version))
            .bind(columns::integer(last.position))
            .bind(time_text::format(last.recorded_at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Applied { position: last.position, applied: fresh.len() })
    }
}

/// Version and position of the live version, unless another process is at it.
async fn claim_live(tx: &mut Transaction) -> Result<Option<(u32, u64)>, Error> {
    let row = tx.query(include_str!("sql/claim_live.sql")).bind(MEDIA).fetch_optional(&mut **tx).await?;
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::of(&row);
    Ok(Some((columns.small("version")?, columns.integer("position")?)))
}

/// As [`claim_live`], but waits for the process that is at it.
pub(super) async fn await_live(tx: &mut Transaction) -> Result<(u32, u64), Error> {
    let row = tx.query(include_str!("sql/await_live.sql")).bind(MEDIA).fetch_one(&mut **tx).await?;
    let mut columns = Columns::of(&row);
    Ok((columns.small("version")?, columns.integer("position")?))
}

/// The position of a version that is being built. It has one feeder, so it waits for whoever holds it: the feeder's own
/// last call, perhaps, or a rebuild that takes over.
pub(super) async fn claim_building(tx: &mut Transaction, version: u32) -> Result<u64, Error> {
    let query = tx.query(include_str!("sql/claim_building.sql")).bind(MEDIA).bind(i64::from(version));
    let row = query.fetch_optional(&mut **tx).await?.ok_or(Error::RebuildReplaced { version })?;
    Columns::of(&row).integer("position")
}

async fn live_position(tx: &mut Transaction) -> Result<u64, Error> {
    let select = "SELECT position FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
    let row = tx.query(select).bind(MEDIA).fetch_one(&mut **tx).await?;
    Columns::of(&row).integer("position")
}

async fn apply_rows(tx: &mut Transaction, version: u32, events: &[RecordedEvent]) -> Result<(), Error> {
    let ids = batch::touched(events);
    let mut stored = Vec::with_capacity(ids.len());
    if !ids.is_empty() {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let sql = statements::take(version);
        for row in tx.query(&sql).bind(ids).fetch_all(&mut **tx).await? {
            stored.push(columns::media_row(&row)?);
        }
    }
    let changes = batch::changes(events, stored);
    copy(tx, version, &changes.updated).await?;
    copy(tx, version, &changes.inserted).await?;
    for row in runs::changes(events) {
        let sql = statements::write_run_record(version);
        bind_cells(tx.query(&sql), runs::cells(&row).into()).execute(&mut **tx).await?;
    }
    activity::count(tx, version, &changes.counts).await
}
