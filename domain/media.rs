//! The state of a media item, and how each event changes it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    event::{CollectionStarted, Deadlines, Event, MediaRequested},
    trash::{Restoration, TrashedObject},
    values::{AttachedTo, Claim, CollectOutcome, CollectReason, Found, ObjectFacts, ReleaseReason, Seen},
};

/// One media item. Each state carries exactly what is known in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Media {
    /// Nothing was ever asked under this id.
    #[default]
    Unrequested,
    /// A ticket is out; no object was seen.
    Pending(Box<MediaInfo>),
    /// The object was seen in the bucket.
    Uploaded(Box<MediaInfo>, ObjectFacts),
    /// In use, so never deleted.
    Confirmed(Box<MediaInfo>, ConfirmedObject, Option<AttachedTo>),
    /// No longer wanted; waits until no ticket can write any more.
    Released(Box<MediaInfo>, ReleasedFrom),
    /// Claimed by the collector: the object may be deleted at any moment.
    Collecting(Box<MediaInfo>, Claimed),
    /// Gone from its key, and kept in the trash until its `collectable_at`.
    Trashed(Box<MediaInfo>, Claimed, TrashedObject),
    /// On its way back from the trash: as good as confirmed.
    Restoring(Box<MediaInfo>, TrashedObject, Restoration),
    /// Proven gone.
    Collected(Box<MediaInfo>, Claimed, CollectOutcome),
}

/// What was requested, and the tickets that are out for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MediaInfo {
    pub request: MediaRequested,
    /// When the newest ticket was issued.
    pub issued_at: DateTime<Utc>,
    /// The newest deadlines; `collectable_at` also follows a release.
    pub deadlines: Deadlines,
    /// The latest expiry ever issued: a URL cannot be taken back.
    pub latest_expiry: DateTime<Utc>,
    /// Of the last collection that was begun, also of one that was undone.
    pub latest_claim: Option<Claim>,
    /// How often the ticket was renewed.
    #[serde(default)]
    pub renewals: u32,
    /// How many objects were recorded before it was confirmed, one after the other.
    #[serde(default)]
    pub uploads: u32,
}

/// The object that was confirmed, and whether it is known to be that one still.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfirmedObject {
    pub facts: ObjectFacts,
    pub seal: Seal,
}

/// Whether a confirmed object has been compared with what was confirmed since the last ticket could write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Seal {
    /// Not yet.
    Open,
    /// It is that object.
    Sealed,
    /// It is not: this was found instead.
    Broken(Found),
}

impl ConfirmedObject {
    const fn new(facts: ObjectFacts) -> Self {
        Self { facts, seal: Seal::Open }
    }
}

/// What a released item was before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReleasedFrom {
    /// Never confirmed; the object, if it was seen.
    Cancelled(Option<ObjectFacts>),
    /// Was confirmed, and can be confirmed again until it is claimed.
    Detached(ConfirmedObject),
}

/// A collector's claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claimed {
    pub claim: Claim,
    pub reason: CollectReason,
    pub seen: Seen,
    /// It goes into the trash, at least until then.
    pub trash_until: Option<DateTime<Utc>>,
    /// What the trash held of it, which goes too.
    pub trashed: Option<TrashedObject>,
}

/// The name of a state, as HTTP and SQL show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Unrequested,
    Pending,
    Uploaded,
    Confirmed,
    Released,
    Collecting,
    Trashed,
    Restoring,
    Collected,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unrequested => "unrequested",
            Self::Pending => "pending",
            Self::Uploaded => "uploaded",
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Collecting => "collecting",
            Self::Trashed => "trashed",
            Self::Restoring => "restoring",
            Self::Collected => "collected",
        }
    }
}

impl Media {
    /// The state after all of `events`.
    pub fn fold(events: impl IntoIterator<Item = Event>) -> Self {
        let mut media = Self::default();
        for event in events {
            media.apply(event);
        }
        media
    }

    pub const fn state(&self) -> State {
        match self {
            Self::Unrequested => State::Unrequested,
            Self::Pending(..) => State::Pending,
            Self::Uploaded(..) => State::Uploaded,
            Self::Confirmed(..) => State::Confirmed,
            Self::Released(..) => State::Released,
            Self::Collecting(..) => State::Collecting,
            Self::Trashed(..) => State::Trashed,
            Self::Restoring(..) => State::Restoring,
            Self::Collected(..) => State::Collected,
        }
    }

    /// What was requested; nothing for an id that was never requested.
    pub fn ticketed(&self) -> Option<&MediaInfo> {
        match self {
            Self::Unrequested => None,
            Self::Pending(t)
            | Self::Uploaded(t, _)
            | Self::Confirmed(t, ..)
            | Self::Released(t, _)
            | Self::Collecting(t, _)
            | Self::Trashed(t, ..)
            | Self::Restoring(t, ..)
            | Self::Collected(t, ..) => Some(t),
        }
    }

    /// The object as it was recorded when it was seen.
    pub fn object(&self) -> Option<&ObjectFacts> {
        match self {
            Self::Uploaded(_, facts) | Self::Released(_, ReleasedFrom::Cancelled(Some(facts))) => Some(facts),
            Self::Confirmed(_, pinned, _) | Self::Released(_, ReleasedFrom::Detached(pinned)) => Some(&pinned.facts),
            Self::Unrequested
            | Self::Pending(_)
            | Self::Released(_, ReleasedFrom::Cancelled(None))
            | Self::Collecting(..)
            | Self::Trashed(..)
            | Self::Restoring(..)
            | Self::Collected(..) => None,
        }
    }

    /// The object as the journal knows it, in the words of a HEAD.
    pub(crate) fn recorded(&self) -> Option<Seen> {
        let (etag, content_length) = match self {
            Self::Trashed(_, _, kept) => (&kept.etag, kept.content_length),
            _ => self.object().map(|facts| (&facts.etag, facts.content_length))?,
        };
        Some(Seen::present(etag.clone(), content_length))
    }

    /// What the trash holds of it, until that is proven gone or back in use.
    pub const fn kept(&self) -> Option<&TrashedObject> {
        match self {
            Self::Trashed(_, _, kept) | Self::Restoring(_, kept, _) => Some(kept),
            Self::Collecting(_, claimed) => claimed.trashed.as_ref(),
            Self::Unrequested
            | Self::Pending(_)
            | Self::Uploaded(..)
            | Self::Confirmed(..)
            | Self::Released(..)
            | Self::Collected(..) => None,
        }
    }

    /// Whether the object is known to be the confirmed one; nothing for an item that is not confirmed.
    pub const fn seal(&self) -> Option<&Seal> {
        match self {
            Self::Confirmed(_, pinned, _) => Some(&pinned.seal),
            Self::Unrequested
            | Self::Pending(_)
            | Self::Uploaded(..)
            | Self::Released(..)
            | Self::Collecting(..)
            | Self::Trashed(..)
            | Self::Restoring(..)
            | Self::Collected(..) => None,
        }
    }

    /// Why it is or will be collected, if nobody confirms it; nothing while it is in use.
    pub fn collect_reason(&self) -> Option<CollectReason> {
        match self {
            Self::Unrequested | Self::Confirmed(..) | Self::Restoring(..) => None,
            Self::Pending(_) | Self::Uploaded(..) => Some(CollectReason::Expired),
            Self::Released(_, ReleasedFrom::Cancelled(_)) => Some(CollectReason::Cancelled),
            Self::Released(_, ReleasedFrom::Detached(_)) => Some(CollectReason::Detached),
            Self::Collecting(_, claimed) | Self::Trashed(_, claimed, _) | Self::Collected(_, claimed, _) => {
                Some(claimed.reason)
            }
        }
    }

    pub fn attached_to(&self) -> Option<&AttachedTo> {
        match self {
            Self::Confirmed(_, _, attached_to) => attached_to.as_ref(),
            Self::Restoring(_, _, restoration) => restoration.attached_to.as_ref(),
            _ => None,
        }
    }

    /// Folds one event in. Total: an event that cannot follow leaves the state as it is, since what is in the journal
    /// has happened and a reader must never stop on it; [`Media::decide`] never makes such an event.
    pub fn apply(&mut self, event: Event) {
        *self = match (std::mem::take(self), event) {
            (Self::Unrequested, Event::MediaRequested(request)) => Self::Pending(Box::new(MediaInfo {
                issued_at: request.requested_at,
                deadlines: request.deadlines,
                latest_expiry: request.deadlines.ticket_expires_at,
                latest_claim: None,
                renewals: 0,
                uploads: 0,
                request: *request,
            })),
            (Self::Pending(mut t), Event::TicketRenewed(renewed)) => {
                t.issued_at = renewed.renewed_at;
                t.deadlines = renewed.deadlines;
                t.latest_expiry = t.latest_expiry.max(renewed.deadlines.ticket_expires_at);
                t.renewals = t.renewals.saturating_add(1);
                Self::Pending(t)
            }
            (Self::Pending(mut t) | Self::Uploaded(mut t, _), Event::Uploaded(uploaded)) => {
                t.uploads = t.uploads.saturating_add(1);
                Self::Uploaded(t, uploaded.facts)
            }
            (Self::Uploaded(t, facts), Event::Confirmed(confirmed)) => {
                Self::Confirmed(t, ConfirmedObject::new(facts), confirmed.attached_to)
            }
            (
                Self::Confirmed(t, pinned, _) | Self::Released(t, ReleasedFrom::Detached(pinned)),
                Event::Confirmed(confirmed),
            ) => Self::Confirmed(t, pinned, confirmed.attached_to),
            (Self::Confirmed(t, pinned, place), Event::Sealed(_)) => {
                Self::Confirmed(t, ConfirmedObject { seal: Seal::Sealed, ..pinned }, place)
            }
            (Self::Confirmed(t, pinned, place), Event::ContentSubstituted(substituted)) => {
                Self::Confirmed(t, ConfirmedObject { seal: Seal::Broken(substituted.found), ..pinned }, place)
            }
            (Self::Pending(t), Event::Released(released)) => {
                Self::Released(t.collectable(released.collectable_at), ReleasedFrom::Cancelled(None))
            }
            (Self::Uploaded(t, facts), Event::Released(released)) => {
                Self::Released(t.collectable(released.collectable_at), ReleasedFrom::Cancelled(Some(facts)))
            }
            (Self::Confirmed(t, pinned, _), Event::Released(released)) => {
                let wanted = match released.reason {
                    ReleaseReason::Detached => ReleasedFrom::Detached(pinned),
                    ReleaseReason::Cancelled => ReleasedFrom::Cancelled(Some(pinned.facts)),
                };
                Self::Released(t.collectable(released.collectable_at), wanted)
            }
            (
                Self::Pending(t) | Self::Uploaded(t, _) | Self::Released(t, _) | Self::Collected(t, ..),
                Event::CollectionStarted(started),
            ) => t.collecting(started, None),
            (Self::Trashed(t, _, kept), Event::CollectionStarted(started)) => t.collecting(started, Some(kept)),
            (Self::Collecting(t, claimed), Event::Trashed(trashed)) if trashed.claim == claimed.claim => {
                Self::Trashed(t.collectable(trashed.trash_until), claimed, trashed.kept)
            }
            (Self::Trashed(t, _, kept), Event::RestoreStarted(restoration)) => Self::Restoring(t, kept, restoration),
            (Self::Restoring(mut t, ..), Event::Restored(restored)) => {
                t.request.object_key = restored.object_key;
                Self::Confirmed(t, ConfirmedObject::new(restored.facts), restored.attached_to)
            }
            (Self::Collecting(t, claimed), Event::Collected(collected)) if collected.claim == claimed.claim => {
                Self::Collected(t, claimed, collected.outcome)
            }
            (
                same,
                Event::MediaRequested(_)
                | Event::TicketRenewed(_)
                | Event::Uploaded(_)
                | Event::Confirmed(_)
                | Event::Released(_)
                | Event::CollectionStarted(_)
                | Event::Collected(_)
                | Event::Trashed(_)
                | Event::RestoreStarted(_)
                | Event::Restored(_)
                | Event::Sealed(_)
                | Event::ContentSubstituted(_),
            ) => same,
        };
    }
}

impl MediaInfo {
    fn collecting(mut self: Box<Self>, started: CollectionStarted, trashed: Option<TrashedObject>) -> Media {
        let CollectionStarted { claim, reason, seen, trash_until, run_id: _ } = started;
        self.latest_claim = Some(claim);
        Media::Collecting(self, Claimed { claim, reason, seen, trash_until, trashed })
    }

    fn collectable(mut self: Box<Self>, at: DateTime<Utc>) -> Box<Self> {
        self.deadlines.collectable_at = at;
        self
    }
}
