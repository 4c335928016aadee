//! Reading streams for many callers at once: what arrives while a query runs is asked for with the next one, as appends
//! are. A query of its own costs Postgres more than the few rows that it yields, and SQLite two switches
//! between threads.
//!
//! One query is under way at a time. While the server is silent to it, who comes later waits as long as for a connection, and no longer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::timeout;
use uuid::Uuid;

use super::StreamKind;
use super::error::{StoreError, StoreErrorKind};
use super::stored::{RawDecisionEvent, ReadError};

/// Streams per query.
const STREAMS: usize = 128;

/// Callers that wait; one more waits for a place.
const QUEUE: usize = 1024;

/// The facts of the streams of these kinds and ids, each with the index of its stream.
pub(super) type Fetch = Arc<
    dyn Fn(Vec<&'static str>, Vec<String>) -> BoxFuture<'static, Result<Vec<(usize, RawDecisionEvent)>, ReadError>>
        + Send
        + Sync,
>;

type Found = Result<Vec<RawDecisionEvent>, ReadError>;

struct StreamRequest {
    kind: StreamKind,
    id: Uuid,
    /// Told when a query is about to ask for it.
    taken: oneshot::Sender<()>,
    answer: oneshot::Sender<Found>,
}

pub(super) struct Streams {
    queue: mpsc::Sender<StreamRequest>,
    /// How long a read waits for a query that takes it.
    patience: Duration,
}

impl Streams {
    /// Its queries run on `runtime`, until this value is gone.
    pub fn start(runtime: &Handle, patience: Duration, fetch: Fetch) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        runtime.spawn(answer_all(receiver, fetch));
        Self { queue, patience }
    }

    /// The facts of one stream by sequence.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoConnection`] where the query before takes too long; else what the query says.
    pub async fn read(&self, kind: StreamKind, id: Uuid) -> Found {
        let stopped = || StoreError::new(StoreErrorKind::Closed, "the reader of streams has stopped");
        let ((taken, is_taken), (answer, answered)) = (oneshot::channel(), oneshot::channel());
        let queued = async {
            self.queue.send(StreamRequest { kind, id, taken, answer }).await.map_err(|_| stopped())?;
            is_taken.await.map_err(|_| stopped())
        };
        timeout(self.patience, queued)
            .await
            .map_err(|elapsed| StoreError::new(StoreErrorKind::NoConnection, elapsed))??;
        let mut facts = answered.await.map_err(|_| stopped())??;
        facts.sort_unstable_by_key(|fact| fact.sequence);
        Ok(facts)
    }
}

async fn answer_all(mut wanted: mpsc::Receiver<StreamRequest>, fetch: Fetch) {
    while let Some(batch) = next(&mut wanted).await {
        if batch.is_empty() {
            continue;
        }
        let (kinds, ids) = batch.iter().map(|wanted| (wanted.kind.as_str(), wanted.id.to_string())).unzip();
        let answers = batch.into_iter().map(|wanted| {
            // Nobody listens when the caller was dropped.
            let _gone = wanted.taken.send(());
            wanted.answer
        });
        let answers = answers.collect();
        // As a task of its own, so that a panic in it is an error and not the end of all reading.
        let facts = tokio::spawn(fetch(kinds, ids)).await.unwrap_or_else(|error| Err(ended(error)));
        answer(answers, facts);
    }
}

/// Waits for the first; the others are those that are there, or ready to come.
async fn next(queue: &mut mpsc::Receiver<StreamRequest>) -> Option<Vec<StreamRequest>> {
    let mut batch = vec![queue.recv().await?];
    tokio::task::yield_now().await;
    while batch.len() < STREAMS {
        let Ok(more) = queue.try_recv() else { break };
        batch.push(more);
    }
    // While the database was silent, callers may have gone away.
    batch.retain(|wanted| !wanted.answer.is_closed());
    Some(batch)
}

fn ended(error: JoinError) -> ReadError {
    StoreError::new(StoreErrorKind::Closed, error).into()
}

fn answer(answers: Vec<oneshot::Sender<Found>>, facts: Result<Vec<(usize, RawDecisionEvent)>, ReadError>) {
    let mut found: Vec<Found> =
        answers.iter().map(|_| facts.as_ref().map(|_| Vec::new()).map_err(Clone::clone)).collect();
    for (index, fact) in facts.into_iter().flatten() {
        if let Some(Ok(own)) = found.get_mut(index) {
            own.push(fact);
        }
    }
    for (answer, own) in answers.into_iter().zip(found) {
        let _gone = answer.send(own);
    }
}
