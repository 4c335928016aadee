//! Removes the objects of a page of claimed items or moves them into the trash, and finishes restores from the trash.

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

/// Moves into the trash, or restores, under way at once.
const COPIES: usize = 8;

/// Earlier claims of one item whose keys in the trash are removed with the item.
const EARLIER_CLAIMS: usize = 100;

impl Collector {
    /// Moves the objects of items that go into the trash, and removes those of all others, with their copies in the
    /// trash. The results are in the order given; `None` stands for an item that was left alone, since the bucket has
    /// asked for fewer requests.
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
                // Earlier copies are removed before the move: afterwards the trash holds only what this claim keeps.
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

    /// Undoes a move into the trash that may not be recorded, since another process has recorded how the claim ended.
    /// An object that this record keeps in the trash stays; an object beside it is no item's, and no later claim names
    /// its place. If this fails, or the process dies before it, the next check of the item finds the object.
    pub(super) async fn undo_trashing(&self, loaded: &Loaded, item: &MediaInfo, kept: TrashedObject, run: &Run) {
        if loaded.media.kept().is_some_and(|known| known.place == kept.place) {
            return;
        }
        let id = loaded.id;
        tracing::warn!(media.id = %id, "an object is taken out of the trash: another process had collected its item before");
        let undone = match (&kept.place, &loaded.media) {
            (TrashLocation::Copy { trash_key }, _) => {
                let at = Location { object_key: trash_key, ..Location::of(&item.request) };
                let removed = self.handles.gateway.remove(&[at]).await;
                removed.into_iter().all(|removal| matches!(removal, Removal::Gone { .. }))
            }
            // A version has the item's own key, on which other processes may work: it is claimed like any late upload.
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

    /// Finishes the restores that an earlier process began, and returns the other items.
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
                    let waits = "a restore could not be finished yet";
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

/// The keys that may hold objects of an item that is removed for good; the item's own key is the first.
fn remains(item: &MediaInfo, claimed: &Claimed) -> Vec<ObjectKey> {
    let mut keys = vec![item.request.object_key.clone()];
    if let Some(TrashedObject { place: TrashLocation::Copy { trash_key }, .. }) = &claimed.trashed {
        keys.push(trash_key.clone());
    }
    let left = left_over(item, claimed).into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>();
    keys.extend(left);
    keys
}

/// The keys in the trash under which earlier claims may have left a copy that is no item's. Only an item that was
/// collected, and whose bytes were found after that, has earlier claims of this kind.
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

/// `Gone` if both removals are, else the first that is not.
fn both(one: Removal, other: Removal) -> Removal {
    match (one, other) {
        (Removal::Gone { freed: one }, Removal::Gone { freed: other }) => {
            let sum = one.into_iter().chain(other).map(ByteSize::bytes).reduce(|one, other| one + other);
            Removal::Gone { freed: sum.map(ByteSize::new) }
        }
        (Removal::Gone { .. }, not_gone) | (not_gone, _) => not_gone,
    }
}
