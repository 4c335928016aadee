//! `POST /v1/media`: what a backend sends for a ticket.

use std::io::Write;

use serde_json::Value;

use crate::load::Calls;

/// Another owner and length each time.
pub struct Tickets;

impl Calls for Tickets {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        write(number, "", request);
    }

    fn wanted(&self) -> (&'static [u8], &'static [u8]) {
        TICKET
    }

    fn is_answered(&self, body: &Value) -> bool {
        is_ticket(body)
    }
}

/// How an answer with a ticket begins, and what only it holds.
pub const TICKET: (&[u8], &[u8]) = (b"HTTP/1.1 201 ", br#""upload":{"method":"PUT","url":"http"#);

pub fn is_ticket(media: &Value) -> bool {
    media["state"] == "pending" && media["upload"]["url"].as_str().is_some_and(|url| url.contains("X-Amz-Signature="))
}

/// `header` is empty or a whole line.
pub fn write(number: u64, header: &str, request: &mut Vec<u8>) {
    let (owner, length) = (number * 7919 % 100_000, 1 + number * 104_729 % 5_000_000);
    let body = format!(r#"{{"owner":"user-{owner}","content_type":"image/jpeg","content_length":{length}}}"#);
    write!(
        request,
        "POST /v1/media HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}Content-Length: \
         {}\r\n\r\n{body}",
        body.len()
    )
    .expect("a vector takes everything");
}
