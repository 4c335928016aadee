//! The servers that tests of this module run against: a real S3 server, and a scripted one for answers that a real
//! server cannot be made to give.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use chrono::{DateTime, Utc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use uuid::Uuid;
use zeroload_domain::{Bucket, ByteSize, ContentType, KeyPrefix, MediaId, ObjectKey, Store, Tenant};
use zeroload_embedded_s3::{self, Effect, EmbeddedS3, Fault, Faults};

use super::{
    Gateway, GatewaySettings, KeepsVersions, Location, NotFoundLook, StaticKeys, TicketSpec, Upload, head::Head,
};

#[expect(clippy::disallowed_methods, reason = "a real server compares the dates of requests with its own clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

#[expect(clippy::disallowed_methods, reason = "what another run left on a real server must not be met")]
pub fn fresh_id() -> Uuid {
    Uuid::now_v7()
}

/// A real server, and settings for a gateway to it under a prefix that no other test uses.
pub struct RealServer {
    pub settings: GatewaySettings,
    /// Only for the embedded server.
    pub faults: Option<Faults>,
    /// The embedded server's folder, which is removed with the test.
    _dir: Option<TempDir>,
}

impl RealServer {
    /// The server that `ZEROLOAD_TEST_S3_ENDPOINT`, `_REGION`, `_BUCKET`, `_ACCESS_KEY` and `_SECRET_KEY` name (as
    /// `scripts/radosgw` writes them), else an embedded one.
    pub async fn start() -> Self {
        match std::env::var("ZEROLOAD_TEST_S3_ENDPOINT") {
            Ok(endpoint) => Self::named(endpoint),
            Err(_) => Self::embedded().await,
        }
    }

    fn named(endpoint: String) -> Self {
        let variable = |name: &str| {
            let name = format!("ZEROLOAD_TEST_S3_{name}");
            std::env::var(&name).unwrap_or_else(|_| panic!("with ZEROLOAD_TEST_S3_ENDPOINT also {name} must be set"))
        };
        let keys =
            StaticKeys { access_key: variable("ACCESS_KEY"), secret_key: variable("SECRET_KEY"), session_token: None };
        Self {
            settings: real_settings(endpoint, variable("REGION"), variable("BUCKET"), keys),
            faults: None,
            _dir: None,
        }
    }

    async fn embedded() -> Self {
        let dir = TempDir::new().unwrap();
        let settings =
            zeroload_embedded_s3::Settings { dir: dir.path().join("s3"), bucket: "zeroload-test".to_owned() };
        let server = EmbeddedS3::open(settings).await.unwrap();
        let keys = StaticKeys {
            access_key: server.access_key().to_owned(),
            secret_key: server.secret_key().to_owned(),
            session_token: None,
        };
        let bucket = server.bucket().to_owned();
        let faults = Some(server.faults().clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // The server's task ends with the test's runtime.
        tokio::spawn(server.serve(listener, std::future::pending()));
        Self { settings: real_settings(endpoint, "us-east-1".to_owned(), bucket, keys), faults, _dir: Some(dir) }
    }

    /// The embedded server, with these faults.
    pub async fn with(faults: &[Effect]) -> Self {
        let server = Self::embedded().await;
        let scripted = server.faults.as_ref().unwrap();
        faults.iter().for_each(|effect| scripted.add(Fault::new(*effect)));
        server
    }

    /// A gateway that knows this server's 404s, as after a probe.
    pub async fn gateway(&self) -> Gateway {
        probed(self.settings.clone()).await
    }

    /// A gateway to a bucket with versions on this server, if there is one.
    pub async fn versioned(&self) -> Option<Gateway> {
        let bucket = std::env::var("ZEROLOAD_TEST_S3_VERSIONED_BUCKET").ok()?;
        Some(probed(GatewaySettings { bucket: Bucket::parse(bucket).unwrap(), ..self.settings.clone() }).await)
    }
}

async fn probed(settings: GatewaySettings) -> Gateway {
    let gateway = Gateway::connect(settings).await.unwrap();
    learn_not_found(&gateway).await;
    gateway
}

/// Makes the gateway know its server's 404s, as after a probe.
pub async fn learn_not_found(gateway: &Gateway) {
    match gateway.ask_head(&gateway.prefix().probe("never"), None).await {
        Ok(Head::NotFound(look)) => gateway.expect_not_found(look),
        _ => panic!("the server does not say that a key is missing"),
    }
}

fn real_settings(endpoint: String, region: String, bucket: String, keys: StaticKeys) -> GatewaySettings {
    GatewaySettings {
        bucket: Bucket::parse(bucket).unwrap(),
        store: Store::parse("test").unwrap(),
        endpoint: Some(endpoint),
        region: Some(region),
        path_style: true,
        public: None,
        fips: false,
        dual_stack: false,
        prefix: KeyPrefix::parse(&format!("t/{}", fresh_id())).unwrap(),
        keys: Some(keys),
        ticket_keys: None,
        keeps_versions: KeepsVersions::AsAsked,
    }
}

/// Settings for a server that need not exist.
pub fn settings(endpoint: Option<&str>) -> GatewaySettings {
    GatewaySettings {
        bucket: Bucket::parse("photos").unwrap(),
        store: Store::parse("test").unwrap(),
        endpoint: endpoint.map(str::to_owned),
        region: Some("eu-central-1".to_owned()),
        path_style: endpoint.is_some(),
        public: None,
        fips: false,
        dual_stack: false,
        prefix: KeyPrefix::parse("media").unwrap(),
        keys: Some(StaticKeys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "hush".to_owned(),
            session_token: None,
        }),
        ticket_keys: None,
        keeps_versions: KeepsVersions::AsAsked,
    }
}

/// An item of a gateway's bucket.
pub struct Item {
    pub store: Store,
    pub bucket: Bucket,
    pub object_key: ObjectKey,
    pub content_type: ContentType,
}

impl Item {
    pub fn fresh(gateway: &Gateway) -> Self {
        Self::with_id(gateway, fresh_id())
    }

    pub fn with_id(gateway: &Gateway, id: Uuid) -> Self {
        let content_type = ContentType::parse("image/jpeg").unwrap();
        let tenant = Tenant::parse("default").unwrap();
        Self {
            store: gateway.store().clone(),
            bucket: gateway.bucket().clone(),
            object_key: ObjectKey::new(gateway.prefix(), &tenant, MediaId::from(id), &content_type),
            content_type,
        }
    }

    pub fn at(&self) -> Location<'_> {
        Location { store: &self.store, bucket: &self.bucket, object_key: &self.object_key }
    }

    pub fn ticket(&self, content_length: u64) -> TicketSpec<'_> {
        TicketSpec {
            at: self.at(),
            content_type: &self.content_type,
            content_length: ByteSize::new(content_length),
            checksum_sha256: None,
            file_name: None,
        }
    }
}

/// Sends an upload as any HTTP client would, with exactly `upload.headers`.
pub async fn send(upload: &Upload, body: &'static [u8]) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.put(&upload.url).body(body);
    for (name, value) in &upload.headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.unwrap_or_else(|error| panic!("{}", error.without_url()));
    answer.status().as_u16()
}

/// A server with scripted answers, one per connection, byte for byte; the last answer is given again and again. For an
/// empty answer the server hangs up.
pub struct Scripted {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub async fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let next = AtomicUsize::new(0);
            while let Ok((mut connection, _)) = listener.accept().await {
                let request = read_request(&mut connection).await;
                let turn = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
                seen.lock().unwrap().push(request);
                let _ = connection.write_all(answers[turn].as_bytes()).await;
            }
        });
        Self { endpoint, requests, task }
    }

    /// A gateway to this server, which takes its 404s for S3's own.
    pub async fn gateway(&self) -> Gateway {
        let gateway = Gateway::connect(settings(Some(&self.endpoint))).await.unwrap();
        gateway.expect_not_found(NotFoundLook::of_s3());
        gateway
    }

    /// The requests so far, whole.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().filter_map(|line| line.split_once(": "));
            let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = length.next_back().map_or(0, |(_, value)| value.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

/// An answer with a whole body.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// An answer to HEAD.
pub fn bare(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}connection: close\r\n\r\n")
}

/// S3's answer to a HEAD of a missing key.
pub fn missing() -> String {
    bare(404, "x-amz-request-id: 1\r\n")
}

/// An answer without a length: it ends with the connection, so HTTP does not show whether it was cut.
pub fn until_close(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")
}

pub fn error_body(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>")
}
