//! Re-checks: collected items are checked again with HEAD at planned times.
//!
//! Each planned time has its own progress: the position of the journal up to which every collected item was checked
//! that long after its collection. The longest time comes first: an item that was checked for it needs no check for a
//! shorter time.
//!
//! Progress is noted after each page, so after a crash the page is checked again. Two processes may check the same
//! page; the second check changes nothing.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use zeroload_domain::{MediaId, SeenVia};
use zeroload_projections::{Deferred, Inspected, Inspection};

use super::{BACKOFF, Inspector, PAGE, Run, RunError, location, turn::Turn};
use crate::{
    media::late_uploads::{LateCheck, LookError},
    storage::{OTHER_BUCKET, ThrottleStreak},
};

/// The result of a page.
#[derive(Default)]
struct Page {
    /// Items that were checked.
    done: Vec<MediaId>,
    /// The position of the first item that was left to a later run, since the server asks for fewer requests.
    unasked: Option<u64>,
}

/// The planned times in whole seconds, the longest first.
fn planned(inspector: &Inspector) -> Vec<u64> {
    let mut seconds: Vec<u64> = inspector.options.recheck_after.iter().map(std::time::Duration::as_secs).collect();
    seconds.sort_unstable_by(|a, b| b.cmp(a));
    seconds.dedup();
    seconds
}

impl Inspector {
    pub(super) async fn recheck(&self, run: &mut Run) -> Result<(), RunError> {
        self.take_up(run).await?;
        let planned = planned(self);
        for index in 0..planned.len() {
            self.recheck_planned(&planned[index..], run).await?;
        }
        Ok(())
    }

    /// Checks the items that were put aside and whose time has come.
    async fn take_up(&self, run: &mut Run) -> Result<(), RunError> {
        let inspections = self.handles.read_models.inspections();
        let limit = u32::try_from(PAGE).unwrap_or(u32::MAX);
        let mut pruned = false;
        while run.room() > 0 && !self.is_stopping() {
            let items = inspections.put_aside_due(Inspection::Recheck, run.now, limit).await?;
            if items.is_empty() {
                return Ok(());
            }
            match self.turn(Inspection::Recheck, run).await? {
                Turn::Ours => {}
                Turn::JustOurs => continue,
                Turn::Anothers => return Ok(()),
            }
            if !std::mem::replace(&mut pruned, true) {
                inspections.prune().await?;
                continue;
            }
            let Page { done, unasked } = self.look_at(&items, run).await?;
            inspections.settle(Inspection::Recheck, &done).await?;
            // Items of another bucket wait for a process that serves it.
            let foreign = items.iter().filter(|item| !self.serves(item));
            let foreign: Vec<_> = foreign.map(|item| put_aside(item.media_id, OTHER_BUCKET)).collect();
            inspections.put_aside(Inspection::Recheck, &foreign, run.now, BACKOFF).await?;
            if unasked.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Checks the items that are due for the first of these planned times; they are then done for the shorter times
    /// too.
    async fn recheck_planned(&self, planned: &[u64], run: &mut Run) -> Result<(), RunError> {
        let inspections = self.handles.read_models.inspections();
        let (store, bucket) = (self.handles.gateway.store(), self.handles.gateway.bucket());
        let Some(&after) = planned.first() else { return Ok(()) };
        let wait = i64::try_from(after).ok().and_then(TimeDelta::try_seconds);
        let Some(ripe) = wait.and_then(|wait| run.now.checked_sub_signed(wait)) else { return Ok(()) };
        while !self.is_stopping() {
            let from = inspections.recheck_progress(store, bucket, after).await?;
            let room = run.room();
            let mut page = inspections.collected(from, u32::try_from(room.max(1)).unwrap_or(u32::MAX)).await?;
            let unripe = page.iter().position(|item| item.collected_at.is_none_or(|at| at > ripe));
            page.truncate(unripe.unwrap_or(page.len()));
            if page.is_empty() {
                return Ok(());
            }
            if room == 0 {
                run.report.more = true;
                return Ok(());
            }
            match self.turn(Inspection::Recheck, run).await? {
                Turn::Ours => {}
                Turn::JustOurs => continue,
                Turn::Anothers => return Ok(()),
            }
            let Page { unasked, .. } = self.look_at(&page, run).await?;
            // The items that were left out are the end of the page.
            page.retain(|item| unasked.is_none_or(|first| item.position < first));
            if let Some(last) = page.last() {
                // After a crash before this the page is checked again, which changes nothing.
                inspections.advance_rechecks(store, bucket, planned, last.position, run.now).await?;
            }
            if unasked.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Checks a page with HEAD, and puts aside the items that could not be checked.
    async fn look_at(&self, items: &[Inspected], run: &mut Run) -> Result<Page, RunError> {
        // Items of another bucket cannot be checked here, and that bucket has a progress of its own.
        let ours: Vec<_> = items.iter().filter(|item| self.serves(item)).cloned().collect();
        run.looked += items.len();
        if ours.is_empty() {
            return Ok(Page::default());
        }
        self.believe(run).await?;
        let shared = &*run;
        let streak = ThrottleStreak::default();
        let look = |item: Inspected| {
            let (streak, asks) = (&streak, !streak.is_lost());
            async move {
                if !asks {
                    return (item, None);
                }
                let looked = self.look(&item, shared).await;
                streak.note(match &looked {
                    Err(LookError::Storage(why)) => Some(why),
                    Ok(_) | Err(_) => None,
                });
                (item, Some(looked))
            }
        };
        let looked: Vec<_> = stream::iter(ours).map(look).buffer_unordered(self.options.looks).collect().await;
        let (mut page, mut failed) = (Page::default(), Vec::new());
        for (item, looked) in looked {
            match looked {
                Some(Ok(looked)) => {
                    run.report.rechecked += 1;
                    run.report.late += u64::from(looked == LateCheck::Found);
                    page.done.push(item.media_id);
                }
                Some(Err(error)) => {
                    let waits = "a collected item could not be checked again";
                    match &error {
                        LookError::Command(error) => error.log_of(item.media_id, waits),
                        LookError::Storage(error) => tracing::warn!(media.id = %item.media_id, %error, "{waits}"),
                    }
                    failed.push(put_aside(item.media_id, code(&error)));
                }
                None => page.unasked = Some(page.unasked.map_or(item.position, |first| first.min(item.position))),
            }
        }
        if !failed.is_empty() {
            // If the bucket as a whole does not answer, no item is put aside: the run ends, and a later run checks the
            // page again.
            run.believed = false;
            self.believe(run).await?;
            run.report.put_aside += failed.len() as u64;
            let inspections = self.handles.read_models.inspections();
            inspections.put_aside(Inspection::Recheck, &failed, run.now, BACKOFF).await?;
        }
        Ok(page)
    }

    async fn look(&self, item: &Inspected, run: &Run) -> Result<LateCheck, LookError> {
        // A listed item is collected, so it has a claim.
        let Some(claim) = item.claim else { return Ok(LateCheck::NotCollected) };
        let late = &self.handles.late_uploads;
        late.look(item.media_id, &location(item), claim, SeenVia::Recheck, &run.origin, run.now).await
    }
}

fn put_aside(media_id: MediaId, code: &str) -> Deferred {
    Deferred { media_id, claim: None, code: code.to_owned() }
}

fn code(error: &LookError) -> &str {
    match error {
        LookError::Storage(error) => error.reason(),
        LookError::Command(_) => "not-recorded",
    }
}
