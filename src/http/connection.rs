//! A client's connection, between the socket and the parser of HTTP.
//!
//! The parser answers by itself what is no HTTP, or comes too slowly: with a status, without a body, and with a line in the
//! log at level ERROR that anybody may cause as often as they like. No handler sees these answers, so they are recognised
//! where they are written: nothing else here is a 400, 408, 431 or 500 without a request id and without a body. A problem
//! takes their place, and then the connection ends without a word of the parser.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

/// Bytes of the parser's answer: a status line and three headers.
const MAX_HEAD: usize = 512;

/// What has come in by then is read before the connection ends, or the client would see a reset instead of the answer.
const MAX_UNREAD: usize = 1024 * 1024;

/// Makes what is sent in place of the parser's answer of a status; the head is that of the parser, line by line.
pub type Refusal = Rc<dyn Fn(u16, &str) -> Vec<u8>>;

/// A socket whose bare refusals become problems.
pub struct Connection<S> {
    socket: S,
    refusal: Refusal,
    state: State,
    ended: watch::Sender<bool>,
}

enum State {
    Open,
    /// The bytes that are to be sent, and how many are.
    Refusing(Vec<u8>, usize),
    Refused,
}

/// Tells when a client has ended its side of the connection. It may still read; but one that waits for an answer without
/// being able to ask anything more is, with HTTP, as good as gone.
#[derive(Clone)]
pub struct Hangup(watch::Receiver<bool>);

impl Hangup {
    pub async fn wait(mut self) {
        // A sender that is gone has ended with its connection.
        let _ended = self.0.wait_for(|ended| *ended).await;
    }
}

impl<S> Connection<S> {
    pub fn new(socket: S, refusal: Refusal) -> Self {
        Self { socket, refusal, state: State::Open, ended: watch::Sender::new(false) }
    }

    pub fn hangup(&self) -> Hangup {
        Hangup(self.ended.subscribe())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        let read = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        if read.is_err() || (room > 0 && buf.filled().len() == before) {
            self.ended.send_replace(true);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { socket, refusal, state, .. } = &mut *self;
        if let State::Open = state {
            match bare_refusal(buf) {
                None => return Pin::new(socket).poll_write(cx, buf),
                Some((0, status)) => {
                    *state = State::Refusing(refusal(status, &String::from_utf8_lossy(buf)), 0);
                }
                // The answers to what came before it go first.
                Some((earlier, _)) => return Pin::new(socket).poll_write(cx, &buf[..earlier]),
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
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        if let State::Refused = self.state {
            self.read_out(cx);
            // Whatever it says: the answer is on its way, and what follows is the end.
            let _ended = Pin::new(&mut self.socket).poll_shutdown(cx);
            // An error of the socket ends the parser too, which keeps those to itself.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
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

/// Where in what is about to be sent the parser's own refusal begins, which is always the last of it; and its status.
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
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: now\r\n\r\n";

    fn refusal() -> Refusal {
        Rc::new(|status, head| format!("{status} in place of {} lines", head.lines().count()).into_bytes())
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
        // Less room than either answer needs at once.
        let (near, mut far) = duplex(16);
        let mut connection = Connection::new(near, refusal());
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
        let mut connection = Connection::new(near, refusal());
        let mut hangup = Box::pin(connection.hangup().wait());
        far.write_all(b"hello").await.unwrap();
        let mut read = [0; 64];
        assert_eq!(connection.read(&mut read).await.unwrap(), 5);
        assert!(poll_fn(|cx| Poll::Ready(hangup.as_mut().poll(cx).is_pending())).await);
        far.shutdown().await.unwrap();
        assert_eq!(connection.read(&mut read).await.unwrap(), 0);
        hangup.await;
    }
}
