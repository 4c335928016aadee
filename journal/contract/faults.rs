//! A [`WriteStore`] that fails as a test's script says, and that can be held still.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::{Found, Outcome, Prepared, StoreError, StoreErrorKind, WriteError, WriteStore};

/// What happens to one batch.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// It is written.
    Nothing,
    /// It is written, the answer is lost.
    AnswerLost,
    /// It is not written, and nobody knows.
    NeverArrived,
    /// It is not written.
    Failed,
    Panic,
}

/// Faults come in order, one for each batch; after the last one batches succeed.
#[derive(Clone)]
pub(crate) struct Script(Arc<Shared>);

struct Shared {
    faults: Mutex<VecDeque<Fault>>,
    failing_lookups: AtomicUsize,
    /// A batch is written for each permit.
    batches: Semaphore,
    /// One permit for each batch that the writer has begun.
    begun: Semaphore,
    /// One permit for each lookup that has failed.
    failed_lookups: Semaphore,
}

impl Script {
    /// Batches go through.
    pub fn open() -> Self {
        Self::with(Semaphore::MAX_PERMITS / 2)
    }

    /// Batches wait for [`release`](Self::release).
    pub fn held() -> Self {
        Self::with(0)
    }

    fn with(permits: usize) -> Self {
        Self(Arc::new(Shared {
            faults: Mutex::default(),
            failing_lookups: AtomicUsize::new(0),
            batches: Semaphore::new(permits),
            begun: Semaphore::new(0),
            failed_lookups: Semaphore::new(0),
        }))
    }

    pub fn faults(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.0.faults.lock().expect("no test panics with it").extend(faults);
        self
    }

    /// The next `count` lookups fail.
    pub fn fail_lookups(&self, count: usize) {
        self.0.failing_lookups.store(count, Ordering::SeqCst);
    }

    pub fn release_one(&self) {
        self.0.batches.add_permits(1);
    }

    pub fn release(&self) {
        self.0.batches.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Returns when the writer has taken one more batch.
    pub async fn batch_begun(&self) {
        self.0.begun.acquire().await.expect("never closed").forget();
    }

    /// Returns when one more lookup has failed.
    pub async fn lookup_failed(&self) {
        self.0.failed_lookups.acquire().await.expect("never closed").forget();
    }
}

pub(crate) struct Faulty<S> {
    pub inner: S,
    pub script: Script,
}

fn error() -> StoreError {
    StoreError::new(StoreErrorKind::Io, "the script says so")
}

impl<S: WriteStore> WriteStore for Faulty<S> {
    async fn append(&mut self, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        let shared = Arc::clone(&self.script.0);
        shared.begun.add_permits(1);
        shared.batches.acquire().await.expect("never closed").forget();
        let fault = shared.faults.lock().expect("no test panics with it").pop_front();
        match fault {
            None | Some(Fault::Nothing) => self.inner.append(batch).await,
            Some(Fault::AnswerLost) => {
                let outcome = self.inner.append(batch).await.expect("the script begins with a good database");
                let after = outcome.commit.expect("not all of the batch is lost").first_position - 1;
                Err(WriteError::Unknown { after, source: error() })
            }
            Some(Fault::NeverArrived) => Err(WriteError::Unknown { after: 0, source: error() }),
            Some(Fault::Failed) => Err(WriteError::Failed(error())),
            Some(Fault::Panic) => panic!("the script says so"),
        }
    }

    async fn find(&mut self, after: u64, batch: &[Prepared]) -> Result<Vec<Found>, StoreError> {
        let failing = &self.script.0.failing_lookups;
        let fails = failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            self.script.0.failed_lookups.add_permits(1);
            return Err(error());
        }
        self.inner.find(after, batch).await
    }

    async fn close(self) {
        self.inner.close().await;
    }
}
