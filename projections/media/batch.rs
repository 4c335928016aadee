//! Many events folded in memory, so that each touched row is read at most once and written exactly once.

use std::collections::HashMap;

use zeroload_domain::{Event, MediaId, State};

use super::{MediaRow, fold::fold};
use crate::{RecordedEvent, engine::Folded};

/// The items whose rows must be read before `events` can be folded. An item that is requested by the first event of its
/// stream within the batch cannot have a row yet.
pub(crate) fn touched(events: &[RecordedEvent]) -> Vec<MediaId> {
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
pub(crate) fn changes(events: &[RecordedEvent], stored: Vec<MediaRow>) -> Folded<'_, MediaRow> {
    let known = stored.len();
    let before = stored.clone();
    let mut passed = Vec::new();
    let mut places: HashMap<MediaId, usize> = stored.iter().enumerate().map(|(i, row)| (row.media_id, i)).collect();
    let mut rows: Vec<Option<MediaRow>> = stored.into_iter().map(Some).collect();
    for event in events {
        let Some((id, _)) = event.of_media() else { continue };
        let place = *places.entry(id).or_insert_with(|| {
            rows.push(None);
            rows.len() - 1
        });
        let was_being_collected = rows[place].as_ref().is_some_and(|row| row.state == State::Collecting);
        fold(&mut rows[place], event);
        // What was removed counts once for each removal, whatever becomes of the item in the same batch.
        let collected = rows[place].as_ref().filter(|row| was_being_collected && row.state == State::Collected);
        passed.extend(collected.cloned());
    }
    let inserted = rows.split_off(known).into_iter().flatten().collect();
    Folded { events, before, updated: rows.into_iter().flatten().collect(), inserted, passed }
}

#[cfg(test)]
mod tests;
