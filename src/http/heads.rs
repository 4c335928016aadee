//! Whose bytes come in on a connection: the request's that is being read or answered, or the next one's.
//!
//! The parser has a deadline for the first head of a connection alone. The [`Connection`](super::connection::Connection) sees
//! bytes and no requests, the [`edge`](super::edge) sees requests and no bytes; here both say what they see, so that the head
//! of every further request has a deadline too, and a request whose body broke off gets one answer.

use std::{cell::Cell, rc::Rc};

/// How many of the last bytes that came in are remembered.
const TAIL: usize = 16;

/// What is known of one connection.
#[derive(Default)]
pub struct Heads {
    /// Requests whose head was whole.
    begun: Cell<u64>,
    phase: Cell<Phase>,
    /// Bytes have come in that belong to no request that has begun.
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
    /// The body of one is being read.
    Body,
    /// One is being answered.
    Answer,
}

#[derive(Clone, Copy, Default)]
struct Tail {
    bytes: [u8; TAIL],
    length: usize,
}

impl Heads {
    /// The connection has read these.
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

    /// The head of a request is whole.
    pub fn begin(self: &Rc<Self>) -> OpenRequest {
        self.begun.set(self.begun.get() + 1);
        self.phase.set(Phase::Body);
        self.ahead.set(false);
        OpenRequest(self.clone())
    }

    /// How many requests were before the head that has begun to come in, or before the rest of a body that is of no use any
    /// more. Nothing while a request is under way, while nothing has come in since the last one, or before the first.
    pub fn awaited(&self) -> Option<u64> {
        let begun = self.begun.get();
        let waits = self.phase.get() == Phase::Idle && (self.ahead.get() || self.is_last.get());
        (waits && begun > 0).then_some(begun)
    }

    /// Whether not one byte has come in.
    pub fn is_silent(&self) -> bool {
        self.begun.get() == 0 && !self.ahead.get()
    }

    /// Whether nothing more is to be said than the answer to the last request.
    pub fn is_last(&self) -> bool {
        self.is_last.get()
    }

    fn ends_with(&self, end: &[u8]) -> bool {
        let tail = self.tail.get();
        tail.bytes[..tail.length].ends_with(end)
    }
}

/// A request from its head to the end of its answer, which is when it is dropped.
pub struct OpenRequest(Rc<Heads>);

impl OpenRequest {
    /// The body has been read to its end; `body` is `None` where it was not kept.
    ///
    /// What follows may have come in together with the body. Whether anything did is told by the last bytes: those of the
    /// body, or, where the body has none or came in chunks, an empty line, with which no unfinished head ends.
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

    /// The body has an end that nobody waits for, or none.
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
        // Sent ahead, while the answer before it is made.
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
