//! Many events folded in memory, so that each touched row is read at most once and written exactly once.

use std::collections::HashMap;

use zeroload_domain::{Event, MediaId};

use crate::{Error, MediaRow, RecordedEvent, activity::Counts, fold::fold};

/// What a batch does to the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows of items that had none, in order of their request.
    pub inserted: Vec<MediaRow>,
    /// Rows that were there before.
    pub updated: Vec<MediaRow>,
    /// What the rows count per minute.
    pub(crate) counts: Counts,
}

/// The part of `events` that comes after `position`. What is at or before it was applied already, by us or by another
/// process, and is skipped.
///
/// # Errors
/// [`Error::Hole`] unless the rest goes on at `position + 1` without gaps: skipping an event would be forgotten for ever.
pub fn fresh(events: &[RecordedEvent], position: u64) -> Result<&[RecordedEvent], Error> {
    let start = events.iter().position(|e| e.position > position).unwrap_or(events.len());
    let fresh = &events[start..];
    for (expected, event) in (position + 1..).zip(fresh) {
        if event.position != expected {
            return Err(Error::Hole { expected, found: event.position });
        }
    }
    Ok(fresh)
}

/// The items whose rows must be read before `events` can be folded. An item that is requested by the first event of its
/// stream within the batch cannot have a row yet.
pub fn touched(events: &[RecordedEvent]) -> Vec<MediaId> {
    let mut is_new = HashMap::with_capacity(events.len());
    let mut ids = Vec::new();
    for recorded in events {
        let Some((id, event)) = recorded.of_media() else { continue };
        is_new.entry(id).or_insert_with(|| {
            let new = recorded.sequence == 1 && matches!(event, Event::MediaRequested(_));
            if !new {
                ids.push(id);
            }
        });
    }
    ids
}

/// Folds `events` over the rows of [`touched`].
pub fn changes(events: &[RecordedEvent], stored: Vec<MediaRow>) -> Changes {
    let known = stored.len();
    let mut counts = Counts::default();
    stored.iter().for_each(|row| counts.take_back(row));
    let mut places: HashMap<MediaId, usize> = stored.iter().enumerate().map(|(i, row)| (row.media_id, i)).collect();
    let mut rows: Vec<Option<MediaRow>> = stored.into_iter().map(Some).collect();
    for event in events {
        let Some((id, _)) = event.of_media() else { continue };
        let place = *places.entry(id).or_insert_with(|| {
            rows.push(None);
            rows.len() - 1
        });
        fold(&mut rows[place], event);
    }
    rows.iter().flatten().for_each(|row| counts.add(row));
    let inserted = rows.split_off(known).into_iter().flatten().collect();
    Changes { inserted, updated: rows.into_iter().flatten().collect(), counts }
}

#[cfg(test)]
mod tests;
