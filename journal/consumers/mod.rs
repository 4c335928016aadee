//! The consumers' engine: whatever follows the journal by a cursor stands on it.
//!
//! ```text
//! Engine::run_once: stand ─▶ check the mark ─▶ read on in bounded batches ─▶ apply … until the head that was read
//!  (engine.rs)        │        (mark.rs)                                        │
//!                     └──────────── Follower (follower.rs) ─────────────────────┘
//!                                      │ the projector: cursor and rows in one transaction, in tables of its own
//!                                      └ Stored (stored.rs): a Consumer, whose effect may be repeated,
//!                                          and its cursor in a ConsumerStore (store.rs; sqlite/consumers.rs,
//!                                          postgres/consumers.rs)
//! ```
//!
//! Promises kept here:
//! - Each event is applied at least once and in order: the cursor moves with the effect, or after it.
//! - A consumer never goes on in another past. Its cursor holds a [`Mark`], the latest commit known at or before its
//!   position; where the journal does not hold that commit, or ends before the cursor, the turn ends with [`Restored`],
//!   and so does each later one, until the cursor is moved or what it feeds is built anew.
//! - Of several processes one is at a stored consumer: a lease in its row, which ends by itself.
//!
//! On failure: a turn that fails, or is dropped at any await, leaves the cursor at the end of a whole batch. The next turn
//! checks the mark again and repeats at most one batch.

mod engine;
mod error;
mod follower;
mod lag;
mod mark;
mod row;
mod store;
mod stored;

pub use engine::{Engine, Turn};
pub use error::{ConsumeError, ConsumerError, Restored};
pub use follower::{Follower, Moved, Standing};
pub use lag::{Lag, lag};
pub use mark::{Cursor, Mark, holds, mark_of};
pub use row::{Cell, CursorTable, RawConsumer};
pub use store::{ConsumerState, ConsumerStore, Lease};
pub use stored::{Consumer, Stored};
