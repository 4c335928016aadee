//! The read models: what each event does to each read table, and how the tables keep up with the journal.
//!
//! ```text
//! journal ─▶ RecordedEvent … ─▶ fold (pure) ─▶ rows + checkpoint, one transaction ─▶ media ─▶ lists of the collector,
//!                                  │                                                 │         PENDING, views
//!                                  └─▶ tables that follow from the batch ────────────┴─▶ activity, run_records,
//!                                                                                             waste_per_day
//! ```
//!
//! A folder is a subject: its row, its fold, its table, its queries, its tests.
//!
//! | module | holds |
//! |---|---|
//! | [`media`] | a row for each item: the fold, the collector's lists, the PENDING view, what analysts ask |
//! | [`activity`] | counts per minute |
//! | [`runs`] | the records of collection runs |
//! | `waste` | what was stored, never confirmed and removed, by day |
//! | [`retries`], [`inspections`], [`reconciliations`], [`pages`] | notebooks of collector, inspector and reconciler: no folds |
//! | `projection` | which read models there are |
//! | `read_models`, [`models`] | their handle; how they are opened, fed, rebuilt and compared |
//! | `schema` | the steps by which the tables came to be what they are |
//! | `engine` | versions, checkpoints, batches, rebuilds, on either database |
//! | [`recorded`] | an event as the journal hands it over |
//! | `values` | the domain's values as columns |
//! | [`query`] | what several lists share |
//! | [`memory`] | the part of it that a simulation needs, without a database |
//!
//! P-4: a table is exactly the fold of the journal up to its checkpoint, because rows and checkpoint change in one
//! transaction, events are taken in order of position without holes, and nothing here reads a clock, a random number
//! or the network. Only the notebooks are no folds: `collection_retries` ([`retries`]), `recheck_progress`,
//! `inspection_retries` and `inspection_turns` ([`inspections`]), `reconciliations` and `reconciliation_findings`
//! ([`reconciliations`]), `collection_pages` ([`pages`]).

pub mod activity;
mod engine;
pub mod error;
pub mod inspections;
pub mod media;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod models;
pub mod pages;
mod projection;
pub mod query;
mod read_models;
pub mod reconciliations;
pub mod recorded;
pub mod retries;
pub mod runs;
mod schema;
#[cfg(test)]
mod testing;
mod values;
mod waste;

use zeroload_domain::time_text;

pub use activity::{Minute, Unanswered};
pub use engine::{
    checkpoint::{Applied, Checkpoint, Dump, Mark, Status, Swapped},
    postgres::PostgresSettings,
};
pub use error::Error;
pub use inspections::{Inspected, Inspection, InspectionStore, TurnStore};
pub use media::{
    Cursor, DueItem, FoundAs, InvalidCursor, MediaRow, PendingItem, PendingPage, PendingQuery, SeenAs, fold,
};
pub use models::Rebuild;
pub use pages::{PageOf, PageRequest, PageStore};
pub use query::Page;
pub use read_models::ReadModels;
pub use reconciliations::{Counts, ExpectedObject, Finding, FindingKind, Walk, WalkStatus, WalkStore};
pub use recorded::{RecordedBody, RecordedEvent};
pub use retries::{Backoff, Deferred, Retry, RetryStore};
pub use runs::{RunPage, RunRow};
