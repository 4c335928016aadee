//! The handle that the rest of the process holds, and the one that ends the writer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;
use zeroload_clock::Sleeper;

use super::append::{Append, AppendError, Appended};
use super::batch::Request;
use super::error::StoreError;
use super::low_priority::LowPriorityQueue;
use super::options::Options;
use super::reader::Reader;
use super::store::WriteStore;
use super::stored::{DecisionEvent, Head, ReadError, StoredEvent};
use super::thread::WriterThread;
use super::writer::Writer;

/// The journal as the rest of the process sees it. A clone is the same journal.
#[derive(Clone)]
pub struct Journal {
    queue: mpsc::Sender<Request>,
    /// Of appends that give way to all others.
    yielding: mpsc::Sender<Request>,
    /// Why the writer is finding out what became of a commit, while it is.
    settling: watch::Receiver<Option<StoreError>>,
    failing: Arc<AtomicBool>,
    /// See [`Journal::share`].
    share: Arc<AtomicUsize>,
    head: watch::Receiver<u64>,
    reader: Reader,
    patience: Duration,
    sleeper: Sleeper,
}

/// The running writer. Dropped without [`stop`](Self::stop), it goes on until the last [`Journal`] is dropped.
pub struct WriterTask {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Starts the writer on its thread and hands out the journal.
pub async fn start(
    writer: impl WriteStore,
    reader: Reader,
    options: Options,
    thread: WriterThread,
) -> Result<(Journal, WriterTask), ReadError> {
    let (journal, stop, run) = assemble(writer, reader, options).await?;
    Ok((journal, WriterTask { stop, task: thread.run(run) }))
}

/// The journal, what stops its writer, and the writer itself, for a runtime of one's own: nothing is appended before it runs.
///
/// # Errors
/// The head cannot be read.
pub async fn assemble(
    writer: impl WriteStore,
    reader: Reader,
    options: Options,
) -> Result<(Journal, watch::Sender<bool>, impl Future<Output = ()> + Send), ReadError> {
    let position = reader.head().await?.position;
    let (queue, requests) = mpsc::channel(options.queue.get());
    let (yielding, yielding_requests) = mpsc::channel(options.queue.get());
    let (head_sender, head) = watch::channel(position);
    let (stop, stopped) = watch::channel(false);
    let (settles, settling) = watch::channel(None);
    let failing = Arc::new(AtomicBool::new(false));
    let (patience, sleeper) = (options.patience, options.sleeper.clone());
    let share = Arc::new(AtomicUsize::new(usize::MAX));
    let requests = (requests, LowPriorityQueue::new(yielding_requests, Arc::clone(&share), sleeper.clone()));
    let writer = Writer::new(writer, requests, head_sender, stopped, settles, Arc::clone(&failing), options);
    Ok((Journal { queue, yielding, settling, failing, share, head, reader, patience, sleeper }, stop, writer.run()))
}

impl WriterTask {
    /// Refuses further appends, writes those that wait, and closes the database's writing side.
    ///
    /// While the outcome of a commit is unknown it is looked up once more, then its callers get
    /// [`AppendError::Unknown`]. Dropping the future does not undo the stop.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the journal's writer was ended by its runtime");
        }
    }
}

impl Journal {
    /// Appends the events of one command; durable when it answers.
    ///
    /// Dropping the future after its first poll does not take the append back: it happens, or fails, unseen.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if let Some(source) = self.settling.borrow().clone() {
            return Err(AppendError::Settling { source });
        }
        let command_id = append.command_id;
        let (answer, answered) = oneshot::channel();
        let request = Request { append: append.prepare()?, answer };
        self.queue.try_send(request).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AppendError::QueueFull { capacity: self.queue.max_capacity() },
            mpsc::error::TrySendError::Closed(_) => AppendError::Stopped,
        })?;
        match select(answered, pin!(self.sleeper.sleep(self.patience))).await {
            Either::Left((Ok(result), _)) => result,
            // A batch in flight is dropped without an answer when the writer panics or its runtime ends; and while the
            // database is away it may be long before anyone knows.
            Either::Left((Err(_), _)) | Either::Right(_) => Err(AppendError::Unknown { command_id }),
        }
    }

    /// The same journal, whose appends give way to those of others: for work that can wait.
    #[must_use]
    pub fn low_priority(&self) -> Self {
        Self { queue: self.yielding.clone(), ..self.clone() }
    }

    /// How many events of those who give way go with one commit at present: [`usize::MAX`] where nobody else has appended
    /// lately.
    pub fn share(&self) -> usize {
        self.share.load(Ordering::Acquire)
    }

    /// The reading side alone: works beside a writer of another process too.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// See [`Reader::stream`].
    pub async fn stream(&self, id: Uuid) -> Result<Vec<StoredEvent>, ReadError> {
        self.reader.stream(id).await
    }

    /// See [`Reader::stream_after`].
    pub async fn stream_after(&self, id: Uuid, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        self.reader.stream_after(id, after, limit).await
    }

    /// See [`Reader::facts`].
    pub async fn facts(&self, id: Uuid) -> Result<Vec<DecisionEvent>, ReadError> {
        self.reader.facts(id).await
    }

    /// See [`Reader::read`].
    pub async fn read(&self, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        self.reader.read(after, limit).await
    }

    /// See [`Reader::read_tenant`].
    pub async fn read_tenant(&self, tenant: &str, after: u64, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        self.reader.read_tenant(tenant, after, limit).await
    }

    /// See [`Reader::head`].
    pub async fn head(&self) -> Result<Head, ReadError> {
        self.reader.head().await
    }

    /// See [`Reader::database_now`].
    pub async fn database_now(&self) -> Result<DateTime<Utc>, ReadError> {
        self.reader.database_now().await
    }

    /// See [`Reader::event_versions`].
    pub async fn event_versions(&self) -> Result<Vec<(String, String)>, ReadError> {
        self.reader.event_versions().await
    }

    /// The last position that this process committed, or the head at start; woken after each commit, before
    /// its callers are answered. It closes when the writer has ended.
    pub fn head_watch(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    /// Whether the last append was not written because the database failed, or may not have been.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire) || self.settling.borrow().is_some()
    }

    /// Returns when the writer takes no more appends: it was stopped, or it broke off.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Whether the writer still takes appends.
    pub fn is_running(&self) -> bool {
        !self.queue.is_closed()
    }
}
