//! A thread for the writer alone.
//!
//! Where it took turns with the work of requests, it would come after many of them whenever a commit has ended, and the
//! database would stand idle meanwhile.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Ends with the writer that it runs, or when it is dropped without one.
pub struct WriterThread {
    runtime: Handle,
    alive: oneshot::Sender<()>,
}

impl WriterThread {
    /// # Errors
    /// The system has no thread, or no files for one, to spare.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new().name("journal-writer".to_owned()).spawn(move || {
            // Nothing is ever sent: it ends with its sender.
            let _ended = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, alive })
    }

    /// What the writer's connection lives on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn run(self, writer: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let Self { runtime, alive } = self;
        runtime.spawn(async move {
            writer.await;
            drop(alive);
        })
    }
}
