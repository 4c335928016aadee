//! Which process checks the items of a bucket, so that several processes do not ask about the same ones.
//!
//! For each bucket and each [`Inspection`] one run has the turn. It keeps it by being heard of; one that has died holds the
//! others up until its time is over. A hint, and no lock: what may be recorded of an item the item's stream decides. Where two
//! runs take themselves for the one whose turn it is, the bucket is asked about an item twice. Not a projection; a rebuild
//! leaves it alone. On SQLite there is one process, and the turn is always its own.

use chrono::TimeDelta;
use uuid::Uuid;
use zeroload_domain::{Bucket, Store};

use super::Inspection;
use crate::{
    Error, ReadModels,
    engine::{Cell, Database},
};

/// Of a database of Postgres. A turn is a hint, and after a crash of the server nobody has one.
pub(crate) const CREATE: &str = include_str!("create_turns.sql");

/// The table that [`CREATE`] makes.
pub(crate) const TABLE: &str = "inspection_turns";

fn milliseconds(span: TimeDelta) -> Cell {
    Cell::Number(Some(span.num_milliseconds()))
}

/// The turns of inspectors.
#[derive(Clone, Copy, Debug)]
pub struct TurnStore<'a> {
    models: &'a ReadModels,
}

impl<'a> TurnStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }

    fn shared(&self) -> Option<&'a Database> {
        self.models.database().ok().filter(|database| matches!(database, Database::Postgres(_)))
    }

    async fn execute(&self, sql: &'static str, cells: Vec<Cell>) -> Result<Option<u64>, Error> {
        match self.shared() {
            Some(database) => database.execute(vec![(sql.into(), cells)]).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether it is the turn of the run, which then has it for so long from now.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Busy`], [`Error::Database`], [`Error::ReadOnly`]. The run may have the turn then.
    pub async fn take(
        &self,
        store: &Store,
        bucket: &Bucket,
        inspection: Inspection,
        run_id: Uuid,
        held_for: TimeDelta,
    ) -> Result<bool, Error> {
        let cells =
            vec![Cell::of(store), Cell::of(bucket), Cell::of(&inspection), Cell::of(&run_id), milliseconds(held_for)];
        let taken = self.execute(include_str!("take_turn.sql"), cells).await?;
        Ok(taken.is_none_or(|rows| rows == 1))
    }

    /// The run goes on: the turns that it has it has for so long from now.
    ///
    /// # Errors
    /// As [`TurnStore::take`].
    pub async fn keep(&self, run_id: Uuid, held_for: TimeDelta) -> Result<(), Error> {
        let cells = vec![Cell::of(&run_id), milliseconds(held_for)];
        self.execute(include_str!("keep_turns.sql"), cells).await.map(|_| ())
    }

    /// The run is over.
    ///
    /// # Errors
    /// As [`TurnStore::take`].
    pub async fn give_back(&self, run_id: Uuid) -> Result<(), Error> {
        self.execute("DELETE FROM inspection_turns WHERE run_id = $1", vec![Cell::of(&run_id)]).await.map(|_| ())
    }
}
