//! actix actors, thin: they schedule, call and count. All work is a plain async function of the value they hold, and
//! runs on the service's runtime, so a panic in it is a failed run and not a dead actor.
//!
//! What else could end an actor is seen by the watchdog, which puts a new one in its place.

mod collector;
mod inspector;
mod projector;
mod reconciler;
mod watchdog;

pub use collector::{CollectorActor, CollectorHandle, CollectorStopped};
pub use inspector::{InspectorActor, InspectorHandle};
pub use projector::ProjectorActor;
pub use reconciler::{ReconcilerHandle, ReconcilerStopped};
pub use watchdog::Watched;
