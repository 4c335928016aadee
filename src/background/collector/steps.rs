//! The first steps of a run on one page of items: HEAD, claim. The later steps are in [`ending`](super::ending).

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use zeroload_domain::{
    Claim, CollectReason, Command, Event, Media, MediaId, Refusal, Seen, State,
    media::{self, MediaInfo},
};
use zeroload_projections::{Backoff, Deferred, DueItem};

use super::{Collector, ItemOutcome, ItemReport, Pass, Run, RunError};
use crate::{
    media::{Loaded, commands::CommandError},
    storage::{
        Location, OTHER_BUCKET, ThrottleStreak,
        remove::{SLOW_DOWN, is_lasting},
    },
};

/// The code of an item that another run has claimed.
const TAKEN_OVER: &str = "claimed-by-another-run";

/// Appends under way at once: appends that wait together are committed together.
pub(super) const APPENDS: usize = 256;

/// How long an item waits after a failure: the pause doubles from half a minute to six hours.
pub(super) const BACKOFF: Backoff = Backoff { first: TimeDelta::seconds(30), cap: TimeDelta::hours(6) };

/// How long an item waits whose failure lasts until somebody acts, such as a lock or a missing right.
const PARKED: Backoff = Backoff { first: TimeDelta::hours(6), cap: TimeDelta::days(7) };

/// An item whose claim is in the journal, so that its object may be deleted.
pub(super) struct Claimed {
    pub id: MediaId,
    pub ticketed: Box<MediaInfo>,
    pub claimed: media::Claimed,
    /// Where the claim is: its sequence in the item's stream, and its position in the journal.
    sequence: u64,
    pub position: u64,
}

impl Claimed {
    /// The item as it was after its claim; the stream may have moved on since.
    pub fn loaded(&self) -> Loaded {
        let media = Media::Collecting(self.ticketed.clone(), self.claimed.clone());
        Loaded { id: self.id, media, sequence: self.sequence, position: self.position, is_new: false }
    }
}

/// A page after its claims.
#[derive(Default)]
pub(super) struct Opened {
    /// Items whose object may be deleted.
    pub claimed: Vec<Claimed>,
    /// Items whose claim was not won.
    pub others: Vec<ItemReport>,
    /// Those of `others` that wait before they are tried again.
    pub postponed: Vec<Deferred>,
    /// Nothing was claimed, since the bucket has asked for fewer requests.
    pub left_alone: bool,
}

/// What came of the claim of an item.
enum Answer {
    Claimed(Claimed),
    Stays(ItemReport),
    Broken(ItemReport),
}

impl Collector {
    /// Counts what a run would do with these items, decided on their streams; for a dry run.
    pub(super) async fn consider(&self, items: Vec<DueItem>, run: &mut Run) {
        let shared = &*run;
        let mut considered = stream::iter(items)
            .map(|item| async move {
                let command = Command::StartCollection { run_id: shared.report.run_id, looked: None };
                let decided = self.handles.commands.decide_only(item.media_id, command, shared.now).await;
                (item, decided)
            })
            .buffered(self.options.looks);
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

    /// Checks one page of items with HEAD, and claims them. An item that an earlier run has claimed keeps that claim;
    /// its stream is read again, since the projection is only a hint.
    pub(super) async fn open(&self, pass: Pass, items: Vec<DueItem>, run: &Run) -> Opened {
        let streak = ThrottleStreak::default();
        let look = |item: DueItem| {
            // An item whose upload is recorded, or that is in the trash, needs no HEAD.
            let known = matches!(item.state, State::Uploaded | State::Trashed) || matches!(pass, Pass::Finish);
            let asks = !known && !streak.is_lost();
            let streak = &streak;
            async move {
                let seen = if asks { Some(self.look(&item, streak).await) } else { None };
                (item, seen)
            }
        };
        let looked: Vec<_> = stream::iter(items).map(look).buffered(self.options.looks).collect().await;
        let mut opened = Opened::default();
        // A claim cannot be taken back, so none is appended while the server asks for fewer requests.
        if streak.is_lost() || self.handles.gateway.is_throttled() {
            opened.left_alone = true;
            for (item, seen) in looked {
                // If it is this key alone that is never answered, its item must not come first in every run.
                if let Some(Seen::Unknown) = seen {
                    opened.postponed.push(postpone(item.media_id, None, SLOW_DOWN));
                }
                opened.others.push(report(&item, None, ItemOutcome::Unknown, Some(SLOW_DOWN.to_owned())));
            }
            return opened;
        }
        let mut answers = stream::iter(looked).map(|(item, seen)| self.claim(pass, item, seen, run)).buffered(APPENDS);
        while let Some(answer) = answers.next().await {
            match answer {
                Answer::Claimed(item) => opened.claimed.push(item),
                Answer::Stays(report) => opened.others.push(report),
                Answer::Broken(report) => {
                    opened.postponed.push(postpone(report.id, None, report.code.as_deref().unwrap_or_default()));
                    opened.others.push(report);
                }
            }
        }
        drop(answers);
        opened
    }

    /// Lets each item wait for a time of its own, longer if its failure lasts until somebody acts.
    pub(super) async fn postpone_all(&self, postponed: Vec<Deferred>, now: DateTime<Utc>) -> Result<(), RunError> {
        let (parked, postponed): (Vec<_>, Vec<_>) = postponed.into_iter().partition(|item| is_lasting(&item.code));
        for (items, backoff) in [(postponed, BACKOFF), (parked, PARKED)] {
            if !items.is_empty() {
                self.handles.read_models.retries().postpone(&items, now, backoff).await?;
            }
        }
        Ok(())
    }

    async fn look(&self, item: &DueItem, streak: &ThrottleStreak) -> Seen {
        let looked = self.handles.gateway.seen(&location(item)).await;
        streak.note(looked.as_ref().err());
        match looked {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(media.id = %item.media_id, %error, "the HEAD before a claim failed");
                Seen::Unknown
            }
        }
    }

    /// Appends the claim, on which P-1 rests: an item that was confirmed meanwhile is refused here, before any delete.
    async fn claim(&self, pass: Pass, item: DueItem, seen: Option<Seen>, run: &Run) -> Answer {
        // A claim cannot be taken back, and the object of an item of another bucket can be neither checked nor deleted
        // here.
        if !self.handles.gateway.serves(&location(&item)) {
            return Answer::Broken(report(&item, None, ItemOutcome::Failed, Some(OTHER_BUCKET.to_owned())));
        }
        let command = Command::StartCollection { run_id: run.report.run_id, looked: seen };
        let loaded = match self.handles.commands.execute_internal(item.media_id, command, &run.origin, run.now).await {
            Ok(loaded) => loaded,
            Err(error @ CommandError::Refused(_)) => return Answer::Stays(stays(&item, &error)),
            // The journal is away, which says nothing about the item: the next run tries again at once.
            Err(error) if error.is_outage() => return Answer::Stays(stays(&item, &error)),
            Err(error) => return Answer::Broken(stays(&item, &error)),
        };
        match loaded.media {
            // A claim that another run has appended meanwhile belongs to that run, until the claim is listed as
            // unfinished.
            Media::Collecting(ticketed, claimed) if loaded.is_new || matches!(pass, Pass::Finish) => {
                let Loaded { id, sequence, position, .. } = loaded;
                Answer::Claimed(Claimed { id, ticketed, claimed, sequence, position })
            }
            Media::Collecting(..) => {
                Answer::Stays(report(&item, None, ItemOutcome::InUse, Some(TAKEN_OVER.to_owned())))
            }
            // Another process finished the collection between the list and the claim.
            _ => Answer::Stays(report(&item, None, ItemOutcome::InUse, Some("already-collected".to_owned()))),
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

pub(super) fn postpone(media_id: MediaId, claim: Option<Claim>, code: &str) -> Deferred {
    Deferred { media_id, claim, code: code.to_owned() }
}

/// The report of an item whose claim was not won.
fn stays(item: &DueItem, error: &CommandError) -> ItemReport {
    match error {
        CommandError::Refused(refusal @ (Refusal::InUse | Refusal::NotDue { .. })) => {
            report(item, None, ItemOutcome::InUse, Some(refusal.code().to_owned()))
        }
        CommandError::Refused(refusal) => report(item, None, ItemOutcome::Failed, Some(refusal.code().to_owned())),
        other => {
            other.log_of(item.media_id, "an item could not be claimed");
            report(item, None, ItemOutcome::Unknown, Some("not-claimed".to_owned()))
        }
    }
}
