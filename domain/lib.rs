//! The media aggregate: what may happen to one uploaded object, and in which order.
//!
//! ```text
//! Command ─▶ Media::decide ─▶ Event … ─▶ Media::apply ─▶ Media
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`values`] | what a field may be: ids, owners, sizes, content types, digests |
//! | [`object_key`] | the one place that formats and reads S3 keys |
//! | [`policy`] | the durations from which deadlines are computed |
//! | [`command`], [`event`] | what can be asked, what has happened |
//! | [`media`] | the state, and `apply` |
//! | [`decide`] | the rules: a state and a command give events or a refusal |
//! | [`trash`] | what the trash holds of an item |
//! | [`refusal`] | why a command was refused, with stable codes |
//! | [`codec`] | stored text to event and back, over all stored versions |
//! | [`run`] | the record of a collection run, a stream of its own |
//! | [`time_text`] | a time as text |
//! | [`aggregate`] | the adapter to `cqrs-es`, the only file that names it |
//!
//! Nothing here does I/O, reads a clock or makes an id: all of that arrives in arguments.

pub mod aggregate;
pub mod codec;
pub mod command;
pub mod decide;
pub mod event;
pub mod media;
pub mod object_key;
pub mod policy;
pub mod refusal;
pub mod run;
pub mod time_text;
pub mod trash;
pub mod values;

pub use codec::DecodeError;
pub use command::Command;
pub use decide::Context;
pub use event::Event;
pub use media::{Media, State};
pub use object_key::{KeyPrefix, ObjectKey};
pub use policy::Policy;
pub use refusal::Refusal;
pub use run::RunEvent;
pub use trash::{Restoration, TrashLocation, TrashedObject};
pub use values::*;
