//! The one writer. A task owns the only connection that writes, takes all waiting jobs, and commits them in one
//! transaction; that makes conditions atomic and lets many PUTs share one fsync.
//!
//! A job that has been sent is carried out even if its request is dropped meanwhile. A database error fails every job
//! of the batch. The next batch begins afresh, so writes succeed again once a full disk has room.

use std::fs::File;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::blobs::Blobs;
use super::transaction::Rows;
use super::write::{Files, Outcome, Write};

/// Jobs that share one transaction at most.
const BATCH: usize = 256;
const QUEUE: usize = 1024;
/// Files that one task removes.
const REMOVED_AT_ONCE: usize = 512;

#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum WriteError {
    #[error("the index could not be written: {0}")]
    Database(Arc<sqlx::Error>),
    #[error("the server is stopping")]
    Stopped,
}

struct Job {
    write: Write,
    reply: oneshot::Sender<Result<Outcome, WriteError>>,
}

enum Message {
    Write(Job),
    Close(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Writer {
    messages: mpsc::Sender<Message>,
}

impl Writer {
    /// `lock` is held until the task has closed its connection.
    pub(super) fn start(rows: Rows, blobs: Arc<Blobs>, lock: File) -> Self {
        let (messages, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(rows, blobs, lock, receiver));
        Self { messages }
    }

    pub(super) async fn write(&self, write: Write) -> Result<Outcome, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Write(Job { write, reply })).await.map_err(|_| WriteError::Stopped)?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    /// Returns when the task has ended.
    pub(super) async fn ended(&self) {
        self.messages.closed().await;
    }

    /// Returns when everything sent before is done and the directory's lock is free.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.messages.send(Message::Close(done)).await.is_ok() {
            // An error means that the writer's task has ended already.
            let _ = closed.await;
        }
    }
}

async fn run(mut rows: Rows, blobs: Arc<Blobs>, lock: File, mut receiver: mpsc::Receiver<Message>) {
    let mut waiting = Vec::with_capacity(BATCH);
    let mut closers = Vec::new();
    while closers.is_empty() && receiver.recv_many(&mut waiting, BATCH).await > 0 {
        let mut jobs = Vec::with_capacity(waiting.len());
        for message in waiting.drain(..) {
            match message {
                Message::Write(job) => jobs.push(job),
                Message::Close(done) => closers.push(done),
            }
        }
        if !jobs.is_empty() {
            batch(&mut rows, &blobs, jobs).await;
        }
    }
    rows.close().await;
    blobs.all_removed().await;
    drop(lock);
    for done in closers {
        let _ = done.send(());
    }
}

async fn batch(rows: &mut Rows, blobs: &Arc<Blobs>, jobs: Vec<Job>) {
    let (writes, replies): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.write, job.reply)).unzip();
    let mut writes = writes.into_iter();
    let mut files = Files::default();
    let result = rows.write(&mut writes, &mut files).await;
    let Files { named, refused, unneeded } = files;
    // Dropping these removes their files. That happens before the answers, so that a refused request has left nothing
    // behind, and on another thread, so that the writer does not wait.
    let refused = (writes, named, refused);
    let outcomes = match result {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let (blobs, error) = (Arc::clone(blobs), Arc::new(error));
            tokio::task::spawn_blocking(move || {
                drop(refused);
                blobs.remove(&unneeded);
                answer(replies, std::iter::repeat_with(|| Err(WriteError::Database(Arc::clone(&error)))));
            });
            return;
        }
    };
    tokio::task::spawn_blocking(move || {
        drop(refused);
        answer(replies, outcomes.into_iter().map(Ok));
    });
    // Files of deleted objects are removed after the answers: their rows are gone for good, and files that a crash
    // leaves are swept at the next open. The next batch waits only if too many files wait for their removal.
    for names in unneeded.chunks(REMOVED_AT_ONCE) {
        let (blobs, names, removing) = (Arc::clone(blobs), names.to_vec(), blobs.may_remove(names.len()).await);
        tokio::task::spawn_blocking(move || {
            blobs.remove(&names);
            drop(removing);
        });
    }
}

fn answer(
    replies: Vec<oneshot::Sender<Result<Outcome, WriteError>>>,
    answers: impl Iterator<Item = Result<Outcome, WriteError>>,
) {
    for (reply, answer) in replies.into_iter().zip(answers) {
        // An error means that the request was dropped, and nobody waits for the answer.
        let _ = reply.send(answer);
    }
}
