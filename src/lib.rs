//! zeroload: tickets for direct uploads to S3, confirms, and collection of what nobody confirmed.
//!
//! ```text
//! client ── HTTP ─▶ http ─▶ service ─▶ commands ─▶ domain (decide) ─▶ journal (append) ─┐
//!                                                                                       │ wake
//! client ◀─ HTTP ── http ◀─ read tables ◀───────────── projector, projections ◀─────────┘
//!
//! timer ─▶ collector ── reads ─▶ PENDING projection
//!              ├── commands (the same write path as HTTP)
//!              └── storage gateway ─▶ S3 DeleteObjects
//! ```
//!
//! | room | one reason to exist |
//! |---|---|
//! | [`http`] | the edge: parse, roles, shapes, problems |
//! | [`media`] | what a backend can ask for, and the one write path |
//! | [`background`] | what happens by itself: collector, inspector, reconciler, projector, each with its timer |
//! | [`review`] | asks the backend what is in use |
//! | [`outbound`] | signed HTTP to others |
//! | [`outside`] | what others send, read strictly and bounded |
//! | [`storage`] | the gateway to S3 |
//! | [`database`] | which databases there are |
//! | [`metrics`] | counters and gauges |
//! | [`settings`] | what is passed in |
//! | [`app`] | constructs and wires everything |
//! | [`cli`] | the subcommands |
//!
//! In crates of their own: the rules (`zeroload-domain`), the event store (`zeroload-journal`), the read tables
//! (`zeroload-projections`), an S3 server for one machine (`zeroload-embedded-s3`), and what several of them need
//! (`zeroload-clock`, `zeroload-database-access`).

pub mod app;
pub mod background;
pub mod cli;
pub mod database;
pub mod http;
pub mod media;
pub mod metrics;
pub mod outbound;
pub mod outside;
pub mod review;
pub mod settings;
#[cfg(test)]
mod simulation;
pub mod storage;
