//! Accepts connections until the server is told to stop.

use std::io::Write as _;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::bounds::Admission;
use super::connection::{self, Patience};
use super::front::Front;

/// How long requests under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which mostly means that the process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);
/// The answer on a connection for which there is no room.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

pub(super) async fn run(
    front: Front,
    admission: Admission,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) {
    let graceful = GracefulShutdown::new();
    // Dropping the set ends all connections that are still open, also when `serve` itself is dropped.
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
        // A small answer should not wait for more bytes to send. A failure costs time only.
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

/// Sends the 503 if that is possible without waiting, and closes the connection.
fn turn_away(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _unheard = stream.write(NO_ROOM);
    }
}
