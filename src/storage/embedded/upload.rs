//! Receives a body into a temporary file. Hashing and writing happen on a blocking thread that a
//! bounded channel feeds, so a body is never held in memory and never hashed on the runtime.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::blobs::{Blobs, Temporary};

/// Chunks (of at most some hundred KiB each) between network and disk.
const CHUNKS_AHEAD: usize = 8;

enum Chunk {
    Data(Bytes),
    End,
}

/// Everything that is known of a body once it is in its file.
pub(super) struct Received {
    pub file: Temporary,
    pub md5: [u8; 16],
    /// The checksums that the hasher was made for.
    pub checksums: Checksum,
}

pub(super) struct Upload {
    chunks: mpsc::Sender<Chunk>,
    worker: JoinHandle<io::Result<Option<Received>>>,
}

impl Upload {
    pub(super) fn start(blobs: Arc<Blobs>, hasher: ChecksumHasher) -> Self {
        let (chunks, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let worker = tokio::task::spawn_blocking(move || receive(&blobs, hasher, receiver));
        Self { chunks, worker }
    }

    /// False if the worker has given up; [`Upload::finish`] says why.
    pub(super) async fn push(&self, data: Bytes) -> bool {
        self.chunks.send(Chunk::Data(data)).await.is_ok()
    }

    pub(super) async fn finish(self) -> io::Result<Received> {
        // If the worker is gone, its own error is the better one.
        let _ = self.chunks.send(Chunk::End).await;
        match self.worker.await {
            Ok(result) => result?.ok_or_else(|| io::Error::other("the body ended without its end")),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Returns when the temporary file is gone.
    pub(super) async fn abandon(self) {
        let Self { chunks, worker } = self;
        drop(chunks);
        // Whatever it says, its file has been dropped with its result.
        let _ = worker.await;
    }
}

/// Without an [`Chunk::End`] the request was dropped: the file goes, nothing is returned.
fn receive(
    blobs: &Arc<Blobs>,
    mut hasher: ChecksumHasher,
    mut chunks: mpsc::Receiver<Chunk>,
) -> io::Result<Option<Received>> {
    let mut file = blobs.temporary()?;
    let mut md5 = Md5::new();
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Chunk::Data(data) => {
                md5.update(&data);
                hasher.update(&data);
                file.file.write_all(&data)?;
            }
            Chunk::End => {
                return Ok(Some(Received { file, md5: md5.finalize(), checksums: hasher.finalize() }));
            }
        }
    }
    Ok(None)
}
