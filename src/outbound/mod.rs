//! Signed HTTP to others, at addresses that somebody set.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | which addresses may be asked: not those behind which an attacker wants to reach something of ours |
//! | [`signature`] | the signature of a message, as Standard Webhooks describes it |
//! | [`client`] | the one call: guarded, signed, bounded |

pub mod address;
pub mod client;
pub mod signature;
