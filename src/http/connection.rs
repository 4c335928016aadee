//! A client's connection, between the socket and the parser of HTTP.
//!
//! The parser itself answers bytes that are no HTTP, or that come too slowly: with a status, without a body, and with a
//! log line at level ERROR that anybody may cause as often as they like. No handler sees these bare answers, so they
//! are recognised where they are written to the socket: no other answer is a 400, 408, 431 or 500 without a request id
//! and without a body. A problem is sent in place of a bare answer, and then the connection ends, without the parser's
//! log line. If the request has already had its answer, the bare answer is dropped.
//!
//! The parser has a deadline only for the first head of a connection. This module gives the others a deadline too: a
//! client that has begun a head and does not end it gets a 408, and the connection ends.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use futures_util::future::LocalBoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

use super::heads::Heads;

/// Bytes of the parser's bare answer at most: a status line and three headers.
const MAX_HEAD: usize = 512;

/// Bytes that are read and dropped at most before the connection ends: if any stayed unread, the client would see a
/// reset instead of the answer.
const MAX_UNREAD: usize = 1024 * 1024;

/// Makes the answer that is sent in place of the parser's bare answer, from its status and its head.
pub type Refusal = Rc<dyn Fn(u16, &str) -> Vec<u8>>;

/// Makes a future that ends when a head that begins now must be whole.
pub type Deadline = Rc<dyn Fn() -> LocalBoxFuture<'static, ()>>;

/// The bare answer that the parser would give to a head that comes too slowly.
const TOO_SLOW: (u16, &str) = (408, "HTTP/1.1 408 Request Timeout\r\n\r\n");

/// A socket on which the parser's bare answers become problems.
pub struct Connection<S> {
    socket: S,
    refusal: Refusal,
    deadline: Deadline,
    heads: Rc<Heads>,
    /// The deadline of the head that has begun, with the number of requests before that head.
    alarm: Option<(u64, LocalBoxFuture<'static, ()>)>,
    /// The client has not taken all bytes that were written to it.
    is_behind: bool,
    state: State,
    ended: watch::Sender<bool>,
}

enum State {
    Open,
    /// The bytes to send, and how many of them are sent.
    Refusing(Vec<u8>, usize),
    Refused,
}

/// Tells when a client has ended its side of the connection. Such a client may still read, but with HTTP a client that
/// cannot send any more is as good as gone.
#[derive(Clone)]
pub struct Hangup(watch::Receiver<bool>);

impl Hangup {
    pub async fn wait(mut self) {
        // An error means that the sender is gone, and with it the connection.
        let _ended = self.0.wait_for(|ended| *ended).await;
    }
}

impl<S> Connection<S> {
    pub fn new(socket: S, refusal: Refusal, deadline: Deadline) -> Self {
        Self {
            socket,
            refusal,
            deadline,
            heads: Rc::default(),
            alarm: None,
            is_behind: false,
            state: State::Open,
            ended: watch::Sender::new(false),
        }
    }

    /// The record of this connection's heads, which the edge shares.
    pub fn heads(&self) -> Rc<Heads> {
        self.heads.clone()
    }

    pub fn hangup(&self) -> Hangup {
        Hangup(self.ended.subscribe())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_given_up(cx) {
            return self.poll_end(cx);
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        let read = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        self.heads.note_read(&buf.filled()[before..]);
        if read.is_err() || (room > 0 && buf.filled().len() == before) {
            self.ended.send_replace(true);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { socket, refusal, heads, state, is_behind, .. } = &mut *self;
        if let State::Open = state {
            let answers = match bare_refusal(buf) {
                None => buf,
                // Clients open connections ahead of their requests: a 408 for no request at all could meet the first request on
                // its way, and be taken for that request's answer.
                Some((0, status)) if heads.is_last() || status == TOO_SLOW.0 && heads.is_silent() => {
                    *state = State::Refused;
                    return Poll::Ready(Ok(buf.len()));
                }
                Some((0, status)) => {
                    *state = State::Refusing(refusal(status, &String::from_utf8_lossy(buf)), 0);
                    b""
                }
                // The answers to earlier requests go first.
                Some((earlier, _)) => &buf[..earlier],
            };
            if !answers.is_empty() {
                let written = Pin::new(socket).poll_write(cx, answers);
                *is_behind = written.is_pending();
                return written;
            }
        }
        if let State::Refusing(answer, sent) = state {
            while *sent < answer.len() {
                match ready!(Pin::new(&mut *socket).poll_write(cx, &answer[*sent..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    more => *sent += more,
                }
            }
            *state = State::Refused;
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.set_alarm(cx);
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        if let State::Refused = self.state {
            self.read_out(cx);
            // The result does not matter: the answer is sent, and the connection ends next.
            let _ended = Pin::new(&mut self.socket).poll_shutdown(cx);
            // The parser ends at an error of the socket, and does not log such errors.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Starts the deadline of a head that has begun. Called at a flush: the parser flushes after it has handled all
    /// bytes that it could, so a head that came whole has been noted by then.
    fn set_alarm(&mut self, cx: &mut Context<'_>) {
        let awaited = self.heads.awaited();
        if self.alarm.as_ref().map(|(behind, _)| *behind) == awaited {
            return;
        }
        self.alarm = awaited.map(|behind| (behind, (self.deadline)()));
        // The deadline is polled in `poll_read`, so the parser must read once more.
        cx.waker().wake_by_ref();
    }

    /// Whether the connection ends now, because it was refused or the head that has begun is too late. A late head is
    /// answered with a problem if possible.
    fn is_given_up(&mut self, cx: &mut Context<'_>) -> bool {
        if !matches!(self.state, State::Open) {
            return true;
        }
        let awaited = self.heads.awaited();
        let alarm = self.alarm.as_mut().filter(|(behind, _)| Some(*behind) == awaited);
        let is_late = alarm.is_some_and(|(_, deadline)| deadline.as_mut().poll(cx).is_ready());
        if is_late {
            // No problem can be sent in the middle of an answer that the client does not take, or after the last
            // answer.
            self.state = match self.is_behind || self.heads.is_last() {
                true => State::Refused,
                false => State::Refusing((self.refusal)(TOO_SLOW.0, TOO_SLOW.1), 0),
            };
        }
        is_late
    }

    /// Sends what is left of the refusal, and ends the connection with an error.
    fn poll_end(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_write(cx, b""))?;
        self.poll_flush(cx)
    }

    fn read_out(&mut self, cx: &mut Context<'_>) {
        let mut room = [0; 8192];
        let mut read = 0;
        while read < MAX_UNREAD {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut self.socket).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => read += buf.filled().len(),
                _ => return,
            }
        }
    }
}

/// Where the parser's bare answer begins in the bytes to send, and its status. The bare answer is always at their end.
fn bare_refusal(sent: &[u8]) -> Option<(usize, u16)> {
    if !sent.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail = sent.len().saturating_sub(MAX_HEAD);
    let start = tail + sent[tail..].windows(7).rposition(|window| window == b"HTTP/1.")?;
    let head = std::str::from_utf8(&sent[start..]).ok()?.to_ascii_lowercase();
    let status = head.get(9..12)?.parse().ok()?;
    let is_bare = head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\nx-request-id:");
    (matches!(status, 400 | 408 | 431 | 500) && is_bare).then_some((start, status))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: now\r\n\r\n";

    fn refusal() -> Refusal {
        Rc::new(|status, head| format!("{status} in place of {} lines", head.lines().count()).into_bytes())
    }

    /// A deadline that never ends.
    fn never() -> Deadline {
        Rc::new(|| pending().boxed_local())
    }

    #[test]
    fn only_what_the_parser_says_by_itself_is_a_bare_refusal() {
        assert_eq!(bare_refusal(BARE), Some((0, 431)));
        let behind = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".as_slice(), BARE].concat();
        assert_eq!(bare_refusal(&behind), Some((behind.len() - BARE.len(), 431)));
        assert_eq!(bare_refusal(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), Some((0, 400)));
        for other in [
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: r\r\n\r\n".as_slice(),
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 20\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"0\r\n\r\n",
            b"\r\n\r\n",
            b"",
        ] {
            assert_eq!(bare_refusal(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[tokio::test]
    async fn a_refusal_goes_behind_the_answers_before_it_and_ends_the_connection() {
        // Less room than either of the two answers needs.
        let (near, mut far) = duplex(16);
        let mut connection = Connection::new(near, refusal(), never());
        let hangup = connection.hangup();
        far.write_all(b"never read").await.unwrap();
        let reader = tokio::spawn(async move {
            let mut all = String::new();
            far.read_to_string(&mut all).await.unwrap();
            all
        });
        let answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".as_slice(), BARE].concat();
        connection.write_all(&answers).await.unwrap();
        assert!(connection.flush().await.is_err());
        drop(connection);
        assert_eq!(reader.await.unwrap(), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}431 in place of 4 lines");
        hangup.wait().await;
    }

    #[tokio::test]
    async fn a_client_that_ends_its_side_has_hung_up() {
        let (near, mut far) = duplex(64);
        let mut connection = Connection::new(near, refusal(), never());
        let mut hangup = Box::pin(connection.hangup().wait());
        far.write_all(b"hello").await.unwrap();
        let mut read = [0; 64];
        assert_eq!(connection.read(&mut read).await.unwrap(), 5);
        assert!(poll_fn(|cx| Poll::Ready(hangup.as_mut().poll(cx).is_pending())).await);
        far.shutdown().await.unwrap();
        assert_eq!(connection.read(&mut read).await.unwrap(), 0);
        hangup.await;
    }

    #[tokio::test]
    async fn a_next_head_that_is_not_whole_in_time_is_refused_and_an_idle_connection_is_not() {
        let (near, mut far) = duplex(1024);
        let mut connection = Connection::new(near, refusal(), Rc::new(|| ready(()).boxed_local()));
        let mut read = [0; 64];
        far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let first = connection.read(&mut read).await.unwrap();
        connection.flush().await.unwrap();
        drop(connection.heads().begin());
        connection.flush().await.unwrap();
        let idle =
            poll_fn(|cx| Poll::Ready(Pin::new(&mut connection).poll_read(cx, &mut ReadBuf::new(&mut read)))).await;
        assert!(first > 0 && idle.is_pending());
        far.write_all(b"GET").await.unwrap();
        assert_eq!(connection.read(&mut read).await.unwrap(), 3);
        connection.flush().await.unwrap();
        assert!(connection.read(&mut read).await.is_err());
        drop(connection);
        let mut said = String::new();
        far.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "408 in place of 2 lines");
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_was_asked_ends_without_a_word() {
        for (sent, said) in [("", ""), ("GET", "408 in place of 4 lines")] {
            let (near, mut far) = duplex(1024);
            let mut connection = Connection::new(near, refusal(), never());
            far.write_all(sent.as_bytes()).await.unwrap();
            if !sent.is_empty() {
                assert!(connection.read(&mut [0; 64]).await.unwrap() > 0);
            }
            connection
                .write_all(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\ndate: now\r\n\r\n")
                .await
                .unwrap();
            assert!(connection.flush().await.is_err());
            drop(connection);
            let mut answer = String::new();
            far.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, said, "after {sent:?}");
        }
    }

    #[tokio::test]
    async fn behind_the_answer_to_a_broken_body_the_parser_says_nothing() {
        let (near, mut far) = duplex(1024);
        let mut connection = Connection::new(near, refusal(), never());
        connection.heads().begin().note_broken_body();
        let answer = b"HTTP/1.1 400 Bad Request\r\nx-request-id: r\r\ncontent-length: 2\r\n\r\n{}".as_slice();
        connection.write_all(&[answer, BARE].concat()).await.unwrap();
        assert!(connection.flush().await.is_err());
        drop(connection);
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, answer);
    }
}
