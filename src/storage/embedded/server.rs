//! Accepts connections until it is told to stop.

use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::front::Front;

/// Longer than clients keep an idle connection (90 s is usual), so that it is they who close it.
const IDLE: Duration = Duration::from_secs(120);
/// How long requests under way may take once we are told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which mostly means that files have run out.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(front: Front, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
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
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the embedded S3 server could not accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // A small answer should not wait for more to send; that it might costs time, not truth.
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        let connection = builder
            .serve_connection(TokioIo::new(stream), service_fn(move |request| front.clone().answer(request)))
            .into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A client that went away is its own affair.
            let _ = connection.await;
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(grace_s = GRACE.as_secs(), "the embedded S3 server cut requests that were under way");
    }
    connections.shutdown().await;
}
