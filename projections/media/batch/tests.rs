use super::*;
use crate::testing::{Journal, Seeded, confirmed, id, requested, uploaded};

#[test]
fn only_items_that_may_have_a_row_are_read() {
    let journal = Journal::of([(id(1), requested(id(1))), (id(2), requested(id(2))), (id(1), uploaded("one"))]);
    assert_eq!(touched(&journal.events), []);
    assert_eq!(touched(&journal.events[1..]), [id(1)]);
    let repeated = Journal::of([(id(1), uploaded("one")), (id(1), requested(id(1)))]);
    assert_eq!(touched(&repeated.events[1..]), [id(1)]);
}

#[test]
fn each_touched_row_is_written_once() {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(2), requested(id(2))),
        (id(2), uploaded("one")),
        (id(1), uploaded("one")),
        (id(3), confirmed(None)),
        (id(2), confirmed(None)),
    ]);
    let all = changes(&journal.events, vec![]);
    assert_eq!((all.inserted.len(), all.updated.len()), (2, 0));
    assert_eq!((all.inserted[0].sequence, all.inserted[1].sequence), (2, 3));

    let first = changes(&journal.events[..2], vec![]);
    let second = changes(&journal.events[2..], first.inserted);
    assert_eq!((second.inserted.len(), second.updated.len()), (0, 2));
    assert_eq!(second.updated, all.inserted);
}

#[test]
fn the_boundaries_of_batches_do_not_matter() {
    for seed in 0..30 {
        let mut seeded = Seeded(seed);
        let journal = seeded.journal(200, 8);
        let mut rows: HashMap<MediaId, MediaRow> = HashMap::new();
        let mut rest = journal.events.as_slice();
        while !rest.is_empty() {
            let size = usize::try_from(1 + seeded.below(20)).unwrap().min(rest.len());
            let (batch, tail) = rest.split_at(size);
            let stored = touched(batch).iter().filter_map(|id| rows.get(id).cloned()).collect();
            let Folded { inserted, updated, .. } = changes(batch, stored);
            for row in inserted {
                assert!(rows.insert(row.media_id, row).is_none(), "an inserted row was there before");
            }
            for row in updated {
                assert!(rows.insert(row.media_id, row).is_some(), "an updated row was not there before");
            }
            rest = tail;
        }
        let mut folded: Vec<_> = rows.into_values().collect();
        folded.sort_by_key(|row| row.media_id);
        assert_eq!(folded, journal.rows(), "seed {seed}");
    }
}
