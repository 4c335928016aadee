//! The checks before a claim, beside the brake: that the clock can be believed, and that the bucket deletes.
//!
//! A claim takes the confirm away for good, whether or not the object can then be deleted, so both are checked first.

use zeroload_domain::media::{Claimed, MediaInfo};

use super::{Collector, Run};
use crate::storage::{Removal, Trashing};

impl Collector {
    /// Ends the run before its first claim if the clock cannot be believed.
    pub(super) fn look_at_the_clock(&self, run: &mut Run) {
        if let Err(distrust) = self.clock_watch.believe(run.began, self.handles.guard.apart()) {
            run.withhold(distrust.to_string());
        }
    }

    /// If no delete has worked lately, or no move into the trash where there is one, removes an object of our own
    /// first, in the way in which items are removed. If that fails, the run ends without a further claim.
    pub(super) async fn see_a_removal(&self, run: &mut Run) {
        let (guard, into_trash) = (&self.handles.guard, self.handles.commands.keeps_trash());
        if guard.has_deleted() && (!into_trash || guard.has_moved()) {
            return;
        }
        match self.handles.gateway.rehearse(&self.name, into_trash).await {
            Ok(()) => {
                guard.note_deletes(true);
                if into_trash {
                    guard.note_moves(true);
                }
            }
            Err(why) => run.withhold(format!(
                "the bucket has not shown that what is claimed can be removed: {why}; nothing is claimed, since from then on it \
                 could not be confirmed"
            )),
        }
    }

    /// Notes from the results of a page whether deletes and moves into the trash work.
    pub(super) fn note_what_worked(&self, claims: &[(&MediaInfo, &Claimed)], disposed: &[Option<Trashing>]) {
        let is_gone = |done: &Trashing| matches!(done, Trashing::Removed(Removal::Gone { .. }));
        let is_kept = |done: &Trashing| matches!(done, Trashing::Kept(_));
        let of = |moved: bool| {
            let wanted =
                claims.iter().zip(disposed).filter(move |((_, claimed), _)| claimed.trash_until.is_some() == moved);
            wanted.filter_map(|(_, done)| done.as_ref())
        };
        // An item that was never uploaded needs no move, so it says nothing about moves.
        if of(true).any(is_kept) {
            self.handles.guard.note_moves(true);
        } else if of(true).any(|done| !is_gone(done)) {
            self.handles.guard.note_moves(false);
        }
        let all = || of(true).chain(of(false));
        if all().any(|done| is_gone(done) || is_kept(done)) {
            self.handles.guard.note_deletes(true);
        } else if of(false).next().is_some() {
            self.handles.guard.note_deletes(false);
        }
    }
}
