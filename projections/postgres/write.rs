//! Applying a batch: rows and checkpoint in one transaction.

use zeroload_domain::{Claim, CollectOutcome, CollectReason};

use super::{Mode, ReadModels, Transaction, activity, statements, transaction::bind_cells};
use crate::{
    Applied, Error, FoundAs, MediaRow, RecordedEvent, SeenAs, batch,
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
    pub(crate) async fn apply(&self, events: &[RecordedEvent]) -> Result<Applied, Error> {
        self.apply_to(Target::Live, events).await
    }

    pub(super) async fn apply_to(&self, target: Target, events: &[RecordedEvent]) -> Result<Applied, Error> {
        let (models, events) = (self.clone(), events.to_vec());
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
        let sql = statements::load(version);
        for row in tx.query(&sql).bind(ids).fetch_all(&mut **tx).await? {
            stored.push(columns::media_row(&row)?);
        }
    }
    let changes = batch::changes(events, stored);
    write(tx, &statements::insert(version), &changes.inserted).await?;
    write(tx, &statements::update(version), &changes.updated).await?;
    for row in runs::changes(events) {
        let sql = statements::write_run_record(version);
        bind_cells(tx.query(&sql), runs::cells(&row).into()).execute(&mut **tx).await?;
    }
    activity::count(tx, version, &changes.counts).await
}

/// Writes all rows with one statement: an array for each column, in the order of the table.
async fn write(tx: &mut Transaction, sql: &str, rows: &[MediaRow]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    tx.query(sql)
        .bind(column(rows, |row| row.media_id.to_string()))
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| row.owner.as_str()))
        .bind(column(rows, |row| row.state.as_str()))
        .bind(column(rows, |row| row.store.as_str()))
        .bind(column(rows, |row| row.bucket.as_str()))
        .bind(column(rows, |row| row.object_key.as_str()))
        .bind(column(rows, |row| row.content_type.as_str()))
        .bind(column(rows, |row| columns::integer(row.content_length.bytes())))
        .bind(column(rows, |row| row.checksum_sha256.map(|digest| digest.to_string())))
        .bind(column(rows, |row| row.etag.as_ref().map(|etag| etag.as_str())))
        .bind(column(rows, |row| row.attached_to.as_ref().map(|place| place.as_str())))
        .bind(column(rows, |row| time_text::format(row.requested_at)))
        .bind(column(rows, |row| time_text::format(row.ticket_expires_at)))
        .bind(column(rows, |row| time_text::format(row.confirm_by)))
        .bind(column(rows, |row| time_text::format(row.collectable_at)))
        .bind(column(rows, |row| row.uploaded_at.map(time_text::format)))
        .bind(column(rows, |row| row.confirmed_at.map(time_text::format)))
        .bind(column(rows, |row| row.released_at.map(time_text::format)))
        .bind(column(rows, |row| row.release_reason.map(columns::release_reason)))
        .bind(column(rows, |row| row.collection_started_at.map(time_text::format)))
        .bind(column(rows, |row| row.collected_at.map(time_text::format)))
        .bind(column(rows, |row| row.claim.map(Claim::number).map(i64::from)))
        .bind(column(rows, |row| row.collect_reason.map(CollectReason::as_str)))
        .bind(column(rows, |row| row.collect_run_id.map(|id| id.to_string())))
        .bind(column(rows, |row| row.seen.map(SeenAs::as_str)))
        .bind(column(rows, |row| row.outcome.map(CollectOutcome::as_str)))
        .bind(column(rows, |row| row.bytes_freed.map(|size| columns::integer(size.bytes()))))
        .bind(column(rows, |row| columns::integer(row.sequence)))
        .bind(column(rows, |row| columns::integer(row.position)))
        .bind(column(rows, |row| row.sealed_at.map(time_text::format)))
        .bind(column(rows, |row| row.substituted_at.map(time_text::format)))
        .bind(column(rows, |row| row.found.map(FoundAs::as_str)))
        .bind(column(rows, |row| row.found_etag.as_ref().map(|etag| etag.as_str())))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn column<'r, T>(rows: &'r [MediaRow], value: impl Fn(&'r MediaRow) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
