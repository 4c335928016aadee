//! A rebuild: a new version beside the live one, filled from the first event on, and swapped in when it has caught up.
//!
//! The live version goes on being fed meanwhile. There is one rebuild at a time: a later one takes over, drops what the
//! earlier one (crashed, perhaps) has built, and the earlier one, if it still runs, ends with
//! [`Error::RebuildReplaced`] at its next step.

use std::borrow::Cow;

use super::{
    MEDIA, ReadModels, migrate, statements,
    transaction::WriteTransaction,
    write::{Target, claim},
};
use crate::{Applied, Error, RecordedEvent, Swapped};

/// A version that is being built. Dropping it leaves the half-built table to the next rebuild, which removes it.
#[derive(Clone, Debug)]
pub(crate) struct Rebuild {
    models: ReadModels,
    version: u32,
}

impl ReadModels {
    pub(crate) async fn begin_rebuild(&self) -> Result<Rebuild, Error> {
        let mut tx = WriteTransaction::begin(self.writer()?).await?;
        let delete = "DELETE FROM projection_checkpoints WHERE name = ?1 AND status = 'building' RETURNING version";
        let abandoned: Vec<u32> = sqlx::query_scalar(delete).bind(MEDIA).fetch_all(&mut *tx).await?;
        for version in abandoned {
            migrate::script(&mut tx, &statements::drop_tables(version)).await?;
        }
        let version = migrate::next_version(&mut tx).await?;
        migrate::create_version(&mut tx, version).await?;
        tx.commit().await?;
        Ok(Rebuild { models: self.clone(), version })
    }
}

impl Rebuild {
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        self.models.apply_to(Target::Building(self.version), &events.into()).await
    }

    pub(crate) async fn swap(&self) -> Result<Swapped, Error> {
        let mut tx = WriteTransaction::begin(self.models.writer()?).await?;
        let (_, built) = claim(&mut tx, Target::Building(self.version)).await?;
        let (old, live) = claim(&mut tx, Target::Live).await?;
        if built < live {
            tx.rollback().await?;
            return Ok(Swapped::Behind { by: live - built });
        }
        let (views, runs) = (statements::views(self.version), statements::run_view(self.version));
        let exchange = format!("DROP VIEW media; DROP VIEW activity; {views} DROP VIEW run_records; {runs}");
        migrate::script(&mut tx, &exchange).await?;
        sqlx::query("DELETE FROM projection_checkpoints WHERE name = ?1 AND version = ?2")
            .bind(MEDIA)
            .bind(old)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE projection_checkpoints SET status = 'live' WHERE name = ?1 AND version = ?2")
            .bind(MEDIA)
            .bind(self.version)
            .execute(&mut *tx)
            .await?;
        migrate::script(&mut tx, &statements::drop_tables(old)).await?;
        tx.commit().await?;
        Ok(Swapped::Swapped)
    }
}
