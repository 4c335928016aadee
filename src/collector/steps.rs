//! The steps of a run on one page of items: look, claim, delete, record.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use zeroload_domain::{
    ByteSize, Claim, CollectOutcome, CollectReason, Command, Event, Media, MediaId, Refusal, Seen, State,
    media::{self, Ticketed},
};
use zeroload_projections::{Backoff, DueItem, Postponed};

use super::{Collector, ItemOutcome, ItemReport, Run, RunError};
use crate::{
    commands::{CommandError, Loaded},
    storage::{Location, OTHER_BUCKET, Removal, Trashing, remove::is_lasting},
};

/// Appends under way at once: what waits together is committed together.
const APPENDS: usize = 256;

/// Per item: doubles from half a minute to six hours.
pub(super) const BACKOFF: Backoff = Backoff { first: TimeDelta::seconds(30), cap: TimeDelta::hours(6) };

/// The same for what stays as it is until somebody does something about it: a lock, a missing right.
const PARKED: Backoff = Backoff { first: TimeDelta::hours(6), cap: TimeDelta::days(7) };

/// The code of an item whose deletion is done, while the journal is away.
pub(super) const OUTAGE: &str = "journal-unavailable";

/// An item whose claim is in the journal, so that it may be deleted.
struct Claimed {
    id: MediaId,
    ticketed: Box<Ticketed>,
    claimed: media::Claimed,
}

/// Where an item stands after its claim was asked for.
enum Answer {
    Claimed(Claimed),
    Stays(ItemReport),
    Broken(ItemReport),
}

impl Collector {
    /// What a run would do, decided on the streams themselves.
    pub(super) async fn consider(&self, items: Vec<DueItem>, run: &mut Run) {
        let shared = &*run;
        let mut considered = stream::iter(items)
            .map(|item| async move {
                let command = Command::StartCollection { run_id: shared.report.run_id, looked: None };
                let decided = self.parts.commands.consider(item.media_id, command, shared.now).await;
                (item, decided)
            })
            .buffered(self.parts.looks);
        let mut reports = Vec::new();
        while let Some((item, decided)) = considered.next().await {
            reports.push(match decided {
                Ok((_, events)) if !events.is_empty() => {
                    report(&item, reason_of(&events), ItemOutcome::WouldCollect, None)
                }
                Ok((loaded, _)) => match &loaded.media {
                    Media::Collecting(_, claimed) => {
                        report(&item, Some(claimed.reason), ItemOutcome::WouldCollect, None)
                    }
                    _ => continue,
                },
                Err(error) => stays(&item, &error),
            });
        }
        drop(considered);
        reports.into_iter().for_each(|report| run.report.count(report));
    }

    /// Deletes what an earlier run had claimed. The stream is read again: the projection is only a hint.
    pub(super) async fn finish_page(&self, items: Vec<DueItem>, run: &mut Run) -> Result<(), RunError> {
        let items = self.end_restores(items, run).await?;
        self.work(items, run, |item, _| async move { (item, None) }).await
    }

    /// Looks at, claims and deletes one page of due items.
    pub(super) async fn collect_page(&self, items: Vec<DueItem>, run: &mut Run) -> Result<(), RunError> {
        let items = self.review(items, run).await?;
        self.work(items, run, |item, collector| async move {
            // An upload that was recorded needs no second look, and neither does what was put into the trash.
            let known = matches!(item.state, State::Uploaded | State::Trashed);
            let seen = if known { None } else { Some(collector.look(&item).await) };
            (item, seen)
        })
        .await
    }

    async fn work<'a, F, L>(&'a self, items: Vec<DueItem>, run: &mut Run, look: L) -> Result<(), RunError>
    where
        L: Fn(DueItem, &'a Self) -> F,
        F: Future<Output = (DueItem, Option<Seen>)>,
    {
        let looked: Vec<_> =
            stream::iter(items).map(|item| look(item, self)).buffered(self.parts.looks).collect().await;
        // Claims cannot be taken back: none is made for a server that wants to be left alone.
        if self.parts.gateway.wants_rest() {
            for (item, _) in looked {
                run.report.count(report(&item, None, ItemOutcome::Unknown, Some("slow-down".to_owned())));
            }
            return Ok(());
        }
        let shared = &*run;
        let answers: Vec<_> =
            stream::iter(looked).map(|(item, seen)| self.claim(item, seen, shared)).buffered(APPENDS).collect().await;
        let mut claimed = Vec::new();
        let mut postponed = Vec::new();
        for answer in answers {
            match answer {
                Answer::Claimed(item) => claimed.push(item),
                Answer::Stays(report) => run.report.count(report),
                Answer::Broken(report) => {
                    postponed.push(postpone(report.id, None, report.code.as_deref().unwrap_or_default()));
                    run.report.count(report);
                }
            }
        }
        let done = self.delete_and_record(claimed, &mut postponed, run).await;
        self.parts.read_models.retries().clear(&done).await?;
        self.postpone_all(postponed, run.now).await
    }

    /// Each waits for a time of its own, longer where it is no use to try again soon.
    pub(super) async fn postpone_all(&self, postponed: Vec<Postponed>, now: DateTime<Utc>) -> Result<(), RunError> {
        let (parked, postponed): (Vec<_>, Vec<_>) = postponed.into_iter().partition(|item| is_lasting(&item.code));
        for (items, backoff) in [(postponed, BACKOFF), (parked, PARKED)] {
            if !items.is_empty() {
                self.parts.read_models.retries().postpone(&items, now, backoff).await?;
            }
        }
        Ok(())
    }

    async fn look(&self, item: &DueItem) -> Seen {
        match self.parts.gateway.head(&location(item)).await {
            Ok(Some(facts)) => Seen::Present { etag: facts.etag, content_length: facts.content_length },
            Ok(None) => Seen::Absent,
            Err(error) => {
                tracing::warn!(media.id = %item.media_id, %error, "the look before a claim failed");
                Seen::Unknown
            }
        }
    }

    /// The decision that P-1 rests on: an item that was confirmed meanwhile is refused here, and nothing has been deleted yet.
    async fn claim(&self, item: DueItem, seen: Option<Seen>, run: &Run) -> Answer {
        // A claim cannot be taken back, and of another bucket's item nothing can be seen or deleted here.
        if !self.parts.gateway.serves(&location(&item)) {
            return Answer::Broken(report(&item, None, ItemOutcome::Failed, Some(OTHER_BUCKET.to_owned())));
        }
        let command = Command::StartCollection { run_id: run.report.run_id, looked: seen };
        let loaded = match self.parts.commands.execute_internal(item.media_id, command, &run.origin, run.now).await {
            Ok(loaded) => loaded,
            Err(error @ CommandError::Refused(_)) => return Answer::Stays(stays(&item, &error)),
            // Tried again by the next run, since the item has no part in it.
            Err(error) if error.is_outage() => return Answer::Stays(stays(&item, &error)),
            Err(error) => return Answer::Broken(stays(&item, &error)),
        };
        match loaded.media {
            Media::Collecting(ticketed, claimed) => Answer::Claimed(Claimed { id: loaded.id, ticketed, claimed }),
            // Another process finished it between the list and the claim.
            _ => Answer::Stays(report(&item, None, ItemOutcome::InUse, Some("already-collected".to_owned()))),
        }
    }

    async fn delete_and_record(
        &self,
        claimed: Vec<Claimed>,
        postponed: &mut Vec<Postponed>,
        run: &mut Run,
    ) -> Vec<MediaId> {
        let disposed: Vec<_> = claimed.iter().map(|item| (&*item.ticketed, &item.claimed)).collect();
        let disposed = self.dispose(&disposed).await;
        let shared = &*run;
        // A crash from here on leaves the claim: the next run deletes again, which changes nothing, and records.
        let recorded: Vec<_> = stream::iter(claimed.into_iter().zip(disposed))
            .map(|(item, disposed)| async move {
                let outcome = match disposed {
                    Trashing::Kept(kept) => self.record_trashed(item.id, item.claimed.claim, kept, shared).await,
                    Trashing::Removed(Removal::Gone { freed }) => self.record(&item, freed, shared).await,
                    Trashing::Removed(Removal::Failed { code }) => Err((ItemOutcome::Failed, code)),
                    Trashing::Removed(Removal::Unknown { why }) => Err((ItemOutcome::Unknown, why.reason().to_owned())),
                };
                (item, outcome)
            })
            .buffered(APPENDS)
            .collect()
            .await;
        let mut done = Vec::new();
        for (item, outcome) in recorded {
            let (outcome, code) = match outcome {
                Ok((outcome, freed)) => {
                    run.report.bytes_freed += freed;
                    done.push(item.id);
                    (outcome, None)
                }
                Err((outcome, code)) => {
                    // What the journal could not take belongs to the next run.
                    if code != OUTAGE {
                        postponed.push(postpone(item.id, Some(item.claimed.claim), &code));
                    }
                    (outcome, Some(code))
                }
            };
            let reason = Some(item.claimed.reason.as_str());
            let object_key = item.ticketed.request.object_key;
            run.report.count(ItemReport { id: item.id, object_key, reason, outcome, code });
        }
        done
    }

    async fn record(
        &self,
        item: &Claimed,
        counted: Option<ByteSize>,
        run: &Run,
    ) -> Result<(ItemOutcome, u64), (ItemOutcome, String)> {
        let command = Command::FinishCollection { claim: item.claimed.claim, freed: counted };
        match self.parts.commands.execute_internal(item.id, command, &run.origin, run.now).await {
            Ok(Loaded { media: Media::Collected(_, claimed, outcome), .. }) => {
                let freed = match (&claimed.seen, outcome) {
                    (Seen::Present { content_length, .. }, CollectOutcome::Deleted) => *content_length,
                    _ => ByteSize::default(),
                };
                let freed = counted.unwrap_or(freed).bytes();
                let outcome = match outcome {
                    CollectOutcome::Deleted => ItemOutcome::Deleted,
                    CollectOutcome::Absent => ItemOutcome::Absent,
                };
                Ok((outcome, freed))
            }
            // A later claim is under way: bytes came back meanwhile, and its own run deletes them.
            Ok(_) => Err((ItemOutcome::Unknown, "claimed-again".to_owned())),
            Err(error) => {
                tracing::warn!(media.id = %item.id, %error, "a finished delete could not be recorded yet");
                let code = if error.is_outage() { OUTAGE } else { "not-recorded" };
                Err((ItemOutcome::Unknown, code.to_owned()))
            }
        }
    }
}

fn reason_of(events: &[Event]) -> Option<CollectReason> {
    events.iter().find_map(|event| match event {
        Event::CollectionStarted(started) => Some(started.reason),
        _ => None,
    })
}

pub(super) fn report(
    item: &DueItem,
    reason: Option<CollectReason>,
    outcome: ItemOutcome,
    code: Option<String>,
) -> ItemReport {
    ItemReport {
        id: item.media_id,
        object_key: item.object_key.clone(),
        reason: reason.map(CollectReason::as_str),
        outcome,
        code,
    }
}

pub(super) fn location(item: &DueItem) -> Location<'_> {
    Location { store: &item.store, bucket: &item.bucket, object_key: &item.object_key }
}

pub(super) fn postpone(media_id: MediaId, claim: Option<Claim>, code: &str) -> Postponed {
    Postponed { media_id, claim, code: code.to_owned() }
}

/// The report of an item whose claim was not won.
fn stays(item: &DueItem, error: &CommandError) -> ItemReport {
    match error {
        CommandError::Refused(refusal @ (Refusal::InUse | Refusal::NotDue { .. })) => {
            report(item, None, ItemOutcome::InUse, Some(refusal.code().to_owned()))
        }
        CommandError::Refused(refusal) => report(item, None, ItemOutcome::Failed, Some(refusal.code().to_owned())),
        other => {
            tracing::warn!(media.id = %item.media_id, error = %other, "an item could not be claimed");
            report(item, None, ItemOutcome::Unknown, Some("not-claimed".to_owned()))
        }
    }
}
