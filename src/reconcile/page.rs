//! One page of the listing: compared with the items of its range, what is suspicious verified, what was found counted.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use zeroload_projections::{Counts, Finding, FindingKind, Owned};

use super::{
    ReconcileError, Reconciler, Step,
    compare::{self, Merge, Suspicion},
    unknown,
};
use crate::storage::{Gateway, ListedPage};

/// Items that are read from the read model at once.
const ITEMS: u32 = 1000;

/// Looks under way at once.
const LOOKS: usize = 16;

impl Reconciler {
    /// What one page shows. If it cannot be finished, what was done on it by then is saved; the page is walked again.
    pub(super) async fn page(&self, page: &ListedPage, step: &mut Step) -> Result<Vec<Finding>, ReconcileError> {
        let mut findings = Vec::new();
        let ended = self.compare(page, step, &mut findings).await;
        for finding in &findings {
            count(&mut step.walk.counts, finding);
        }
        if ended.is_err() && !findings.is_empty() {
            self.save(step, &findings, Some(self.me)).await?;
        }
        ended.map(|()| findings)
    }

    /// Compares one page of the listing with the items whose keys are in its range.
    async fn compare(
        &self,
        page: &ListedPage,
        step: &mut Step,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ReconcileError> {
        step.walk.counts.objects += page.objects.len() as u64;
        step.walk.counts.bytes += page.objects.iter().map(|object| object.size).sum::<u64>();
        let until = match page.objects.last().filter(|_| page.more) {
            Some(last) => last.key.clone(),
            None => behind_all(&self.parts.gateway),
        };
        let mut after = step.walk.after_key.clone().max(before_all(&self.parts.gateway));
        let mut merge = Merge::new(&page.objects);
        loop {
            let items = self.parts.read_models.walks().confirmed(&after, &until, ITEMS).await?;
            let Some(last) = items.last() else { break };
            after = last.object_key.as_str().to_owned();
            let full = items.len() == ITEMS as usize;
            let items = items.into_iter().filter(|item| self.is_here(item));
            let suspicions = merge.take(items);
            self.verify(suspicions, step, findings).await?;
            if !full {
                break;
            }
        }
        let rest = merge.rest();
        let prefix = self.parts.gateway.prefix();
        let ids = compare::ids(&rest, prefix);
        let mut known = Vec::new();
        if !ids.is_empty() {
            known = self.parts.read_models.walks().owned(&ids).await?;
            known.retain(|item| self.is_here(item));
        }
        self.verify(compare::unowned(rest, &known, prefix), step, findings).await?;
        if let Some(age) = step.walk.delete_older_than.filter(|_| step.walk.report_only.is_none()) {
            self.delete_unknown(findings, age, step).await?;
        }
        Ok(())
    }

    fn is_here(&self, item: &Owned) -> bool {
        item.store == *self.parts.gateway.store() && item.bucket == *self.parts.gateway.bucket()
    }

    async fn verify(
        &self,
        suspicions: Vec<Suspicion>,
        step: &mut Step,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ReconcileError> {
        let mut suspicions = suspicions.into_iter().peekable();
        while suspicions.peek().is_some() {
            let chunk: Vec<Suspicion> = suspicions.by_ref().take(LOOKS).collect();
            for _ in chunk.iter().filter(|suspicion| suspicion.needs_look()) {
                self.pace(step).await;
            }
            let shared = &*step;
            let looks = stream::iter(chunk).map(|suspicion| self.verify_one(suspicion, shared));
            let looked: Vec<_> = looks.buffered(LOOKS).collect().await;
            for found in looked {
                findings.extend(found?);
            }
        }
        Ok(())
    }

    /// Waits until S3 may be asked again.
    pub(super) async fn pace(&self, step: &mut Step) {
        let pause = TimeDelta::microseconds(1_000_000 / i64::from(self.parts.rate.max(1)));
        let now = self.parts.clock.now();
        let since = now - step.asked_at;
        if since >= TimeDelta::zero() && since < pause {
            tokio::time::sleep((pause - since).to_std().unwrap_or_default()).await;
        }
        // Counted from when it should have been, so that short delays do not add up; but never so far back that there
        // would be a burst.
        let due = step.asked_at.checked_add_signed(pause).unwrap_or(now);
        step.asked_at = if now - due < pause && now >= due { due } else { self.parts.clock.now() };
        step.walk.counts.requests += 1;
    }
}

/// Everything under our prefix is behind this key.
fn before_all(gateway: &Gateway) -> String {
    format!("{}/", gateway.prefix().as_str())
}

/// And everything is before this one: '0' follows '/'.
fn behind_all(gateway: &Gateway) -> String {
    format!("{}0", gateway.prefix().as_str())
}

fn count(counts: &mut Counts, finding: &Finding) {
    match finding.kind {
        FindingKind::CameBack => counts.came_back += 1,
        FindingKind::Unknown => counts.unknown += 1,
        FindingKind::Missing => counts.missing += 1,
        FindingKind::Differs => counts.differs += 1,
    }
    if finding.action == unknown::DELETED {
        counts.deleted += 1;
    }
    if matches!(finding.kind, FindingKind::Missing | FindingKind::Differs) {
        tracing::error!(
            finding.kind = finding.kind.as_str(),
            media.id = finding.media_id.map(|id| id.to_string()),
            object.key = finding.object_key,
            "a confirmed item has not its object"
        );
    }
}
