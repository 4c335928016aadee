//! The journal's database: the rows in memory, reached over connections that fail, stall and lose answers.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use uuid::Uuid;
use zeroload_journal::{
    Edges, Found, Outcome, Prepared, RawCommit, RawDecisionEvent, RawEvent, RawHead, ReadError, ReadStore, StoreError,
    StoreErrorKind, StreamKind, WriteError, WriteStore, memory::Rows,
};

use super::{
    flaw::Flaw,
    promises::Promises,
    sim::{Group, Sim},
};

/// The database, as all processes share it.
#[derive(Clone)]
pub struct Database {
    sim: Sim,
    rows: Arc<Mutex<Rows>>,
    promises: Promises,
    flaw: Option<Flaw>,
    /// How far its clock is from the true time, in milliseconds.
    skew: Arc<AtomicI64>,
}

impl Database {
    pub fn new(sim: Sim, promises: Promises, flaw: Option<Flaw>) -> Self {
        let rows = Arc::new(Mutex::new(Rows::new(Uuid::from_u128(0x0190_a5f0_0000_7000_8000_0000_0000_00ff))));
        Self { sim, rows, promises, flaw, skew: Arc::default() }
    }

    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_skew(&self, skew: TimeDelta) {
        self.skew.store(skew.num_milliseconds(), Ordering::Relaxed);
    }

    fn clock(&self) -> DateTime<Utc> {
        self.sim.now() + TimeDelta::milliseconds(self.skew.load(Ordering::Relaxed))
    }

    /// The moment at which a transaction happens.
    fn commit(&self, batch: &[Prepared]) -> Outcome {
        let before = self.rows().position();
        let mut kept = self.rows().clone();
        let outcome = kept.append(batch, self.clock(), self.flaw == Some(Flaw::AppendsBlindly));
        if self.flaw == Some(Flaw::ForgetsCommits) && self.sim.percent(10) {
            return outcome;
        }
        *self.rows() = kept;
        let new = self.rows().events(before.cast_signed(), u32::MAX, None);
        self.sim.note(|| {
            let names = new.iter().map(|event| format!(" {}", String::from_utf8_lossy(&event.event_type)));
            format!("journal: {before} +{}, lost {:?}", names.collect::<String>(), outcome.lost)
        });
        new.iter().for_each(|event| self.promises.record(event));
        outcome
    }

    /// Reads of one process.
    pub fn reading(&self) -> Reading {
        Reading(self.clone())
    }

    /// The writing connection of one process.
    pub fn writing(&self) -> Writing {
        Writing { database: self.clone(), known: 0, flight: Arc::default() }
    }
}

fn failure() -> StoreError {
    StoreError::new(StoreErrorKind::Io, "the simulation says so")
}

/// What becomes of a batch on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Written,
    Refused,
    NeverArrives,
    /// It is written, or will be, and nobody hears of it.
    AnswerLost,
    /// As before, and the caller knows at once that it lost the connection.
    Late,
}

/// A batch that may still be under way.
#[derive(Default)]
struct Flight {
    ended: AtomicBool,
    /// It may not be written any more.
    fenced: AtomicBool,
}

pub struct Writing {
    database: Database,
    /// The head as this connection last knew it.
    known: u64,
    flight: Arc<Flight>,
}

impl Writing {
    fn send(&mut self, batch: &[Prepared], fate: Fate) -> oneshot::Receiver<Result<Outcome, WriteError>> {
        let (answer, answered) = oneshot::channel();
        let (database, batch) = (self.database.clone(), batch.to_vec());
        let flight = Arc::new(Flight::default());
        self.flight = flight.clone();
        let sim = database.sim.clone();
        self.database.sim.spawn(Group::Network, async move {
            sim.sleep(sim.latency()).await;
            let arrives = fate != Fate::NeverArrives && !flight.fenced.load(Ordering::Relaxed);
            let outcome = match fate {
                Fate::Refused => Err(WriteError::Failed(failure())),
                _ if arrives => Ok(database.commit(&batch)),
                _ => return flight.ended.store(true, Ordering::Relaxed),
            };
            flight.ended.store(true, Ordering::Relaxed);
            sim.sleep(sim.latency()).await;
            if !matches!(fate, Fate::AnswerLost | Fate::Late) {
                // A process that has died meanwhile hears nothing.
                let _dead = answer.send(outcome);
            }
        });
        answered
    }
}

impl WriteStore for Writing {
    async fn append(&mut self, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        let sim = self.database.sim.clone();
        let fate = if sim.trouble(10) {
            [Fate::Refused, Fate::NeverArrives, Fate::AnswerLost, Fate::Late][sim.below(4) as usize]
        } else {
            Fate::Written
        };
        let answered = self.send(batch, fate);
        let unknown = WriteError::Unknown { after: self.known, source: failure() };
        if fate == Fate::Late {
            return Err(unknown);
        }
        let outcome = answered.await.unwrap_or(Err(unknown))?;
        if let Some(commit) = outcome.commit {
            self.known = commit.first_position;
        }
        Ok(outcome)
    }

    async fn find(&mut self, after: u64, batch: &[Prepared]) -> Result<Vec<Found>, StoreError> {
        let sim = self.database.sim.clone();
        sim.sleep(sim.latency()).await;
        if sim.trouble(25) {
            return Err(failure());
        }
        if sim.percent(50) {
            self.flight.fenced.store(true, Ordering::Relaxed);
        }
        while !self.flight.ended.load(Ordering::Relaxed) {
            sim.sleep(std::time::Duration::from_millis(100)).await;
        }
        let found = self.database.rows().find(after, batch);
        sim.note(|| format!("journal: of {} unknown appends {} are found", batch.len(), found.len()));
        sim.sleep(sim.latency()).await;
        Ok(found)
    }

    async fn close(self) {}
}

pub struct Reading(Database);

impl Reading {
    /// Reads at one moment, some time after it was asked and some time before it answers.
    fn read<'a, T: Send + 'a>(&self, read: impl FnOnce(&Rows) -> T + Send + 'a) -> BoxFuture<'a, Result<T, ReadError>> {
        let Database { sim, rows, .. } = self.0.clone();
        Box::pin(async move {
            sim.sleep(sim.latency()).await;
            if sim.trouble(2) {
                return Err(failure().into());
            }
            let value = read(&rows.lock().unwrap_or_else(PoisonError::into_inner));
            sim.sleep(sim.latency()).await;
            Ok(value)
        })
    }
}

impl ReadStore for Reading {
    fn events<'a>(
        &'a self,
        after: i64,
        limit: u32,
        tenant: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RawEvent>, ReadError>> {
        self.read(move |rows| rows.events(after, limit, tenant))
    }

    fn stream(
        &self,
        kind: StreamKind,
        stream: Uuid,
        after: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RawEvent>, ReadError>> {
        self.read(move |rows| rows.stream(kind, stream, after, limit))
    }

    fn facts(&self, kind: StreamKind, stream: Uuid) -> BoxFuture<'_, Result<Vec<RawDecisionEvent>, ReadError>> {
        self.read(move |rows| rows.facts(kind, stream))
    }

    fn commits(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<RawCommit>, ReadError>> {
        self.read(move |rows| rows.commits(after, limit))
    }

    fn head(&self) -> BoxFuture<'_, Result<RawHead, ReadError>> {
        self.read(Rows::head)
    }

    fn edges(&self) -> BoxFuture<'_, Result<Edges, ReadError>> {
        self.read(Rows::edges)
    }

    fn now(&self) -> BoxFuture<'_, Result<DateTime<Utc>, ReadError>> {
        let now = self.0.clock();
        self.read(move |_| now)
    }

    fn event_versions(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, ReadError>> {
        self.read(Rows::event_versions)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
