//! `POST /v1/media/{id}/confirm` of many items, each once.

use std::io::Write;

use serde_json::Value;
use uuid::Uuid;

use crate::load::Calls;

/// It ends when there is none left.
pub struct Confirms(pub Vec<Uuid>);

impl Calls for Confirms {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        let id = usize::try_from(number).ok().and_then(|number| self.0.get(number)).expect("no more than there are");
        write!(request, "POST /v1/media/{id}/confirm HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            .expect("a vector takes everything");
    }

    fn wanted(&self) -> (&'static [u8], &'static [u8]) {
        (b"HTTP/1.1 200 ", br#""state":"confirmed""#)
    }

    fn is_answered(&self, body: &Value) -> bool {
        body["state"] == "confirmed" && body["upload"].is_null()
    }

    fn most(&self) -> u64 {
        self.0.len() as u64
    }
}
