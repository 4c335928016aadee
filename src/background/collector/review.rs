//! The step before the claim: asks the backend which items are in use, and confirms those instead of claiming them.
//!
//! The backend is asked only about items that were never confirmed: a released item is to go by the backend's own word.
//! Without an answer the run ends, since an item that may be in use is not deleted.

use futures_util::{StreamExt, stream};
use zeroload_domain::{AttachedTo, CollectReason, Command, State};
use zeroload_projections::{Deferred, DueItem};

use super::{Collector, ItemOutcome, ItemReport, Run, RunError, steps};
use crate::{
    media::commands::{CommandError, Origin},
    storage::Sighting,
};

/// The code in a report of an item that the backend said is in use.
const REVIEWED: &str = "reviewed";

/// The code of an item whose object is not the requested one, as in the domain's refusal.
const UPLOAD_MISMATCH: &str = "upload-mismatch";

/// Confirms under way at once.
const CONFIRMS: usize = 32;

impl Collector {
    /// Returns the items that are not in use. The others are confirmed, and their events name the question as their
    /// request. An item whose confirm is refused stays unclaimed, and the backend is asked about it again after a
    /// while. A dry run confirms nothing.
    pub(super) async fn review(&self, items: Vec<DueItem>, run: &mut Run) -> Result<Vec<DueItem>, RunError> {
        let Some(reviewer) = &self.options.reviewer else { return Ok(items) };
        let unconfirmed = items.iter().filter(|item| item.reason == CollectReason::Expired);
        let ids: Vec<_> = unconfirmed.map(|item| item.media_id).collect();
        if ids.is_empty() {
            return Ok(items);
        }
        // The present and not the run's time: the backend compares the signature's timestamp with its own clock.
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
                        "an item in use could not be confirmed: its object has a header that no ticket signs"
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
                tracing::warn!(media.id = %item.media_id, code = refusal.code(), "an item in use could not be confirmed");
                stays(ItemOutcome::Failed, refusal.code())
            }
            Err(error) => {
                error.log_of(item.media_id, "an item in use could not be confirmed yet");
                stays(ItemOutcome::Unknown, "not-confirmed")
            }
        }
    }
}
