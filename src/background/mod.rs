//! What happens by itself: each job is a plain function of the value that it works with, beside the actor that runs it.
//!
//! | module | holds |
//! |---|---|
//! | [`collector`] | claims, deletes, records |
//! | [`inspector`] | looks again at what seemed to have ended |
//! | [`reconciler`] | the bucket against the journal, both ways |
//! | [`projector`] | feeds the read models |
//! | `handles` | what each of them works with |
//! | [`periodic`] | the timer that the first three share |
//! | `watchdog` | puts a new actor in the place of one that has died |
//!
//! The actors are thin: they schedule, call and count. All work runs on the service's runtime, so a panic in it is a failed
//! run and not a dead actor.

pub mod collector;
mod handles;
pub mod inspector;
pub mod periodic;
pub mod projector;
pub mod reconciler;
mod watchdog;

pub use handles::Handles;
pub use watchdog::Watched;
