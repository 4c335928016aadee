//! The step before the claim: the backend is asked which items are in use, and those are confirmed instead of claimed.
//!
//! Only items that nobody has confirmed are asked about. One that was released is wanted gone by the backend's own word.
//! Without an answer the run ends, since not knowing is no reason to delete.

use futures_util::{StreamExt, stream};
use zeroload_domain::{AttachedTo, CollectReason, Command, State};
use zeroload_projections::{Deferred, DueItem};

use super::{Collector, ItemOutcome, ItemReport, Run, RunError, steps};
use crate::{
    media::commands::{CommandError, Origin},
    storage::Sighting,
};

/// The code in a report for what the backend said is in use.
const REVIEWED: &str = "reviewed";

/// The code of an object that is not what was requested, as the rules call it.
const UPLOAD_MISMATCH: &str = "upload-mismatch";

/// Confirms under way at once.
const CONFIRMS: usize = 32;

impl Collector {
    /// The items that are not in use. The others are confirmed, with the question as their source; a confirm that is refused
    /// leaves its item unclaimed, to be asked about again after a while. A dry run confirms nothing.
    pub(super) async fn review(&self, items: Vec<DueItem>, run: &mut Run) -> Result<Vec<DueItem>, RunError> {
        let Some(reviewer) = &self.options.reviewer else { return Ok(items) };
        let unconfirmed = items.iter().filter(|item| item.reason == CollectReason::Expired);
        let ids: Vec<_> = unconfirmed.map(|item| item.media_id).collect();
        if ids.is_empty() {
            return Ok(items);
        }
        // The present and not the run's time: whoever checks the signature compares with the present.
        let review = reviewer.ask(&ids, self.handles.clock.now()).await?;
        if !run.report.dry_run {
            self.open_record(run).await?;
        }
        let (used, free): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| review.in_use.contains_key(&item.media_id));
        let origin = Origin { request_id: review.message_id, caller: "review".to_owned(), route: "POST review_url" };
        let shared = &*run;
        let confirmed: Vec<_> = stream::iter(used)
            .map(|item| {
                let (attached_to, origin) = (review.in_use.get(&item.media_id).cloned().flatten(), &origin);
                async move {
                    if shared.report.dry_run {
                        return (steps::report(&item, None, ItemOutcome::InUse, Some(REVIEWED.to_owned())), None, 0);
                    }
                    self.confirm(&item, attached_to, origin, shared).await
                }
            })
            .buffered(CONFIRMS)
            .collect()
            .await;
        let mut postponed = Vec::new();
        for (report, waits, position) in confirmed {
            run.reach(position);
            run.report.count(report);
            postponed.extend(waits);
        }
        if !postponed.is_empty() {
            self.handles.read_models.retries().postpone(&postponed, run.now, steps::BACKOFF).await?;
        }
        Ok(free)
    }

    async fn confirm(
        &self,
        item: &DueItem,
        attached_to: Option<AttachedTo>,
        origin: &Origin,
        run: &Run,
    ) -> (ItemReport, Option<Deferred>, u64) {
        let stays = |outcome, code: &str| {
            let postponed = steps::postpone(item.media_id, None, code);
            (steps::report(item, None, outcome, Some(code.to_owned())), Some(postponed), 0)
        };
        let facts = match item.state {
            State::Uploaded => None,
            _ => match self.handles.gateway.look(&steps::location(item)).await {
                Ok(None) => None,
                Ok(Some(Sighting { facts, unsigned: None })) => Some(facts),
                Ok(Some(Sighting { unsigned: Some(header), .. })) => {
                    tracing::warn!(
                        media.id = %item.media_id, header = header.name,
                        "what is in use could not be confirmed: its object came with a header that no ticket signs"
                    );
                    return stays(ItemOutcome::Failed, UPLOAD_MISMATCH);
                }
                Err(error) => return stays(ItemOutcome::Unknown, error.reason()),
            },
        };
        let command = Command::Confirm { attached_to, facts };
        match self.handles.commands.execute_internal(item.media_id, command, origin, run.now).await {
            Ok(confirmed) => {
                (steps::report(item, None, ItemOutcome::InUse, Some(REVIEWED.to_owned())), None, confirmed.position)
            }
            Err(CommandError::Refused(refusal)) => {
                tracing::warn!(media.id = %item.media_id, code = refusal.code(), "what is in use could not be confirmed");
                stays(ItemOutcome::Failed, refusal.code())
            }
            Err(error) => {
                error.log_of(item.media_id, "what is in use could not be confirmed yet");
                stays(ItemOutcome::Unknown, "not-confirmed")
            }
        }
    }
}
