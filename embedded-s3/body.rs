//! A request body that returns its unread rest when its reader drops it, so that the bytes that a refused request still
//! sends can be read and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

/// Bytes that are read and thrown away at most, so that the client sees an early answer.
const DRAIN: usize = 64 * 1024 * 1024;
/// How long to wait for a client that has its answer and sends nothing.
const SILENCE: Duration = Duration::from_secs(5);
/// How long to wait for the rest of a body in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of a request, lent to its reader.
pub(super) struct Lent {
    inner: Option<Incoming>,
    touched: bool,
    back: Option<oneshot::Sender<Leftover>>,
}

/// The unread rest of a body.
pub(super) struct Leftover {
    inner: Incoming,
    touched: bool,
}

pub(super) fn lend(inner: Incoming) -> (Lent, oneshot::Receiver<Leftover>) {
    let (back, leftover) = oneshot::channel();
    (Lent { inner: Some(inner), touched: false, back: Some(back) }, leftover)
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.touched = true;
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(inner), Some(back)) = (self.inner.take(), self.back.take())
            && !inner.is_end_stream()
        {
            // An error means that the connection is gone.
            let _ = back.send(Leftover { inner, touched: self.touched });
        }
    }
}

impl Leftover {
    /// Goes on reading while the answer is sent, up to a bound; a reset would make a client that still sends lose the
    /// answer. Returns true if the connection must be closed instead: a client that sent `Expect` and waits for leave
    /// to send would get that leave by the first read.
    pub(super) fn drain(self, expects: bool) -> bool {
        if expects && !self.touched {
            return true;
        }
        let mut rest = self.inner;
        tokio::spawn(async move {
            let drained = async {
                let mut read = 0;
                while let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE, rest.frame()).await {
                    read += frame.data_ref().map_or(0, Bytes::len);
                    if read > DRAIN {
                        break;
                    }
                }
            };
            // Whatever the result, the rest of the body is dropped now, which closes the connection.
            let _ended = tokio::time::timeout(PATIENCE, drained).await;
        });
        false
    }
}
