//! Copies in the trash that no item names: found, and removed once they are old enough.
//!
//! Two processes may work on one claim. The first records that the item is gone; the second, still at its step, copies
//! late bytes into the trash, and may not record the copy any more. The item does not name such a copy, so no
//! collection removes it. A crash between a copy and its record leaves the same, if the next try finds nothing to keep.
//!
//! A copy's key names its item and its claim. The numbers of claims only go up, so once the item's stream is beyond
//! that claim and does not name the copy, the stream never will: then nothing can be restored from the copy, and it may
//! be removed. P-1 is not touched: no confirmed object has a key in the trash. Doubt means keep: a copy of an item that
//! the journal does not know, or of a claim that the journal does not know yet, is only reported.

use zeroload_domain::{Claim, Media, ObjectKey, TrashLocation, TrashedObject};
use zeroload_projections::{Finding, FindingKind};

use super::{
    LEAST_AGE, ReconcileError, Reconciler, Step,
    unknown::{DELETED, TOO_YOUNG},
    verify::REPORTED,
};
use crate::storage::{Listed, Location, Removal};

/// What a copy in the trash is to the item that its key names.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The item may be restored from the copy, or its collection is about to make or remove the copy.
    Needed,
    /// The item's stream is beyond the copy's claim, and does not name the copy.
    LeftOver,
    /// The item never had this copy, as far as the journal knows.
    Strange,
}

impl Reconciler {
    pub(super) async fn orphaned(&self, key: &ObjectKey, object: &Listed) -> Result<Option<Finding>, ReconcileError> {
        let loaded = self.handles.commands.load_internal(key.media_id()).await?;
        Ok(match standing(&loaded.media, key) {
            Standing::Needed => None,
            Standing::LeftOver => {
                let finding = self.of_object(FindingKind::Orphaned, object);
                Some(Finding { media_id: Some(key.media_id()), ..finding })
            }
            Standing::Strange => Some(self.unknown(object)),
        })
    }

    /// Removes the copies that are old enough, and writes into each finding what was done.
    pub(super) async fn remove_orphans(&self, findings: &mut [Finding], step: &mut Step) -> Result<(), ReconcileError> {
        let older_than = self.handles.clock.now() - LEAST_AGE;
        let orphans = |finding: &&mut Finding| finding.kind == FindingKind::Orphaned && finding.action == REPORTED;
        for finding in findings.iter_mut().filter(orphans) {
            if finding.last_modified.is_none_or(|at| at > older_than) {
                TOO_YOUNG.clone_into(&mut finding.action);
                continue;
            }
            // The bucket may have become another journal's since the walk began.
            if let Some(problem) = self.look_at_bucket().await? {
                step.walk.report_only = Some(problem);
                return Ok(());
            }
            let Ok(key) = ObjectKey::parse(finding.object_key.as_str()) else { continue };
            let loaded = self.handles.commands.load_internal(key.media_id()).await?;
            let Some(ticketed) = loaded.media.ticketed() else { continue };
            if standing(&loaded.media, &key) != Standing::LeftOver {
                continue;
            }
            self.pace(step).await;
            let at = Location { object_key: &key, ..Location::of(&ticketed.request) };
            finding.action = match self.handles.gateway.remove(&[at]).await.pop() {
                Some(Removal::Gone { .. }) => {
                    tracing::info!(object.key = finding.object_key, "a copy that its item does not name was deleted");
                    DELETED.to_owned()
                }
                Some(Removal::Failed { code }) => format!("failed: {code}"),
                Some(Removal::Unknown { why }) => format!("failed: {}", why.reason()),
                None => continue,
            };
        }
        Ok(())
    }
}

fn standing(media: &Media, key: &ObjectKey) -> Standing {
    let Some(ticketed) = media.ticketed() else { return Standing::Strange };
    let own = &ticketed.request.object_key;
    let known = std::iter::successors(Some(Claim::FIRST), |claim| Some(claim.next()))
        .take_while(|claim| ticketed.latest_claim.is_some_and(|latest| *claim <= latest));
    let Some(claim) = known.into_iter().find(|claim| own.in_trash(*claim) == *key) else { return Standing::Strange };
    let is_it = |kept: &TrashedObject| matches!(&kept.place, TrashLocation::Copy { trash_key } if trash_key == key);
    let is_needed = match media {
        Media::Collecting(_, claimed) => claimed.claim == claim || claimed.trashed.as_ref().is_some_and(is_it),
        // A first try may have made the copy before the bucket kept versions: the copy is of no use, but it is of this
        // claim.
        Media::Trashed(_, claimed, kept) => claimed.claim == claim || is_it(kept),
        Media::Restoring(_, kept, restoration) => restoration.claim == claim || is_it(kept),
        Media::Unrequested
        | Media::Pending(_)
        | Media::Uploaded(..)
        | Media::Confirmed(..)
        | Media::Released(..)
        | Media::Collected(..) => false,
    };
    if is_needed { Standing::Needed } else { Standing::LeftOver }
}
