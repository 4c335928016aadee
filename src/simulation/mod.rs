//! Seeded runs of the real write path, projector and collector in a world that fails (P-1 to P-5, P-7, P-8).
//!
//! ```text
//! backend, clients ─▶ process: service ─▶ commands ─▶ journal's writer ─▶ database   (rows in memory, faults)
//!                     several, killed      collector ─▶ gateway, SDK ─▶ network ─▶ bucket (HTTP in memory, faults)
//!                     and restarted        projector ─▶ read models in memory
//! sim: time, chance, the order of steps, all from one seed        promises: what must never follow what
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`sim`] | time, chance, tasks: the same seed gives the same run |
//! | [`world`] | a run from begin to end, and what must be true at its end |
//! | [`promises`] | rules that are checked at each event, delete and answer |
//! | [`process`] | the real parts, wired as the service wires them |
//! | [`backend`] | what backends and clients do |
//! | [`database`], [`bucket`], [`network`] | what fails, stalls, answers late, twice or never |
//! | [`flaw`], [`sabotage`] | deliberate mistakes that the checks must find |

mod backend;
mod bucket;
mod database;
mod flaw;
mod network;
mod process;
mod promises;
mod sabotage;
mod sim;
mod tests;
mod world;
