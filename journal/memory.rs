//! The rows of a journal in memory, for simulations: the same conflicts, positions and hashes as on a database.
//!
//! [`Rows`] does its work at one stroke; whoever holds it decides when, and what is lost on the way.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StreamKind;
use super::append::Prepared;
use super::hash::{CommitHasher, Hash, genesis};
use super::store::{Commit, Found, Outcome};
use super::stored::{Edges, RawCommit, RawDecisionEvent, RawEvent, RawHead};

/// Everything that is committed.
#[derive(Clone)]
pub struct Rows {
    events: Vec<RawEvent>,
    commits: Vec<RawCommit>,
    head: RawHead,
}

impl Rows {
    pub fn new(journal_id: Uuid) -> Self {
        let head = RawHead {
            position: 0,
            commit_id: 0,
            recorded_at: 0,
            hash: genesis(journal_id).as_bytes().to_vec(),
            journal_id: journal_id.to_string().into_bytes(),
        };
        Self { events: Vec::new(), commits: Vec::new(), head }
    }

    pub fn position(&self) -> u64 {
        self.head.position.unsigned_abs()
    }

    /// Appends what is at its stream's end. Where `blindly`, everything is put there: then it is no journal any more.
    pub fn append(&mut self, batch: &[Prepared], now: DateTime<Utc>, blindly: bool) -> Outcome {
        let moved = |append: &Prepared| {
            let expected_sequence = self.last_sequence(append);
            Prepared { expected_sequence, ..append.clone() }
        };
        let moved: Vec<_> = if blindly { batch.iter().map(moved).collect() } else { Vec::new() };
        let batch = if blindly { &moved } else { batch };
        let fits = |append: &Prepared| self.last_sequence(append) == append.expected_sequence;
        let lost: Vec<_> = (0..batch.len()).filter(|at| !fits(&batch[*at])).collect();
        let written: Vec<_> =
            batch.iter().enumerate().filter(|(at, _)| !lost.contains(at)).map(|(_, append)| append).collect();
        if written.is_empty() {
            return Outcome { commit: None, lost };
        }
        let first_position = self.head.position + 1;
        let commit_id = self.head.commit_id + 1;
        let recorded_at = now.timestamp_micros().max(self.head.recorded_at);
        for append in &written {
            for (sequence, event, leaf) in append.rows() {
                self.events.push(RawEvent {
                    position: self.events.len() as i64 + 1,
                    commit_id,
                    recorded_at,
                    leaf_hash: leaf.as_bytes().to_vec(),
                    tenant: append.tenant.clone().into_bytes(),
                    command_id: append.command_text.clone().into_bytes(),
                    aggregate_type: append.kind.as_str().as_bytes().to_vec(),
                    aggregate_id: append.stream_text.clone().into_bytes(),
                    sequence,
                    event_type: event.event_type.as_bytes().to_vec(),
                    event_version: event.event_version.as_bytes().to_vec(),
                    payload: event.payload.clone().into_bytes(),
                    metadata: append.metadata.clone().into_bytes(),
                });
            }
        }
        let event_count = self.events.len() as i64 + 1 - first_position;
        let previous = Hash::from_bytes(self.head.hash.as_slice().try_into().expect("a hash has 32 bytes"));
        let mut hasher = CommitHasher::new(&previous, commit_id, first_position, event_count, recorded_at);
        written.iter().flat_map(|append| &append.leaves).for_each(|leaf| hasher.leaf(leaf.as_bytes()));
        let hash = hasher.finish().as_bytes().to_vec();
        self.commits.push(RawCommit { commit_id, first_position, event_count, recorded_at, hash: hash.clone() });
        self.head.position = first_position + event_count - 1;
        (self.head.commit_id, self.head.recorded_at, self.head.hash) = (commit_id, recorded_at, hash);
        let recorded_at = DateTime::from_timestamp_micros(recorded_at).expect("it came from a time");
        Outcome { commit: Some(Commit { first_position: first_position.unsigned_abs(), recorded_at }), lost }
    }

    /// The streams and commands of a batch that were written after a position.
    pub fn find(&self, after: u64, batch: &[Prepared]) -> Vec<Found> {
        let first_of = |append: &Prepared| {
            let own = |event: &&RawEvent| {
                event.position.unsigned_abs() > after
                    && event.command_id == append.command_text.as_bytes()
                    && is_of(event, append.kind, &append.stream_text)
            };
            let first = self.events.iter().find(own)?;
            Some(Found {
                command_id: append.command_id,
                stream: append.stream,
                first_position: first.position.unsigned_abs(),
                recorded_at: DateTime::from_timestamp_micros(first.recorded_at).expect("it came from a time"),
            })
        };
        batch.iter().filter_map(first_of).collect()
    }

    pub fn events(&self, after: i64, limit: u32, tenant: Option<&str>) -> Vec<RawEvent> {
        let wanted =
            |event: &&RawEvent| event.position > after && tenant.is_none_or(|tenant| event.tenant == tenant.as_bytes());
        self.events.iter().filter(wanted).take(limit as usize).cloned().collect()
    }

    pub fn stream(&self, kind: StreamKind, stream: Uuid, after: i64, limit: u32) -> Vec<RawEvent> {
        let stream = stream.to_string();
        let wanted = |event: &&RawEvent| event.sequence > after && is_of(event, kind, &stream);
        self.events.iter().filter(wanted).take(limit as usize).cloned().collect()
    }

    pub fn facts(&self, kind: StreamKind, stream: Uuid) -> Vec<RawDecisionEvent> {
        let fact = |event: RawEvent| RawDecisionEvent {
            position: event.position,
            command_id: event.command_id,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
        };
        self.stream(kind, stream, 0, u32::MAX).into_iter().map(fact).collect()
    }

    pub fn commits(&self, after: i64, limit: u32) -> Vec<RawCommit> {
        self.commits.iter().filter(|commit| commit.commit_id > after).take(limit as usize).cloned().collect()
    }

    pub fn head(&self) -> RawHead {
        self.head.clone()
    }

    pub fn edges(&self) -> Edges {
        let last_commit = self.commits.last().map_or(0, |commit| commit.commit_id);
        Edges { head: self.head(), last_position: self.events.len() as i64, last_commit, strays: 0 }
    }

    pub fn event_versions(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it was text");
        let versions = self.events.iter().map(|event| (text(&event.event_type), text(&event.event_version)));
        versions.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    fn last_sequence(&self, append: &Prepared) -> i64 {
        let last = self.events.iter().rev().find(|event| is_of(event, append.kind, &append.stream_text));
        last.map_or(0, |event| event.sequence)
    }
}

fn is_of(event: &RawEvent, kind: StreamKind, stream: &str) -> bool {
    event.aggregate_type == kind.as_str().as_bytes() && event.aggregate_id == stream.as_bytes()
}

#[cfg(test)]
mod tests;
