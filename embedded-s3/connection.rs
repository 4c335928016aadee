//! One connection: HTTP/1.1 alone, with small buffers, closed when nothing happens on it.
//!
//! HTTP/2 is not spoken: without TLS no browser and no SDK asks for it, and each of its connections would carry as many
//! requests as a hundred others.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::Watcher;
use tokio::time::{Instant, Sleep};

use super::front::Front;
use super::instant;

/// How long a connection may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until its first byte.
    pub first: Duration,
    /// Between any two bytes, read or written.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // Longer than clients keep an idle connection (90 s is usual), so that it is they who close it.
        Self { first: Duration::from_secs(20), idle: Duration::from_secs(120) }
    }
}

/// From the end of a request to the end of the next one's headers: what is silent is closed before this.
const HEADERS: Duration = Duration::from_secs(150);
/// Bytes that are read ahead, and the most that a request's line and headers may have; S3 allows 8 KiB of headers.
const BUFFER: usize = 16 * 1024;

/// Serves one connection to its end.
pub(super) async fn serve<T>(front: Front, io: T, client: IpAddr, patience: Patience, watcher: Watcher)
where
    T: Read + Write + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(BUFFER)
        .serve_connection(Watched::new(io, patience), service_fn(move |request| front.clone().answer(request, client)));
    // A client that went away is its own affair.
    let _ended = watcher.watch(connection).await;
}

/// Fails once nothing was read or written for too long, whichever of the two is waited for.
struct Watched<T> {
    inner: T,
    /// When something was read or written last.
    last: Instant,
    limit: Duration,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl<T> Watched<T> {
    fn new(inner: T, Patience { first, idle }: Patience) -> Self {
        Self { inner, last: instant(), limit: first, idle, alarm: Box::pin(tokio::time::sleep(first)) }
    }

    fn watch<R>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.last = instant();
            self.limit = self.idle;
            return polled;
        }
        let deadline = self.last + self.limit;
        if self.alarm.deadline() != deadline {
            self.alarm.as_mut().reset(deadline);
        }
        ready!(self.alarm.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.watch(context, polled)
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.watch(context, polled)
    }
}
