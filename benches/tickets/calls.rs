//! Wishes with an `Idempotency-Key`, and a bounded number of wishes.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    load::Calls,
    wish::{self, Tickets},
};

/// Each with a key of its own, so the service looks for an earlier one first.
pub struct KeyedTickets {
    /// Begins each key; no other run has it.
    pub run: Uuid,
}

impl Calls for KeyedTickets {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        wish::write(number, &format!("Idempotency-Key: {}-{number}\r\n", self.run), request);
    }

    fn wanted(&self) -> (&'static [u8], &'static [u8]) {
        wish::TICKET
    }

    fn is_answered(&self, body: &Value) -> bool {
        wish::is_ticket(body)
    }
}

/// So many and no more.
pub struct SomeTickets(pub u64);

impl Calls for SomeTickets {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        Tickets.write(number, request);
    }

    fn wanted(&self) -> (&'static [u8], &'static [u8]) {
        Tickets.wanted()
    }

    fn is_answered(&self, body: &Value) -> bool {
        Tickets.is_answered(body)
    }

    fn most(&self) -> u64 {
        self.0
    }
}
