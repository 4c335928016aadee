//! The background jobs: each is a plain function of the value that it works with, beside the actor that runs it.
//!
//! | module | holds |
//! |---|---|
//! | [`collector`] | claims, deletes, records |
//! | [`inspector`] | re-checks collected items, seals confirmed ones |
//! | [`reconciler`] | compares the bucket with the journal, both ways |
//! | [`projector`] | feeds the read models |
//! | `handles` | what each job works with |
//! | [`periodic`] | the timer that the first three share |
//! | `watchdog` | puts a new actor in the place of one that has died |
//!
//! The actors are thin: they schedule, call and count. All work runs on the service's runtime, so a panic is a failed
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
