//! Many clients at once, slow clients, and greedy ones.

use std::net::{IpAddr, Ipv4Addr};

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::browser::{connect, head_of, target};
use super::*;
use crate::connection::{self, Patience};

/// A PUT of ten bytes of which the first five have arrived in their file.
async fn half_sent(server: &Server, key: &str) -> TcpStream {
    let before = count(&server.dir.join("tmp"));
    let (path, host) = target(server, key).await;
    let mut stream = connect(server).await;
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\nif-none-match: *\r\ncontent-length: 10\r\n\r\nhello");
    stream.write_all(head.as_bytes()).await.expect("send");
    while count(&server.dir.join("tmp")) == before {
        tokio::task::yield_now().await;
    }
    stream
}

async fn finish(mut stream: TcpStream) -> String {
    stream.write_all(b"world").await.expect("send");
    head_of(&mut stream).await
}

async fn put_whole(server: &Server, key: &str) -> reqwest::Response {
    let (path, _) = target(server, key).await;
    let request = http().put(format!("{}{path}", server.url)).header("if-none-match", "*").body("helloworld");
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_one_upload_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let bounds = Bounds { yields_after: Duration::MAX, ..Bounds::of_files(1 << 20) };
    let server = Server::start_within(dir.path(), bounds).await;
    let first = half_sent(&server, "k").await;
    for _ in 0..30 {
        let refused = put_whole(&server, "k").await;
        assert_eq!(refused.status(), 409);
        assert_eq!(code(&refused.text().await.expect("a body")), "ConditionalRequestConflict");
    }
    assert_eq!(count(&server.dir.join("tmp")), 1, "one ticket has one file");
    assert_eq!(put_whole(&server, "other").await.status(), 200);
    assert!(finish(first).await.starts_with("HTTP/1.1 200"));
    assert_eq!(put_whole(&server, "k").await.status(), 412);

    // A client that goes away frees its ticket.
    let second = half_sent(&server, "l").await;
    drop(second);
    while put_whole(&server, "l").await.status() == 409 {}
    assert_eq!(get(&server.client(), "l").await.as_deref(), Some(&b"helloworld"[..]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_line_broke_sends_its_ticket_again_without_waiting() {
    let dir = tempfile::tempdir().expect("a directory");
    let bounds = Bounds { yields_after: Duration::ZERO, ..Bounds::of_files(1 << 20) };
    let server = Server::start_within(dir.path(), bounds).await;
    let mut first = half_sent(&server, "k").await;
    assert_eq!(put_whole(&server, "k").await.status(), 200);
    assert!(head_of(&mut first).await.starts_with("HTTP/1.1 409"));
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_beyond_the_bound_are_told_to_slow_down_and_when_to_come_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let server =
        Server::start_within(dir.path(), Bounds { connections: 64, uploads: 4, yields_after: Duration::MAX }).await;
    let mut under_way = vec![half_sent(&server, "a").await, half_sent(&server, "b").await];
    let refused = put_whole(&server, "c").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(code(&refused.text().await.expect("a body")), "SlowDown");
    assert!(finish(under_way.pop().expect("two")).await.starts_with("HTTP/1.1 200"));
    assert_eq!(put_whole(&server, "c").await.status(), 200);
    assert!(finish(under_way.pop().expect("one")).await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_bound_is_turned_away_and_one_that_ends_makes_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let server =
        Server::start_within(dir.path(), Bounds { connections: 4, uploads: 4, yields_after: Duration::MAX }).await;
    let ask = b"OPTIONS / HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&server).await;
        stream.write_all(ask).await.expect("send");
        assert!(head_of(&mut stream).await.starts_with("HTTP/1.1 400"));
        open.push(stream);
    }
    let mut text = String::new();
    connect(&server).await.read_to_string(&mut text).await.expect("an answer");
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"), "{text}");
    open.pop();
    loop {
        let mut stream = connect(&server).await;
        let mut answer = [0; 12];
        // The connection is reset if it is turned away while the request is sent.
        if stream.write_all(ask).await.is_ok() && stream.read_exact(&mut answer).await.is_ok() && &answer[9..] == b"400"
        {
            break;
        }
    }
    server.stop().await;
}

#[test]
fn uploads_that_wait_for_their_clients_hold_no_thread() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(4).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (_dir, server) = server().await;
        let mut slow = Vec::new();
        for number in 0..20 {
            slow.push(half_sent(&server, &format!("slow-{number}")).await);
        }
        assert_eq!(put_whole(&server, "quick").await.status(), 200);
        assert_eq!(get(&server.client(), "quick").await.as_deref(), Some(&b"helloworld"[..]));
        for stream in slow {
            assert!(finish(stream).await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(server.files().await, 21);
        server.stop().await;
    });
}

#[tokio::test]
async fn a_connection_on_which_nothing_happens_is_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = Settings { dir: dir.path().join("s3"), bucket: BUCKET.to_owned() };
    let store = EmbeddedS3::open(settings).await.expect("open");
    let patience = Patience { first: Duration::from_millis(20), idle: Duration::from_millis(20) };
    for (sent, room) in [
        ("", 1000),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1000),
        ("PUT /media/k HTTP/1.1\r\nhost:", 1000),
        // The connection is answered, and then idle.
        ("OPTIONS / HTTP/1.1\r\nhost: x\r\n\r\n", 1000),
        // The client does not read its answer.
        ("OPTIONS / HTTP/1.1\r\nhost: x\r\n\r\n", 40),
    ] {
        let (mut client, io) = tokio::io::duplex(room);
        client.write_all(sent.as_bytes()).await.expect("send");
        let graceful = GracefulShutdown::new();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        connection::serve(store.front(), TokioIo::new(io), address, patience, graceful.watcher()).await;
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("it is closed");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_not_spoken() {
    let (_dir, server) = server().await;
    let mut stream = connect(&server).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("send");
    let mut answer = Vec::new();
    // A reset ends a connection too.
    let _end = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
    server.stop().await;
}
