//! The one place that constructs everything and wires it, and that knows the order in which it starts and stops.
//!
//! [`Core`] is what every command works with: journal, bucket, read models, write path, collector. [`Server`] puts the
//! timers and the HTTP interface on it.

mod embedded;
mod server;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use zeroload_domain::{codec, run};
use zeroload_projections::ReadModels;

pub use embedded::RunningS3;
pub use server::Server;
use zeroload_clock::{Clock, Ids, Sleeper};
use zeroload_journal::{self as journal, Journal, WriterTask, consumers::holds};

use crate::{
    background::{
        Handles,
        collector::{self, Collector},
        inspector::{self, Inspector},
        projector::{Projector, cursor_of},
        reconciler::{self, Reconciler},
    },
    database::{Database, OpenError},
    media::{
        bucket::BucketGuard,
        commands::Commands,
        late_uploads::LateUploads,
        recent::Recent,
        service::{Service, Waits},
    },
    metrics::Metrics,
    review::Reviewer,
    settings::Settings,
    storage::{self, Gateway},
};

/// How long a start waits for the bucket.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Why a start failed; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data folder {path} cannot be used: {source}")]
    DataDir { path: String, source: std::io::Error },
    #[error("{what} cannot listen on {address}: {source}; is another zeroload running?")]
    Listen { what: &'static str, address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error("the journal cannot be read: {0}")]
    JournalRead(#[from] journal::ReadError),
    #[error("the journal holds events that this binary cannot read: {0}; use a newer zeroload")]
    UnknownEvents(String),
    #[error("the embedded S3 server cannot start: {0}")]
    Embedded(#[from] zeroload_embedded_s3::OpenError),
    #[error("the S3 client cannot be set up: {0}")]
    Gateway(#[from] storage::ConnectError),
    #[error("the client for review_url cannot be set up: {0}")]
    Review(String),
    #[error("the read models cannot be opened: {0}")]
    ReadModels(#[from] zeroload_projections::Error),
    #[error(
        "{path} is ahead of the journal (position {applied}, journal {head}), so it belongs to another one or the journal \
         was restored from a backup; remove it, it is built anew from the journal"
    )]
    ReadModelsAhead { path: String, applied: u64, head: u64 },
    #[error(
        "{path} holds what another past of the journal has told, up to position {applied}: the journal was restored from a \
         backup or rewritten, and has grown since; `zeroload projections rebuild` builds it anew"
    )]
    ReadModelsOfAnotherPast { path: String, applied: u64 },
    #[error("an embedded name is invalid: {0}")]
    Name(#[from] zeroload_domain::Invalid),
}

/// Everything but timers and HTTP.
pub struct Core {
    pub journal: Journal,
    pub gateway: Gateway,
    pub guard: Arc<BucketGuard>,
    pub read_models: ReadModels,
    pub projector: Arc<Projector>,
    pub collector: Arc<Collector>,
    pub inspector: Arc<Inspector>,
    pub late_uploads: LateUploads,
    pub reconciler: Arc<Reconciler>,
    pub service: Arc<Service>,
    pub metrics: Metrics,
    pub clock: Clock,
    pub ids: Ids,
    pub embedded: Option<RunningS3>,
    writer: WriterTask,
}

impl Core {
    /// Opens everything that `settings` name. Must run on the runtime that will own the sockets.
    ///
    /// # Errors
    /// [`StartError`]; nothing is half done, and the locks end with the process.
    pub async fn open(settings: &Settings, clock: Clock, ids: Ids) -> Result<Self, StartError> {
        make_dir(&settings.data_dir)?;
        // First of all, since it is what refuses a second process on the same data.
        let (journal, writer) = settings.database.start_journal(ids.new_id(clock.now())).await?;
        readable(&journal).await?;
        let (gateway, embedded) = match &settings.s3 {
            Some(s3) => (Gateway::connect(s3.clone()).await?, None),
            None => {
                let (s3, running) = embedded::start(settings).await?;
                (Gateway::connect(s3).await?, Some(running))
            }
        };
        let journal_id = journal.head().await?.journal_id;
        let guard = Arc::new(BucketGuard::new(
            gateway.clone(),
            journal.clone(),
            journal_id,
            settings.adopt_bucket,
            clock.clone(),
        ));
        let read_models = open_read_models(&settings.database, &journal).await?;
        let recent = Recent::default();
        let projector = Projector::new(journal.clone(), recent.clone(), read_models.clone());
        let mut commands = Commands::new(journal.clone(), recent, settings.policy.clone(), ids.clone());
        // A pooler keeps a connection while the server behind it becomes another one, perhaps an older copy; whoever reads
        // notices that, whoever only appends may not.
        if settings.database.is_pooled() {
            commands = commands.reading_always();
        }
        let metrics = Metrics::default();
        let late_uploads = LateUploads::new(commands.clone(), gateway.clone(), guard.clone(), metrics.clone());
        let handles = Handles {
            commands: commands.clone(),
            late_uploads: late_uploads.clone(),
            journal: journal.clone(),
            gateway: gateway.clone(),
            guard: guard.clone(),
            read_models: read_models.clone(),
            projector: projector.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        // Collector and inspector give way to callers, and share one pace towards S3.
        let (background, paced) =
            (commands.low_priority(), gateway.paced(settings.pace, ids.clone(), Sleeper::system()));
        let low_priority = Handles {
            late_uploads: LateUploads::new(background.clone(), paced.clone(), guard.clone(), metrics.clone()),
            commands: background,
            gateway: paced,
            ..handles.clone()
        };
        let looks = usize::try_from(settings.pace.parallel_requests).unwrap_or(usize::MAX);
        let reviewer = settings.review.clone().map(|backend| Reviewer::new(backend, ids.clone()));
        let collecting = collector::Options {
            sleeper: Sleeper::system(),
            page: settings.delete_page,
            looks,
            brake: settings.brake,
            reviewer: reviewer.transpose().map_err(StartError::Review)?,
        };
        let inspecting = inspector::Options {
            sleeper: Sleeper::system(),
            recheck_after: settings.recheck_after.clone(),
            looks,
            late_write_margin: settings.policy.late_write_margin(),
        };
        let reconciling = reconciler::Options {
            listing: Arc::new(gateway.clone()),
            rate: settings.reconcile_rate,
            shared: settings.database.is_shared(),
        };
        let collector = Arc::new(Collector::new(low_priority.clone(), collecting));
        let inspector = Arc::new(Inspector::new(low_priority, inspecting));
        let reconciler = Arc::new(Reconciler::new(handles, reconciling));
        let waits = Waits { s3: settings.s3_timeout, sleeper: Sleeper::system() };
        let service = Service::new(
            commands,
            late_uploads.clone(),
            gateway.clone(),
            guard.clone(),
            clock.clone(),
            ids.clone(),
            waits,
        );
        let service = Arc::new(service.with_checksum_policy(settings.checksum_policy));
        Ok(Self {
            journal,
            gateway,
            guard,
            read_models,
            projector,
            collector,
            inspector,
            late_uploads,
            reconciler,
            service,
            metrics,
            clock,
            ids,
            embedded,
            writer,
        })
    }

    /// Gives the bucket a moment to answer, so that a start can say what is wrong with it; a dead one does not delay it
    /// longer. May mark a bucket that is new, and tries what its server enforces.
    pub async fn look_at_bucket(&self) {
        let guard = self.guard.clone();
        let look = tokio::spawn(async move { guard.check().await });
        if tokio::time::timeout(FIRST_LOOK, look).await.is_err() {
            tracing::warn!("the bucket has not answered yet; going on without it");
        }
    }

    /// Flushes the journal, lets the projector end its batch, closes everything. Nothing else may use it by now.
    pub async fn close(self) {
        self.writer.stop().await;
        self.projector.stop().await;
        self.read_models.close().await;
        self.journal.reader().close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Where the process that writes the journal of these settings serves, as far as is known.
pub fn serving_address(settings: &Settings) -> String {
    let noted = settings.database.address_note().and_then(|note| std::fs::read_to_string(note).ok());
    noted.unwrap_or_else(|| settings.listen.to_string())
}

/// Makes the data folder where it is missing.
///
/// # Errors
/// [`StartError::DataDir`].
pub fn make_dir(path: &Path) -> Result<(), StartError> {
    // The journal names owners, the bucket holds their media: a folder that we make is for us alone.
    let mut dir = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut dir, 0o700);
    dir.recursive(true).create(path).map_err(|source| StartError::DataDir { path: path.display().to_string(), source })
}

/// Refuses a journal with events that this binary would misread.
async fn readable(journal: &Journal) -> Result<(), StartError> {
    let mut unknown = journal.event_versions().await?;
    unknown.retain(|(event_type, version)| {
        let event = (event_type.as_str(), version.as_str());
        !codec::READABLE.contains(&event) && !run::READABLE.contains(&event)
    });
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = unknown.iter().map(|(event_type, version)| format!("{event_type} {version}")).collect();
    Err(StartError::UnknownEvents(names.join(", ")))
}

async fn open_read_models(database: &Database, journal: &Journal) -> Result<ReadModels, StartError> {
    let read_models = database.open_read_models().await?;
    // The head is read after the checkpoint: another process may be moving both.
    let checkpoint = read_models.checkpoint().await?;
    let head = journal.head().await?;
    let applied = checkpoint.position;
    if !holds(journal.reader(), &head, &cursor_of(&checkpoint)?).await? {
        read_models.close().await;
        let path = database.read_models_place();
        return Err(match head.position < applied {
            true => StartError::ReadModelsAhead { path, applied, head: head.position },
            false => StartError::ReadModelsOfAnotherPast { path, applied },
        });
    }
    // A journal without events has no past.
    if !checkpoint.is_complete() && applied > 0 {
        tracing::warn!(
            "the read models are of an earlier version, and what later ones brought tells only of what happens from now on; \
             `zeroload projections rebuild` fills in the past, while the service goes on"
        );
    }
    Ok(read_models)
}
