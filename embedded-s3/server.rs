//! Accepts connections until it is told to stop.

use std::io::Write as _;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::bounds::Admission;
use super::connection::{self, Patience};
use super::front::Front;

/// How long requests under way may take once we are told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which mostly means that files have run out.
const PAUSE: Duration = Duration::from_millis(100);
/// For a connection that there is no room for.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

pub(super) async fn run(
    front: Front,
    admission: Admission,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) {
    let graceful = GracefulShutdown::new();
    // Dropping the set ends what has not ended by itself, also when `serve` itself is dropped.
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, client) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                tracing::warn!(%error, "the embedded S3 server could not accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(connected) = admission.connect(client) else {
            turn_away(stream);
            continue;
        };
        // A small answer should not wait for more to send; that it might costs time, not truth.
        let _ = stream.set_nodelay(true);
        let (front, watcher) = (front.clone(), graceful.watcher());
        connections.spawn(async move {
            connection::serve(front, TokioIo::new(stream), client, Patience::default(), watcher).await;
            drop(connected);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(grace_s = GRACE.as_secs(), "the embedded S3 server cut requests that were under way");
    }
    connections.shutdown().await;
}

/// Says so where that takes no waiting.
fn turn_away(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _unheard = stream.write(NO_ROOM);
    }
}
