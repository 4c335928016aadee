//! An S3 server inside the process, for **one machine**: development, demos, tests and small installations. It has no
//! replication, one disk and one pair of keys; larger installations run the service against a real S3.
//!
//! The `s3s` crate does the protocol and the signatures. The storage is this crate's own: bytes lie in files
//! ([`blobs`]), everything else is one row per object in SQLite ([`index`], [`writer`]).
//!
//! What holds:
//! - **Verified before visible.** Length, MD5, checksums and signatures are compared before an
//!   object gets its row. The order is: temporary file, fsync, rename, row, answer. `kill -9` at any
//!   point leaves the old or the new object whole (P-8), and at worst a file without a row, which
//!   the next [`EmbeddedS3::open`] sweeps away.
//! - **An answered write is on disk** (P-3): file, directory and SQLite's log are synced first.
//! - **A deleted object is gone when the answer comes.** Its file is removed, and its space freed, a moment later, so
//!   that a client that deletes many objects does not wait for the file system. Where too many files wait for their
//!   removal, later writes wait for them ([`blobs`]).
//! - **Conditions are atomic.** `If-None-Match: *` and `If-Match` are decided inside the write
//!   transaction of the only writer: of any number of racing PUTs exactly one wins.
//! - **Nothing unsigned counts.** A request with an `x-amz-*` header that its signature does not
//!   cover is refused ([`gate`]), so a ticket can only be used for what it was issued for.
//! - **No client keeps the others out.** A body holds no thread while its client is silent ([`upload`]), a body that
//!   trickles is given up ([`receive`]), an idle connection is closed ([`connection`]), and connections, uploads and
//!   the use of one ticket are bounded ([`bounds`]).
//! - Nothing here writes a URL or a secret to the log; `s3s`'s own logging is off for that reason.
//!
//! On failure: a disk error is answered with 500 `InternalError`, is logged once, and leaves the object as it was or,
//! if the commit's outcome is unknown, whole in one of the two versions ([`transaction`]). The next request begins
//! afresh: once the disk has room again, no restart is needed.
//!
//! Not supported, and answered with 501 `NotImplemented`: multipart uploads, POST forms, ACLs, encryption, tags, locks,
//! versions, `ListObjects` (version 1), deleting a bucket.

mod access;
mod apply;
mod backend;
mod blobs;
mod body;
mod bounds;
mod checks;
mod conditions;
mod connection;
mod copy;
mod cors;
mod credentials;
mod deletes;
mod disposition;
mod exchange;
mod faults;
mod front;
mod gate;
mod index;
mod listing;
mod manners;
mod objects;
mod put;
mod receive;
mod server;
mod store;
mod transaction;
mod upload;
mod write;
mod writer;

#[cfg(test)]
mod tests;

pub use faults::{Effect, Fault, Faults, Manner, Operation, Refusal, Stall};
pub use store::{EmbeddedS3, OpenError, Settings};

/// The runtime's clock, which bounds the waiting for clients; tests can move it.
#[expect(clippy::disallowed_methods, reason = "time-outs of connections are no part of what is decided or recorded")]
fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The system's time, in milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "Last-Modified is this server's own statement, and s3s reads the system clock for signatures too"
)]
fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
