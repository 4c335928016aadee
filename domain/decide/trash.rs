//! The rules of the trash: an item that is claimed may be kept for a while, and brought back until it is claimed again.
//!
//! A restore races the second claim as a confirm races the first: both append to the item's stream, and one of them is
//! decided again on what the other wrote. The new key is one that no delete can name, since none did before.

use super::{Context, Media};
use crate::{
    event::{Event, RestoreStarted, Restored, Trashed},
    refusal::Refusal,
    trash::TrashedObject,
    values::{AttachedTo, Claim, ObjectFacts},
};

impl Media {
    pub(super) fn finish_trashing(
        &self,
        claim: Claim,
        kept: TrashedObject,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Collecting(_, claimed) if claimed.claim == claim => {
                Ok(claimed.trash_until.map_or_else(Vec::new, |at| {
                    // The time in the trash begins when the item is in it, however long that took.
                    let trash_until = context.policy.trash_until(context.now).map_or(at, |until| until.max(at));
                    vec![Event::Trashed(Box::new(Trashed { claim, kept, trash_until }))]
                }))
            }
            Self::Collecting(..) | Self::Collected(..) | Self::Trashed(..) | Self::Restoring(..) => Ok(vec![]),
            Self::Pending(..) | Self::Uploaded(..) | Self::Confirmed(..) | Self::Released(..) => {
                Err(Refusal::NotCollecting)
            }
        }
    }

    pub(super) fn restore(&self, attached_to: Option<AttachedTo>) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Trashed(t, claimed, _) => {
                let object_key = t.request.object_key.restored(claimed.claim);
                Ok(vec![Event::RestoreStarted(RestoreStarted { claim: claimed.claim, object_key, attached_to })])
            }
            Self::Restoring(_, _, restoration) => match (&restoration.attached_to, attached_to) {
                (_, None) => Ok(vec![]),
                (Some(current), Some(wanted)) if *current == wanted => Ok(vec![]),
                (Some(current), Some(_)) => Err(Refusal::AttachedElsewhere { attached_to: current.clone() }),
                (None, Some(_)) => Err(Refusal::Restoring),
            },
            Self::Confirmed(..) => self.confirm(attached_to, None),
            Self::Collected(..) => Err(Refusal::Gone),
            Self::Pending(..) | Self::Uploaded(..) | Self::Released(..) | Self::Collecting(..) => {
                Err(Refusal::NotTrashed)
            }
        }
    }

    pub(super) fn finish_restore(&self, facts: ObjectFacts) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Unrequested => Err(Refusal::NotFound),
            Self::Restoring(_, kept, restoration) => {
                if facts.content_length != kept.content_length {
                    let (requested, found) = (kept.content_length.to_string(), facts.content_length.to_string());
                    return Err(Refusal::UploadMismatch { field: "content_length", requested, found });
                }
                let object_key = restoration.object_key.clone();
                let attached_to = restoration.attached_to.clone();
                Ok(vec![Event::Restored(Box::new(Restored { object_key, facts, attached_to }))])
            }
            Self::Confirmed(..) => Ok(vec![]),
            Self::Pending(..)
            | Self::Uploaded(..)
            | Self::Released(..)
            | Self::Collecting(..)
            | Self::Trashed(..)
            | Self::Collected(..) => Err(Refusal::NotTrashed),
        }
    }
}
