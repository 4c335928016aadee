//! The read models: what each event does to each read table, and how the tables keep up with the journal.
//!
//! ```text
//! journal ─▶ RecordedEvent … ─▶ fold (pure) ─▶ rows + checkpoint, one transaction ─▶ media
//!                                                                                    ├─▶ pending, due, unfinished
//!                                                                                    └─▶ views for any SQL client
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`recorded`] | an event as the journal hands it over |
//! | [`row`] | a row of `media`, column by column: the public interface of the table |
//! | [`fold`] | the mapping: one row and one event give the next row |
//! | [`activity`] | counts per minute, which follow from the rows |
//! | [`runs`] | the records of collection runs: a row of `run_records`, and its fold |
//! | [`batch`] | many events folded in memory, so that each touched row is written once |
//! | [`checkpoint`], [`cursor`], [`query`] | where a projection stands, and what can be asked of it |
//! | [`models`], [`retries`], [`inspections`] | the tables, rebuilds and reads, and the notebooks of collector and inspector, over either database |
//! | [`pages`] | which items the runs of several collectors are at |
//! | [`turns`] | which of several inspectors looks |
//! | [`reconciliations`] | the notebook of reconciliations, and what they look up |
//! | `sqlite`, `postgres` | the same on each database; `columns` and `answers` are what both share |
//! | `memory` | the part of it that a simulation needs, without a database |
//!
//! P-4: a table is exactly the fold of the journal up to its checkpoint, because rows and checkpoint change in one
//! transaction, events are taken in order of position without holes, and nothing here reads a clock, a random number
//! or the network. Only the notebooks are no folds: `collection_retries` ([`retries`]), `recheck_progress` and
//! `inspection_retries` ([`inspections`]), `reconciliations` and `reconciliation_findings` ([`reconciliations`]).

pub mod activity;
mod answers;
pub mod batch;
pub mod checkpoint;
mod columns;
#[cfg(test)]
mod contract;
pub mod cursor;
pub mod error;
pub mod fold;
pub mod inspections;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod models;
pub mod pages;
mod postgres;
pub mod query;
pub mod reconciliations;
pub mod recorded;
pub mod retries;
pub mod row;
pub mod runs;
mod sqlite;
#[cfg(test)]
mod testing;
pub mod turns;

use zeroload_domain::time_text;

pub use activity::{Minute, Unanswered};
pub use checkpoint::{Applied, Checkpoint, Status, Swapped};
pub use cursor::{Cursor, InvalidCursor};
pub use error::Error;
pub use inspections::{Inspected, Inspection, InspectionStore, PutAside};
pub use models::{ReadModels, Rebuild};
pub use pages::{PageOf, PageRequest, PageStore};
pub use postgres::PostgresSettings;
pub use query::{DueItem, Dump, PendingItem, PendingPage, PendingQuery};
pub use reconciliations::{Counts, Finding, FindingKind, Owned, Page, Walk, WalkStatus, WalkStore};
pub use recorded::{RecordedEvent, What};
pub use retries::{Backoff, Postponed, Retry, RetryStore};
pub use row::{FoundAs, MediaRow, SeenAs};
pub use runs::{RunPage, RunRow};
pub use turns::TurnStore;
