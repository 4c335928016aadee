//! The last steps of a run on one page of items: delete, record.

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use zeroload_domain::{ByteSize, CollectOutcome, Command, Media, Seen, TrashedObject};
use zeroload_projections::Deferred;

use super::{
    Collector, ItemOutcome, ItemReport, Run, RunError,
    steps::{APPENDS, Claimed, Opened, postpone},
};
use crate::{
    media::{Loaded, commands::CommandError},
    storage::{Removal, Trashing, remove::SLOW_DOWN},
};

/// The code of an item whose object is deleted, but not recorded, since the journal is away.
const OUTAGE: &str = "journal-unavailable";

/// What came of an item: its outcome and the bytes that were freed, or the outcome and code of an item that is not
/// finished.
type Outcome = Result<(ItemOutcome, u64), (ItemOutcome, String)>;

/// What came of recording a delete, or a move into the trash.
pub(super) struct Recorded {
    outcome: Outcome,
    /// Position of the item's last event, as far as this run knows.
    position: u64,
}

/// The items of a page whose objects are deleted or in the trash, but not recorded yet. A crash leaves the claims: the
/// next run deletes again, which changes nothing, and records.
#[derive(Default)]
pub(super) struct DeletedUnrecorded(Vec<(Claimed, How)>);

enum How {
    /// The trash keeps the object.
    Kept(TrashedObject),
    /// The object is deleted; with the bytes of its versions if the bucket keeps versions.
    Deleted(Option<ByteSize>),
}

impl Collector {
    /// Deletes the objects of the claimed items, or moves them into the trash. An item whose object is not gone, or not
    /// known to be, is counted here and added to `postponed`.
    pub(super) async fn delete_page(
        &self,
        opened: Opened,
        postponed: &mut Vec<Deferred>,
        run: &mut Run,
    ) -> DeletedUnrecorded {
        let Opened { claimed, others, postponed: unclaimed, left_alone } = opened;
        if left_alone {
            run.leave_the_bucket_alone();
        }
        postponed.extend(unclaimed);
        others.into_iter().for_each(|report| run.report.count(report));
        claimed.iter().for_each(|item| run.reach(item.position));
        let claims: Vec<_> = claimed.iter().map(|item| (&*item.ticketed, &item.claimed)).collect();
        let disposed = self.dispose(&claims, run).await;
        self.note_what_worked(&claims, &disposed);
        let mut gone = DeletedUnrecorded::default();
        for (item, disposed) in claimed.into_iter().zip(disposed) {
            let (outcome, code) = match disposed {
                Some(Trashing::Kept(kept)) => {
                    gone.0.push((item, How::Kept(kept)));
                    continue;
                }
                Some(Trashing::Removed(Removal::Gone { freed })) => {
                    gone.0.push((item, How::Deleted(freed)));
                    continue;
                }
                Some(Trashing::Removed(Removal::Failed { code })) => (ItemOutcome::Failed, code),
                Some(Trashing::Removed(Removal::Unknown { why })) => (ItemOutcome::Unknown, why.reason().to_owned()),
                None => (ItemOutcome::Unknown, SLOW_DOWN.to_owned()),
            };
            count(item, Err((outcome, code)), postponed, run);
        }
        gone
    }

    /// Appends the record of each delete and each move into the trash.
    pub(super) async fn record_page(&self, gone: DeletedUnrecorded, run: &Run) -> Vec<(Claimed, Recorded)> {
        let record = |(item, how): (Claimed, How)| async move {
            let recorded = match how {
                How::Kept(kept) => self.record_trashed(&item, kept, run).await,
                How::Deleted(freed) => self.record_deleted(&item, freed, run).await,
            };
            (item, recorded)
        };
        stream::iter(gone.0).map(record).buffered(APPENDS).collect().await
    }

    /// Counts the recorded items, and clears or sets their retries.
    pub(super) async fn close_page(&self, recorded: Vec<(Claimed, Recorded)>, run: &mut Run) -> Result<(), RunError> {
        let (mut done, mut postponed) = (Vec::new(), Vec::new());
        for (item, Recorded { outcome, position }) in recorded {
            run.reach(position);
            if outcome.is_ok() {
                done.push(item.id);
            }
            count(item, outcome, &mut postponed, run);
        }
        self.handles.read_models.retries().clear(&done).await?;
        self.postpone_all(postponed, run.now).await
    }

    async fn record_deleted(&self, item: &Claimed, counted: Option<ByteSize>, run: &Run) -> Recorded {
        let command = Command::FinishCollection { claim: item.claimed.claim, freed: counted };
        let now = self.present(run);
        match self.handles.commands.execute_loaded(item.loaded(), command, &run.origin, now).await {
            Ok(Loaded { media: Media::Collected(_, claimed, outcome), is_new: true, position, .. }) => {
                let freed = match (&claimed.seen, outcome) {
                    (Seen::Present { content_length, .. }, CollectOutcome::Deleted) => *content_length,
                    _ => ByteSize::default(),
                };
                let freed = counted.unwrap_or(freed).bytes();
                let outcome = match outcome {
                    CollectOutcome::Deleted => ItemOutcome::Deleted,
                    CollectOutcome::Absent => ItemOutcome::Absent,
                };
                Recorded { outcome: Ok((outcome, freed)), position }
            }
            Ok(loaded) => recorded_by_another(&loaded),
            Err(error) => not_recorded(item, &error),
        }
    }

    async fn record_trashed(&self, item: &Claimed, kept: TrashedObject, run: &Run) -> Recorded {
        let command = Command::FinishTrashing { claim: item.claimed.claim, kept: kept.clone() };
        // The time in the trash begins now, however long ago the run began.
        let now = self.present(run);
        match self.handles.commands.execute_loaded(item.loaded(), command, &run.origin, now).await {
            Ok(Loaded { media: Media::Trashed(..), is_new: true, position, .. }) => {
                Recorded { outcome: Ok((ItemOutcome::Trashed, 0)), position }
            }
            Ok(loaded) => {
                self.undo_trashing(&loaded, &item.ticketed, kept, run).await;
                recorded_by_another(&loaded)
            }
            Err(error) => not_recorded(item, &error),
        }
    }

    /// The run's `now`, and the time that has passed since then.
    fn present(&self, run: &Run) -> DateTime<Utc> {
        run.now + run.began.ago(&self.handles.clock)
    }
}

/// Another process has recorded how the claim ended, and counts the item.
fn recorded_by_another(loaded: &Loaded) -> Recorded {
    // A later claim may be under way by now, since bytes came back: the run of that claim deletes them.
    Recorded { outcome: Err((ItemOutcome::InUse, "recorded-by-another-run".to_owned())), position: loaded.position }
}

fn not_recorded(item: &Claimed, error: &CommandError) -> Recorded {
    error.log_of(item.id, "a deleted object could not be recorded yet");
    let code = if error.is_outage() { OUTAGE } else { "not-recorded" };
    Recorded { outcome: Err((ItemOutcome::Unknown, code.to_owned())), position: item.position }
}

fn count(item: Claimed, outcome: Outcome, postponed: &mut Vec<Deferred>, run: &mut Run) {
    let (outcome, code) = match outcome {
        Ok((outcome, freed)) => {
            run.report.bytes_freed += freed;
            (outcome, None)
        }
        Err((outcome, code)) => {
            // An item that the journal could not record, or that the bucket was not asked about, is left to the next
            // run at once.
            if outcome != ItemOutcome::InUse && ![OUTAGE, SLOW_DOWN].contains(&code.as_str()) {
                postponed.push(postpone(item.id, Some(item.claimed.claim), &code));
            }
            (outcome, Some(code))
        }
    };
    let reason = Some(item.claimed.reason.as_str());
    run.report.count(ItemReport { id: item.id, object_key: item.ticketed.request.object_key, reason, outcome, code });
}
