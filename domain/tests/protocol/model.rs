//! One media item with all that acts on it. What was decided comes from the domain itself; only the journal, the bucket
//! and the order of steps are modelled.
//!
//! Every step uses something up (a call, a PUT, a fault, a second, a place in a sequence of steps), and a conflict needs
//! an event of somebody else; so no path is endless, and each ends in a state without steps.

use stateright::{Model, Property};
use zeroload_domain::{Command, Event, Media};

use crate::{
    backend::{self, Call, Kind},
    collector::{self, Collector},
    fixtures::{at, context},
    properties,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    AsBuilt,
    DeleteBeforeClaim,
    WithoutExpectedVersion,
    WithoutRechecks,
}

impl Variant {
    /// Looks at planned times after each collection.
    const fn rechecks(self) -> u8 {
        if matches!(self, Self::WithoutRechecks) { 0 } else { 1 }
    }
}

/// How much may happen; the state space is finite because each of these is.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub variant: Variant,
    pub calls: &'static [Kind],
    pub at_once: usize,
    pub puts: u8,
    pub faults: u8,
    pub horizon: u8,
    /// What moves a deadline begins no later, so that all deadlines are within the horizon.
    pub moves_until: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: u8,
    pub journal: Vec<Event>,
    /// The PUT whose bytes the bucket holds.
    pub object: Option<u8>,
    pub puts_begun: u8,
    pub flying: Vec<u8>,
    /// Deletes that were sent and may still land.
    pub deletes: u8,
    pub calls_left: Vec<Kind>,
    pub calls: Vec<Call>,
    pub collector: Collector,
    pub faults_left: u8,
    /// When the first claim was appended, as its decision saw the time.
    pub claimed_at: Option<u8>,
    pub landed_since_claim: bool,
    /// Planned looks that are still to come after the latest collection.
    pub rechecks_left: u8,
    pub confirm_acknowledged: bool,
    pub release_begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Tick,
    BeginCall(usize),
    CallStep(usize),
    CallLost(usize),
    Recheck,
    PutBegins,
    PutLands(usize),
    PutLost(usize),
    CollectorStep,
    CollectorCrashes,
    DeleteLands,
    DeleteLandsAndIsRepeated,
    DeleteLost,
    DeleteTimesOut,
}

pub enum Appended {
    Done,
    Refused,
    Conflict,
}

impl State {
    pub fn media(&self) -> Media {
        self.decided_on(self.journal.len())
    }

    pub fn decided_on(&self, loaded: usize) -> Media {
        Media::fold(self.journal[..loaded].iter().cloned())
    }

    /// Decides on what was loaded and appends if nobody else has meanwhile. A decision without events appends nothing.
    pub fn append(&mut self, loaded: usize, command: Command, now: u8, variant: Variant) -> Appended {
        let Ok(events) = self.decided_on(loaded).decide(command, &context(now)) else { return Appended::Refused };
        if events.is_empty() {
            return Appended::Done;
        }
        if loaded != self.journal.len() && variant != Variant::WithoutExpectedVersion {
            return Appended::Conflict;
        }
        if events.iter().any(|event| matches!(event, Event::CollectionStarted(_))) {
            self.claimed_at.get_or_insert(now);
            self.landed_since_claim = false;
        }
        if events.iter().any(|event| matches!(event, Event::Collected(_))) {
            self.rechecks_left = variant.rechecks();
        }
        self.journal.extend(events);
        Appended::Done
    }

    fn may_begin_put(&self) -> bool {
        self.media().ticketed().is_some_and(|t| at(self.now) <= t.latest_expiry)
    }

    /// What lands after the last planned look is found by none.
    fn may_still_be_found(&self) -> bool {
        self.rechecks_left > 0 || !matches!(self.media(), Media::Collected(..))
    }

    fn delete_lands(&mut self) {
        self.object = None;
        self.landed_since_claim = true;
        if let Collector::Wait { gone, .. } = &mut self.collector {
            *gone = true;
        }
    }

    fn delete_is_unanswered(&self) -> bool {
        matches!(self.collector, Collector::Wait { gone: false, .. })
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            journal: vec![],
            object: None,
            puts_begun: 0,
            flying: vec![],
            deletes: 0,
            calls_left: self.calls.to_vec(),
            calls: vec![],
            collector: Collector::Idle,
            faults_left: self.faults,
            claimed_at: None,
            landed_since_claim: false,
            rechecks_left: 0,
            confirm_acknowledged: false,
            release_begun: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let requested = !state.journal.is_empty();
        if state.now < self.horizon && requested {
            actions.push(Action::Tick);
        }
        if state.calls.len() < self.at_once {
            let may = |kind: &Kind| match kind {
                Kind::Request => !requested,
                Kind::Renew | Kind::Release => requested && state.now <= self.moves_until,
                Kind::Notice | Kind::Confirm => requested,
                Kind::Recheck => false,
            };
            let left = &state.calls_left;
            actions.extend(
                (0..left.len()).filter(|i| may(&left[*i]) && !left[..*i].contains(&left[*i])).map(Action::BeginCall),
            );
        }
        for call in 0..state.calls.len() {
            actions.push(Action::CallStep(call));
            if state.faults_left > 0 {
                actions.push(Action::CallLost(call));
            }
        }
        if state.rechecks_left > 0 && state.calls.is_empty() && matches!(state.media(), Media::Collected(..)) {
            actions.push(Action::Recheck);
        }
        if state.puts_begun < self.puts && state.may_begin_put() {
            actions.push(Action::PutBegins);
        }
        for put in 0..state.flying.len() {
            if state.may_still_be_found() {
                actions.push(Action::PutLands(put));
            }
            actions.push(Action::PutLost(put));
        }
        if collector::can_advance(state) {
            actions.push(Action::CollectorStep);
        }
        if state.deletes > 0 {
            actions.push(Action::DeleteLands);
        }
        // With no fault left a delete whose answer is awaited must still end, so that a run does.
        if state.delete_is_unanswered() && (state.faults_left > 0 || state.deletes == 0) {
            actions.push(Action::DeleteTimesOut);
        }
        if state.faults_left > 0 {
            if !matches!(state.collector, Collector::Idle | Collector::Down) {
                actions.push(Action::CollectorCrashes);
            }
            if state.deletes > 0 {
                actions.extend([Action::DeleteLandsAndIsRepeated, Action::DeleteLost]);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::BeginCall(index) => {
                let kind = state.calls_left.remove(index);
                backend::begin(&mut state, kind);
            }
            Action::CallStep(index) => backend::advance(&mut state, index, self.variant),
            Action::Recheck => backend::begin(&mut state, Kind::Recheck),
            Action::PutBegins => {
                state.puts_begun += 1;
                state.flying.push(state.puts_begun);
            }
            Action::PutLands(index) => {
                let put = state.flying.remove(index);
                // If-None-Match: an object that is there refuses it.
                state.object = state.object.or(Some(put));
            }
            Action::PutLost(index) => {
                state.flying.remove(index);
            }
            Action::CollectorStep => collector::advance(&mut state, self.variant),
            Action::DeleteLands => {
                state.deletes -= 1;
                state.delete_lands();
            }
            Action::DeleteTimesOut => {
                state.faults_left = state.faults_left.saturating_sub(1);
                state.collector = Collector::Idle;
            }
            Action::CallLost(_) | Action::CollectorCrashes | Action::DeleteLandsAndIsRepeated | Action::DeleteLost => {
                state.faults_left -= 1;
                fault(&mut state, action);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

fn fault(state: &mut State, action: Action) {
    match action {
        Action::CallLost(index) => {
            state.calls.remove(index);
        }
        Action::CollectorCrashes => state.collector = Collector::Down,
        Action::DeleteLandsAndIsRepeated => state.delete_lands(),
        _ => state.deletes -= 1,
    }
}
