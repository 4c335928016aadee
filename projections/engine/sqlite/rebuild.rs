//! A rebuild: a new version beside the live one, filled from the first event on, and swapped in when it has caught up.
//!
//! The live version goes on being fed meanwhile. There is one rebuild at a time: a later one takes over, drops what the
//! earlier one (crashed, perhaps) has built, and the earlier one, if it still runs, ends with
//! [`Error::RebuildReplaced`] at its next step.

use std::{borrow::Cow, marker::PhantomData};

use sqlx::SqliteConnection;

use super::{
    Database, migrate,
    transaction::WriteTransaction,
    write::{Target, claim},
};
use crate::{
    Error, RecordedEvent,
    engine::{
        Dialect, Projection,
        checkpoint::{Applied, Mark, Swapped},
        projection::tables,
    },
};

/// A version that is being built. Dropping it leaves the half-built tables to the next rebuild, which removes them.
#[derive(Clone, Debug)]
pub(crate) struct Rebuild<P> {
    database: Database,
    version: u32,
    of: PhantomData<P>,
}

impl Database {
    pub(crate) async fn begin_rebuild<P: Projection>(&self) -> Result<Rebuild<P>, Error> {
        let mut tx = WriteTransaction::begin(self.writer()?).await?;
        let delete = "DELETE FROM projection_checkpoints WHERE name = ?1 AND status = 'building' RETURNING version";
        let abandoned: Vec<u32> = sqlx::query_scalar(delete).bind(P::NAME).fetch_all(&mut *tx).await?;
        for version in abandoned {
            drop_tables::<P>(&mut tx, version).await?;
        }
        let version = migrate::next_version::<P>(&mut tx).await?;
        migrate::create_version::<P>(&mut tx, version).await?;
        tx.commit().await?;
        Ok(Rebuild { database: self.clone(), version, of: PhantomData })
    }
}

impl<P: Projection> Rebuild<P> {
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) async fn apply(&self, events: Cow<'_, [RecordedEvent]>, mark: Option<&Mark>) -> Result<Applied, Error> {
        self.database.apply_to::<P>(Target::Building(self.version), &events, mark).await
    }

    pub(crate) async fn swap(&self) -> Result<Swapped, Error> {
        let mut tx = WriteTransaction::begin(self.database.writer()?).await?;
        let (_, built) = claim::<P>(&mut tx, Target::Building(self.version)).await?;
        let (old, live) = claim::<P>(&mut tx, Target::Live).await?;
        if built < live {
            tx.rollback().await?;
            return Ok(Swapped::Behind { by: live - built });
        }
        for table in tables::<P>() {
            migrate::script(&mut tx, &Dialect::Sqlite.live_view(table, self.version)).await?;
        }
        sqlx::query("DELETE FROM projection_checkpoints WHERE name = ?1 AND version = ?2")
            .bind(P::NAME)
            .bind(old)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE projection_checkpoints SET status = 'live' WHERE name = ?1 AND version = ?2")
            .bind(P::NAME)
            .bind(self.version)
            .execute(&mut *tx)
            .await?;
        drop_tables::<P>(&mut tx, old).await?;
        tx.commit().await?;
        Ok(Swapped::Swapped)
    }
}

async fn drop_tables<P: Projection>(connection: &mut SqliteConnection, version: u32) -> Result<(), Error> {
    for table in tables::<P>() {
        migrate::script(connection, &format!("DROP TABLE {}", table.of_version(version))).await?;
    }
    Ok(())
}
