//! The journal as `/v1/events` shows it, checked by rules of its own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::ledger::{Item, text, time};

pub struct Event {
    pub media_id: String,
    pub sequence: u64,
    pub kind: String,
    pub recorded_at: DateTime<Utc>,
    pub payload: Value,
}

/// Everything seen so far. What was seen once must be seen for ever.
#[derive(Default)]
pub struct History {
    text: String,
    /// The event of position `n` is at `n - 1`.
    events: Vec<Event>,
    streams: BTreeMap<String, Vec<usize>>,
}

/// Times are stored in microseconds, and the database's clock counts milliseconds.
const ROUNDING: TimeDelta = TimeDelta::milliseconds(1);

impl History {
    /// Where to read on: behind all but the last event, so that the last one is seen again.
    pub fn after(&self) -> usize {
        self.events.len().saturating_sub(1)
    }

    /// Takes in what comes behind [`History::after`]. It begins with the last event that was seen, unchanged.
    pub fn extend(&mut self, text: &str) {
        let last = &self.text[self.text.trim_end().rfind('\n').map_or(0, |end| end + 1)..];
        let Some(fresh) = text.strip_prefix(last) else {
            panic!("the journal is cut or changed: of {} events the last was\n{last}and is\n{text}", self.events.len());
        };
        self.text.push_str(fresh);
        for line in fresh.lines() {
            let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(json["position"].as_u64(), Some(self.events.len() as u64 + 1), "positions are contiguous");
            let of_run = json["media_id"].is_null();
            let event = Event {
                media_id: json["media_id"].as_str().unwrap_or_default().to_owned(),
                sequence: json["sequence"].as_u64().expect("a sequence"),
                kind: crate::ledger::text(&json, "type"),
                recorded_at: time(&crate::ledger::text(&json, "recorded_at")),
                payload: json["payload"].clone(),
            };
            if of_run {
                assert!(event.kind.starts_with("CollectionRun"), "{json} is about no item");
                self.events.push(event);
                continue;
            }
            self.check(&event);
            self.streams.entry(event.media_id.clone()).or_default().push(self.events.len());
            self.events.push(event);
        }
    }

    /// Whether `event` may come next.
    fn check(&self, event: &Event) {
        let stream: Vec<&Event> = self.stream(&event.media_id).collect();
        let at = format!("{} {} {}", event.media_id, event.sequence, event.kind);
        assert_eq!(event.sequence, stream.len() as u64 + 1, "{at}: sequences are contiguous");
        let last = stream.last().map_or("", |last| last.kind.as_str());
        let followed: &[&str] = match event.kind.as_str() {
            "MediaRequested" => &[""],
            "TicketRenewed" => &["MediaRequested", "TicketRenewed"],
            "Uploaded" => &["MediaRequested", "TicketRenewed", "Uploaded"],
            "Confirmed" => &["Uploaded", "Confirmed", "Sealed", "Released"],
            "Sealed" => &["Confirmed"],
            "Released" => &["MediaRequested", "TicketRenewed", "Uploaded", "Confirmed", "Sealed"],
            "CollectionStarted" => &["MediaRequested", "TicketRenewed", "Uploaded", "Released", "Collected"],
            "Collected" => &["CollectionStarted"],
            other => panic!("{at}: {other} is no event"),
        };
        assert!(followed.contains(&last), "{at} follows {last:?}");
        let claims = |kind: &str| stream.iter().rev().find(|e| e.kind == kind).map_or(0, |e| claim(&e.payload));
        if event.kind == "CollectionStarted" {
            assert_eq!(claim(&event.payload), claims("CollectionStarted") + 1, "{at}: claims are counted");
            let due = self.collectable_at(&event.media_id);
            assert!(event.recorded_at + ROUNDING >= due, "{at}: claimed at {} before {due}", event.recorded_at);
        }
        if event.kind == "Collected" {
            assert_eq!(claim(&event.payload), claims("CollectionStarted"), "{at}: finishes the claim that is open");
        }
    }

    /// How many events the stream of an item has.
    pub fn count_of(&self, id: &str) -> usize {
        self.stream(id).count()
    }

    fn stream(&self, id: &str) -> impl DoubleEndedIterator<Item = &Event> {
        self.streams.get(id).into_iter().flatten().map(|index| &self.events[*index])
    }

    /// Checks that all that was shown of these items is in the journal, at its position.
    pub fn holds(&self, items: &[Item]) {
        for item in items {
            for shown in &item.shown {
                let index = usize::try_from(shown.position).expect("a position") - 1;
                let event = self.events.get(index).unwrap_or_else(|| {
                    panic!("{} was shown as {shown:?}, and the journal ends at {}", item.id, self.events.len())
                });
                let found = (event.media_id.as_str(), event.sequence, state_after(&event.kind));
                assert_eq!(found, (item.id.as_str(), shown.sequence, shown.state.as_str()), "{shown:?} is lost");
            }
            let was_confirmed = item.shown.iter().any(|shown| shown.state == "confirmed");
            if was_confirmed && !item.released {
                assert_eq!(self.state(&item.id), "confirmed", "{} was confirmed and never released", item.id);
            }
        }
    }

    /// The state that an item's last event brought it to.
    pub fn state(&self, id: &str) -> &'static str {
        self.stream(id).next_back().map_or("unrequested", |event| state_after(&event.kind))
    }

    /// From when on an item may be collected, as its events say.
    pub fn collectable_at(&self, id: &str) -> DateTime<Utc> {
        let due = self.stream(id).rev().find_map(|event| event.payload["collectable_at"].as_str());
        time(due.unwrap_or_else(|| panic!("{id} has no deadline")))
    }

    pub fn last(&self, id: &str, kind: &str) -> Option<&Event> {
        self.stream(id).rfind(|event| event.kind == kind)
    }

    pub fn object_key(&self, id: &str) -> String {
        text(
            &self.last(id, "MediaRequested").unwrap_or_else(|| panic!("{id} was never requested")).payload,
            "object_key",
        )
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }

    pub fn in_state(&self, state: &str) -> BTreeSet<&str> {
        self.ids().filter(|id| self.state(id) == state).collect()
    }

    pub fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event.kind == kind).count()
    }

    /// How many items are in each state.
    pub fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for id in self.ids() {
            *states.entry(self.state(id)).or_default() += 1;
        }
        states
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }
}

fn claim(payload: &Value) -> u64 {
    payload["claim"].as_u64().unwrap_or_else(|| panic!("no claim in {payload}"))
}

/// What an answer with this event's position shows.
fn state_after(kind: &str) -> &'static str {
    match kind {
        "MediaRequested" | "TicketRenewed" => "pending",
        "Uploaded" => "uploaded",
        "Confirmed" | "Sealed" => "confirmed",
        "Released" => "released",
        "CollectionStarted" => "collecting",
        "Collected" => "collected",
        other => panic!("{other} is no event"),
    }
}
