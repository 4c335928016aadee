//! Receives a body into a temporary file. Each piece is hashed and written on one of the few threads that work on files
//! ([`Blobs::begin`]), while the next piece is read from the network. So a body holds no thread while its client is
//! silent, two of its pieces are in memory at most, and no client is read faster than the disk writes.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;
use tokio::task::JoinHandle;

use super::blobs::{Blobs, Temporary, joined};

/// A body that is completely in its file.
pub(super) struct Received {
    pub file: Temporary,
    pub md5: [u8; 16],
    /// The checksums that the hasher was made for.
    pub checksums: Checksum,
}

/// The part of a body that has come so far. Boxed: its hashes take a kilobyte, which every future on its way would
/// otherwise keep room for.
struct Part {
    file: Temporary,
    md5: Md5,
    hasher: ChecksumHasher,
}

/// An upload under way. Dropping it removes its file as soon as the current piece is written.
pub(super) struct Upload {
    blobs: Arc<Blobs>,
    /// The piece that is being written, or was written last. `None` after an error.
    writing: Option<JoinHandle<io::Result<Box<Part>>>>,
}

impl Upload {
    pub(super) async fn start(blobs: Arc<Blobs>, hasher: ChecksumHasher) -> Self {
        let own = Arc::clone(&blobs);
        let writing = {
            let hasher = Box::new(hasher);
            blobs.begin(move || Ok(Box::new(Part { file: own.temporary()?, md5: Md5::new(), hasher: *hasher }))).await
        };
        Self { blobs, writing: Some(writing) }
    }

    /// Returns when the piece before this one is written. After an error no further piece may be pushed.
    pub(super) async fn push(&mut self, data: Bytes) -> io::Result<()> {
        let mut part = self.written().await?;
        let write = move || {
            part.md5.update(&data);
            part.hasher.update(&data);
            part.file.file.write_all(&data)?;
            Ok(part)
        };
        self.writing = Some(self.blobs.begin(write).await);
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<Received> {
        let Part { file, md5, hasher } = *self.written().await?;
        Ok(Received { file, md5: md5.finalize(), checksums: hasher.finalize() })
    }

    /// Returns when the temporary file is gone.
    pub(super) async fn abandon(mut self) {
        // An error has dropped the file already.
        if let Ok(part) = self.written().await {
            let remove = move || {
                drop(part);
                Ok(())
            };
            drop(self.blobs.work(remove).await);
        }
    }

    async fn written(&mut self) -> io::Result<Box<Part>> {
        match self.writing.take() {
            Some(writing) => joined(writing).await,
            None => Err(io::Error::other("a piece before this one was not written")),
        }
    }
}
