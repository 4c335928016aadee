//! A serving process: timers and the HTTP interface on a [`Core`].

use std::{io::Write as _, net::SocketAddr, path::Path, time::Duration};

use actix_web::{dev::ServerHandle, web};
use tokio::{net::TcpSocket, runtime::Handle, task::JoinHandle};
use zeroload_clock::Sleeper;
use zeroload_database_access::private_file;

use super::{Core, StartError};
use crate::{
    background::{
        Watched, collector::CollectorHandle, inspector::InspectorHandle, projector::ProjectorActor,
        reconciler::ReconcilerHandle,
    },
    http::{
        Api, KeyRing, Verifying,
        listen::{self, Listening},
    },
    settings::Settings,
};

/// Seconds that open requests have to end when the server stops.
const DRAIN_SECONDS: u64 = 10;

/// How long a stop waits for the pages that the runs of collector and inspector are at.
const RUN_MAY_TAKE: Duration = Duration::from_secs(10);

/// How long the databases have to close. A database that is silent meanwhile may take longer to say what became of the last
/// commit; who repeats the command finds out.
const CLOSING_MAY_TAKE: Duration = Duration::from_secs(30);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Workers of the HTTP interface: they parse and serialize, all else runs on the service's runtime.
const HTTP_WORKERS: usize = 2;

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn tell(note: &Path, address: SocketAddr) -> std::io::Result<()> {
    let mut note = private_file::options().create(true).write(true).truncate(true).open(note)?;
    note.write_all(address.to_string().as_bytes())
}

/// A serving process.
pub struct Server {
    pub address: SocketAddr,
    /// Tells other processes where this one serves.
    note: Option<std::path::PathBuf>,
    core: Core,
    api: web::Data<Api>,
    handle: ServerHandle,
    http: JoinHandle<std::io::Result<()>>,
    projecting: Watched<ProjectorActor>,
    watching_wal: JoinHandle<()>,
    runtime: Handle,
}

impl Server {
    /// Starts timers and HTTP on `core`. Must run on an actix system; `runtime` is the one that `core` was opened on.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub fn start(core: Core, settings: &Settings, runtime: Handle) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { what: "the HTTP interface", address: settings.listen, source };
        // Before anything runs: a taken address is the commonest reason for a start that fails.
        let listener = bind(settings.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let metrics = core.metrics.clone();
        let collector = CollectorHandle::start(
            core.collector.clone(),
            runtime.clone(),
            settings.collect_every,
            core.ids.clone(),
            metrics.clone(),
        );
        let reconciler = ReconcilerHandle::start(
            core.reconciler.clone(),
            runtime.clone(),
            settings.reconcile_every,
            core.ids.clone(),
            metrics.clone(),
        );
        let inspector = InspectorHandle::start(
            core.inspector.clone(),
            runtime.clone(),
            settings.collect_every,
            core.ids.clone(),
            metrics.clone(),
        );
        let (projector, on) = (core.projector.clone(), runtime.clone());
        let projecting = Watched::start(move || ProjectorActor::new(projector.clone(), on.clone()));
        let wal = settings.database.wal_watch();
        let watching_wal = runtime.spawn(wal.clone().run(Sleeper::system()));
        let api = web::Data::new(Api {
            service: core.service.clone(),
            journal: core.journal.clone(),
            read_models: core.read_models.clone(),
            projector: core.projector.clone(),
            guard: core.guard.clone(),
            gateway: core.gateway.clone(),
            ticket_ttl: settings.policy.ticket_ttl(),
            wal,
            collector,
            inspector,
            reconciler,
            keys: KeyRing::new(settings.api_keys.clone()),
            allowed_hosts: settings.allowed_hosts.clone(),
            max_content_length: settings.policy.max_content_length().bytes(),
            clock: core.clock.clone(),
            ids: core.ids.clone(),
            metrics,
            verifying: Verifying::default(),
            runtime: runtime.clone(),
        });
        let listening = Listening { workers: HTTP_WORKERS, drain_seconds: DRAIN_SECONDS };
        let server = listen::serve(api.clone(), listener, &listening).map_err(listen)?;
        let handle = server.handle();
        let note = settings.database.address_note();
        // Only for the words of a refusal, so nothing depends on it.
        if let Some(Err(error)) = note.as_ref().map(|note| tell(note, address)) {
            tracing::warn!(%error, "other processes are not told where this one serves");
        }
        Ok(Self { note, address, core, api, handle, http: actix::spawn(server), projecting, watching_wal, runtime })
    }

    /// Returns only if something ends by itself that the process is of no use without, which is a failure: a supervisor then
    /// starts it again, and what was acknowledged is on disk.
    pub async fn broken(&mut self) -> std::io::Error {
        let embedded = async {
            match &self.core.embedded {
                Some(embedded) => embedded.broken().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut self.http => match ended {
                Ok(Err(error)) => error,
                Ok(Ok(())) => std::io::Error::other("the HTTP interface has ended"),
                Err(error) => std::io::Error::other(error),
            },
            () = self.core.journal.ended() => {
                std::io::Error::other("the journal's writer has broken off; see the log, and start the process again")
            }
            () = embedded => {
                std::io::Error::other("the embedded S3 server's writer has broken off; see the log, and start the process again")
            }
        }
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn keys(&self) -> &KeyRing {
        &self.api.keys
    }

    /// Stops accepting, drains, stops the timers, flushes the writer, lets the projector finish, closes the databases,
    /// and the embedded S3 server last, since a collection run may still need it.
    pub async fn stop(self) {
        let Self { core, api, handle, projecting, watching_wal, runtime, note, .. } = self;
        // What it may be at is done as well or not at all when the databases close.
        watching_wal.abort();
        // Not here, where a file system that hangs would hold up all that follows.
        drop(note.map(|note| runtime.spawn_blocking(move || std::fs::remove_file(note))));
        tracing::info!(deadline_s = DRAIN_SECONDS, "stopping: open requests may end");
        handle.stop(true).await;
        projecting.retire();
        // A run that is cut off leaves claims, which the next process finishes.
        let ended = async { tokio::join!(api.collector.stop(), api.inspector.stop(), api.reconciler.stop()) };
        if tokio::time::timeout(RUN_MAY_TAKE, ended).await.is_err() {
            tracing::warn!(deadline_s = RUN_MAY_TAKE.as_secs(), "a run is cut off; the next process goes on");
        }
        drop(api);
        match tokio::time::timeout(CLOSING_MAY_TAKE, runtime.spawn(core.close())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("closing broke off; what was acknowledged is on disk"),
            Err(_) => tracing::error!(
                deadline_s = CLOSING_MAY_TAKE.as_secs(),
                "not all is closed, and it is left so; what was acknowledged is on disk"
            ),
        }
    }
}
