//! A whole service in this process, on ports that the system chooses and in a folder of its own.
//!
//! The bucket is the embedded server's, or the one that `ZEROLOAD_TEST_S3_ENDPOINT`, `_BUCKET`, `_ACCESS_KEY`,
//! `_SECRET_KEY` and `_REGION` name; there each test has a prefix of its own. The journal is in SQLite, or on Postgres where
//! `ZEROLOAD_TEST_JOURNAL` says so.

use std::{path::PathBuf, sync::Arc, thread::JoinHandle};

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use zeroload::{
    app::{Core, Server, StartError},
    background::{
        collector::{CollectOptions, Collector, RunError, RunReport},
        inspector::{self, Inspector},
        projector::Projector,
        reconciler::Reconciler,
    },
    media::{bucket::BucketGuard, commands::Origin},
    settings::{RawSettings, Settings},
    storage::Gateway,
};
use zeroload_clock::{Clock, Ids};
use zeroload_embedded_s3::Faults;
use zeroload_journal::{Head, Journal};

use crate::database::new_journal;

/// A running service, ended when it is dropped.
pub struct TestApp {
    pub url: String,
    pub client: Client,
    pub parts: Parts,
    pub raw: RawSettings,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    dir: Arc<tempfile::TempDir>,
}

/// What a test may touch beside the HTTP interface, by way of [`TestApp::on_runtime`].
#[derive(Clone)]
pub struct Parts {
    pub journal: Journal,
    pub collector: Arc<Collector>,
    pub inspector: Arc<Inspector>,
    pub reconciler: Arc<Reconciler>,
    pub projector: Arc<Projector>,
    pub guard: Arc<BucketGuard>,
    pub gateway: Gateway,
    /// Only where the embedded server is used.
    pub faults: Option<Faults>,
    pub runtime: tokio::runtime::Handle,
    /// Where the embedded server listens; empty where another one is used.
    pub s3_address: String,
}

impl TestApp {
    /// With the bucket that the environment names, else the embedded one.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings than the defaults of these tests.
    pub async fn start_with(change: impl FnOnce(&mut RawSettings)) -> Self {
        let mut raw = named_bucket();
        change(&mut raw);
        Self::open(raw, Arc::new(tempfile::tempdir().expect("a temporary folder"))).await.expect("the service starts")
    }

    /// With the embedded server, whatever the environment names: for tests that script its faults.
    pub async fn start_embedded(change: impl FnOnce(&mut RawSettings)) -> Self {
        let mut raw = RawSettings::default();
        change(&mut raw);
        Self::open(raw, Arc::new(tempfile::tempdir().expect("a temporary folder"))).await.expect("the service starts")
    }

    /// With the embedded server, on a clock of the test's.
    pub async fn start_on(clock: Clock, change: impl FnOnce(&mut RawSettings)) -> Self {
        let mut raw = RawSettings::default();
        change(&mut raw);
        let dir = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::open_on(clock, raw, dir).await.expect("the service starts")
    }

    /// Stops the service and starts it again on the same data.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut RawSettings)) -> Self {
        let mut raw = self.raw.clone();
        let dir = self.dir.clone();
        self.end().await;
        change(&mut raw);
        Self::open(raw, dir).await.expect("the service starts again")
    }

    /// Stops the service, changes its files, and starts it again.
    pub async fn restart_after(mut self, change: impl FnOnce()) -> Self {
        let (raw, dir) = (self.raw.clone(), self.dir.clone());
        self.end().await;
        change();
        Self::open(raw, dir).await.expect("the service starts again")
    }

    pub async fn open(raw: RawSettings, dir: Arc<tempfile::TempDir>) -> Result<Self, String> {
        Self::open_on(Clock::system(), raw, dir).await
    }

    async fn open_on(clock: Clock, mut raw: RawSettings, dir: Arc<tempfile::TempDir>) -> Result<Self, String> {
        let text = |value: &str| Some(value.to_owned());
        let data = dir.path().join("data");
        if raw.database_url.is_none() {
            raw.database_url = new_journal().await;
        }
        raw.data_dir = raw.data_dir.or_else(|| Some(data.display().to_string()));
        raw.listen = raw.listen.or_else(|| text("127.0.0.1:0"));
        raw.embedded_s3_listen = raw.embedded_s3_listen.or_else(|| text("127.0.0.1:0"));
        // Far away: these tests say themselves when a run takes place.
        raw.collect_every = raw.collect_every.or_else(|| text("1h"));
        let settings = Settings::try_from(raw.clone()).map_err(|error| error.to_string())?;
        let (started, start) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(settings, clock, started, stopped));
        let (url, parts) = start.await.expect("the service's thread answers").map_err(|error| error.to_string())?;
        let client = Client::builder().no_proxy().build().expect("a client");
        Ok(Self { url, client, parts, raw, stop: Some(stop), thread: Some(thread), dir })
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub async fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            tokio::task::spawn_blocking(move || thread.join()).await.expect("joined").expect("the service ended well");
        }
    }

    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.call(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.call(Method::POST, path).json(&body)).await
    }

    pub async fn post_empty(&self, path: &str) -> (StatusCode, Value) {
        read(self.call(Method::POST, path)).await
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        read(self.call(Method::DELETE, path)).await
    }

    /// A ticket for these bytes.
    pub async fn ticket(&self, bytes: &[u8]) -> Value {
        let (status, media) = self.post("/v1/media", wish(bytes)).await;
        assert_eq!(status, StatusCode::CREATED, "{media}");
        media
    }

    /// A ticket whose bytes are uploaded.
    pub async fn uploaded(&self, bytes: &[u8]) -> Value {
        let media = self.ticket(bytes).await;
        let answer = self.put(&media, bytes).await;
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        media
    }

    /// An item that is uploaded and confirmed.
    pub async fn confirmed(&self, bytes: &[u8]) -> Value {
        let media = self.uploaded(bytes).await;
        let (status, media) = self.post(&format!("/v1/media/{}/confirm", id(&media)), json!({})).await;
        assert_eq!(status, StatusCode::OK, "{media}");
        media
    }

    /// Sends the bytes with exactly the ticket's headers.
    pub async fn put(&self, media: &Value, bytes: &[u8]) -> Response {
        self.put_request(media, bytes).send().await.expect("the upload is answered")
    }

    pub fn put_request(&self, media: &Value, bytes: &[u8]) -> RequestBuilder {
        let upload = &media["upload"];
        let mut request = self.client.put(upload["url"].as_str().expect("a ticket")).body(bytes.to_vec());
        for (name, value) in upload["headers"].as_object().expect("headers") {
            request = request.header(name, value.as_str().expect("a value"));
        }
        request
    }

    /// Asks for a ticket once more until that is a new one, which it is when half of its life is over.
    pub async fn renewed(&self, media: &Value) -> Value {
        loop {
            let (status, renewed) = self.post_empty(&format!("/v1/media/{}/ticket", id(media))).await;
            assert_eq!(status, StatusCode::OK, "{renewed}");
            if renewed["sequence"] != media["sequence"] {
                return renewed;
            }
        }
    }

    pub async fn state(&self, media: &Value) -> String {
        let (status, now) = self.get(&format!("/v1/media/{}", id(media))).await;
        assert_eq!(status, StatusCode::OK, "{now}");
        now["state"].as_str().expect("a state").to_owned()
    }

    /// The types of an item's events, in order.
    pub async fn history(&self, media: &Value) -> Vec<String> {
        let (status, history) = self.get(&format!("/v1/media/{}/events", id(media))).await;
        assert_eq!(status, StatusCode::OK, "{history}");
        let events = history["events"].as_array().expect("events");
        events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// A collection run as of a time when everything that was requested with the default settings is due.
    pub async fn collect_later(&self) -> RunReport {
        let later = chrono::Utc::now() + chrono::TimeDelta::days(30);
        self.run_at(later, false).await.expect("the run ends")
    }

    /// A collection run as of `now`.
    pub async fn run_at(&self, now: chrono::DateTime<chrono::Utc>, dry_run: bool) -> Result<RunReport, RunError> {
        let collector = self.parts.collector.clone();
        self.on_runtime(async move { collector.run_at(now, dry_run).await }).await
    }

    /// The run that each process begins with has ended: what that one is at no other run is given.
    pub async fn first_run_has_ended(&self) {
        // The collector's runs take place one after the other.
        let (status, answer) = self.post("/v1/collections", json!({ "dry_run": true })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// As [`TestApp::run_at`], by somebody who overrides the brake.
    pub async fn override_at(&self, now: chrono::DateTime<chrono::Utc>) -> RunReport {
        let collector = self.parts.collector.clone();
        let by = Origin { request_id: "r-1".to_owned(), caller: "ops".to_owned(), route: "a test" };
        let wanted = CollectOptions { override_brake: Some(by), ..CollectOptions::default() };
        self.on_runtime(async move { collector.run_wanted(now, wanted).await }).await.expect("the run ends")
    }

    /// A run of the inspector as of `now`, on read models that are up to date.
    pub async fn inspect_at(
        &self,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<inspector::RunReport, inspector::RunError> {
        self.caught_up().await;
        let inspector = self.parts.inspector.clone();
        self.on_runtime(async move { inspector.run_at(now).await }).await
    }

    /// Looks at the bucket's marker now.
    pub async fn check_bucket(&self) {
        let guard = self.parts.guard.clone();
        self.on_runtime(async move { guard.check().await }).await;
    }

    /// The journal's last position.
    pub async fn head(&self) -> Head {
        let journal = self.parts.journal.clone();
        self.on_runtime(async move { journal.head().await }).await.expect("a head")
    }

    /// What touches database or S3 runs where the service's own work runs: a connection that is given back on a test's
    /// runtime would be lost when the test ends.
    pub async fn on_runtime<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.parts.runtime.spawn(work).await.expect("the work does not panic")
    }

    /// Whether the bucket holds the item's object, by a HEAD of the gateway.
    pub async fn in_bucket(&self, media: &Value) -> bool {
        let key = zeroload_domain::ObjectKey::parse(media["object_key"].as_str().expect("a key")).expect("our key");
        let gateway = self.parts.gateway.clone();
        let look = async move {
            let (store, bucket) = (gateway.store(), gateway.bucket());
            gateway.head(&zeroload::storage::Location { store, bucket, object_key: &key }).await
        };
        self.on_runtime(look).await.expect("the bucket answers").is_some()
    }

    /// The value of a metric's sample, such as `zeroload_late_uploads_total{found_by="notice"}`; 0 where it is not there.
    pub async fn metric(&self, sample: &str) -> u64 {
        let text = self.call(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a number"))
    }

    pub async fn caught_up(&self) {
        let projector = self.parts.projector.clone();
        self.on_runtime(async move { projector.run_once().await }).await.expect("the projector goes on");
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the service ended badly");
        }
    }
}

pub fn id(media: &Value) -> &str {
    media["id"].as_str().expect("an id")
}

/// The body of a request for a ticket, with the checksum of the bytes.
pub fn wish(bytes: &[u8]) -> Value {
    json!({
        "owner": "ann",
        "content_type": "image/jpeg",
        "content_length": bytes.len(),
        "checksum_sha256": zeroload_domain::Sha256Digest::of(bytes).to_string(),
    })
}

pub async fn read(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
}

/// Whether the tests run against a server that the environment names.
pub fn is_foreign() -> bool {
    std::env::var_os("ZEROLOAD_TEST_S3_ENDPOINT").is_some()
}

fn named_bucket() -> RawSettings {
    if !is_foreign() {
        return RawSettings::default();
    }
    let named =
        |name: &str| Some(std::env::var(format!("ZEROLOAD_TEST_S3_{name}")).unwrap_or_else(|_| panic!("{name}")));
    RawSettings {
        s3_endpoint: named("ENDPOINT"),
        s3_bucket: named("BUCKET"),
        s3_access_key: named("ACCESS_KEY"),
        s3_secret_key: named("SECRET_KEY"),
        s3_region: named("REGION"),
        // Of a server that does not say it.
        s3_versioning: std::env::var("ZEROLOAD_TEST_S3_VERSIONING").ok(),
        s3_prefix: Some(format!("test-{}", Ids::from_os().new_id(chrono::Utc::now()))),
        ..RawSettings::default()
    }
}

type Started = Result<(String, Parts), StartError>;

/// The life of the service: a runtime for database and S3, an actix system for actors and HTTP, as in `serve`.
fn serve(settings: Settings, clock: Clock, started: oneshot::Sender<Started>, stopped: oneshot::Receiver<()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    let handle_of_parts = handle.clone();
    actix_web::rt::System::new().block_on(async move {
        let opened = handle.spawn(async move {
            let core = Core::open(&settings, clock, Ids::from_os()).await;
            if let Ok(core) = &core {
                core.look_at_bucket().await;
            }
            (core, settings)
        });
        let (core, settings) = opened.await.expect("opening does not panic");
        let server = match core.and_then(|core| Server::start(core, &settings, handle)) {
            Ok(server) => server,
            Err(error) => {
                let _test_has_ended = started.send(Err(error));
                return;
            }
        };
        let core = server.core();
        let parts = Parts {
            journal: core.journal.clone(),
            collector: core.collector.clone(),
            inspector: core.inspector.clone(),
            reconciler: core.reconciler.clone(),
            projector: core.projector.clone(),
            guard: core.guard.clone(),
            gateway: core.gateway.clone(),
            faults: core.embedded.as_ref().map(|s3| s3.faults.clone()),
            runtime: handle_of_parts,
            s3_address: core.embedded.as_ref().map(|s3| format!("http://{}", s3.address)).unwrap_or_default(),
        };
        let _test_has_ended = started.send(Ok((format!("http://{}", server.address), parts)));
        let _either_way = stopped.await;
        server.stop().await;
    });
}

/// A client with the service's own credentials, for what happens to the bucket behind its back.
pub async fn s3_client(app: &TestApp) -> aws_sdk_s3::Client {
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
    let (endpoint, access, secret, region) = match &app.raw.s3_endpoint {
        Some(endpoint) => (
            endpoint.clone(),
            app.raw.s3_access_key.clone().expect("a key"),
            app.raw.s3_secret_key.clone().expect("a secret"),
            app.raw.s3_region.clone().expect("a region"),
        ),
        None => {
            let (endpoint, access, secret) = embedded_keys(app);
            (endpoint, access, secret, "us-east-1".to_owned())
        }
    };
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(region))
        .credentials_provider(Credentials::new(access, secret, None, None, "test"))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .force_path_style(true)
        .http_client(http);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// Puts the object of an item there past its ticket, with the service's own credentials.
pub async fn put_directly(
    app: &TestApp,
    media: &Value,
    put: impl FnOnce(PutObjectFluentBuilder) -> PutObjectFluentBuilder,
) {
    let key = media["object_key"].as_str().expect("a key").to_owned();
    let begun = s3_client(app).await.put_object().bucket(app.parts.gateway.bucket().as_str()).key(key);
    put(begun).send().await.expect("written");
}

/// Address, access key and secret of the embedded server of `app`.
pub fn embedded_keys(app: &TestApp) -> (String, String, String) {
    let file = std::fs::read_to_string(app.data_dir().join("s3/credentials.json")).expect("credentials");
    let keys: Value = serde_json::from_str(&file).expect("JSON");
    let text = |name: &str| keys[name].as_str().unwrap_or_else(|| panic!("{name} in {keys}")).to_owned();
    (app.parts.s3_address.clone(), text("access_key"), text("secret_key"))
}
