//! Two addresses of one bucket: tickets lead to the one that clients reach, all else goes to the other.

use std::sync::{Arc, OnceLock};

use reqwest::{StatusCode, Url};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::app::{TestApp, embedded_keys, id, wish};

const BYTES: &[u8] = b"some bytes";

/// Asks the server behind it, one request per connection.
struct ReverseProxy {
    address: String,
    server: Arc<OnceLock<String>>,
    task: JoinHandle<()>,
}

/// What becomes of a request's head: the path that the client asked for, and its host.
type Rewrite = fn(path: &str, host: &str, server: &str) -> (String, String);

impl ReverseProxy {
    async fn start(rewrite: Rewrite) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it listens").to_string();
        let server = Arc::new(OnceLock::<String>::new());
        let behind = server.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Without a server the connection just ends.
                if let Some(server) = behind.get() {
                    tokio::spawn(pass_on(client, server.clone(), rewrite));
                }
            }
        });
        Self { address, server, task }
    }

    fn leads_to(&self, endpoint: &str) {
        let server = endpoint.trim_start_matches("http://").to_owned();
        self.server.set(server).expect("it leads nowhere yet");
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut client: TcpStream, server: String, rewrite: Rewrite) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let is_host = |line: &&str| line.to_ascii_lowercase().starts_with("host:");
    let (hosts, others): (Vec<&str>, Vec<&str>) = lines.partition(is_host);
    let (path, host) = rewrite(path, hosts.first()?[5..].trim(), &server);
    let mut asked = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for line in others.into_iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:")) {
        asked.extend([line, "\r\n"]);
    }
    let mut upstream = TcpStream::connect(&server).await.ok()?;
    upstream.write_all(asked.as_bytes()).await.ok()?;
    upstream.write_all(&bytes[end + 2..]).await.ok()?;
    copy_bidirectional(&mut client, &mut upstream).await.ok().map(drop)
}

/// As a published port does, or a proxy that is told to.
fn leaves_all(path: &str, host: &str, _: &str) -> (String, String) {
    (path.to_owned(), host.to_owned())
}

/// As a proxy does that is told nothing else.
fn rewrites_the_host(path: &str, _: &str, server: &str) -> (String, String) {
    (path.to_owned(), server.to_owned())
}

/// As a CDN before one bucket, at a folder of its own.
fn names_the_bucket(path: &str, _: &str, server: &str) -> (String, String) {
    (path.replacen("/cdn/", "/media/", 1), server.to_owned())
}

/// A service on the embedded server of `host`, which its clients reach at `public`.
async fn behind(host: &TestApp, public: &str, style: Option<&str>, keeps_host: Option<&str>) -> TestApp {
    let (endpoint, access, secret) = embedded_keys(host);
    let text = |value: &str| Some(value.to_owned());
    TestApp::start_embedded(|raw| {
        raw.s3_endpoint = Some(endpoint);
        raw.s3_public_endpoint = text(public);
        raw.s3_public_style = style.and_then(text);
        raw.s3_public_keeps_host = keeps_host.and_then(text);
        raw.s3_bucket = Some(host.parts.gateway.bucket().to_string());
        // A folder for each, since a bucket's folder belongs to one journal.
        raw.s3_prefix = text(if keeps_host.is_none() { "behind" } else { "behind-a-cdn" });
        raw.s3_access_key = Some(access);
        raw.s3_secret_key = Some(secret);
    })
    .await
}

fn url(media: &Value) -> &str {
    media["upload"]["url"].as_str().expect("a ticket")
}

async fn public_check(app: &TestApp) -> (StatusCode, String, String) {
    // A start does not wait long for the server; this look waits for what it has begun.
    app.check_bucket().await;
    let (status, ready) = app.get("/readyz").await;
    let check = ready["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "s3-public-endpoint");
    let text = |name: &str| check.expect("the check")[name].as_str().expect("text").to_owned();
    (status, text("status"), text("detail"))
}

#[tokio::test]
async fn tickets_lead_to_the_published_port_and_all_else_goes_to_the_server() {
    let host = TestApp::start_embedded(|_| {}).await;
    let proxy = ReverseProxy::start(leaves_all).await;
    proxy.leads_to(&host.parts.s3_address);
    // Another name of the same machine, as in a composition of containers.
    let public = format!("http://localhost:{}", proxy.address.rsplit(':').next().expect("a port"));
    let app = behind(&host, &public, None, None).await;
    let (status, check, detail) = public_check(&app).await;
    assert_eq!((status, check.as_str()), (StatusCode::OK, "ok"), "{detail}");
    assert_eq!(detail, "a ticket's upload is accepted at the address for clients");

    let media = app.uploaded(BYTES).await;
    assert!(url(&media).starts_with(&format!("{public}/media/behind/")), "{}", url(&media));
    drop(proxy);
    let (status, _) = app.post_empty(&format!("/v1/media/{}/confirm", id(&media))).await;
    assert_eq!(status, StatusCode::OK, "the bucket is asked at its own address");
    let unconfirmed = app.ticket(BYTES).await;
    assert_eq!(app.collect_later().await.due, 1);
    assert_eq!(app.state(&unconfirmed).await, "collected");
}

#[tokio::test]
async fn an_address_that_this_process_does_not_reach_is_given_out_and_said_to_be_untried() {
    let host = TestApp::start_embedded(|_| {}).await;
    let app = behind(&host, "http://127.0.0.1:1", None, None).await;
    let (status, check, detail) = public_check(&app).await;
    assert_eq!((status, check.as_str()), (StatusCode::OK, "ok"));
    assert!(detail.contains("whether clients reach it was not tried"), "{detail}");
    assert!(url(&app.ticket(BYTES).await).starts_with("http://127.0.0.1:1/media/"));
}

#[tokio::test]
async fn a_proxy_that_rewrites_the_host_is_noticed_and_can_be_signed_for() {
    let host = TestApp::start_embedded(|_| {}).await;
    let proxy = ReverseProxy::start(rewrites_the_host).await;
    proxy.leads_to(&host.parts.s3_address);
    let public = format!("http://{}", proxy.address);

    let app = behind(&host, &public, None, None).await;
    let (status, check, detail) = public_check(&app).await;
    assert_eq!((status, check.as_str()), (StatusCode::OK, "degraded"));
    assert!(detail.contains("SignatureDoesNotMatch") && detail.contains("s3_public_keeps_host"), "{detail}");
    let media = app.ticket(BYTES).await;
    assert_eq!(app.put(&media, BYTES).await.status(), StatusCode::FORBIDDEN);
    drop(app);

    let app = behind(&host, &public, None, Some("false")).await;
    let (_, check, detail) = public_check(&app).await;
    assert_eq!(check, "ok", "{detail}");
    app.confirmed(BYTES).await;
}

#[tokio::test]
async fn a_cdn_whose_address_is_the_buckets_own_can_be_signed_for() {
    let host = TestApp::start_embedded(|_| {}).await;
    let proxy = ReverseProxy::start(names_the_bucket).await;
    proxy.leads_to(&host.parts.s3_address);
    let app = behind(&host, &format!("http://{}/cdn/", proxy.address), Some("bucket"), Some("false")).await;
    let (_, check, detail) = public_check(&app).await;
    assert_eq!(check, "ok", "{detail}");
    let media = app.confirmed(BYTES).await;
    assert!(app.in_bucket(&media).await);
}

#[tokio::test]
async fn the_bucket_may_stand_in_the_public_hosts_name() {
    let host = TestApp::start_embedded(|_| {}).await;
    let app = behind(&host, "https://S3.example.org", Some("host"), None).await;
    let media = app.ticket(BYTES).await;
    let url = Url::parse(url(&media)).expect("an address");
    assert_eq!(url.host_str(), Some("media.s3.example.org"));
    assert_eq!(url.path(), format!("/{}", media["object_key"].as_str().expect("a key")));
}

#[tokio::test]
async fn an_address_of_another_server_is_an_alarm() {
    let host = TestApp::start_embedded(|_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let public = format!("http://{}", listener.local_addr().expect("it listens"));
    let server = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let _read = client.read(&mut request).await;
            let _sent = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    let app = behind(&host, &public, None, None).await;
    server.abort();
    let (status, check, detail) = public_check(&app).await;
    assert_eq!((status, check.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "failed"), "{detail}");
    assert!(detail.contains("leads to another server or bucket"), "{detail}");
}

#[tokio::test]
async fn the_embedded_server_can_be_public() {
    let proxy = ReverseProxy::start(leaves_all).await;
    let public = format!("http://localhost:{}", proxy.address.rsplit(':').next().expect("a port"));
    let app = TestApp::start_embedded(|raw| {
        raw.embedded_s3_listen = Some("0.0.0.0:0".to_owned());
        raw.embedded_s3_public_endpoint = Some(public.clone());
    })
    .await;
    proxy.leads_to(&app.parts.s3_address);
    let media = app.confirmed(BYTES).await;
    let (status, renewed) = app.post("/v1/media", wish(BYTES)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(url(&renewed).starts_with(&format!("{public}/media/media/")), "{}", url(&renewed));
    assert!(app.in_bucket(&media).await);
}
