//! Serves one connection: HTTP/1.1 alone, with small buffers, closed when it is idle.
//!
//! HTTP/2 is not spoken: without TLS no browser and no SDK asks for it, and one of its connections could carry as many
//! requests as a hundred HTTP/1.1 connections.

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
    /// Before the client's first byte.
    pub first: Duration,
    /// Between any two reads or writes of bytes.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // Longer than clients keep an idle connection (90 s is usual), so that clients close it first.
        Self { first: Duration::from_secs(20), idle: Duration::from_secs(120) }
    }
}

/// The longest time from the end of a request to the end of the next request's headers. A silent connection is closed
/// earlier.
const HEADERS: Duration = Duration::from_secs(150);
/// Bytes that are read ahead, and so the largest request line with headers; S3 allows 8 KiB of headers.
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
    // An error means that the client went away or was too slow, which needs no log line.
    let _ended = watcher.watch(connection).await;
}

/// A connection whose reads and writes fail once neither was possible for too long.
struct Watched<T> {
    inner: T,
    /// When bytes were last read or written.
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
