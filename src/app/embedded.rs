//! The embedded S3 server beside the service: its listener, its task, its end.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use zeroload_domain::{Bucket, Store};
use zeroload_embedded_s3::{self as embedded, EmbeddedS3, Faults};

use super::StartError;
use crate::{
    settings::Settings,
    storage::{GatewaySettings, KeepsVersions, StaticKeys},
};

/// The embedded S3 server of this process.
pub struct RunningS3 {
    pub address: SocketAddr,
    pub bucket: String,
    pub faults: Faults,
    store: EmbeddedS3,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningS3 {
    /// Returns when its writer has ended.
    pub(super) async fn broken(&self) {
        self.store.writer_ended().await;
    }

    pub(super) async fn stop(self) {
        // Its receiver goes away only with the task itself.
        let _gone = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the embedded S3 server broke off");
        }
    }
}

pub(super) async fn start(settings: &Settings) -> Result<(GatewaySettings, RunningS3), StartError> {
    let bucket = "media".to_owned();
    let dir = settings.data_dir.join("s3");
    let server = EmbeddedS3::open(embedded::Settings { dir, bucket: bucket.clone() }).await?;
    let wanted = settings.embedded_s3_listen;
    let listen = |source| StartError::Listen { what: "the embedded S3 server", address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(listen)?;
    let mut address = listener.local_addr().map_err(listen)?;
    if address.ip().is_unspecified() {
        if settings.embedded_s3_public.is_none() {
            tracing::warn!(
                listen = %wanted,
                "the embedded S3 server listens to other machines, and tickets lead to this one alone: set \
                 embedded_s3_public_endpoint to the address at which clients reach it"
            );
        }
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let keys = StaticKeys {
        access_key: server.access_key().to_owned(),
        secret_key: server.secret_key().to_owned(),
        session_token: None,
    };
    let (faults, store) = (server.faults().clone(), server.clone());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(listener, async move {
        // A sender that was dropped means the same as one that has sent.
        let _either_way = stopped.await;
    }));
    let s3 = GatewaySettings {
        prefix: settings.s3_prefix.clone(),
        bucket: Bucket::parse(bucket.as_str())?,
        store: Store::parse("embedded")?,
        endpoint: Some(format!("http://{address}")),
        region: Some("us-east-1".to_owned()),
        path_style: true,
        public: settings.embedded_s3_public.clone(),
        fips: false,
        dual_stack: false,
        keys: Some(keys),
        ticket_keys: None,
        keeps_versions: KeepsVersions::AsAsked,
    };
    Ok((s3, RunningS3 { address, bucket, faults, store, stop, task }))
}
