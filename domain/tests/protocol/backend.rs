//! A backend's calls, step by step: read and look, load, then append what was decided on that load.
//!
//! Two calls may be under way at once, and each may be lost between any two steps, as when the process dies.

use zeroload_domain::{Claim, Command, Media, SeenVia};

use crate::{
    fixtures::{facts, request},
    model::{Appended, State, Variant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Request,
    Renew,
    Notice,
    Confirm,
    Release,
    /// The inspector's look at a collected item, at a planned time. It is none of the backend's, but goes the same steps;
    /// one that is lost is made again.
    Recheck,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub kind: Kind,
    /// The time is taken once, when the call arrives.
    now: u8,
    step: Step,
    /// The object that the look found.
    found: Option<u8>,
    /// The claim that had been collected before the look.
    collected: Option<Claim>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Look,
    Load,
    /// The journal only grows, so what was loaded is a prefix of it.
    Append {
        loaded: usize,
    },
}

/// Starts a call; a notice, a confirm and a renewal read the stream first, since that decides whether they look.
pub fn begin(state: &mut State, kind: Kind) {
    let (mut step, mut collected) = (Step::Load, None);
    match (kind, state.media()) {
        (Kind::Notice, Media::Released(..) | Media::Collecting(..)) => return,
        (Kind::Notice | Kind::Recheck, media) => {
            step = Step::Look;
            if let Media::Collected(_, claimed, _) = media {
                collected = Some(claimed.claim);
            }
        }
        (Kind::Confirm | Kind::Renew, Media::Pending(_)) => step = Step::Look,
        _ => {}
    }
    state.release_begun |= kind == Kind::Release;
    state.calls.push(Call { kind, now: state.now, step, found: None, collected });
}

pub fn advance(state: &mut State, index: usize, variant: Variant) {
    let mut call = state.calls.remove(index);
    match call.step {
        Step::Look => {
            call.found = state.object;
            if call.kind == Kind::Recheck && call.found.is_none() {
                state.rechecks_left -= 1;
            }
            if matches!(call.kind, Kind::Notice | Kind::Recheck) && call.found.is_none() {
                return;
            }
            call.step = Step::Load;
        }
        Step::Load => call.step = Step::Append { loaded: state.journal.len() },
        Step::Append { loaded } => match state.append(loaded, call.command(), call.now, variant) {
            Appended::Done => {
                state.confirm_acknowledged |= call.kind == Kind::Confirm;
                return;
            }
            Appended::Refused => return,
            Appended::Conflict => call.step = Step::Load,
        },
    }
    state.calls.insert(index, call);
}

impl Call {
    fn command(&self) -> Command {
        match self.kind {
            Kind::Request => request(),
            Kind::Renew => match self.found {
                None => Command::RenewTicket,
                Some(put) => Command::RecordUpload { facts: facts(put), seen_via: SeenVia::Notice, collected: None },
            },
            Kind::Notice | Kind::Recheck => Command::RecordUpload {
                facts: facts(self.found.unwrap_or_default()),
                seen_via: if self.kind == Kind::Recheck { SeenVia::Recheck } else { SeenVia::Notice },
                collected: self.collected,
            },
            Kind::Confirm => Command::Confirm { attached_to: None, facts: self.found.map(facts) },
            Kind::Release => Command::Release,
        }
    }
}
