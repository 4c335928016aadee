//! The rules: for every state and command the events that follow, nothing because it is already true, or a refusal.
//!
//! P-1 stands here: [`Command::StartCollection`] is refused for a confirmed item, and a confirm is refused for an item
//! whose collection has started. Both are decided on a stream whose sequence the journal checks at the append, so of
//! two racing decisions one is taken again on what the other wrote.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    command::{Command, RequestMedia},
    event::{
        Collected, CollectionStarted, Confirmed, ContentSubstituted, Deadlines, Event, MediaRequested, Released,
        Sealed, TicketRenewed, Uploaded,
    },
    media::{Claimed, ConfirmedObject, Media, MediaInfo, ReleasedFrom, Seal},
    policy::{MAX_RENEWALS, MAX_UPLOADS, Policy},
    refusal::Refusal,
    values::{
        AttachedTo, ByteSize, Claim, CollectOutcome, CollectReason, Found, ObjectFacts, ReleaseReason, Seen, SeenVia,
        StoredType, UnsignedHeader,
    },
};

/// What a decision may know besides state and command.
#[derive(Clone, Debug)]
pub struct Context {
    /// The moment of the decision; deadlines are computed from it once and stored.
    pub now: DateTime<Utc>,
    pub policy: Policy,
    /// Names the decision where no collector's run does: a late upload is claimed by the request that noticed it.
    pub decision_id: uuid::Uuid,
}

impl Media {
    /// # Errors
    /// [`Refusal`] when the command is against the rules in this state.
    pub fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Request(request) => self.request(request, context),
            Command::RenewTicket => self.renew(context),
            Command::RecordUpload { facts, seen_via, collected } => {
                self.record_upload(facts, seen_via, collected, context)
            }
            Command::Confirm { attached_to, facts } => self.confirm(attached_to, facts),
            Command::Release => self.release(context),
            Command::StartCollection { run_id, looked } => self.start_collection(run_id, looked, context),
            Command::Seal { found } => self.seal_with(found, context),
            Command::FinishCollection { claim, freed } => self.finish_collection(claim, freed),
            Command::FinishTrashing { claim, kept } => self.finish_trashing(claim, kept, context),
            Command::Restore { attached_to } => self.restore(attached_to),
            Command::FinishRestore { facts } => self.finish_restore(facts),
        }
    }

    /// Whether an object that a HEAD showed may be recorded as the upload, as far as its headers go.
    ///
    /// # Errors
    /// [`Refusal::UploadMismatch`] for a header that no ticket signs: it would be served with the object for ever.
    pub fn admits(&self, unsigned: Option<&UnsignedHeader>) -> Result<(), Refusal> {
        match (self, unsigned) {
            (Self::Pending(_) | Self::Uploaded(..), Some(UnsignedHeader { name, value })) => {
                let (requested, found) = ("what the ticket signs".to_owned(), value.clone());
                Err(Refusal::UploadMismatch { field: name, requested, found })
            }
            _ => Ok(()),
        }
    }

    fn request(&self, request: RequestMedia, context: &Context) -> Result<Vec<Event>, Refusal> {
        let Some(ticketed) = self.ticketed() else {
            return Ok(vec![first_ticket(request, context)]);
        };
        if ticketed.request.fingerprint != request.fingerprint {
            return Err(Refusal::RequestMismatch);
        }
        match self {
            // No new ticket any more; the one that is out can still be handed over until it ends.
            Self::Pending(t) => Ok(renewed(t, context).unwrap_or_default()),
            Self::Unrequested | Self::Uploaded(..) | Self::Confirmed(..) | Self::Restoring(..) => Ok(vec![]),
            Self::Released(..) | Self::Collecting(..) | Self::Trashed(..) | Self::Collected(..) => Err(Refusal::Gone),
        }
    }

    fn renew(&self, context: &Context) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Pending(t) => renewed(t, context),
            Self::Uploaded(..) => Err(Refusal::AlreadyUploaded),
            Self::Confirmed(..) | Self::Restoring(..) => Err(Refusal::AlreadyConfirmed),
            Self::Released(..) | Self::Collecting(..) | Self::Trashed(..) | Self::Collected(..) => Err(Refusal::Gone),
        }
    }

    fn record_upload(
        &self,
        facts: ObjectFacts,
        seen_via: SeenVia,
        collected: Option<Claim>,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Pending(t) => {
                fits(t, &facts)?;
                Ok(vec![Event::Uploaded(Uploaded { facts, seen_via })])
            }
            Self::Uploaded(t, recorded) => {
                fits(t, &facts)?;
                if recorded.etag == facts.etag {
                    return Ok(vec![]);
                }
                if t.uploads >= MAX_UPLOADS {
                    return Err(Refusal::ContentChanged { recorded: recorded.etag.clone(), found: facts.etag });
                }
                Ok(vec![Event::Uploaded(Uploaded { facts, seen_via })])
            }
            Self::Confirmed(t, ConfirmedObject { facts: recorded, .. }, _) => {
                if recorded.etag == facts.etag && fits(t, &facts).is_ok() {
                    return Ok(vec![]);
                }
                Err(Refusal::ContentChanged { recorded: recorded.etag.clone(), found: facts.etag })
            }
            // What arrives for an item in the trash goes with it: its own key is deleted once more at the end.
            Self::Released(..) | Self::Collecting(..) | Self::Trashed(..) | Self::Restoring(..) => Ok(vec![]),
            // Seen before this collection ended, so it may be what was deleted since.
            Self::Collected(_, claimed, _) if collected != Some(claimed.claim) => Err(Refusal::Gone),
            Self::Collected(_, claimed, _) => Ok(vec![Event::CollectionStarted(CollectionStarted {
                claim: claimed.claim.next(),
                reason: CollectReason::LateUpload,
                run_id: context.decision_id,
                seen: Seen::present(facts.etag, facts.content_length),
                trash_until: context.policy.trash_until(context.now),
            })]),
        }
    }

    fn confirm(&self, attached_to: Option<AttachedTo>, facts: Option<ObjectFacts>) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Pending(t) => {
                let facts = facts.ok_or(Refusal::NotUploaded)?;
                fits(t, &facts)?;
                let confirmed = Confirmed { attached_to, etag: facts.etag.clone() };
                Ok(vec![Event::Uploaded(Uploaded { facts, seen_via: SeenVia::Confirm }), Event::Confirmed(confirmed)])
            }
            Self::Uploaded(_, recorded)
            | Self::Released(_, ReleasedFrom::Detached(ConfirmedObject { facts: recorded, .. })) => {
                Ok(vec![Event::Confirmed(Confirmed { attached_to, etag: recorded.etag.clone() })])
            }
            Self::Confirmed(_, ConfirmedObject { facts: recorded, .. }, current) => match (current, attached_to) {
                (_, None) => Ok(vec![]),
                (Some(current), Some(wanted)) if *current == wanted => Ok(vec![]),
                (Some(current), Some(_)) => Err(Refusal::AttachedElsewhere { attached_to: current.clone() }),
                // Confirmed without a place so far, so this names its first one.
                (None, attached_to @ Some(_)) => {
                    Ok(vec![Event::Confirmed(Confirmed { attached_to, etag: recorded.etag.clone() })])
                }
            },
            Self::Released(_, ReleasedFrom::Cancelled(_)) => Err(Refusal::Cancelled),
            Self::Restoring(..) => Err(Refusal::Restoring),
            Self::Collecting(..) | Self::Trashed(..) | Self::Collected(..) => Err(Refusal::Gone),
        }
    }

    fn release(&self, context: &Context) -> Result<Vec<Event>, Refusal> {
        let released = |t: &MediaInfo, reason, earliest: DateTime<Utc>| {
            let collectable_at = earliest.max(context.policy.safe_end(t.latest_expiry));
            Ok(vec![Event::Released(Released { reason, collectable_at })])
        };
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Pending(t) | Self::Uploaded(t, _) => released(t, ReleaseReason::Cancelled, context.now),
            Self::Confirmed(t, ..) => released(t, ReleaseReason::Detached, context.policy.confirm_by(context.now)),
            Self::Restoring(..) => Err(Refusal::Restoring),
            Self::Released(..) | Self::Collecting(..) | Self::Trashed(..) | Self::Collected(..) => Ok(vec![]),
        }
    }

    /// A seal proves nothing while a ticket may still write.
    fn seal_with(&self, found: Found, context: &Context) -> Result<Vec<Event>, Refusal> {
        let (ticketed, pinned) = match self {
            Self::Unrequested => return Err(Refusal::NotFound),
            Self::Pending(_) | Self::Uploaded(..) => return Err(Refusal::NotConfirmed),
            Self::Confirmed(t, pinned, _) => (t, pinned),
            // Nobody wants it any more, so it need not be that object.
            Self::Released(..) | Self::Collecting(..) | Self::Trashed(..) | Self::Collected(..) => return Ok(vec![]),
            // It is compared once it is back, under its new key.
            Self::Restoring(..) => return Ok(vec![]),
        };
        let sealable_at = context.policy.safe_end(ticketed.latest_expiry);
        if context.now < sealable_at {
            return Err(Refusal::NotSealable { sealable_at });
        }
        match found {
            Found::Present(facts) if pinned.facts.is_still(&facts) => match pinned.seal {
                Seal::Sealed => Ok(vec![]),
                Seal::Open | Seal::Broken(_) => Ok(vec![Event::Sealed(Sealed { facts })]),
            },
            found if pinned.seal == Seal::Broken(found.clone()) => Ok(vec![]),
            found => {
                let recorded = pinned.facts.clone();
                Ok(vec![Event::ContentSubstituted(ContentSubstituted { recorded, found })])
            }
        }
    }

    fn start_collection(
        &self,
        run_id: uuid::Uuid,
        looked: Option<Seen>,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        // What has been in the trash for its time goes for good.
        let mut trash_until = context.policy.trash_until(context.now);
        let (ticketed, reason) = match self {
            Self::Unrequested => return Err(Refusal::NotFound),
            Self::Pending(t) | Self::Uploaded(t, _) => (t, CollectReason::Expired),
            Self::Released(t, ReleasedFrom::Cancelled(_)) => (t, CollectReason::Cancelled),
            Self::Released(t, ReleasedFrom::Detached(_)) => (t, CollectReason::Detached),
            Self::Trashed(t, claimed, _) => {
                trash_until = None;
                (t, claimed.reason)
            }
            Self::Confirmed(..) | Self::Restoring(..) => return Err(Refusal::InUse),
            Self::Collecting(..) | Self::Collected(..) => return Ok(vec![]),
        };
        let collectable_at = ticketed.deadlines.collectable_at;
        if context.now < collectable_at {
            return Err(Refusal::NotDue { collectable_at });
        }
        let seen = looked.or_else(|| self.recorded()).unwrap_or(Seen::Unknown);
        let claim = ticketed.latest_claim.map_or(Claim::FIRST, Claim::next);
        Ok(vec![Event::CollectionStarted(CollectionStarted { claim, reason, run_id, seen, trash_until })])
    }

    fn finish_collection(&self, claim: Claim, freed: Option<ByteSize>) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Collecting(_, claimed) if claimed.claim == claim => Ok(vec![collected(claimed, freed)]),
            Self::Collecting(..) | Self::Trashed(..) | Self::Restoring(..) | Self::Collected(..) => Ok(vec![]),
            Self::Pending(..) | Self::Uploaded(..) | Self::Confirmed(..) | Self::Released(..) => {
                Err(Refusal::NotCollecting)
            }
        }
    }
}

fn first_ticket(request: RequestMedia, context: &Context) -> Event {
    let deadlines = deadlines(None, context);
    let RequestMedia {
        tenant,
        owner,
        store,
        bucket,
        object_key,
        content_type,
        content_length,
        checksum_sha256,
        fingerprint,
    } = request;
    Event::MediaRequested(Box::new(MediaRequested {
        tenant,
        owner,
        store,
        bucket,
        object_key,
        content_type,
        content_length,
        checksum_sha256,
        fingerprint,
        requested_at: context.now,
        deadlines,
    }))
}

/// Nothing in the first half of the ticket's life: it is signed once more, and a call that is repeated changes nothing.
fn renewed(ticketed: &MediaInfo, context: &Context) -> Result<Vec<Event>, Refusal> {
    let half_life = (ticketed.deadlines.ticket_expires_at - ticketed.issued_at) / 2;
    if context.now <= ticketed.issued_at + half_life {
        return Ok(vec![]);
    }
    if !context.policy.may_renew(ticketed.request.requested_at, context.now) {
        return Err(Refusal::TooOld);
    }
    if ticketed.renewals >= MAX_RENEWALS {
        return Err(Refusal::TooManyTickets);
    }
    let deadlines = deadlines(Some(ticketed), context);
    Ok(vec![Event::TicketRenewed(TicketRenewed { renewed_at: context.now, deadlines })])
}

/// No deadline ever moves back: what was promised with an earlier ticket still holds.
fn deadlines(previous: Option<&MediaInfo>, context: &Context) -> Deadlines {
    let Context { now, policy, .. } = context;
    let ticket_expires_at = policy.ticket_expiry(*now);
    let latest_expiry = previous.map_or(ticket_expires_at, |t| t.latest_expiry.max(ticket_expires_at));
    let confirm_by = previous.map_or(policy.confirm_by(*now), |t| t.deadlines.confirm_by.max(policy.confirm_by(*now)));
    let due = confirm_by.max(policy.safe_end(latest_expiry));
    let collectable_at = previous.map_or(due, |t| t.deadlines.collectable_at.max(due));
    debug_assert!(collectable_at - ticket_expires_at >= TimeDelta::zero());
    Deadlines { ticket_expires_at, confirm_by, collectable_at }
}

/// Whether the object is what was requested, as far as the server tells: a checksum is compared where both sides have one.
fn fits(ticketed: &MediaInfo, facts: &ObjectFacts) -> Result<(), Refusal> {
    let mismatch = |field, requested: String, found: String| Err(Refusal::UploadMismatch { field, requested, found });
    let request = &ticketed.request;
    if facts.content_length != request.content_length {
        return mismatch("content_length", request.content_length.to_string(), facts.content_length.to_string());
    }
    if let Some(found) = &facts.content_type
        && !found.is_same(&StoredType::from(&request.content_type))
    {
        return mismatch("content_type", request.content_type.to_string(), found.to_string());
    }
    if let (Some(requested), Some(found)) = (request.checksum_sha256, facts.checksum_sha256)
        && requested != found
    {
        return mismatch("checksum_sha256", requested.to_string(), found.to_string());
    }
    Ok(())
}

fn collected(claimed: &Claimed, freed: Option<ByteSize>) -> Event {
    let (outcome, bytes_freed) = match (freed, &claimed.seen) {
        // Versions were counted as they went; one may have been hidden from the HEAD by a delete marker.
        (Some(freed), _) => (CollectOutcome::Deleted, freed),
        (None, Seen::Present { content_length, .. }) => (CollectOutcome::Deleted, *content_length),
        (None, Seen::Absent) => (CollectOutcome::Absent, ByteSize::default()),
        // Something may have been there, but nobody knows how large.
        (None, Seen::Unknown) => (CollectOutcome::Deleted, ByteSize::default()),
    };
    Event::Collected(Collected { claim: claimed.claim, outcome, bytes_freed })
}

mod trash;

#[cfg(test)]
mod tests;
