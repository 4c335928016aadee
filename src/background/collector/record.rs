//! The record that a run leaves in the journal: that it began, and what it did.
//!
//! It begins with the first change that the run makes, so a run that finds nothing due costs no write. A run that is cut off
//! leaves a record without an end; whatever it had claimed names it, and is finished by another.
//!
//! A run that may claim nothing, since the backend does not say what is in use, makes no change, and the next one comes within
//! the minute. It leaves a record only if the newest record tells of something else: the journal holds that the backend
//! stopped answering, not how often it was asked.

use zeroload_domain::{
    ByteSize, RunEvent,
    run::{CollectionRunEnded, CollectionRunStarted},
};

use super::{Collector, Run, RunError, UNREVIEWED};
use crate::outside::bounded;

/// Characters of why a run broke off: a record is kept for ever.
const MAX_REASON: usize = 500;

impl Collector {
    /// Writes that the run has begun, once. Nothing is claimed without it.
    pub(super) async fn open_record(&self, run: &mut Run) -> Result<(), RunError> {
        if run.recorded {
            return Ok(());
        }
        let started = RunEvent::CollectionRunStarted(CollectionRunStarted {
            run_id: run.report.run_id,
            caller: run.caller.clone(),
            started_at: run.started_at,
        });
        self.handles.commands.record_run(&started, 1, &run.origin, run.now).await?;
        run.recorded = true;
        Ok(())
    }

    /// Writes that a run which has made no change had no answer from the backend, unless the newest record says so already.
    pub(super) async fn note_unreviewed(&self, run: &mut Run) {
        if run.recorded || run.report.dry_run {
            return;
        }
        let noted = match self.is_told().await {
            Ok(true) => Ok(()),
            Ok(false) => self.open_record(run).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted
            && !error.is_logged()
        {
            tracing::warn!(run.id = %run.report.run_id, %error, "that the backend does not answer could not be recorded");
        }
    }

    async fn is_told(&self) -> Result<bool, RunError> {
        let newest = self.handles.read_models.run_records(None, 1).await?.runs.into_iter().next();
        let told = newest.and_then(|record| record.ended).and_then(|ended| ended.broken_off);
        Ok(told.is_some_and(|reason| reason.starts_with(UNREVIEWED)))
    }

    /// Writes what the run did. Its work is done and recorded, so a failure here costs no more than this summary.
    pub(super) async fn close_record(&self, run: &Run, error: Option<&RunError>) {
        if !run.recorded {
            return;
        }
        let report = &run.report;
        let ended = RunEvent::CollectionRunEnded(Box::new(CollectionRunEnded {
            run_id: report.run_id,
            caller: run.caller.clone(),
            started_at: run.started_at,
            ended_at: self.handles.clock.now(),
            due: report.due,
            collected: report.collected,
            trashed: report.trashed,
            absent: report.absent,
            in_use: report.in_use,
            failed: report.failed,
            unknown: report.unknown,
            bytes_freed: ByteSize::new(report.bytes_freed),
            more: report.more,
            reasons: report.reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            failures: report.failures.clone(),
            broken_off: error
                .map(ToString::to_string)
                .or_else(|| report.withheld.clone())
                .map(|reason| bounded(&reason, MAX_REASON))
                .or_else(|| run.broken_off.map(str::to_owned)),
        }));
        if let Err(error) = self.handles.commands.record_run(&ended, 2, &run.origin, run.now).await
            && !error.is_logged()
        {
            tracing::warn!(run.id = %report.run_id, %error, "what a run did could not be recorded; its items' own events are");
        }
    }
}
