//! Seals: after the last ticket for a confirmed item has ended, its object is compared with the one that was confirmed.
//!
//! Before that time a ticket might still overwrite the object, if the server does not enforce `If-None-Match`; after it
//! no ticket can. So one HEAD then proves for good that the object is the confirmed one, or shows that the object is
//! another one, or gone. An object that is another one or gone is recorded and raised as an alarm, and nothing is ever
//! deleted for it (P-1). A HEAD that fails proves nothing and raises no alarm.
//!
//! Items with another object or none are checked again now and then: once the confirmed object is back, the item is
//! sealed.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use zeroload_domain::{Command, Found, MediaId, Refusal, media::Seal};
use zeroload_projections::{Backoff, Deferred, Inspected, Inspection};

use super::{BACKOFF, Inspector, PAGE, Run, RunError, turn::Turn};
use crate::{
    media::commands::CommandError,
    storage::{Location, ThrottleStreak},
};

/// How often an object that is not the confirmed one is checked again.
const AGAIN: Backoff = Backoff { first: TimeDelta::hours(1), cap: TimeDelta::hours(24) };

/// The code of an item whose stream could not be read or appended to.
const NOT_RECORDED: &str = "not-recorded";
const UNCOMPARED: &str = "a confirmed object could not be compared yet";

/// Where a confirmed item stands after its check.
enum SealCheck {
    /// The item is sealed, `new` if by this check; or the item is no longer confirmed.
    Settled { new: bool },
    /// The object is another one, or gone; `new` if that was not recorded before.
    Substituted { found: Found, new: bool },
    /// A ticket that lives longer than the newest one may still write the object.
    Early { wait: TimeDelta },
    /// The check failed, or its result could not be recorded.
    Failed { code: String },
}

/// How far a page was compared.
enum Compared {
    Whole,
    /// The rest of the page was left out, since the server asks for fewer requests.
    InPart,
}

impl Inspector {
    pub(super) async fn seal(&self, run: &mut Run) -> Result<(), RunError> {
        self.take_up_seals(run).await?;
        let inspections = self.handles.read_models.inspections();
        let (store, bucket) = (self.handles.gateway.store(), self.handles.gateway.bucket());
        let Some(ended) = run.now.checked_sub_signed(self.options.late_write_margin) else { return Ok(()) };
        let mut after = None;
        while !self.is_stopping() {
            let room = run.room();
            let limit = u32::try_from(room.max(1)).unwrap_or(u32::MAX);
            let page = inspections.unsealed(store, bucket, ended, after, limit).await?;
            let Some(last) = page.last() else { return Ok(()) };
            if room == 0 {
                run.report.more = true;
                return Ok(());
            }
            match self.turn(Inspection::Seal, run).await? {
                Turn::Ours => {}
                Turn::JustOurs => continue,
                Turn::Anothers => return Ok(()),
            }
            after = Some((last.ticket_expires_at, last.media_id));
            if let Compared::InPart = self.compare(&page, run).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Checks the items that were put aside and whose time has come.
    async fn take_up_seals(&self, run: &mut Run) -> Result<(), RunError> {
        let inspections = self.handles.read_models.inspections();
        let limit = u32::try_from(PAGE).unwrap_or(u32::MAX);
        let mut pruned = false;
        while run.room() > 0 && !self.is_stopping() {
            let items = inspections.put_aside_due(Inspection::Seal, run.now, limit).await?;
            if items.is_empty() {
                return Ok(());
            }
            match self.turn(Inspection::Seal, run).await? {
                Turn::Ours => {}
                Turn::JustOurs => continue,
                Turn::Anothers => return Ok(()),
            }
            if !std::mem::replace(&mut pruned, true) {
                inspections.prune().await?;
            } else if let Compared::InPart = self.compare(&items, run).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn compare(&self, items: &[Inspected], run: &mut Run) -> Result<Compared, RunError> {
        self.believe_for_seals(run).await?;
        run.looked += items.len();
        let shared = &*run;
        let streak = ThrottleStreak::default();
        let compare = |item: Inspected| {
            let (streak, asks) = (&streak, !streak.is_lost());
            async move {
                if !asks {
                    return None;
                }
                Some((item.media_id, self.compare_one(item.media_id, streak, shared).await))
            }
        };
        let looked: Vec<_> =
            stream::iter(items.to_vec()).map(compare).buffer_unordered(self.options.looks).collect().await;
        // The items that were left out are listed again by a later run.
        let compared = if looked.iter().all(Option::is_some) { Compared::Whole } else { Compared::InPart };
        let (mut settled, mut again, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (media_id, looked) in looked.into_iter().flatten() {
            match looked {
                SealCheck::Settled { new } => {
                    run.report.sealed += u64::from(new);
                    settled.push(media_id);
                }
                SealCheck::Substituted { found, new } => {
                    run.report.substituted += u64::from(new);
                    again.push(Deferred { media_id, claim: None, code: format!("substituted-{}", found.as_str()) });
                }
                SealCheck::Early { wait } => {
                    let until = Backoff { first: wait, cap: wait };
                    let early = [Deferred { media_id, claim: None, code: "not-sealable".to_owned() }];
                    let inspections = self.handles.read_models.inspections();
                    inspections.put_aside(Inspection::Seal, &early, run.now, until).await?;
                }
                SealCheck::Failed { code } => failed.push(Deferred { media_id, claim: None, code }),
            }
        }
        if !failed.is_empty() {
            // If the bucket as a whole does not answer, no item is put aside: the run ends, and a later run lists the
            // items again.
            run.sealing = false;
            self.believe_for_seals(run).await?;
        }
        run.report.put_aside += failed.len() as u64;
        let inspections = self.handles.read_models.inspections();
        inspections.put_aside(Inspection::Seal, &failed, run.now, BACKOFF).await?;
        inspections.put_aside(Inspection::Seal, &again, run.now, AGAIN).await?;
        inspections.settle(Inspection::Seal, &settled).await?;
        Ok(compared)
    }

    async fn compare_one(&self, id: MediaId, streak: &ThrottleStreak, run: &Run) -> SealCheck {
        match self.try_to_compare(id, streak, run).await {
            Ok(looked) => looked,
            Err(code) => {
                // The error of a command that failed was logged already.
                if code != NOT_RECORDED {
                    tracing::warn!(media.id = %id, code, "{UNCOMPARED}");
                }
                SealCheck::Failed { code }
            }
        }
    }

    async fn try_to_compare(&self, id: MediaId, streak: &ThrottleStreak, run: &Run) -> Result<SealCheck, String> {
        let commands = &self.handles.commands;
        // The list is a hint: the item's stream decides whether the item is to be compared.
        let loaded = match commands.decide_only(id, Command::Seal { found: Found::Absent }, run.now).await {
            Ok((loaded, _)) => loaded,
            Err(CommandError::Refused(Refusal::NotSealable { sealable_at })) => {
                return Ok(SealCheck::Early { wait: sealable_at - run.now });
            }
            Err(CommandError::Refused(_)) => return Ok(SealCheck::Settled { new: false }),
            Err(error) => return Err(not_recorded(id, &error)),
        };
        let (Some(ticketed), Some(Seal::Open | Seal::Broken(_))) = (loaded.media.ticketed(), loaded.media.seal())
        else {
            return Ok(SealCheck::Settled { new: false });
        };
        let looked = self.handles.gateway.head(&Location::of(&ticketed.request)).await;
        streak.note(looked.as_ref().err());
        let found = match looked.map_err(|error| error.reason().to_owned())? {
            Some(facts) => Found::Present(facts),
            None if self.handles.guard.recent().await.absence_is_proof() => Found::Absent,
            // The bucket was ours when the run began, and no longer is: its 404 proves nothing.
            None => return Err("bucket".to_owned()),
        };
        let command = Command::Seal { found };
        let recorded = match commands.execute_internal(id, command, &run.seal_origin, run.now).await {
            Ok(recorded) => recorded,
            Err(CommandError::Refused(_)) => return Ok(SealCheck::Settled { new: false }),
            Err(error) => return Err(not_recorded(id, &error)),
        };
        let new = recorded.sequence > loaded.sequence;
        let Some(Seal::Broken(found)) = recorded.media.seal() else { return Ok(SealCheck::Settled { new }) };
        if new {
            tracing::error!(
                media.id = %id, object.key = %ticketed.request.object_key, found = found.as_str(),
                recorded.etag = loaded.media.object().map(|facts| facts.etag.as_str()),
                "the object of a confirmed item is missing or different"
            );
        }
        Ok(SealCheck::Substituted { found: found.clone(), new })
    }

    /// Ends seals unless the bucket is ours and the journal was not restored: a restored journal may not know what
    /// happened to its objects since its backup.
    async fn believe_for_seals(&self, run: &mut Run) -> Result<(), RunError> {
        if !run.sealing {
            let status = self.handles.guard.check().await;
            if !status.absence_is_proof() || matches!(status, crate::media::bucket::BucketStatus::Rewound { .. }) {
                return Err(RunError::Bucket(status.problem().unwrap_or_default()));
            }
            run.sealing = true;
        }
        Ok(())
    }
}

fn not_recorded(id: MediaId, error: &CommandError) -> String {
    error.log_of(id, UNCOMPARED);
    NOT_RECORDED.to_owned()
}
