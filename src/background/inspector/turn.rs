//! Turns: of several processes that share a journal, one asks a bucket about the items that are to be looked at again.
//!
//! A run takes the turn only where it has found something to look at, and then lists it anew: another run may have looked at
//! it since. A run whose turn it is not leaves the work to the one that has it; if that one dies, its turn ends by itself.

use std::{convert::Infallible, time::Duration};

use chrono::TimeDelta;
use uuid::Uuid;
use zeroload_projections::Inspection;

use super::{Inspector, Run, RunError};

/// How long a turn is held when nothing is heard of its run.
const HELD_FOR: TimeDelta = TimeDelta::seconds(20);

/// How often a run is heard of.
const HEARD_EVERY: Duration = Duration::from_secs(5);

/// Whose turn it is.
pub(super) enum Turn {
    Ours,
    /// Ours from now on: what was listed before may have been looked at meanwhile.
    JustOurs,
    Anothers,
}

impl Inspector {
    /// Asked before each page.
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

    /// Keeps the turns of a run as long as it goes on, however long a page takes.
    pub(super) async fn be_heard_of(&self, run_id: Uuid) -> Infallible {
        loop {
            self.options.sleeper.sleep(HEARD_EVERY).await;
            if let Err(error) = self.handles.read_models.turns().keep(run_id, HELD_FOR).await {
                tracing::debug!(run.id = %run_id, %error, "other processes may check the items of this run");
            }
        }
    }

    /// Lets others have the turns of a run that is over. Where that fails they have them a little later.
    pub(super) async fn give_turns_back(&self, run: &Run) {
        if run.turns.is_empty() {
            return;
        }
        if let Err(error) = self.handles.read_models.turns().give_back(run.id).await {
            tracing::debug!(run.id = %run.id, %error, "a turn could not be given back");
        }
    }
}
