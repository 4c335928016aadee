//! A rebuild: a new version beside the live one, filled from the first event on, and swapped in when it has caught up.
//!
//! As on SQLite there is one at a time and a later one takes over. Readers meet the swap as a short wait for the view; the
//! table that went out of use is dropped after it, since a dump may read that table for long.

use std::borrow::Cow;

use sqlx::Row;

use super::{
    Mode, ReadModels, migrate, statements,
    write::{Target, await_live, claim_building},
};
use crate::{Applied, Error, RecordedEvent, Swapped, checkpoint::MEDIA};

/// A version that is being built.
#[derive(Clone, Debug)]
pub(crate) struct Rebuild {
    models: ReadModels,
    version: u32,
}

impl ReadModels {
    pub(crate) async fn begin_rebuild(&self) -> Result<Rebuild, Error> {
        let models = self.clone();
        let version = self.run(async move { models.create_next_version().await }).await?;
        Ok(Rebuild { models: self.clone(), version })
    }

    async fn create_next_version(&self) -> Result<u32, Error> {
        let mut tx = self.write(Mode::Schema).await?;
        // Its row is locked first: of two rebuilds that begin at once the later waits for the earlier.
        let version = migrate::next_version(&mut tx).await?;
        let delete = "DELETE FROM projection_checkpoints WHERE name = $1 AND status = 'building'";
        tx.query(delete).bind(MEDIA).execute(&mut *tx).await?;
        migrate::script(&mut tx, include_str!("sql/drop_unused.sql")).await?;
        migrate::create_version(&mut tx, version).await?;
        let live: i64 = {
            let select = "SELECT version FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
            tx.query(select).bind(MEDIA).fetch_one(&mut *tx).await?.try_get(0)?
        };
        for table in ["media_v", "activity_v", "run_records_v"] {
            migrate::script(&mut tx, &statements::grants(&format!("{table}{live}"), &format!("{table}{version}")))
                .await?;
        }
        tx.commit().await?;
        Ok(version)
    }

    async fn swap_in(&self, version: u32) -> Result<Swapped, Error> {
        self.create_indexes(version).await?;
        let mut tx = self.write(Mode::Schema).await?;
        let built = claim_building(&mut tx, version).await?;
        let (old, live) = await_live(&mut tx).await?;
        if built < live {
            tx.rollback().await?;
            return Ok(Swapped::Behind { by: live - built });
        }
        migrate::script(&mut tx, &statements::views(version)).await?;
        migrate::script(&mut tx, &statements::run_view(version)).await?;
        tx.query("DELETE FROM projection_checkpoints WHERE name = $1 AND version = $2")
            .bind(MEDIA)
            .bind(i64::from(old))
            .execute(&mut *tx)
            .await?;
        tx.query("UPDATE projection_checkpoints SET status = 'live' WHERE name = $1 AND version = $2")
            .bind(MEDIA)
            .bind(i64::from(version))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        // The swap holds whatever becomes of this; what stays is dropped when the next rebuild begins.
        drop(self.drop_unused().await);
        Ok(Swapped::Swapped)
    }

    /// What it needs for readers. As long as this takes, the feeder is told of more to come, and comes again.
    async fn create_indexes(&self, version: u32) -> Result<(), Error> {
        let mut tx = self.write(Mode::Schema).await?;
        // Against a rebuild that takes over: it would drop the table.
        claim_building(&mut tx, version).await?;
        migrate::script(&mut tx, "SET LOCAL statement_timeout = 0").await?;
        migrate::script(&mut tx, &statements::indexes(version)).await?;
        tx.commit().await
    }

    /// Drops the tables of versions that have no checkpoint.
    async fn drop_unused(&self) -> Result<(), Error> {
        let mut tx = self.write(Mode::Schema).await?;
        // Against a rebuild that begins: its table has no checkpoint that others see before it commits.
        let lock = "SELECT newest FROM projection_versions WHERE name = $1 FOR UPDATE";
        tx.query(lock).bind(MEDIA).execute(&mut *tx).await?;
        migrate::script(&mut tx, include_str!("sql/drop_unused.sql")).await?;
        tx.commit().await
    }
}

impl Rebuild {
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        self.models.apply_to(Target::Building(self.version), events.into().into_owned()).await
    }

    pub(crate) async fn swap(&self) -> Result<Swapped, Error> {
        let (models, version) = (self.models.clone(), self.version);
        self.models.run(async move { models.swap_in(version).await }).await
    }
}
