//! The one task that appends: group commit.
//!
//! It takes whatever arrived while the last commit ran, without lingering, and commits it as one batch (P-3,
//! P-8). Before it is known whether a commit happened it appends nothing else, so that an unknown outcome is
//! always at positions after a head that is known. The callers are answered while the next batch, if there is
//! one, is on its way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::join;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

use super::append::{AppendError, Appended, Prepared};
use super::batch::{Backlog, Request};
use super::error::StoreError;
use super::low_priority::LowPriorityQueue;
use super::options::Options;
use super::store::{Found, Outcome, WriteError, WriteStore};

type Answer = oneshot::Sender<Result<Appended, AppendError>>;

/// One for each append of a batch, in order.
type Results = Vec<Result<Appended, AppendError>>;

/// What a batch came to, before its callers know.
struct Written {
    appends: Vec<Prepared>,
    answers: Vec<Answer>,
    results: Results,
}

pub(super) struct Writer<S> {
    store: S,
    queue: mpsc::Receiver<Request>,
    backlog: Backlog,
    /// Appends that give way to those of the queue.
    lane: LowPriorityQueue,
    /// Answered as soon as the next batch is on its way, so that the database need not wait for it.
    written: Option<Written>,
    head: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
    /// While there is something in it, new appends are refused: nobody can say when they would be written.
    settling: watch::Sender<Option<StoreError>>,
    /// Set while the last batch was not written.
    failing: Arc<AtomicBool>,
    options: Options,
}

impl<S: WriteStore> Writer<S> {
    pub fn new(
        store: S,
        (queue, lane): (mpsc::Receiver<Request>, LowPriorityQueue),
        head: watch::Sender<u64>,
        stop: watch::Receiver<bool>,
        settling: watch::Sender<Option<StoreError>>,
        failing: Arc<AtomicBool>,
        options: Options,
    ) -> Self {
        Self { store, queue, backlog: Backlog::default(), lane, written: None, head, stop, settling, failing, options }
    }

    /// Runs until it is stopped, every [`Journal`](super::Journal) is gone, or it panics.
    pub async fn run(mut self) {
        let ended = AssertUnwindSafe(self.write_until_stopped()).catch_unwind().await;
        // From here on an append is refused. What was queued before a panic was never sent to the database.
        self.queue.close();
        self.answer();
        let queued = std::iter::from_fn(|| self.queue.try_recv().ok());
        for request in self.backlog.drain().chain(queued).chain(self.lane.drain()) {
            let _ = request.answer.send(Err(AppendError::Stopped));
        }
        match ended {
            Ok(()) => self.store.close().await,
            Err(panic) => {
                let reason = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(|s| &**s));
                tracing::error!(reason, "the journal's writer panicked and has stopped");
            }
        }
    }

    async fn write_until_stopped(&mut self) {
        loop {
            let stopping = *self.stop.borrow();
            if stopping {
                self.queue.close();
                self.lane.close();
            }
            if self.backlog.is_empty() && self.queue.is_empty() {
                self.answer();
            }
            if self.backlog.is_empty() {
                let Self { queue, lane, stop, .. } = self;
                let came = async {
                    tokio::select! {
                        // In this order: what gives way comes last.
                        biased;
                        Some(request) = queue.recv() => Some(Some(request)),
                        true = lane.is_ready() => Some(None),
                        else => None,
                    }
                };
                tokio::select! {
                    came = came => match came {
                        Some(request) => self.backlog.extend(request),
                        None => return,
                    },
                    Ok(_) = stop.wait_for(|stop| *stop), if !stopping => continue,
                }
            }
            let most = self.options.batch_events.get();
            let mut batch = self.backlog.take(&mut self.queue, most);
            self.lane.add_to(&mut batch, most);
            let (appends, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|r| (r.append, r.answer)).unzip();
            let events: usize = appends.iter().map(Prepared::event_count).sum();
            let span = tracing::debug_span!("journal.batch", batch.appends = appends.len(), batch.events = events);
            let results = self.write(&appends).instrument(span).await;
            self.written = Some(Written { appends, answers, results });
        }
    }

    async fn write(&mut self, batch: &[Prepared]) -> Results {
        let Self { store, written, head, .. } = self;
        // In this order: the first is polled until it has to wait for the database, then the others are answered.
        let sent = join(store.append(batch), async { answer(written, head) }).await;
        let results = match sent.0 {
            Ok(outcome) => from_outcome(batch, &outcome),
            Err(WriteError::Failed(source)) => {
                tracing::error!(error = error_chain(&source), "a batch was not written to the journal");
                batch.iter().map(|_| Err(AppendError::Unavailable { source: source.clone() })).collect()
            }
            Err(WriteError::Unknown { after, source }) => {
                tracing::warn!(
                    error = error_chain(&source),
                    head.position = after,
                    "whether a batch was written to the journal is unknown, looking it up"
                );
                // Reset before anyone is answered: whoever learns the outcome may go on.
                self.settling.send_replace(Some(source.clone()));
                let results = self.settle(batch, after, source).await;
                self.settling.send_replace(None);
                results
            }
        };
        let failed = results.iter().any(|result| matches!(result, Err(AppendError::Unavailable { .. })));
        self.failing.store(failed, Ordering::Release);
        results
    }

    /// Finds out what became of a batch whose commit got no clear answer, however long it takes: writing it
    /// again could write it twice, going on could put others between it and its head.
    async fn settle(&mut self, batch: &[Prepared], after: u64, cause: StoreError) -> Results {
        let longest = self.options.settle_pause.saturating_mul(64);
        let mut pause = self.options.settle_pause;
        loop {
            let last_try = *self.stop.borrow();
            match self.store.find(after, batch).await {
                Ok(found) => {
                    tracing::info!(found = found.len(), appends = batch.len(), "the unknown batch was looked up");
                    return from_lookup(batch, &found, &cause);
                }
                Err(error) if last_try => {
                    tracing::error!(
                        error = error_chain(&error),
                        "stopped before it was known whether a batch was written to the journal"
                    );
                    let unknown = |append: &Prepared| Err(AppendError::Unknown { command_id: append.command_id });
                    return batch.iter().map(unknown).collect();
                }
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "cannot look up the unknown batch yet");
                    self.settling.send_replace(Some(error));
                }
            }
            tokio::select! {
                () = self.options.sleeper.sleep(pause) => {}
                Ok(_) = self.stop.wait_for(|stop| *stop) => {}
            }
            pause = longest.min(pause.saturating_mul(2));
        }
    }

    fn answer(&mut self) {
        answer(&mut self.written, &self.head);
    }
}

/// Tells the callers of the last batch what it came to. The head goes first: whoever is answered finds it moved.
fn answer(written: &mut Option<Written>, head: &watch::Sender<u64>) {
    let Some(Written { appends, answers, results }) = written.take() else { return };
    if let Some(last) = results.iter().flatten().map(|appended| appended.last_position).max() {
        head.send_replace(last);
    }
    for (answer, result) in answers.into_iter().zip(results) {
        // Nobody listens when the caller was dropped: its append stands all the same.
        let _ = answer.send(result);
    }
    // It was kept until now since giving so many texts back takes as long as the answers.
    drop(appends);
}

fn from_outcome(batch: &[Prepared], outcome: &Outcome) -> Results {
    let mut lost = outcome.lost.iter().copied().peekable();
    let mut next = outcome.commit.map_or(0, |commit| commit.first_position);
    let results = batch.iter().enumerate().map(|(index, append)| match outcome.commit {
        Some(commit) if lost.next_if_eq(&index).is_none() => {
            let appended = appended(append, next, commit.recorded_at);
            next = appended.last_position + 1;
            Ok(appended)
        }
        _ => Err(append.conflict()),
    });
    results.collect()
}

fn from_lookup(batch: &[Prepared], found: &[Found], cause: &StoreError) -> Results {
    let results = batch.iter().map(|append| {
        let own = found.iter().find(|own| own.command_id == append.command_id && own.stream == append.stream);
        match own {
            Some(own) => Ok(appended(append, own.first_position, own.recorded_at)),
            // The transaction happened without this one: it had lost.
            None if !found.is_empty() => Err(append.conflict()),
            None => Err(AppendError::Unavailable { source: cause.clone() }),
        }
    });
    results.collect()
}

fn appended(append: &Prepared, first_position: u64, recorded_at: DateTime<Utc>) -> Appended {
    Appended {
        first_position,
        last_position: first_position + append.event_count() as u64 - 1,
        last_sequence: append.last_sequence().unsigned_abs(),
        recorded_at,
    }
}

/// The error with what caused it, for the log. Some name their cause themselves; it is not repeated.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    causes.fold(
        error.to_string(),
        |chain, cause| if chain.contains(&cause) { chain } else { format!("{chain}: {cause}") },
    )
}
