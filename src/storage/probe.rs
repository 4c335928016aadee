//! What this server enforces and what it does not, found out by trying.
//!
//! S3 servers differ: some ignore conditions, some keep no checksums, some accept headers that nobody signed. Each check
//! says what it found and, where something is missing, what zeroload does instead ([`Degraded`](super::Status::Degraded)); only what makes
//! work impossible is [`Failed`](super::Status::Failed). What it learns about the server's own ways is noted in the gateway, which heeds it.
//!
//! It writes only under [`KeyPrefix::probe`](zeroload_domain::KeyPrefix::probe), where no item's key can be, and deletes
//! what it wrote. A probe that is dropped or killed leaves a few objects of some bytes; a later probe removes them.

use chrono::{DateTime, Utc};

use super::{check::ProbeReport, gateway::Gateway};

mod deletes;
mod looks;
mod public;
mod trial;
pub(super) mod tries;
mod uploads;

impl Gateway {
    /// Tries out the server. About two dozen calls, one after the other; never fails, since what it could not find out is a
    /// finding, too. `now` is compared with the server's clock, so it should be fresh.
    pub async fn probe(&self, now: DateTime<Utc>) -> ProbeReport {
        trial::Trial::new(self, now).run().await
    }
}

#[cfg(test)]
mod tests;
