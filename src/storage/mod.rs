//! Everything that talks to S3.
//!
//! ```text
//! commands ──▶ Gateway::sign_ticket   a presigned PUT, made offline      ticket, credentials
//!          ──▶ Gateway::head          HEAD of one object                 head
//! collector ─▶ Gateway::check_marker  is it our bucket?                  marker
//!          ──▶ Gateway::remove        everything under exact keys        remove: uploads, objects, versions
//! start    ──▶ Gateway::probe         what this server cannot enforce    probe
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | which bucket, where, with which keys |
//! | [`connect`] | region, credentials and HTTP client from the settings |
//! | [`gateway`] | [`Gateway`] itself |
//! | `head` | HEAD, and how much of its answer counts |
//! | `not_found` | the headers of a 404 |
//! | [`absence`] | what proves that a key is not there |
//! | `manners` | how this server differs from S3 |
//! | [`ticket`] | tickets: presigned PUTs |
//! | `disposition` | file names as `Content-Disposition`, and which such headers a ticket can have signed |
//! | `headers` | headers that came with an object although no ticket signs them |
//! | [`credentials`] | credentials, kept until they have to be renewed |
//! | [`remove`] | removes everything that the bucket keeps under keys |
//! | [`trash`] | keeps collected objects for a while, and restores them |
//! | `location` | where an item's object is |
//! | [`delete`] | deletes by exact key, and what their answers prove |
//! | [`deletion`] | the outcome of a delete for one key |
//! | `delete_singly` | deletes where the server has no `DeleteObjects` |
//! | [`versioning`] | whether the bucket keeps versions, and which a key has |
//! | [`multipart`] | unfinished uploads of a key |
//! | [`rate_limiter`] | how fast the collector asks |
//! | [`throttle_streak`] | when to give up a page of requests that S3 keeps refusing |
//! | `split` | deletes of any number of keys, and the one key that makes a call fail |
//! | [`marker`] | the object that ties a bucket to its journal |
//! | `rehearsal` | the removal of an object of our own, before items are claimed |
//! | [`probe`], `check` | what a server enforces, found out at start; the result of each check |
//! | [`error`] | why nothing is known about an object |
//!
//! No byte of media passes through the gateway (P-6): clients send it with a ticket, straight to the bucket. The crate
//! `zeroload-embedded-s3` is such a bucket, and knows nothing of the rest.

pub mod absence;
mod check;
pub mod connect;
pub mod credentials;
pub mod delete;
mod delete_singly;
pub mod deletion;
mod disposition;
pub mod error;
pub mod gateway;
mod head;
mod headers;
pub mod listing;
mod location;
mod manners;
pub mod marker;
pub mod multipart;
mod not_found;
pub mod probe;
pub mod rate_limiter;
mod rehearsal;
pub mod remove;
mod server_clock;
pub mod settings;
mod split;
pub mod throttle_streak;
pub mod ticket;
pub mod trash;
pub mod versioning;
mod whole;

#[cfg(test)]
pub(crate) mod test_s3;

pub use check::{Check, ProbeReport, Status};
pub use delete::OTHER_BUCKET;
pub use deletion::Deletion;
pub use error::{Fault, StorageError};
pub use gateway::Gateway;
pub use head::Sighting;
pub use listing::{Illegible, LISTED_AT_ONCE, Listed, ListedPage, Listing, ListingError};
pub use location::Location;
pub use manners::Deletes;
pub use marker::{Marked, MarkedCommit, MarkerError};
pub use multipart::Multipart;
pub use not_found::NotFoundLook;
pub use rate_limiter::PaceSettings;
pub use remove::Removal;
pub use settings::{ConnectError, GatewaySettings, KeepsVersions, PublicAddress, StaticKeys, Style, unusable_region};
pub use throttle_streak::ThrottleStreak;
pub use ticket::{SignError, TicketSpec, Upload};
pub use trash::{NotRestored, Trashing};
pub use versioning::Versioning;
