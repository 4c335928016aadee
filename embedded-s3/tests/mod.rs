//! Tests of the whole server over real HTTP, on a port that the system assigns.

mod browser;
mod conditions;
mod copying;
mod crash;
mod crowd;
mod deleting;
mod disk;
mod faults;
mod listing;
mod objects;
mod opening;
mod presigned;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::bounds::Bounds;
use super::{EmbeddedS3, Settings};

const BUCKET: &str = "media";

struct Server {
    dir: PathBuf,
    url: String,
    store: EmbeddedS3,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(dir: &Path) -> Self {
        Self::start_within(dir, Bounds::of_files(1 << 20)).await
    }

    async fn start_within(dir: &Path, bounds: Bounds) -> Self {
        let dir = dir.join("s3");
        let settings = Settings { dir: dir.clone(), bucket: BUCKET.to_owned() };
        let store = EmbeddedS3::open_within(settings, bounds).await.expect("open");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(store.clone().serve(listener, async {
            let _ = stopped.await;
        }));
        Self { dir, url, store, stop, task }
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("serve");
    }

    fn client(&self) -> Client {
        self.client_with(RequestChecksumCalculation::WhenRequired)
    }

    fn client_with(&self, checksums: RequestChecksumCalculation) -> Client {
        client(&self.url, self.store.access_key(), self.store.secret_key(), checksums)
    }

    /// Files of objects, and of uploads under way.
    async fn files(&self) -> usize {
        self.store.all_removed().await;
        count(&self.dir.join("blobs")) + count(&self.dir.join("tmp"))
    }
}

fn client(url: &str, access_key: &str, secret_key: &str, checksums: RequestChecksumCalculation) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .region(Region::new("eu-central-1"))
        .endpoint_url(url)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .request_checksum_calculation(checksums)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}

async fn server() -> (TempDir, Server) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path()).await;
    (dir, server)
}

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .fold(0, |sum, path| sum + if path.is_dir() { count(&path) } else { 1 })
}

/// Status and S3 code of a failed call.
fn refusal<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E, HttpResponse>>) -> (u16, String) {
    let error = result.err().expect("a refusal");
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let code = error.as_service_error().and_then(|error| error.code()).unwrap_or("").to_owned();
    (status, code)
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn put(client: &Client, key: &str, body: &[u8]) {
    client.put_object().bucket(BUCKET).key(key).body(body.to_vec().into()).send().await.expect("put");
}

async fn get(client: &Client, key: &str) -> Option<Vec<u8>> {
    match client.get_object().bucket(BUCKET).key(key).send().await {
        Ok(object) => Some(object.body.collect().await.expect("a body").to_vec()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => None,
        Err(error) => panic!("get failed: {error:?}"),
    }
}

fn five_minutes() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(300)).expect("a config")
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A presigned request as it was signed; tests then change it.
fn raw(presigned: &PresignedRequest) -> reqwest::RequestBuilder {
    let method = presigned.method().parse().expect("a method");
    presigned
        .headers()
        .fold(http().request(method, presigned.uri()), |request, (name, value)| request.header(name, value))
}

/// The S3 code in an error's XML.
fn code(xml: &str) -> &str {
    xml.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next()).unwrap_or("")
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, code(&text).to_owned())
}
