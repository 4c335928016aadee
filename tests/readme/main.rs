//! README.md, the book in docs/, CONTRIBUTING.md and CHANGELOG.md, taken at their word: the commands are run, the tables
//! are compared with the program, what is named must exist, and links lead somewhere.
//!
//! A block or table under `<!-- test: NAME -->` is checked; NAME says how:
//!
//! | name | what is under it |
//! |---|---|
//! | `serve` | a command that starts the server; the one before is stopped first |
//! | `run` | commands for one shell that lives from the first to the last block |
//! | `banner` | what the server prints |
//! | `sql` | a query of the read models that must find something |
//! | `places` | who may know whom, see [`places`] |
//! | `shape NAME` | JSON with the members of that schema of `/openapi.json` |
//! | all others | a table, see [`claims`] and [`refusals`]; its parts may stand below several markers of one name |
//!
//! The tutorial is one walk, which the commands of docs/http.md and docs/history.md go on with; the README is another.
//!
//! What differs from a reader's terminal: `cargo` is a script that starts the binary under test, and the two addresses are
//! those that the system chose.

mod claims;
mod document;
mod imports;
mod names;
mod pages;
mod place;
mod places;
mod refusals;
mod shell;
mod walkthrough;
