//! What becomes of a page of claimed items: removed, or kept in the trash; and what comes back from it.

use std::collections::VecDeque;

use futures_util::{StreamExt, stream};
use zeroload_domain::{ByteSize, ObjectKey, Place, State, media::Claimed, media::Ticketed};
use zeroload_projections::{DueItem, Postponed};

use super::{Collector, ItemOutcome, ItemReport, Run, RunError};
use crate::{
    restore::{self, RestoreError},
    storage::{Location, Patience, Removal, Trashing, remove::SLOW_DOWN},
};

/// Copies, or restores, under way at once.
const COPIES: usize = 8;

impl Collector {
    /// Moves into the trash what goes there, and removes all others with what the trash held of them, in the order given.
    /// Nothing stands for an item that was left alone, since the bucket has asked for fewer requests.
    pub(super) async fn dispose(&self, claimed: &[(&Ticketed, &Claimed)], run: &mut Run) -> Vec<Option<Trashing>> {
        let removed = claimed.iter().filter(|(_, claimed)| claimed.trash_until.is_none());
        let locations: Vec<Location<'_>> = removed.flat_map(|(item, claimed)| remains(item, claimed)).collect();
        let mut removals: VecDeque<Removal> = self.parts.gateway.remove(&locations).await.into();
        let kept: Vec<(Ticketed, Claimed)> = claimed
            .iter()
            .filter(|(_, claimed)| claimed.trash_until.is_some())
            .map(|(item, claimed)| ((*item).clone(), (*claimed).clone()))
            .collect();
        let gateway = &self.parts.gateway;
        let patience = Patience::default();
        let trash = |(item, claimed): (Ticketed, Claimed)| {
            let (patience, asks) = (&patience, !patience.is_lost());
            async move {
                if !asks {
                    return None;
                }
                let trashed = gateway.trash(&Location::of(&item.request), &claimed).await;
                patience.note(match &trashed {
                    Trashing::Removed(Removal::Unknown { why }) => Some(why),
                    Trashing::Removed(_) | Trashing::Kept(_) => None,
                });
                Some(trashed)
            }
        };
        let mut trashed: VecDeque<Option<Trashing>> = stream::iter(kept).map(trash).buffered(COPIES).collect().await;
        if patience.is_lost() {
            run.leave_the_bucket_alone();
        }
        let of = |(item, claimed): &(&Ticketed, &Claimed)| {
            if claimed.trash_until.is_some() {
                return trashed.pop_front().expect("one for each that goes into the trash");
            }
            let own = removals.drain(..remains(item, claimed).count());
            Some(Trashing::Removed(own.reduce(both).expect("one for each key")))
        };
        claimed.iter().map(of).collect()
    }

    /// Ends the restores that an earlier process began; the other items are given back.
    pub(super) async fn end_restores(&self, items: Vec<DueItem>, run: &mut Run) -> Result<Vec<DueItem>, RunError> {
        let (restoring, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.state == State::Restoring);
        if restoring.is_empty() {
            return Ok(others);
        }
        let parts = &self.parts;
        let patience = Patience::default();
        let (origin, now) = (&run.origin, run.now);
        let end = |item: DueItem| {
            let (patience, asks) = (&patience, !patience.is_lost());
            async move {
                if !asks {
                    return (item, None);
                }
                let ended = restore::resume(&parts.commands, &parts.gateway, item.media_id, origin, now).await;
                match &ended {
                    Ok(_) | Err(RestoreError::Failed { .. }) => patience.note(None),
                    Err(RestoreError::Storage(why)) => patience.note(Some(why)),
                    Err(RestoreError::Command(_)) => {}
                }
                (item, Some(ended))
            }
        };
        let ended: Vec<_> = stream::iter(restoring).map(end).buffered(COPIES).collect().await;
        let (mut done, mut postponed) = (Vec::new(), Vec::new());
        for (item, ended) in ended {
            let (outcome, code) = match ended {
                Some(Ok(_)) => {
                    done.push(item.media_id);
                    (ItemOutcome::InUse, None)
                }
                Some(Err(error)) => {
                    let code = error.code();
                    tracing::warn!(media.id = %item.media_id, %error, "a restore could not be ended");
                    postponed.push(Postponed { media_id: item.media_id, claim: item.claim, code: code.clone() });
                    (ItemOutcome::Unknown, Some(code))
                }
                None => (ItemOutcome::Unknown, Some(SLOW_DOWN.to_owned())),
            };
            let DueItem { media_id: id, object_key, .. } = item;
            run.report.count(ItemReport { id, object_key, reason: None, outcome, code });
        }
        if patience.is_lost() {
            run.leave_the_bucket_alone();
        }
        parts.read_models.retries().clear(&done).await?;
        self.postpone_all(postponed, run.now).await?;
        Ok(others)
    }
}

/// The keys under which something of an item may be.
fn remains<'a>(item: &'a Ticketed, claimed: &'a Claimed) -> impl Iterator<Item = Location<'a>> {
    let own = Location::of(&item.request);
    let trash_key: Option<&ObjectKey> = match claimed.trashed.as_ref().map(|kept| &kept.place) {
        Some(Place::Copy { trash_key }) => Some(trash_key),
        Some(Place::Version { .. }) | None => None,
    };
    std::iter::once(own).chain(trash_key.map(|object_key| Location { object_key, ..own }))
}

/// Both are gone, or why not.
fn both(one: Removal, other: Removal) -> Removal {
    match (one, other) {
        (Removal::Gone { freed: one }, Removal::Gone { freed: other }) => {
            let sum = one.into_iter().chain(other).map(ByteSize::bytes).reduce(|one, other| one + other);
            Removal::Gone { freed: sum.map(ByteSize::new) }
        }
        (Removal::Gone { .. }, not_gone) | (not_gone, _) => not_gone,
    }
}
