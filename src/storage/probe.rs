//! Finds out by trying what this server enforces and what it does not.
//!
//! S3 servers differ: some ignore conditions, some keep no checksums, some accept headers that nobody signed. Each
//! check says what it found and, where something is missing, what zeroload does instead
//! ([`Degraded`](super::Status::Degraded)); only what makes work impossible is [`Failed`](super::Status::Failed). The
//! gateway notes what a check learns about this server and adapts its requests.
//!
//! A probe writes only under [`KeyPrefix::probe`](zeroload_domain::KeyPrefix::probe), where no item's key can be, and
//! deletes its objects at the end. A probe that is dropped or killed leaves a few objects of some bytes; a later probe
//! removes them.

use chrono::{DateTime, Utc};

use super::{check::ProbeReport, gateway::Gateway};

mod deletes;
mod looks;
mod public;
mod trial;
pub(super) mod tries;
mod uploads;

impl Gateway {
    /// Tries out the server with about two dozen calls, one after the other. Never fails: a check without a result is
    /// reported, too. `now` is compared with the server's clock, so it should be fresh.
    pub async fn probe(&self, now: DateTime<Utc>) -> ProbeReport {
        trial::Trial::new(self, now).run().await
    }
}

#[cfg(test)]
mod tests;
