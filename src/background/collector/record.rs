//! The record that a run leaves in the journal: that it began, and what it did.
//!
//! The record begins just before the first change that the run makes, so a run that finds nothing due appends nothing.
//! A run that is cut off leaves a record without an end; the claims of that run name it, and another run finishes them.
//!
//! A run that may claim nothing, since the backend does not say which items are in use, makes no change, and the next
//! run follows within the minute. Such a run leaves a record only if the newest record does not say the same already:
//! the journal holds that the backend stopped answering, not how often the backend was asked.

use zeroload_domain::{
    ByteSize, RunEvent,
    run::{CollectionRunEnded, CollectionRunStarted},
};

use super::{Collector, Run, RunError, UNREVIEWED};
use crate::outside::bounded;

/// Longest reason of a run that broke off, in characters: a record is kept for ever.
const MAX_REASON: usize = 500;

impl Collector {
    /// Appends `CollectionRunStarted`, once. Nothing is claimed before.
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

    /// Records a run which has made no change and had no answer from the backend, unless the newest record says so
    /// already.
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
            tracing::warn!(run.id = %run.report.run_id, %error, "a missing answer of the backend could not be recorded");
        }
    }

    async fn is_told(&self) -> Result<bool, RunError> {
        let newest = self.handles.read_models.run_records(None, 1).await?.runs.into_iter().next();
        let told = newest.and_then(|record| record.ended).and_then(|ended| ended.broken_off);
        Ok(told.is_some_and(|reason| reason.starts_with(UNREVIEWED)))
    }

    /// Appends `CollectionRunEnded`. The run's work is recorded in its items' streams, so a failure here loses only the
    /// summary.
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
            tracing::warn!(run.id = %report.run_id, %error, "the end of a run could not be recorded; its items' events are");
        }
    }
}
