//! The record that a run leaves in the journal: that it began, and what it did.
//!
//! It begins with the first page of work, so a run that finds nothing due costs no write. A run that is cut off leaves a
//! record without an end; whatever it had claimed names it, and is finished by another.

use zeroload_domain::{
    ByteSize, RunEvent,
    run::{CollectionRunEnded, CollectionRunStarted},
};

use super::{Collector, Run, RunError};

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
        self.parts.commands.record_run(&started, 1, &run.origin, run.now).await?;
        run.recorded = true;
        Ok(())
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
            ended_at: self.parts.clock.now(),
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
            broken_off: error.map(ToString::to_string).or_else(|| run.broken_off.map(str::to_owned)),
        }));
        if let Err(error) = self.parts.commands.record_run(&ended, 2, &run.origin, run.now).await {
            tracing::warn!(run.id = %report.run_id, %error, "what a run did could not be recorded; its items' own events are");
        }
    }
}
