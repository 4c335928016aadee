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
//! | module | one reason to exist |
//! |---|---|
//! | [`http`] | the interface: shapes, errors, roles |
//! | [`service`] | a backend's calls: commands combined with looks at the bucket |
//! | [`commands`] | the one write path |
//! | [`projector`] | feeds the read models |
//! | [`recent`] | what was just recorded, for the projector |
//! | [`remembered`] | what waits for its confirm, for the write path |
//! | [`collector`] | claims, deletes, records |
//! | [`inspector`] | looks again at what seemed to have ended |
//! | [`late_uploads`] | claims bytes that arrived after their item was collected |
//! | [`notification`] | what S3 servers send when an object was written |
//! | [`reconcile`] | the bucket against the journal, both ways |
//! | [`bucket`] | is the bucket ours? |
//! | [`review`] | asks the backend what is in use |
//! | [`outside`] | what others send, read strictly and bounded |
//! | [`storage`] | the S3 gateway |
//! | [`actors`] | timers |
//! | [`lost_lines`] | how much of the log was lost |
//! | [`settings`] | what is passed in |
//! | [`database`] | which databases there are |
//! | [`app`] | constructs and wires everything |
//! | [`cli`] | the subcommands |
//!
//! In crates of their own: the rules (`zeroload-domain`), the event store (`zeroload-journal`), the read tables
//! (`zeroload-projections`), an S3 server for one machine (`zeroload-embedded-s3`), and what several of them need
//! (`zeroload-clock`, `zeroload-database-access`).

pub mod actors;
pub mod app;
pub mod bucket;
pub mod cli;
pub mod collector;
pub mod commands;
pub mod database;
pub mod http;
pub mod inspector;
pub mod late_uploads;
pub mod lost_lines;
pub mod notification;
pub mod outside;
pub mod projector;
pub mod recent;
pub mod reconcile;
pub mod remembered;
pub mod restore;
pub mod review;
pub mod service;
pub mod settings;
#[cfg(test)]
mod simulation;
pub mod storage;
