//! The objects' bytes: one file per object, named by a number, never by the object's key.
//!
//! `tmp/` holds uploads under way, `blobs/` (256 directories) the bytes of present objects, and of deleted ones for a
//! moment. Each file is owned by a guard ([`Temporary`], [`Blob`]) that removes the file unless the next stage has
//! taken it over, so a refused or dropped request leaves nothing behind. Files that a crash leaves are swept at open.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use zeroload_database_access::private_file;

/// Threads that write, sync and link at once at most. A disk takes many syncs together, and a disk that hangs holds no
/// other threads of the process.
const THREADS: usize = 32;

/// Files of deleted objects that wait for their removal at most: where the file system is slower than the index, the
/// index waits.
const REMOVALS: u32 = 4096;
/// 256 numbers in a row share a directory.
const SHARED_BITS: u32 = 8;

/// `07/5b1f…-0000000000000107`: a directory, then a number of this run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BlobName(String);

impl BlobName {
    pub(super) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) struct Blobs {
    root: PathBuf,
    /// Random, new with every open, so that a number is never given twice.
    run: u64,
    next: AtomicU64,
    removals: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl Blobs {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        for shard in shards() {
            fs::create_dir_all(dir.join("blobs").join(shard))?;
        }
        // The directories' own entries must outlive a power cut before anything lies in them.
        File::open(dir.join("blobs"))?.sync_all()?;
        let temporary = dir.join("tmp");
        fs::create_dir_all(&temporary)?;
        for entry in fs::read_dir(&temporary)? {
            removed(fs::remove_file(entry?.path()))?;
        }
        let run = OsRng.try_next_u64().map_err(io::Error::other)?;
        let removals = Arc::new(Semaphore::new(REMOVALS as usize));
        let threads = Arc::new(Semaphore::new(THREADS));
        Ok(Self { root: dir.to_owned(), run, next: AtomicU64::new(0), removals, threads })
    }

    pub(super) fn path(&self, name: &BlobName) -> PathBuf {
        self.root.join("blobs").join(&name.0)
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins some work on files once one of the threads for such work is free. The work goes on if its handle is
    /// dropped.
    pub(super) async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        // It is never closed.
        let thread = Arc::clone(&self.threads).acquire_owned().await.ok();
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(thread);
            done
        })
    }

    /// Does some work on files, as [`Blobs::begin`], and waits for its end.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        joined(self.begin(work).await).await
    }

    /// A new, empty file for an upload.
    pub(super) fn temporary(self: &Arc<Self>) -> io::Result<Temporary> {
        let path = self.root.join("tmp").join(format!("{:016x}-{:016x}", self.run, self.number()));
        let file = private_file::options().create_new(true).write(true).open(&path)?;
        Ok(Temporary { blobs: Arc::clone(self), path: Some(path), file })
    }

    /// A second name for the bytes of a file (a hard link), which stays when the first name is removed.
    pub(super) fn link(self: &Arc<Self>, name: &BlobName) -> io::Result<Blob> {
        let (linked, target) = self.fresh_name();
        fs::hard_link(self.path(name), &target)?;
        let blob = Blob { blobs: Arc::clone(self), name: linked, kept: false };
        self.sync_directory_of(&target)?;
        Ok(blob)
    }

    fn fresh_name(&self) -> (BlobName, PathBuf) {
        let number = self.number();
        // Files that were made one after the other share a directory, and so the pages of the index: they are mostly
        // deleted together too.
        let shard = (self.run ^ (number >> SHARED_BITS)) & 0xff;
        let name = BlobName(format!("{shard:02x}/{:016x}-{number:016x}", self.run));
        let path = self.path(&name);
        (name, path)
    }

    /// Makes a file's name durable: otherwise a power cut may keep the row and forget the name of its file.
    fn sync_directory_of(&self, file: &Path) -> io::Result<()> {
        File::open(file.parent().unwrap_or(&self.root))?.sync_all()
    }

    /// Waits until `count` more files may wait for their removal. They count as waiting until the permit is dropped.
    pub(super) async fn may_remove(&self, count: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(count).unwrap_or(REMOVALS).min(REMOVALS);
        // It is never closed.
        Arc::clone(&self.removals).acquire_many_owned(count).await.ok()
    }

    /// Waits until no file waits for its removal.
    pub(super) async fn all_removed(&self) {
        drop(self.may_remove(REMOVALS as usize).await);
    }

    /// Removes files whose objects are gone. A file that cannot be removed takes up space until the next open.
    pub(super) fn remove(&self, names: &[BlobName]) {
        for name in names {
            remove(&self.path(name));
        }
    }

    /// Removes the files of one directory that no row names. Returns how many files were removed, and how many rows
    /// have no file, which only a damaged disk or another program can cause.
    pub(super) fn sweep(&self, shard: &str, named: &HashSet<String>) -> io::Result<(usize, usize)> {
        let mut removed = 0;
        let mut present = 0;
        for entry in fs::read_dir(self.root.join("blobs").join(shard))? {
            let entry = entry?;
            let name = format!("{shard}/{}", entry.file_name().to_string_lossy());
            if named.contains(&name) {
                present += 1;
            } else {
                self::removed(fs::remove_file(entry.path()))?;
                removed += 1;
            }
        }
        Ok((removed, named.len().saturating_sub(present)))
    }
}

pub(super) async fn joined<T>(work: JoinHandle<io::Result<T>>) -> io::Result<T> {
    work.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The names of the 256 directories.
pub(super) fn shards() -> impl Iterator<Item = String> {
    (0..=255_u8).map(|byte| format!("{byte:02x}"))
}

/// An upload under way. Dropping it removes the file.
pub(super) struct Temporary {
    blobs: Arc<Blobs>,
    path: Option<PathBuf>,
    pub file: File,
}

impl Temporary {
    /// Makes the bytes durable under their final name. They become visible once a row names the file.
    pub(super) fn persist(mut self) -> io::Result<Blob> {
        self.file.sync_all()?;
        let (name, target) = self.blobs.fresh_name();
        if let Some(path) = &self.path {
            fs::rename(path, &target)?;
        }
        self.path = None;
        let blob = Blob { blobs: Arc::clone(&self.blobs), name, kept: false };
        self.blobs.sync_directory_of(&target)?;
        Ok(blob)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            remove(path);
        }
    }
}

/// A durable file that no row names yet. Dropping it removes the file.
pub(super) struct Blob {
    blobs: Arc<Blobs>,
    pub name: BlobName,
    kept: bool,
}

impl Blob {
    /// Keeps the file, because a row names it now or may name it.
    pub(super) fn keep(mut self) -> BlobName {
        self.kept = true;
        self.name.clone()
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if !self.kept {
            remove(&self.blobs.path(&self.name));
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = removed(fs::remove_file(path)) {
        tracing::warn!(%error, path = %path.display(), "could not remove a file of the embedded S3 server");
    }
}

/// A missing file counts as removed: the last request of a process that is ending may still remove one.
fn removed(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
