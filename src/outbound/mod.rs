//! Signed HTTP calls to the URLs of the settings.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | which addresses may be called: none by which an attacker could reach a service of our own network |
//! | [`signature`] | the signature of a message, as Standard Webhooks describes it |
//! | [`client`] | the one call: guarded, signed, bounded |

pub mod address;
pub mod client;
pub mod signature;
