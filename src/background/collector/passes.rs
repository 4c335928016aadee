//! The pages of a run: first the items that earlier runs left unfinished, then the items that are due.

use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{join, try_join};
use uuid::Uuid;
use zeroload_projections::{DueItem, PageOf, PageRequest};

use super::{
    Collector, RunError,
    ending::DeletedUnrecorded,
    run::{Pass, Run},
};

/// Items that one run handles at most.
const RUN_LIMIT: usize = 20_000;

/// Items of one page while others append, since each delete makes the disk and the server busy for a moment. A page
/// holds more if more of the collector's appends go with one commit.
const SMALL_PAGE: usize = 25;

/// How long a page is held after its run was last heard of.
const HELD_FOR: TimeDelta = TimeDelta::seconds(20);

/// How often a run reports that it goes on.
const HEARD_EVERY: Duration = Duration::from_secs(5);

impl Collector {
    pub(super) async fn passes(&self, overrides: bool, run: &mut Run) -> Result<(), RunError> {
        let (unfinished, verdict) = try_join(self.list(Pass::Finish, run.now, None, 1), self.judge(run.now)).await?;
        let verdict = if unfinished.is_empty() {
            verdict
        } else {
            self.pass(Pass::Finish, run).await?;
            self.judge(run.now).await?
        };
        run.judged_until = verdict.judged_until;
        run.report.braked = verdict.braked.as_ref().map(ToString::to_string);
        if !run.report.dry_run && !overrides && verdict.braked.is_some() {
            run.broken_off.get_or_insert("the brake is on");
        }
        if run.broken_off.is_none() && verdict.due && !run.report.dry_run {
            self.look_at_the_clock(run);
        }
        if run.broken_off.is_none() && verdict.due {
            self.pass(Pass::Collect, run).await?;
        }
        Ok(())
    }

    async fn pass(&self, pass: Pass, run: &mut Run) -> Result<(), RunError> {
        let mut gone = DeletedUnrecorded::default();
        let ended = self.pages(pass, &mut gone, run).await;
        // Deletes that have worked are recorded, also after an error.
        let unknown = run.report.unknown;
        let recorded = self.record_page(gone, run).await;
        let closed = self.close_page(recorded, run).await;
        self.look_whether_to_stop(unknown, run).await;
        ended.and(closed)
    }

    /// Works page after page. The deletes of the last page are left in `gone`, still to be recorded.
    async fn pages(&self, pass: Pass, gone: &mut DeletedUnrecorded, run: &mut Run) -> Result<(), RunError> {
        let mut after = None;
        while run.broken_off.is_none() {
            if self.stopping.load(Ordering::Acquire) {
                run.broken_off = Some("the service was stopping");
                break;
            }
            let room = RUN_LIMIT.saturating_sub(run.handled).min(self.page_size());
            if room == 0 {
                run.report.more |= !self.list(pass, run.now, after, 1).await?.is_empty();
                break;
            }
            if matches!(pass, Pass::Collect) && !run.report.dry_run {
                self.see_a_removal(run).await;
                if run.broken_off.is_some() {
                    break;
                }
            }
            let mut items = self.next_page(pass, after, room, run).await?;
            if let Pass::Collect = pass {
                let listed = items.len();
                items.retain(|item| item.collectable_at <= run.judged_until);
                run.report.more |= items.len() < listed;
            }
            let Some(last) = items.last() else { break };
            after = Some((last.collectable_at, last.media_id));
            run.handled += items.len();
            run.report.due += items.len() as u64;
            let unknown = run.report.unknown;
            let items = match pass {
                Pass::Finish if run.report.dry_run => items,
                Pass::Finish => {
                    self.open_record(run).await?;
                    self.end_restores(items, run).await?
                }
                Pass::Collect => self.review(items, run).await?,
            };
            if run.report.dry_run {
                self.consider(items, run).await;
            } else {
                self.open_record(run).await?;
                self.page(pass, items, gone, run).await?;
            }
            self.look_whether_to_stop(unknown, run).await;
        }
        Ok(())
    }

    /// Claims one page while the deletes of the page before it are recorded, and then deletes it.
    async fn page(
        &self,
        pass: Pass,
        items: Vec<DueItem>,
        gone: &mut DeletedUnrecorded,
        run: &mut Run,
    ) -> Result<(), RunError> {
        let before = self.record_page(std::mem::take(gone), run);
        let (opened, recorded) = join(self.open(pass, items, run), before).await;
        let closed = self.close_page(recorded, run).await;
        self.give_back(run.page - 1, run).await;
        let mut postponed = Vec::new();
        *gone = self.delete_page(opened, &mut postponed, run).await;
        closed.and(self.postpone_all(postponed, run.now).await)
    }

    /// The next items that no other run holds. A dry run changes nothing, so it lists the items without holding them.
    async fn next_page(
        &self,
        pass: Pass,
        after: Option<(DateTime<Utc>, zeroload_domain::MediaId)>,
        limit: usize,
        run: &mut Run,
    ) -> Result<Vec<DueItem>, RunError> {
        if run.report.dry_run {
            return self.list(pass, run.now, after, limit).await;
        }
        run.page += 1;
        let wanted = PageRequest {
            list: match pass {
                Pass::Finish => PageOf::Unfinished,
                Pass::Collect => PageOf::Due,
            },
            now: run.now,
            after,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            run_id: run.report.run_id,
            page: run.page,
            held_for: HELD_FOR,
            clock: self.handles.clock.now(),
        };
        Ok(self.handles.read_models.pages().take(wanted).await?)
    }

    /// Gives the pages up to this one back, so that other runs may take their items. If this fails, the pages end by
    /// themselves a little later.
    pub(super) async fn give_back(&self, page: u32, run: &Run) {
        let given = self.handles.read_models.pages().give_back(run.report.run_id, page, run.reached).await;
        if let Err(error) = given {
            tracing::debug!(run.id = %run.report.run_id, %error, "a page could not be given back");
        }
    }

    /// Keeps the pages of a run as long as the run goes on.
    pub(super) async fn be_heard_of(&self, run_id: Uuid) -> Infallible {
        loop {
            self.options.sleeper.sleep(HEARD_EVERY).await;
            let kept = self.handles.read_models.pages().keep(run_id, HELD_FOR, self.handles.clock.now()).await;
            if let Err(error) = kept {
                tracing::debug!(run.id = %run_id, %error, "other processes may take over what this run is at");
            }
        }
    }

    /// Ends the run if the bucket has just stopped answering or asks for fewer requests, since a claim cannot be taken
    /// back. `unknown` is the number of items without an answer before the last page.
    async fn look_whether_to_stop(&self, unknown: u64, run: &mut Run) {
        if run.broken_off.is_some() {
            return;
        }
        if self.handles.gateway.is_throttled() {
            run.leave_the_bucket_alone();
        } else if run.report.unknown > unknown && self.handles.guard.check().await.problem().is_some() {
            run.broken_off = Some("the bucket stopped answering");
        }
        run.report.more |= run.broken_off.is_some();
    }

    /// A page is no larger than one delete call: a server that asks for fewer requests gets no more HEADs than it then
    /// gets keys to delete.
    fn page_size(&self) -> usize {
        let share = self.handles.journal.share().max(SMALL_PAGE);
        self.options.page.min(share).min(self.handles.gateway.keys_per_call())
    }

    pub(super) async fn list(
        &self,
        pass: Pass,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, zeroload_domain::MediaId)>,
        limit: usize,
    ) -> Result<Vec<DueItem>, RunError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Ok(match pass {
            Pass::Finish => self.handles.read_models.unfinished(now, after, limit).await?,
            Pass::Collect => self.handles.read_models.due(now, after, limit).await?,
        })
    }
}
