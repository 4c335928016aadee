//! A rebuild: a new version beside the live one, filled from the first event on, and swapped in when it has caught up.
//!
//! As on SQLite there is one at a time and a later one takes over. Readers meet the swap as a short wait for the views; the
//! tables that went out of use are dropped after it, since a dump may read them for long.

use std::{borrow::Cow, marker::PhantomData};

use sqlx::Row;

use super::{
    Database, Mode, Transaction, migrate,
    write::{Target, await_live, claim_building},
};
use crate::{
    Error, RecordedEvent,
    engine::{
        Dialect, Projection,
        checkpoint::{Applied, Mark, Swapped},
        projection::tables,
    },
};

/// A version that is being built.
#[derive(Clone, Debug)]
pub(crate) struct Rebuild<P> {
    database: Database,
    version: u32,
    of: PhantomData<P>,
}

impl Database {
    pub(crate) async fn begin_rebuild<P: Projection>(&self) -> Result<Rebuild<P>, Error> {
        let database = self.clone();
        let version = self.run(async move { database.create_next_version::<P>().await }).await?;
        Ok(Rebuild { database: self.clone(), version, of: PhantomData })
    }

    async fn create_next_version<P: Projection>(&self) -> Result<u32, Error> {
        let mut tx = self.write(Mode::Schema).await?;
        // Its row is locked first: of two rebuilds that begin at once the later waits for the earlier.
        let version = migrate::next_version::<P>(&mut tx).await?;
        let delete = "DELETE FROM projection_checkpoints WHERE name = $1 AND status = 'building'";
        tx.query(delete).bind(P::NAME).execute(&mut *tx).await?;
        drop_unused::<P>(&mut tx).await?;
        migrate::create_version::<P>(&mut tx, version).await?;
        let live: i64 = {
            let select = "SELECT version FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
            tx.query(select).bind(P::NAME).fetch_one(&mut *tx).await?.try_get(0)?
        };
        for table in tables::<P>() {
            let of_live = format!("{}_v{live}", table.name);
            migrate::script(&mut tx, &migrate::grants(&of_live, &table.of_version(version))).await?;
        }
        tx.commit().await?;
        Ok(version)
    }

    async fn swap_in<P: Projection>(&self, version: u32) -> Result<Swapped, Error> {
        self.create_indexes::<P>(version).await?;
        let mut tx = self.write(Mode::Schema).await?;
        let built = claim_building::<P>(&mut tx, version).await?;
        let (old, live) = await_live::<P>(&mut tx).await?;
        if built < live {
            tx.rollback().await?;
            return Ok(Swapped::Behind { by: live - built });
        }
        for table in tables::<P>() {
            migrate::script(&mut tx, &Dialect::Postgres.live_view(table, version)).await?;
        }
        tx.query("DELETE FROM projection_checkpoints WHERE name = $1 AND version = $2")
            .bind(P::NAME)
            .bind(i64::from(old))
            .execute(&mut *tx)
            .await?;
        tx.query("UPDATE projection_checkpoints SET status = 'live' WHERE name = $1 AND version = $2")
            .bind(P::NAME)
            .bind(i64::from(version))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        // The swap holds whatever becomes of this; what stays is dropped when the next rebuild begins.
        drop(self.drop_old::<P>().await);
        Ok(Swapped::Swapped)
    }

    /// What it needs for readers. As long as this takes, the feeder is told of more to come, and comes again.
    async fn create_indexes<P: Projection>(&self, version: u32) -> Result<(), Error> {
        let mut tx = self.write(Mode::Schema).await?;
        // Against a rebuild that takes over: it would drop the tables.
        claim_building::<P>(&mut tx, version).await?;
        migrate::script(&mut tx, "SET LOCAL statement_timeout = 0").await?;
        migrate::indexes::<P>(&mut tx, version).await?;
        tx.commit().await
    }

    async fn drop_old<P: Projection>(&self) -> Result<(), Error> {
        let mut tx = self.write(Mode::Schema).await?;
        // Against a rebuild that begins: its tables have no checkpoint that others see before it commits.
        let lock = "SELECT newest FROM projection_versions WHERE name = $1 FOR UPDATE";
        tx.query(lock).bind(P::NAME).execute(&mut *tx).await?;
        drop_unused::<P>(&mut tx).await?;
        tx.commit().await
    }
}

/// Drops the tables of versions that have no checkpoint.
async fn drop_unused<P: Projection>(tx: &mut Transaction) -> Result<(), Error> {
    let names = tables::<P>().map(|table| table.name).collect::<Vec<_>>().join("|");
    migrate::script(tx, &include_str!("drop_unused.sql").replace("{names}", &names)).await
}

impl<P: Projection> Rebuild<P> {
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) async fn apply(&self, events: Cow<'_, [RecordedEvent]>, mark: Option<&Mark>) -> Result<Applied, Error> {
        self.database.apply_to::<P>(Target::Building(self.version), events.into_owned(), mark.cloned()).await
    }

    pub(crate) async fn swap(&self) -> Result<Swapped, Error> {
        let (database, version) = (self.database.clone(), self.version);
        self.database.run(async move { database.swap_in::<P>(version).await }).await
    }
}
