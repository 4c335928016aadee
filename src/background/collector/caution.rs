//! What has to be seen before anything is claimed, beside the brake: that the clock tells the time, and that the bucket
//! deletes.
//!
//! Both guard what a claim takes away for good: the item can no longer be confirmed, whether or not it can then be deleted.

use zeroload_domain::media::{Claimed, MediaInfo};

use super::{Collector, Run};
use crate::storage::{Removal, Trashing};

impl Collector {
    /// Where the clock is not to be believed, the run ends before it claims.
    pub(super) fn look_at_the_clock(&self, run: &mut Run) {
        if let Err(distrust) = self.clock_watch.believe(run.began, self.handles.guard.apart()) {
            run.withhold(distrust.to_string());
        }
    }

    /// Where the bucket has not deleted anything lately, or moved anything into the trash that there is, an object of our own
    /// is removed first, in the way in which items are.
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

    /// What became of a page shows what the bucket can do, or no longer can.
    pub(super) fn note_what_worked(&self, claims: &[(&MediaInfo, &Claimed)], disposed: &[Option<Trashing>]) {
        let is_gone = |done: &Trashing| matches!(done, Trashing::Removed(Removal::Gone { .. }));
        let is_kept = |done: &Trashing| matches!(done, Trashing::Kept(_));
        let of = |moved: bool| {
            let wanted =
                claims.iter().zip(disposed).filter(move |((_, claimed), _)| claimed.trash_until.is_some() == moved);
            wanted.filter_map(|(_, done)| done.as_ref())
        };
        // What was never uploaded needs no move, so it says nothing of one.
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
