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
//! | [`journal`] | the event store |
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
//! | [`storage`] | the S3 gateway and the embedded S3 server |
//! | [`actors`] | timers |
//! | [`lost_lines`] | how much of the log was lost |
//! | `open_files`, `private_file` | whether a database's files are still its own, and who may read them |
//! | [`settings`], [`clock`] | what is passed in |
//! | [`database`] | which databases there are |
//! | [`app`] | constructs and wires everything |
//! | [`cli`] | the subcommands |
//!
//! The rules are in the crate `zeroload-domain`, the read tables in `zeroload-projections`.

pub mod actors;
pub mod app;
pub mod bucket;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod commands;
pub mod database;
pub mod http;
pub mod inspector;
pub mod journal;
pub mod late_uploads;
pub mod lost_lines;
pub mod notification;
mod open_files;
pub mod outside;
mod private_file;
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
