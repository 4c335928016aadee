//! What the engine promises on either database.

mod concurrency;
mod rebuilding;
mod writing;
