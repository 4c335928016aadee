//! What several lists share: places and pages.

use chrono::{DateTime, Utc};
use zeroload_domain::MediaId;

use crate::engine::Cell;

/// Sorts after every time, id and key.
pub(crate) const AFTER_ALL: &str = "~";

/// A place in an order of time and id; empty text comes before everything.
pub(crate) struct Place {
    pub(crate) at: Cell,
    pub(crate) id: Cell,
}

impl Place {
    pub(crate) fn after(item: Option<(DateTime<Utc>, MediaId)>) -> Self {
        match item {
            Some((at, id)) => Self { at: Cell::of(&at), id: Cell::of(&id) },
            None => Self { at: Cell::text(""), id: Cell::text("") },
        }
    }
}

/// Rows of one page: 1 … 1000; what is outside is taken as the nearest bound.
pub(crate) fn at_most(limit: u32) -> u32 {
    limit.clamp(1, 1000)
}

/// A page of a list, and where the next one begins if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Of rows that were asked for with one more than the page may have.
    pub(crate) fn of(limit: u32, mut items: Vec<T>, place: impl Fn(&T) -> C) -> Self {
        let limit = at_most(limit) as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(place);
        Self { items, next }
    }
}
