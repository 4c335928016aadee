//! The collector's steps in the order of the real one, each of which a crash may be the last of.

use uuid::Uuid;
use zeroload_domain::{Claim, Command, Media, Seen};

use crate::{
    fixtures::{at, facts},
    model::{Appended, State, Variant},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Collector {
    Idle,
    Down,
    Look {
        now: u8,
    },
    Load {
        now: u8,
        seen: Option<Option<u8>>,
    },
    Claim {
        now: u8,
        seen: Option<Option<u8>>,
        loaded: usize,
    },
    Send {
        now: u8,
        claim: Claim,
    },
    /// The delete is on its way; only its answer leads on.
    Wait {
        now: u8,
        claim: Claim,
        gone: bool,
    },
    LoadRecord {
        now: u8,
        claim: Claim,
    },
    Record {
        now: u8,
        claim: Claim,
        loaded: usize,
    },
}

/// Whether a run that begins now would list the item.
pub fn has_work(state: &State) -> bool {
    match state.media() {
        Media::Collecting(..) => true,
        Media::Pending(t) | Media::Uploaded(t, _) | Media::Released(t, _) => {
            at(state.now) >= t.deadlines.collectable_at
        }
        // The model has no trash.
        Media::Unrequested
        | Media::Confirmed(..)
        | Media::Trashed(..)
        | Media::Restoring(..)
        | Media::Collected(..) => false,
    }
}

pub fn can_advance(state: &State) -> bool {
    match &state.collector {
        Collector::Idle => has_work(state),
        Collector::Wait { gone, .. } => *gone,
        _ => true,
    }
}

pub fn advance(state: &mut State, variant: Variant) {
    let early = variant == Variant::DeleteBeforeClaim;
    state.collector = match state.collector.clone() {
        Collector::Down => Collector::Idle,
        Collector::Idle => match state.media() {
            Media::Collecting(..) | Media::Uploaded(..) => Collector::Load { now: state.now, seen: None },
            _ => Collector::Look { now: state.now },
        },
        Collector::Look { now } if early => Collector::Send { now, claim: Claim::FIRST },
        Collector::Look { now } => Collector::Load { now, seen: Some(state.object) },
        Collector::Load { now, seen } => Collector::Claim { now, seen, loaded: state.journal.len() },
        Collector::Claim { now, seen, loaded } => claim(state, now, seen, loaded, variant),
        Collector::Send { now, claim } => {
            state.deletes += 1;
            Collector::Wait { now, claim, gone: false }
        }
        Collector::Wait { now, .. } if early && state.claimed_at.is_none() => Collector::Load { now, seen: None },
        Collector::Wait { now, claim, .. } => Collector::LoadRecord { now, claim },
        Collector::LoadRecord { now, claim } => Collector::Record { now, claim, loaded: state.journal.len() },
        Collector::Record { now, claim, loaded } => {
            match state.append(loaded, Command::FinishCollection { claim, freed: None }, now, variant) {
                Appended::Conflict => Collector::LoadRecord { now, claim },
                Appended::Done | Appended::Refused => Collector::Idle,
            }
        }
    };
}

fn claim(state: &mut State, now: u8, seen: Option<Option<u8>>, loaded: usize, variant: Variant) -> Collector {
    let looked = seen.map(|object| match object.map(facts) {
        Some(facts) => Seen::present(facts.etag, facts.content_length),
        None => Seen::Absent,
    });
    let command = Command::StartCollection { run_id: Uuid::from_u128(1), looked };
    let mut own = state.decided_on(loaded);
    match state.append(loaded, command.clone(), now, variant) {
        Appended::Conflict => return Collector::Load { now, seen },
        Appended::Refused => return Collector::Idle,
        Appended::Done => {}
    }
    // The collector goes on with what it loaded and its own events, as the write path hands it back.
    for event in own.decide(command, &crate::fixtures::context(now)).unwrap_or_default() {
        own.apply(event);
    }
    match own {
        Media::Collecting(_, claimed) => Collector::Send { now, claim: claimed.claim },
        _ => Collector::Idle,
    }
}
