//! Notes to which request the bytes of a connection belong: to the one that is being read or answered, or to the next
//! one.
//!
//! The parser has a deadline for the first head of a connection alone. The
//! [`Connection`](super::connection::Connection) sees bytes and no requests, the [`edge`](super::edge) sees requests
//! and no bytes; both note here what they see, so that the head of every further request has a deadline too, and a
//! request whose body broke off gets one answer only.

use std::{cell::Cell, rc::Rc};

/// How many of the last bytes that came in are kept.
const TAIL: usize = 16;

/// The record of one connection.
#[derive(Default)]
pub struct Heads {
    /// Requests whose head has come whole.
    begun: Cell<u64>,
    phase: Cell<Phase>,
    /// Bytes have come in that belong to a request whose head is not whole yet.
    ahead: Cell<bool>,
    /// No request can follow on this connection.
    is_last: Cell<bool>,
    tail: Cell<Tail>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// No request is under way.
    #[default]
    Idle,
    /// The body of a request is being read.
    Body,
    /// A request is being answered.
    Answer,
}

#[derive(Clone, Copy, Default)]
struct Tail {
    bytes: [u8; TAIL],
    length: usize,
}

impl Heads {
    /// Notes bytes that the connection has read.
    pub fn note_read(&self, bytes: &[u8]) {
        let mut tail = self.tail.get();
        let new = &bytes[bytes.len().saturating_sub(TAIL)..];
        let kept = tail.length.min(TAIL - new.len());
        tail.bytes.copy_within(tail.length - kept..tail.length, 0);
        tail.bytes[kept..kept + new.len()].copy_from_slice(new);
        tail.length = kept + new.len();
        self.tail.set(tail);
        if self.phase.get() != Phase::Body && !bytes.is_empty() {
            self.ahead.set(true);
        }
    }

    /// Notes that the head of a request is whole.
    pub fn begin(self: &Rc<Self>) -> OpenRequest {
        self.begun.set(self.begun.get() + 1);
        self.phase.set(Phase::Body);
        self.ahead.set(false);
        OpenRequest(self.clone())
    }

    /// The number of requests before the head that has begun to come in, or before the rest of a broken body. `None`
    /// while a request is under way, while no byte has come in since the last request, or before the first request.
    pub fn awaited(&self) -> Option<u64> {
        let begun = self.begun.get();
        let waits = self.phase.get() == Phase::Idle && (self.ahead.get() || self.is_last.get());
        (waits && begun > 0).then_some(begun)
    }

    /// Whether not one byte has come in.
    pub fn is_silent(&self) -> bool {
        self.begun.get() == 0 && !self.ahead.get()
    }

    /// Whether nothing may be sent after the answer to the last request.
    pub fn is_last(&self) -> bool {
        self.is_last.get()
    }

    fn ends_with(&self, end: &[u8]) -> bool {
        let tail = self.tail.get();
        tail.bytes[..tail.length].ends_with(end)
    }
}

/// A request under way, from its head to the end of its answer, when this value is dropped.
pub struct OpenRequest(Rc<Heads>);

impl OpenRequest {
    /// Notes that the body has been read to its end; `body` is `None` if it was not kept.
    ///
    /// The beginning of the next request may have come in together with the body. The last bytes that came in tell: if
    /// they are those of the body, nothing followed. If the body is empty or came in chunks, they must be an empty
    /// line, with which no unfinished head ends.
    pub fn note_body(&self, body: Option<&[u8]>, in_chunks: bool) {
        let Self(heads) = self;
        heads.phase.set(Phase::Answer);
        let is_at_end = match body {
            None => true,
            Some(body) if in_chunks || body.is_empty() => heads.ends_with(b"\n\r\n") || heads.ends_with(b"\n\n"),
            Some(body) => heads.ends_with(&body[body.len().saturating_sub(TAIL)..]),
        };
        heads.ahead.set(!is_at_end);
    }

    /// Notes that the body broke off, or will not be read to its end.
    pub fn note_broken_body(&self) {
        self.0.phase.set(Phase::Answer);
        self.0.is_last.set(true);
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.phase.set(Phase::Idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET /livez HTTP/1.1\r\n\r\n";

    #[test]
    fn a_connection_waits_for_the_next_head_from_its_first_byte_on() {
        let heads = Rc::new(Heads::default());
        heads.note_read(b"GET /liv");
        assert_eq!(heads.awaited(), None, "the first head is the parser's affair");
        heads.note_read(b"ez HTTP/1.1\r\n\r\n");
        let open = heads.begin();
        open.note_body(Some(b""), false);
        assert_eq!(heads.awaited(), None);
        drop(open);
        assert_eq!(heads.awaited(), None, "it lies idle");
        heads.note_read(b"G");
        assert_eq!(heads.awaited(), Some(1));
        heads.note_read(&GET[1..]);
        let open = heads.begin();
        open.note_body(Some(b""), false);
        // The next request is sent ahead, while the one before it is being answered.
        heads.note_read(b"GE");
        assert_eq!(heads.awaited(), None);
        drop(open);
        assert_eq!(heads.awaited(), Some(2));
    }

    #[test]
    fn what_comes_in_one_piece_with_the_request_before_it_is_noticed() {
        let long = "x".repeat(100);
        for (body, in_chunks, sent) in
            [("", false, ""), ("{}", false, "{}"), ("{}", true, "2\r\n{}\r\n0\r\n\r\n"), (&long, false, &long)]
        {
            for (next, waits) in [("", None), ("G", Some(1)), ("GET / HTTP/1.1\r\n", Some(1))] {
                let heads = Rc::new(Heads::default());
                for piece in ["POST / HTTP/1.1\r\n\r\n", &format!("{sent}{next}")] {
                    heads.note_read(piece.as_bytes());
                }
                let open = heads.begin();
                open.note_body(Some(body.as_bytes()), in_chunks);
                drop(open);
                assert_eq!(heads.awaited(), waits, "{body:?} {next:?}");
            }
        }
    }

    #[test]
    fn behind_a_body_that_broke_off_the_end_is_waited_for() {
        let heads = Rc::new(Heads::default());
        heads.note_read(GET);
        let open = heads.begin();
        open.note_broken_body();
        assert!(heads.is_last() && heads.awaited().is_none());
        drop(open);
        assert_eq!(heads.awaited(), Some(1));
    }
}
