//! What a backend can ask for, and the one write path.
//!
//! | module | holds |
//! |---|---|
//! | [`commands`] | the one write path: load, decide, append, and again after a conflict |
//! | [`service`] | a backend's calls: commands combined with HEADs of the bucket |
//! | [`restore`] | brings an item back from the trash |
//! | [`late_uploads`] | claims bytes that arrived after their item was collected |
//! | [`notifications`] | reads the messages that S3 servers send when an object was written |
//! | [`bucket`] | checks whether the bucket is ours |
//! | [`uploaded_cache`] | uploaded items that wait for their confirm, for the write path |
//! | [`recent`] | events that were just recorded, for the projector |

pub mod bucket;
pub mod commands;
mod error;
pub mod late_uploads;
mod loaded;
pub mod notifications;
pub mod recent;
pub mod restore;
pub mod service;
pub mod uploaded_cache;

pub use error::ServiceError;
pub use loaded::Loaded;
