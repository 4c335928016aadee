//! `zeroload serve`.

use std::{io::Write, process::ExitCode};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};
use zeroload_clock::{Clock, Ids};

use super::{Ended, fail};
use crate::{
    app::{Core, Server, StartError, serving_address},
    settings::Settings,
};

pub fn run(settings: &Settings, runtime: &Runtime, clock: Clock, ids: Ids) -> Ended {
    let core = match runtime.block_on(Core::open(settings, clock, ids)) {
        Ok(core) => core,
        Err(StartError::Journal(error)) if error.is_already_writing() => {
            return fail(format!("{error}\nask it at http://{}/readyz", serving_address(settings)));
        }
        Err(error) => return Err(error.into()),
    };
    runtime.block_on(core.look_at_bucket());
    let handle = runtime.handle().clone();
    actix_web::rt::System::new().block_on(async move {
        let mut server = Server::start(core, settings, handle)?;
        // Before it is announced: whoever reads that may stop it.
        let mut signals = Signals::listen()?;
        announce(&server, settings);
        let broken = signals.wait_for_stop(&mut server).await;
        tokio::select! {
            () = server.stop() => {}
            () = signals.stop() => tracing::warn!("a second signal: ended at once; what was acknowledged is on disk"),
        }
        match broken {
            Some(error) => Err(error.into()),
            None => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Says on standard output where everything is, so that a script can read the ports that the system chose. A thread of its
/// own waits for whoever reads it; what nobody can read keeps nothing from being served.
fn announce(server: &Server, settings: &Settings) {
    let lines = lines(server, settings);
    let say = move || {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "standard output could not be written: where everything is stands in /docs");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("announce".to_owned()).spawn(say) {
        tracing::warn!(%error, "standard output could not be written: where everything is stands in /docs");
    }
}

/// Where everything is.
fn lines(server: &Server, settings: &Settings) -> String {
    let address = server.address;
    let public = settings.embedded_s3_public.as_ref().or_else(|| settings.s3.as_ref()?.public.as_ref());
    let public = public.map_or_else(String::new, |public| format!(", clients at {}", public.endpoint));
    let s3 = match &server.core().embedded {
        Some(s3) => format!("http://{} (embedded, bucket {}{public})", s3.address, s3.bucket),
        None => format!("{} (bucket {}{public})", server.core().gateway.store(), server.core().gateway.bucket()),
    };
    let note = server.core().guard.last().problem().map_or_else(String::new, |problem| format!("Note  {problem}\n"));
    let data = settings.data_dir.display();
    format!("API   http://{address}/v1\nDocs  http://{address}/openapi.json\nS3    {s3}\nData  {data}\n{note}")
}

/// The signals that a server obeys.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns on SIGINT or SIGTERM, or with an error if a part ends by itself that the server is of no use without; on SIGHUP rereads the API keys.
    async fn wait_for_stop(&mut self, server: &mut Server) -> Option<std::io::Error> {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return None,
                _ = self.terminate.recv() => return None,
                error = server.broken() => return Some(error),
                _ = self.hangup.recv() => reread_keys(server),
            }
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn reread_keys(server: &Server) {
    match server.keys().reread() {
        Ok(Some(count)) => tracing::info!(keys = count, "API keys reread"),
        Ok(None) => tracing::info!("no file of API keys is set"),
        Err(error) => tracing::error!(%error, "API keys not reread; the old ones stay in force"),
    }
}
