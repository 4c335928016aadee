//! The README and the architecture page, taken at their word: the commands are run, the tables are compared with the
//! program, and what is named must exist.
//!
//! A block or table under `<!-- test: NAME -->` is checked; NAME says how:
//!
//! | name | what is under it |
//! |---|---|
//! | `serve` | a command that starts the server; the one before is stopped first |
//! | `run` | commands for one shell that lives from the first to the last block |
//! | `banner` | what the first server prints |
//! | `sql` | a query of the read models that must find something |
//! | `places` | who may know whom, see [`places`] |
//! | all others | a table, see [`claims`] |
//!
//! What differs from a reader's terminal: `cargo` is a script that starts the binary under test, and the two addresses are
//! those that the system chose.

mod claims;
mod document;
mod imports;
mod names;
mod place;
mod places;
mod shell;
mod walkthrough;
