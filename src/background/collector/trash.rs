//! What becomes of a page of claimed items: removed, or kept in the trash; and what comes back from it.

use std::collections::VecDeque;

use futures_util::{StreamExt, stream};
use zeroload_domain::{
    ByteSize, Claim, CollectReason, Command, Media, ObjectFacts, ObjectKey, SeenVia, State, TrashLocation,
    TrashedObject,
    media::{Claimed, MediaInfo},
};
use zeroload_projections::{Deferred, DueItem};

use super::{Collector, ItemOutcome, ItemReport, Run, RunError};
use crate::{
    media::{
        Loaded,
        restore::{self, RestoreError},
    },
    storage::{Location, Removal, ThrottleStreak, Trashing, remove::SLOW_DOWN},
};

/// Copies, or restores, under way at once.
const COPIES: usize = 8;

/// Of one item, whose places in the trash are emptied with it.
const EARLIER_CLAIMS: usize = 100;

impl Collector {
    /// Moves into the trash what goes there, and removes all others with what the trash held of them, in the order given.
    /// Nothing stands for an item that was left alone, since the bucket has asked for fewer requests.
    pub(super) async fn dispose(&self, claimed: &[(&MediaInfo, &Claimed)], run: &mut Run) -> Vec<Option<Trashing>> {
        let removed = claimed.iter().filter(|(_, claimed)| claimed.trash_until.is_none());
        let remains: Vec<Vec<ObjectKey>> = removed.map(|(item, claimed)| remains(item, claimed)).collect();
        let places = claimed.iter().filter(|(_, claimed)| claimed.trash_until.is_none()).zip(&remains);
        let locations = places.flat_map(|((item, _), keys)| places_of(item, keys)).collect::<Vec<_>>();
        let mut removals: VecDeque<Removal> = self.handles.gateway.remove(&locations).await.into();
        let mut remains = remains.iter();
        let kept: Vec<(MediaInfo, Claimed)> = claimed
            .iter()
            .filter(|(_, claimed)| claimed.trash_until.is_some())
            .map(|(item, claimed)| ((*item).clone(), (*claimed).clone()))
            .collect();
        let gateway = &self.handles.gateway;
        let streak = ThrottleStreak::default();
        let trash = |(item, claimed): (MediaInfo, Claimed)| {
            let (streak, asks) = (&streak, !streak.is_lost());
            async move {
                if !asks {
                    return None;
                }
                // Before anything is put there: what is left afterwards is what this claim keeps.
                let left = left_over(&item, &claimed);
                let removed = match left.is_empty() {
                    true => None,
                    false => {
                        gateway.remove(&places_of(&item, &left).collect::<Vec<_>>()).await.into_iter().reduce(both)
                    }
                };
                let trashed = match removed {
                    None | Some(Removal::Gone { .. }) => gateway.trash(&Location::of(&item.request), &claimed).await,
                    Some(not_gone) => Trashing::Removed(not_gone),
                };
                streak.note(match &trashed {
                    Trashing::Removed(Removal::Unknown { why }) => Some(why),
                    Trashing::Removed(_) | Trashing::Kept(_) => None,
                });
                Some(trashed)
            }
        };
        let mut trashed: VecDeque<Option<Trashing>> = stream::iter(kept).map(trash).buffered(COPIES).collect().await;
        if streak.is_lost() {
            run.leave_the_bucket_alone();
        }
        let of = |(_, claimed): &(&MediaInfo, &Claimed)| {
            if claimed.trash_until.is_some() {
                return trashed.pop_front().expect("one for each that goes into the trash");
            }
            let own = removals.drain(..remains.next().map_or(0, Vec::len));
            Some(Trashing::Removed(own.reduce(both).expect("one for each key")))
        };
        claimed.iter().map(of).collect()
    }

    /// Undoes a move into the trash that may not be recorded, since others have recorded how the claim ended. What they keep
    /// stays; what was put there beside it is nobody's, and no later claim names that place. Where this fails, or the process
    /// dies before it, the next look at the item finds it.
    pub(super) async fn undo_trashing(&self, loaded: &Loaded, item: &MediaInfo, kept: TrashedObject, run: &Run) {
        if loaded.media.kept().is_some_and(|known| known.place == kept.place) {
            return;
        }
        let id = loaded.id;
        tracing::warn!(media.id = %id, "what was moved into the trash is removed: others had collected the item meanwhile");
        let undone = match (&kept.place, &loaded.media) {
            (TrashLocation::Copy { trash_key }, _) => {
                let at = Location { object_key: trash_key, ..Location::of(&item.request) };
                let removed = self.handles.gateway.remove(&[at]).await;
                removed.into_iter().all(|removal| matches!(removal, Removal::Gone { .. }))
            }
            // Its key is the item's own, which others may be at: it is claimed like any bytes that come late.
            (TrashLocation::Version { version_id }, Media::Collected(_, collected, _)) => {
                let facts = ObjectFacts {
                    etag: kept.etag.clone(),
                    content_length: kept.content_length,
                    content_type: None,
                    checksum_sha256: None,
                    version_id: Some(version_id.clone()),
                };
                let (seen_via, collected) = (SeenVia::Recheck, Some(collected.claim));
                let command = Command::RecordUpload { facts, seen_via, collected };
                self.handles.commands.execute_internal(id, command, &run.origin, run.now).await.is_ok()
            }
            (TrashLocation::Version { .. }, _) => true,
        };
        if !undone {
            tracing::warn!(media.id = %id, "a copy in the trash could not be removed yet; the next check of its item finds the copy");
        }
    }

    /// Ends the restores that an earlier process began; the other items are given back.
    pub(super) async fn end_restores(&self, items: Vec<DueItem>, run: &mut Run) -> Result<Vec<DueItem>, RunError> {
        let (restoring, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.state == State::Restoring);
        if restoring.is_empty() {
            return Ok(others);
        }
        let handles = &self.handles;
        let streak = ThrottleStreak::default();
        let (origin, now) = (&run.origin, run.now);
        let end = |item: DueItem| {
            let (streak, asks) = (&streak, !streak.is_lost());
            async move {
                if !asks {
                    return (item, None);
                }
                let ended = restore::resume(&handles.commands, &handles.gateway, item.media_id, origin, now).await;
                match &ended {
                    Ok(_) | Err(RestoreError::Failed { .. }) => streak.note(None),
                    Err(RestoreError::Storage(why)) => streak.note(Some(why)),
                    Err(RestoreError::Command(_)) => {}
                }
                (item, Some(ended))
            }
        };
        let ended: Vec<_> = stream::iter(restoring).map(end).buffered(COPIES).collect().await;
        let (mut done, mut postponed) = (Vec::new(), Vec::new());
        for (item, ended) in ended {
            let (outcome, code) = match ended {
                Some(Ok(restored)) => {
                    run.reach(restored.position);
                    done.push(item.media_id);
                    (ItemOutcome::InUse, None)
                }
                Some(Err(error)) => {
                    let code = error.code();
                    let waits = "a restore could not be ended";
                    match &error {
                        RestoreError::Command(error) => error.log_of(item.media_id, waits),
                        _ => tracing::warn!(media.id = %item.media_id, %error, "{waits}"),
                    }
                    postponed.push(Deferred { media_id: item.media_id, claim: item.claim, code: code.clone() });
                    (ItemOutcome::Unknown, Some(code))
                }
                None => (ItemOutcome::Unknown, Some(SLOW_DOWN.to_owned())),
            };
            let DueItem { media_id: id, object_key, .. } = item;
            run.report.count(ItemReport { id, object_key, reason: None, outcome, code });
        }
        if streak.is_lost() {
            run.leave_the_bucket_alone();
        }
        handles.read_models.retries().clear(&done).await?;
        self.postpone_all(postponed, run.now).await?;
        Ok(others)
    }
}

/// The keys under which something of an item may be that goes for good; its own is the first.
fn remains(item: &MediaInfo, claimed: &Claimed) -> Vec<ObjectKey> {
    let mut keys = vec![item.request.object_key.clone()];
    if let Some(TrashedObject { place: TrashLocation::Copy { trash_key }, .. }) = &claimed.trashed {
        keys.push(trash_key.clone());
    }
    let left = left_over(item, claimed).into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>();
    keys.extend(left);
    keys
}

/// Where earlier claims may have put something into the trash that is nobody's: the item was collected, and bytes were found
/// after that.
fn left_over(item: &MediaInfo, claimed: &Claimed) -> Vec<ObjectKey> {
    if claimed.reason != CollectReason::LateUpload {
        return Vec::new();
    }
    let earlier = std::iter::successors(Some(Claim::FIRST), |claim| Some(claim.next()));
    let count = usize::try_from(claimed.claim.number() - 1).unwrap_or(usize::MAX);
    let earlier = earlier.take(count).skip(count.saturating_sub(EARLIER_CLAIMS));
    earlier.map(|claim| item.request.object_key.in_trash(claim)).collect()
}

fn places_of<'a>(item: &'a MediaInfo, keys: &'a [ObjectKey]) -> impl Iterator<Item = Location<'a>> {
    let own = Location::of(&item.request);
    keys.iter().map(move |object_key| Location { object_key, ..own })
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
