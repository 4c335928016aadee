//! What browsers and curl do: other origins, early answers, `Expect`, chunks, broken connections.

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

pub(super) async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).await.expect("connect")
}

/// Status line and headers of the next answer.
pub(super) async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Path and query of a presigned PUT that signs nothing but the host.
pub(super) async fn target(server: &Server, key: &str) -> (String, String) {
    let call = server.client().put_object().bucket(BUCKET).key(key);
    let ticket = call.presigned(five_minutes()).await.expect("a ticket");
    let path = ticket.uri().strip_prefix(&server.url).expect("our address").to_owned();
    (path, server.url.trim_start_matches("http://").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_from_any_origin_is_allowed() {
    let (_dir, server) = server().await;
    let response = http()
        .request(Method::OPTIONS, format!("{}/{BUCKET}/k?X-Amz-Signature=x", server.url))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,x-amz-checksum-sha256,if-none-match")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("access-control-allow-origin"), "*");
    assert_eq!(header("access-control-allow-methods"), "GET, PUT, HEAD, POST, DELETE");
    assert_eq!(header("access-control-allow-headers"), "content-type,x-amz-checksum-sha256,if-none-match");
    assert_eq!(header("access-control-max-age"), "3600");
    let plain = http().request(Method::OPTIONS, &server.url).send().await.expect("an answer");
    assert_eq!(plain.status(), 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_errors_can_be_read_by_a_page() {
    let (_dir, server) = server().await;
    let (path, _) = target(&server, "k").await;
    let url = format!("{}{path}", server.url);
    let ok = http().put(&url).header("origin", "https://app.example").body("x").send().await.expect("an answer");
    assert_eq!(ok.status(), 200);
    assert_eq!(ok.headers()["access-control-allow-origin"], "*");
    let head = server.client().head_object().bucket(BUCKET).key("k").send().await.expect("head");
    assert_eq!(head.content_type(), Some("binary/octet-stream"));
    let exposed = ok.headers()["access-control-expose-headers"].to_str().expect("text");
    assert!(exposed.contains("ETag") && exposed.contains("x-amz-request-id"), "{exposed}");
    let refused = http().get(&url).header("origin", "https://app.example").send().await.expect("an answer");
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
    let get = server.client().get_object().bucket(BUCKET).key("k").presigned(five_minutes()).await.expect("a url");
    for answer in [http().put(&url).body("x").send().await, raw(&get).send().await, http().get(&url).send().await] {
        let answer = answer.expect("an answer");
        // A browser may keep the answer to a request without an origin, and give it to a request with one.
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert!(answer.headers()["vary"].to_str().expect("text").starts_with("Origin"));
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_might_run_is_saved_and_what_it_shows_is_shown() {
    let (_dir, server) = server().await;
    let client = server.client();
    for (key, content_type, stored, shown) in [
        ("page", "text/html", Some("inline; filename*=UTF-8''a.html"), Some("attachment; filename*=UTF-8''a.html")),
        ("drawing", "image/svg+xml", None, Some("attachment")),
        ("photo", "image/png", Some("inline; filename*=UTF-8''a.png"), Some("inline; filename*=UTF-8''a.png")),
        ("film", "video/mp4", None, None),
    ] {
        let put = client.put_object().bucket(BUCKET).key(key).content_type(content_type);
        put.set_content_disposition(stored.map(str::to_owned)).send().await.expect("put");
        let got = client.get_object().bucket(BUCKET).key(key).send().await.expect("get");
        assert_eq!(got.content_disposition(), shown, "{key}");
        // HEAD returns the disposition as it was stored, so that it can be compared with the signed one.
        let head = client.head_object().bucket(BUCKET).key(key).send().await.expect("head");
        assert_eq!(head.content_disposition(), stored, "{key}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_put_is_answered_although_the_client_sends_on() {
    let (_dir, server) = server().await;
    let (path, host) = target(&server, "k").await;
    let path = path.replace("X-Amz-Signature=", "X-Amz-Signature=0");
    let body = vec![7; 8 * 1024 * 1024];
    let mut stream = connect(&server).await;
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("send");
    // This client reads only after it has sent everything.
    stream.write_all(&body).await.expect("the body is taken");
    // The connection is still good for the next request.
    stream.write_all(b"OPTIONS / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("send");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("no reset");
    assert!(text.starts_with("HTTP/1.1 40"), "{text}");
    assert!(text.contains("\r\n\r\n<?xml"), "{text}");
    assert!(text.contains("HTTP/1.1 400 Bad Request"), "{text}");
    assert_eq!(server.files().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on_or_not() {
    let (_dir, server) = server().await;
    let (path, host) = target(&server, "k").await;
    let head = |path: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        )
    };
    let mut stream = connect(&server).await;
    stream.write_all(head(&path).as_bytes()).await.expect("send");
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.expect("send");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");

    // A refused request gets no leave to send its body, so its connection is of no further use.
    let wrong = head(&path.replace("/k?", "/l?")).replace("connection: close\r\n", "");
    let mut stream = connect(&server).await;
    stream.write_all(wrong.as_bytes()).await.expect("send");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
    assert!(text.contains("connection: close\r\n"), "{text}");
    assert!(!text.contains("100 Continue"), "{text}");
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_411() {
    let (_dir, server) = server().await;
    let (path, _) = target(&server, "k").await;
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("hello")]);
    let request = http().put(format!("{}{path}", server.url)).body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(answer(request).await, refused(411, "MissingContentLength"));
    assert_eq!(server.files().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_breaks_off_leaves_nothing_behind() {
    let (_dir, server) = server().await;
    let (path, host) = target(&server, "k").await;
    let mut stream = connect(&server).await;
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("send");
    stream.write_all(&vec![7; 500_000]).await.expect("send");
    // Waits until the upload has its file, or the test would prove nothing.
    while server.files().await == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while server.files().await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&server.client(), "k").await, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests() {
    let (_dir, server) = server().await;
    let (path, host) = target(&server, "k").await;
    let mut stream = connect(&server).await;
    for _ in 0..3 {
        let request = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\n\r\nhello");
        stream.write_all(request.as_bytes()).await.expect("send");
        let head = head_of(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_refused_and_never_a_500() {
    let (_dir, server) = server().await;
    let (path, host) = target(&server, "k").await;
    for (line, headers) in [
        ("GET /%ff HTTP/1.1", ""),
        ("PUT /UPPER/k HTTP/1.1", "content-length: 0\r\n"),
        ("PATCH /media/k HTTP/1.1", ""),
        ("GET /media/k?X-Amz-Signature=%zz&X-Amz-SignedHeaders=host HTTP/1.1", ""),
        ("GET /media/k HTTP/1.1", "authorization: AWS4-HMAC-SHA256 nonsense\r\n"),
        ("GET /media/k HTTP/1.1", "authorization: AWS4-HMAC-SHA256 SignedHeaders=host\r\n"),
        (&format!("PUT {path} HTTP/1.1"), "content-length: 0\r\nrange: x\r\ncontent-md5: \r\n"),
        (&format!("PUT {path} HTTP/1.1"), "content-length: 0\r\nif-match: nonsense\r\n"),
        (&format!("PUT {path} HTTP/1.1"), "content-length: 9999999999999\r\n"),
        (&format!("PUT {path} HTTP/1.1"), "content-length: 0\r\nexpires: soon\r\n"),
    ] {
        let mut stream = connect(&server).await;
        let request = format!("{line}\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("send");
        let text = head_of(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 501"), "{line} {headers}: {text}");
    }
    assert_eq!(server.files().await, 0);
    server.stop().await;
}
