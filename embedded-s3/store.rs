//! Opens the server's directory and puts the parts of the server together.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::auth::SecretKey;
use s3s::path::check_bucket_name;
use s3s::service::S3ServiceBuilder;
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::net::TcpListener;
use zeroload_database_access::open_files::OpenFiles;
use zeroload_database_access::private_file;

use super::access::{Access, Auth};
use super::apply::CREATE_BUCKET;
use super::backend::Backend;
use super::blobs::{self, Blobs};
use super::bounds::{Admission, Bounds};
use super::credentials::Credentials;
use super::faults::Faults;
use super::front::Front;
use super::index::{self, Index};
use super::transaction::Rows;
#[cfg(test)]
use super::write::Write;
use super::writer::Writer;
use super::{now_ms, server};

/// The directory of the server, and the bucket that exists from the start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Made with mode 0700 if it is missing.
    pub dir: PathBuf,
    pub bucket: String,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0:?} is not a bucket name: 3 to 63 of a-z, 0-9, dot and hyphen")]
    BucketName(String),
    #[error("{} is in use by another process; one process serves an embedded bucket", dir.display())]
    InUse { dir: PathBuf },
    #[error("could not use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("could not read or make the credentials in {}", dir.display())]
    Credentials { dir: PathBuf, source: io::Error },
    #[error("could not open the index in {}", dir.display())]
    Index { dir: PathBuf, source: sqlx::Error },
}

/// An opened store. Clones share it.
#[derive(Clone)]
pub struct EmbeddedS3 {
    inner: Arc<Inner>,
}

struct Inner {
    credentials: Credentials,
    bucket: String,
    faults: Faults,
    backend: Backend,
}

impl EmbeddedS3 {
    /// Makes missing files and directories, sweeps the files that a crash left, and holds the directory's lock until
    /// [`EmbeddedS3::serve`] or [`EmbeddedS3::close`] has returned.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        Self::open_within(settings, Bounds::of_files(open_files())).await
    }

    pub(super) async fn open_within(settings: Settings, bounds: Bounds) -> Result<Self, OpenError> {
        let Settings { dir, bucket } = settings;
        if !check_bucket_name(&bucket) {
            return Err(OpenError::BucketName(bucket));
        }
        let files = dir.clone();
        let (lock, credentials, blobs) = tokio::task::spawn_blocking(move || prepare(&files))
            .await
            .map_err(|error| OpenError::Io { path: dir.clone(), source: io::Error::other(error) })??;
        let blobs = Arc::new(blobs);

        let index_error = |source| OpenError::Index { dir: dir.clone(), source };
        let mut connection = index::options(&dir).connect().await.map_err(index_error)?;
        connection.execute(index::SCHEMA).await.map_err(index_error)?;
        let own = sqlx::query(CREATE_BUCKET).bind(&bucket).bind(now_ms());
        own.execute(&mut connection).await.map_err(index_error)?;
        let index = Index::open(&dir).await.map_err(index_error)?;
        // The sweep comes before the writer starts: the file of a PUT under way has no row yet.
        sweep(&dir, &blobs, &index).await?;
        // If the index is lost later, the writer fails: it must never go on with a new, empty one.
        let schema =
            sqlx::query_scalar("PRAGMA schema_version").fetch_one(&mut connection).await.map_err(index_error)?;
        let files = OpenFiles::of_database_alone(&index::path(&dir), schema)
            .map_err(|source| OpenError::Io { path: index::path(&dir), source })?;
        let rows = Rows::new(index::options(&dir).create_if_missing(false), connection, files);
        let writer = Writer::start(rows, Arc::clone(&blobs), lock);
        let faults = Faults::default();
        let backend = Backend { blobs, index, writer, faults: faults.clone(), admission: Admission::new(bounds) };
        Ok(Self { inner: Arc::new(Inner { credentials, bucket, faults, backend }) })
    }

    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.inner.credentials.access_key
    }

    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.inner.credentials.secret_key
    }

    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.inner.bucket
    }

    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Serves until `stop` is done; then accepts no more connections, gives requests under way some seconds, and closes
    /// the store. After that the directory may be opened again.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        server::run(self.front(), self.inner.backend.admission.clone(), listener, stop).await;
        self.close().await;
    }

    pub(super) fn front(&self) -> Front {
        let mut builder = S3ServiceBuilder::new(self.inner.backend.clone());
        builder.set_auth(Auth {
            access_key: self.access_key().to_owned(),
            secret_key: SecretKey::from(self.secret_key()),
        });
        builder.set_access(Access { faults: self.inner.faults.clone() });
        Front::new(builder.build(), self.inner.faults.clone())
    }

    /// Returns when nothing can be written any more: the store was closed, or its writer has ended.
    pub async fn writer_ended(&self) {
        self.inner.backend.writer.ended().await;
    }

    /// Closes a store that is not served. Later requests of its clones fail.
    pub async fn close(&self) {
        self.inner.backend.index.close().await;
        self.inner.backend.writer.close().await;
    }

    /// Waits until no file of a deleted object is left.
    #[cfg(test)]
    pub(super) async fn all_removed(&self) {
        // The writer takes the next job only after it has handed over the files of the last one. This job changes
        // nothing.
        let there_already = Write::CreateBucket { name: self.inner.bucket.clone(), now_ms: 0 };
        drop(self.inner.backend.writer.write(there_already).await);
        self.inner.backend.blobs.all_removed().await;
    }
}

/// How many files this process may have open. The subcommand `serve` has raised that limit before.
fn open_files() -> u64 {
    rlimit::Resource::NOFILE.get_soft().unwrap_or(1024)
}

/// The part of opening that only touches files.
fn prepare(dir: &Path) -> Result<(File, Credentials, Blobs), OpenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    let path = dir.join("lock");
    let mut options = private_file::options();
    let lock = options.create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { dir: dir.to_owned() });
        }
        Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
    }
    let credentials =
        Credentials::load_or_create(dir).map_err(|source| OpenError::Credentials { dir: dir.to_owned(), source })?;
    let index = index::path(dir);
    private_file::database(&index).map_err(at(&index))?;
    let blobs = Blobs::open(dir).map_err(at(dir))?;
    Ok((lock, credentials, blobs))
}

/// Removes files that no row names: a crash between rename and commit, or between commit and unlink, leaves such files.
async fn sweep(dir: &Path, blobs: &Arc<Blobs>, index: &Index) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { path: dir.join("blobs"), source };
    let (mut removed, mut missing) = (0, 0);
    for shard in blobs::shards() {
        let named = index.blobs_in(&shard).await.map_err(|source| OpenError::Index { dir: dir.to_owned(), source })?;
        let blobs = Arc::clone(blobs);
        let (swept, lost) = tokio::task::spawn_blocking(move || blobs.sweep(&shard, &named))
            .await
            .map_err(|error| failed(io::Error::other(error)))?
            .map_err(failed)?;
        removed += swept;
        missing += lost;
    }
    // From here on a power cut forgets no directory entry made so far, the index's included.
    let root = dir.to_owned();
    tokio::task::spawn_blocking(move || File::open(root)?.sync_all())
        .await
        .map_err(|error| failed(io::Error::other(error)))?
        .map_err(failed)?;
    if removed > 0 {
        tracing::info!(removed, "the embedded S3 server swept files that a crash had left");
    }
    if missing > 0 {
        tracing::error!(missing, dir = %dir.display(), "objects of the embedded S3 server have lost their bytes");
    }
    Ok(())
}
