//! `kill -9` and SIGTERM on the real binary under load (P-1, P-2, P-3, P-4, P-5, P-8).
//!
//! ```text
//! clients ── random lives, seeded ──▶ serve ◀── kill, start again ── the test
//!    └──▶ ledger: what was acknowledged ──▶ checks after every start, and at the end
//! ```
//!
//! `ZEROLOAD_TEST_SEED` repeats a run's decisions, `ZEROLOAD_TEST_KILLS` sets how often it is killed. A seed fixes what
//! the clients do and when the process is killed, counted in acknowledged calls; how their calls interleave it cannot fix.

mod bucket;
mod client;
mod collection;
mod ending;
mod first_start;
mod history;
mod ledger;
mod outages;
mod process;
mod several;
mod stopping;
mod under_load;
mod world;
