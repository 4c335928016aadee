//! One page of the listing: compared with the items of its range, in bounded parts.
//!
//! A page may have any number of items in its range: where objects are missing, and at the end of the bucket, there may
//! be a gap of any length. So a page is compared in parts of as many items as one query reads, and the suspicions of a
//! part are verified in batches. After each batch the walk is saved at its place, and may be stopped.

use chrono::TimeDelta;
use zeroload_projections::{ExpectedObject, Walk, WalkStatus};

use super::{
    ReconcileError, Reconciler, SAVE_EVERY, Step,
    compare::{self, Suspicion},
};
use crate::storage::{Gateway, Illegible, Listed, ListedPage};

/// Items that one query reads from the read model.
const ITEMS: u32 = 1000;

/// Suspicions after which a walk is saved. At the lowest rate, with a server that answers slowly and with all repeats,
/// so many take less than the time after which a walk is taken over.
const BATCH: usize = 100;

/// The part of a page that is not compared yet.
struct Rest<'a> {
    listed: &'a [Listed],
    illegible: &'a [Illegible],
    /// The last key of the page's range.
    until: String,
}

/// The next part of a page, up to `end`.
struct Part<'a> {
    /// Objects after the place of the walk: not counted yet.
    listed: &'a [Listed],
    suspicions: Vec<Suspicion>,
    end: String,
    /// Whether the page ends with this part.
    is_last: bool,
}

impl Reconciler {
    /// Walks to the end of a page, or until the walk is to stop. The findings of a batch that cannot be finished are
    /// saved, and the batch is walked again later.
    pub(super) async fn page(
        &self,
        page: &ListedPage,
        step: &mut Step,
        progress: &mut (impl FnMut(&Walk) + Send),
    ) -> Result<(), ReconcileError> {
        let last = page.objects.last().filter(|_| page.more);
        let until = last.map_or_else(|| behind_all(&self.handles.gateway), |last| last.key.clone());
        let mut rest = Rest { listed: &page.objects, illegible: &page.illegible, until };
        step.unsaved += 1;
        loop {
            let mut part = self.next_part(&mut rest, &step.walk.after_key).await?;
            let ends_the_walk = part.is_last && last.is_none();
            let mut suspicions = std::mem::take(&mut part.suspicions).into_iter();
            loop {
                let batch: Vec<Suspicion> = suspicions.by_ref().take(BATCH).collect();
                let (looks, behind) = (!batch.is_empty(), batch.last().map(|last| last.place().to_owned()));
                let mut findings = Vec::new();
                let stopped_at = match self.verify(batch, step, &mut findings).await {
                    Ok(stopped_at) => stopped_at,
                    Err(error) => {
                        if !findings.is_empty() {
                            self.save(step, &findings, Some(self.me)).await?;
                        }
                        return Err(error);
                    }
                };
                let is_done = stopped_at.is_none() && suspicions.len() == 0;
                let place = stopped_at.or(behind).filter(|_| !is_done);
                step.go_to(place.unwrap_or_else(|| part.end.clone()), &mut part);
                step.count(&findings);
                let ended = is_done && ends_the_walk;
                if ended {
                    step.walk.status = WalkStatus::Ended;
                    step.walk.ended_at = Some(self.handles.clock.now());
                }
                if ended || looks || step.unsaved >= SAVE_EVERY {
                    self.save(step, &findings, (!ended).then_some(self.me)).await?;
                }
                progress(&step.walk);
                if is_done {
                    break;
                }
                if self.is_stopping() {
                    return Ok(());
                }
            }
            if part.is_last || self.is_stopping() {
                return Ok(());
            }
        }
    }

    /// The next part of a page after a key: as many items as one query reads, and the objects of the same range.
    async fn next_part<'a>(&self, rest: &mut Rest<'a>, after: &str) -> Result<Part<'a>, ReconcileError> {
        let after = before_all(&self.handles.gateway).max(after.to_owned());
        let items = self.handles.read_models.walks().confirmed(&after, &rest.until, ITEMS).await?;
        let is_last = items.len() < ITEMS as usize;
        let end = match items.last().filter(|_| !is_last) {
            Some(last) => last.object_key.as_str().to_owned(),
            None => rest.until.clone(),
        };
        let cut = if is_last { rest.listed.len() } else { rest.listed.partition_point(|object| object.key <= end) };
        let (listed, later) = rest.listed.split_at(cut);
        let cut =
            if is_last { rest.illegible.len() } else { rest.illegible.partition_point(|entry| entry.after < end) };
        let (illegible, later_illegible) = rest.illegible.split_at(cut);
        (rest.listed, rest.illegible) = (later, later_illegible);

        let (mut suspicions, unlisted) =
            compare::merge(listed, items.into_iter().filter(|item| self.is_here(item)).collect());
        suspicions.extend(self.unowned(unlisted).await?);
        suspicions.extend(illegible.iter().cloned().map(Suspicion::Illegible));
        suspicions.sort_by(|one, other| one.place().cmp(other.place()));
        Ok(Part { listed, suspicions, end, is_last })
    }

    async fn unowned(&self, objects: Vec<&Listed>) -> Result<Vec<Suspicion>, ReconcileError> {
        let prefix = self.handles.gateway.prefix();
        let ids = compare::ids(&objects, prefix);
        let mut known = Vec::new();
        if !ids.is_empty() {
            known = self.handles.read_models.walks().owned(&ids).await?;
            known.retain(|item| self.is_here(item));
        }
        Ok(compare::unowned(objects, &known, prefix))
    }

    fn is_here(&self, item: &ExpectedObject) -> bool {
        item.store == *self.handles.gateway.store() && item.bucket == *self.handles.gateway.bucket()
    }

    /// Waits until the next request may be sent to S3, and counts that request.
    pub(super) async fn pace(&self, step: &mut Step) {
        let pause = TimeDelta::microseconds(1_000_000 / i64::from(self.options.rate.max(1)));
        let now = self.handles.clock.now();
        let since = now - step.asked_at;
        if since >= TimeDelta::zero() && since < pause {
            tokio::time::sleep((pause - since).to_std().unwrap_or_default()).await;
        }
        // Counted from the time at which the request was due, so that short delays do not add up; but never from so far
        // back that requests would come in a burst.
        let due = step.asked_at.checked_add_signed(pause).unwrap_or(now);
        step.asked_at = if now - due < pause && now >= due { due } else { self.handles.clock.now() };
        step.walk.counts.requests += 1;
    }
}

impl Step {
    /// Moves the walk to a key: all keys up to it are done.
    fn go_to(&mut self, place: String, part: &mut Part<'_>) {
        let cut = if place == part.end { part.listed.len() } else { part.listed.partition_point(|at| at.key <= place) };
        let (passed, ahead) = part.listed.split_at(cut);
        self.walk.counts.objects += passed.len() as u64;
        self.walk.counts.bytes += passed.iter().map(|object| object.size).sum::<u64>();
        part.listed = ahead;
        // An entry that cannot be read has the place of the key before it, which the walk may have passed already.
        if place > self.walk.after_key {
            self.walk.after_key = place;
        }
    }
}

/// A key before all keys under our prefix.
fn before_all(gateway: &Gateway) -> String {
    format!("{}/", gateway.prefix().as_str())
}

/// A key after all keys under our prefix: '0' follows '/'.
fn behind_all(gateway: &Gateway) -> String {
    format!("{}0", gateway.prefix().as_str())
}
