//! Turns: of several processes that share a journal, one at a time checks the items of a bucket again.
//!
//! A run takes the turn only if it has found due items, and then lists them anew: another run may have checked them
//! since. A run that does not get the turn leaves the work to the run that has it; if that run dies, its turn ends by
//! itself.

use std::{convert::Infallible, time::Duration};

use chrono::TimeDelta;
use uuid::Uuid;
use zeroload_projections::Inspection;

use super::{Inspector, Run, RunError};

/// How long a turn is held after its run was last heard of.
const HELD_FOR: TimeDelta = TimeDelta::seconds(20);

/// How often a run reports that it goes on.
const HEARD_EVERY: Duration = Duration::from_secs(5);

/// Whose turn it is.
pub(super) enum Turn {
    Ours,
    /// Ours from now on: the items that were listed before may have been checked by another run meanwhile.
    JustOurs,
    Anothers,
}

impl Inspector {
    /// Takes or keeps the turn, before each page.
    pub(super) async fn turn(&self, inspection: Inspection, run: &mut Run) -> Result<Turn, RunError> {
        let (store, bucket) = (self.handles.gateway.store(), self.handles.gateway.bucket());
        let turns = self.handles.read_models.turns();
        Ok(match turns.take(store, bucket, inspection, run.id, HELD_FOR).await? {
            true if run.turns.contains(&inspection) => Turn::Ours,
            true => {
                run.turns.push(inspection);
                Turn::JustOurs
            }
            false => Turn::Anothers,
        })
    }

    /// Keeps the turns of a run as long as the run goes on, however long a page takes.
    pub(super) async fn be_heard_of(&self, run_id: Uuid) -> Infallible {
        loop {
            self.options.sleeper.sleep(HEARD_EVERY).await;
            if let Err(error) = self.handles.read_models.turns().keep(run_id, HELD_FOR).await {
                tracing::debug!(run.id = %run_id, %error, "other processes may check the items of this run");
            }
        }
    }

    /// Gives back the turns of a run that is over. If this fails, the turns end by themselves a little later.
    pub(super) async fn give_turns_back(&self, run: &Run) {
        if run.turns.is_empty() {
            return;
        }
        if let Err(error) = self.handles.read_models.turns().give_back(run.id).await {
            tracing::debug!(run.id = %run.id, %error, "a turn could not be given back");
        }
    }
}
