//! Re-checks: collected items are looked at again at planned times.
//!
//! Each planned time has its own progress, a position of the journal up to which everything was looked at that long
//! after its collection. The longest comes first: whoever was looked at for it need not be for a shorter one.
//!
//! Progress is noted after the page, so a crash in between looks at the page again. Two processes may look at the same
//! page; the second changes nothing.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use zeroload_domain::{MediaId, SeenVia};
use zeroload_projections::{Deferred, Inspected, Inspection};

use super::{BACKOFF, Inspector, PAGE, Run, RunError, location, turn::Turn};
use crate::{
    media::late_uploads::{LateCheck, LookError},
    storage::{OTHER_BUCKET, ThrottleStreak},
};

/// What became of a page.
#[derive(Default)]
struct Page {
    /// What was looked at.
    done: Vec<MediaId>,
    /// The position of the first of those that were left for a later run, since the server asks for fewer requests.
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

    /// Those that could not be looked at before and whose time has come.
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
            // They wait for a process that serves their bucket.
            let foreign = items.iter().filter(|item| !self.serves(item));
            let foreign: Vec<_> = foreign.map(|item| put_aside(item.media_id, OTHER_BUCKET)).collect();
            inspections.put_aside(Inspection::Recheck, &foreign, run.now, BACKOFF).await?;
            if unasked.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// What is due for the first of these planned times; it is then done for the shorter ones too.
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
            // What was not asked about is the end of the page.
            page.retain(|item| unasked.is_none_or(|first| item.position < first));
            if let Some(last) = page.last() {
                // A crash before this looks at the page again, which changes nothing.
                inspections.advance_rechecks(store, bucket, planned, last.position, run.now).await?;
            }
            if unasked.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks at a page, and puts aside what could not be looked at.
    async fn look_at(&self, items: &[Inspected], run: &mut Run) -> Result<Page, RunError> {
        // Of another bucket nothing can be seen here, and it has a progress of its own.
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
            // If it is the bucket as a whole, no item is to blame: the page is looked at again once it is back.
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
