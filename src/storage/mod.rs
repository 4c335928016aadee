//! Everything that talks to S3.
//!
//! ```text
//! commands ──▶ Gateway::sign_ticket   no network, a presigned PUT        ticket, credentials
//!          ──▶ Gateway::head          what is in the bucket              head
//! collector ─▶ Gateway::check_marker  is it our bucket?                  marker
//!          ──▶ Gateway::remove        all that belongs to exact keys     remove: uploads, objects, versions
//! start    ──▶ Gateway::probe         what this server cannot enforce    probe
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | which bucket, where, with which keys |
//! | [`connect`] | region, credentials and HTTP client from the settings |
//! | [`gateway`] | [`Gateway`] itself |
//! | `head` | HEAD, and how much of its answer counts |
//! | `not_found` | what a 404 looks like |
//! | [`absence`] | what proves that a key is not there |
//! | `manners` | what this server does its own way |
//! | [`ticket`] | tickets: presigned PUTs |
//! | `disposition` | file names as a header, and which such headers a ticket can have signed |
//! | `headers` | what came with an object's bytes although no ticket signs it |
//! | [`credentials`] | credentials that are kept until they have to be renewed |
//! | [`remove`] | makes keys gone, whatever the bucket keeps of them |
//! | [`trash`] | keeps what is collected for a while, and brings it back |
//! | `location` | where an item's object is |
//! | [`delete`] | deletes by exact key, and what their answers prove |
//! | [`deletion`] | what is known about a key after a delete |
//! | `delete_singly` | the same where the server has no call for many keys |
//! | [`versioning`] | whether the bucket keeps versions, and which a key has |
//! | [`multipart`] | unfinished uploads of a key |
//! | [`pace`] | how fast the collector asks |
//! | `split` | deletes of any size, and the one key that makes a call fail |
//! | [`marker`] | the object that ties a bucket to its journal |
//! | `rehearsal` | a removal of an object of our own, before items are claimed |
//! | `server_clock` | the server's clock, as its answers tell it |
//! | [`probe`], `check` | what a server enforces, found out at start; how each check ended |
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
