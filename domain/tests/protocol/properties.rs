//! The promises, as what must hold in every state.

use chrono::TimeDelta;
use stateright::{Model, Property};
use zeroload_domain::{Event, Media};

use crate::{
    fixtures::{MARGIN, at},
    model::{Protocol, State},
};

pub const IN_USE_IS_KEPT: &str = "P-1: the bucket holds the object of a confirmed item";
pub const CLAIM_BEFORE_DELETE: &str = "P-1: no delete is sent before a claim";
pub const ONE_SIDE: &str = "P-1: nothing is claimed while confirmed, or confirmed after a claim";
pub const ACKNOWLEDGED: &str = "P-1: an acknowledged confirm stands until a release";
pub const DUE: &str = "P-2: nothing is claimed before it is due";
pub const PROVEN: &str = "P-7: collected means that a delete landed after the claim";
pub const NOTHING_LEFT: &str = "P-2, P-7, P-8: where all steps are done, an item is confirmed or collected and gone";
/// These must be reached, or the rest would hold for want of cases.
const REACHED: [&str; 3] = [
    "a confirm survives its due time",
    "a late upload is collected again",
    "an object outlives its collection for a while",
];

pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(IN_USE_IS_KEPT, |_, s: &State| !confirmed(s) || s.object.is_some()),
        Property::always(CLAIM_BEFORE_DELETE, |_, s: &State| s.deletes == 0 || s.journal.iter().any(is_claim)),
        Property::always(ONE_SIDE, |_, s: &State| ends_on_one_side(s)),
        Property::always(ACKNOWLEDGED, |_, s: &State| !s.confirm_acknowledged || s.release_begun || confirmed(s)),
        Property::always(DUE, |_, s: &State| claimed_when_due(s)),
        Property::always(PROVEN, |_, s: &State| !collected(s) || s.landed_since_claim),
        Property::always(NOTHING_LEFT, nothing_left),
        Property::sometimes(REACHED[0], |m, s: &State| s.now == m.horizon && confirmed(s)),
        Property::sometimes(REACHED[1], |_, s: &State| {
            collected(s) && s.object.is_none() && s.journal.iter().filter(|e| is_claim(e)).count() > 1
        }),
        Property::sometimes(REACHED[2], |_, s: &State| collected(s) && s.object.is_some()),
    ]
}

fn confirmed(state: &State) -> bool {
    matches!(state.media(), Media::Confirmed(..))
}

fn collected(state: &State) -> bool {
    matches!(state.media(), Media::Collected(..))
}

fn is_claim(event: &Event) -> bool {
    matches!(event, Event::CollectionStarted(_))
}

/// Read from the events as such: a fold would pass over one that cannot follow.
fn ends_on_one_side(state: &State) -> bool {
    let Some(first) = state.journal.iter().position(is_claim) else { return true };
    let before = state.decided_on(first);
    !matches!(before, Media::Confirmed(..))
        && !state.journal[first..].iter().any(|event| matches!(event, Event::Confirmed(_)))
}

/// The deadline as folded, and the end of the last ticket as the events say it.
fn claimed_when_due(state: &State) -> bool {
    let (Some(claimed_at), Some(first)) = (state.claimed_at, state.journal.iter().position(is_claim)) else {
        return true;
    };
    let media = state.decided_on(first);
    let due = media.ticketed().is_some_and(|t| at(claimed_at) >= t.deadlines.collectable_at);
    let ended = state.journal[..first].iter().all(|event| match event {
        Event::MediaRequested(e) => at(claimed_at) >= e.deadlines.ticket_expires_at + TimeDelta::seconds(MARGIN),
        Event::TicketRenewed(e) => at(claimed_at) >= e.deadlines.ticket_expires_at + TimeDelta::seconds(MARGIN),
        _ => true,
    });
    due && ended
}

fn nothing_left(model: &Protocol, state: &State) -> bool {
    let mut actions = vec![];
    model.actions(state, &mut actions);
    if !actions.is_empty() {
        return true;
    }
    match state.media() {
        Media::Unrequested => state.object.is_none(),
        Media::Confirmed(..) => true,
        Media::Collected(..) => state.object.is_none(),
        _ => false,
    }
}
