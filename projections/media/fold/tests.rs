use zeroload_domain::{
    ByteSize, CollectOutcome, CollectReason, Media, Seen as DomainSeen,
    media::{Claimed, ReleasedFrom, Seal},
};

use super::*;
use crate::testing::{
    Journal, Seeded, at, claim, collected, confirmed, deadlines, etag, id, present, released, renewed, requested,
    run_id, started, uploaded,
};

fn row_after(events: impl IntoIterator<Item = Event>) -> Option<MediaRow> {
    let journal = Journal::of(events.into_iter().map(|event| (id(1), event)));
    journal.rows().pop()
}

/// The row after a request and then `events`; the request was recorded at second 1, the next at second 2 …
fn row(events: impl IntoIterator<Item = Event>) -> MediaRow {
    row_after(std::iter::once(requested(id(1))).chain(events)).unwrap()
}

/// What the domain knows of an item must be what the row says of it.
fn assert_agree(media: &Media, row: Option<&MediaRow>) {
    let (Some(ticketed), Some(row)) = (media.ticketed(), row) else {
        assert_eq!((media.state(), row), (State::Unrequested, None));
        return;
    };
    assert_eq!(media.state(), row.state);
    let Deadlines { ticket_expires_at, confirm_by, collectable_at } = ticketed.deadlines;
    assert_eq!(
        (ticket_expires_at, confirm_by, collectable_at),
        (row.ticket_expires_at, row.confirm_by, row.collectable_at)
    );
    let request = &ticketed.request;
    assert_eq!(
        (&request.tenant, &request.owner, &request.object_key, &request.bucket, &request.store),
        (&row.tenant, &row.owner, &row.object_key, &row.bucket, &row.store)
    );
    assert_eq!(
        (&request.content_type, request.content_length, request.checksum_sha256, request.requested_at),
        (&row.content_type, row.content_length, row.checksum_sha256, row.requested_at)
    );
    assert_eq!(media.attached_to(), row.attached_to.as_ref());
    match media {
        Media::Collecting(_, claimed) => assert_claim(claimed, row, None),
        Media::Collected(_, claimed, outcome) => assert_claim(claimed, row, Some(*outcome)),
        Media::Trashed(_, claimed, kept) => {
            assert_claim(claimed, row, None);
            assert_eq!(row.etag.as_ref(), Some(&kept.etag));
        }
        Media::Restoring(_, kept, _) => assert_eq!(row.etag.as_ref(), Some(&kept.etag)),
        Media::Unrequested | Media::Pending(..) | Media::Uploaded(..) | Media::Confirmed(..) | Media::Released(..) => {
            assert_eq!(media.object().map(|facts| &facts.etag), row.etag.as_ref());
            assert_eq!((row.claim, row.outcome), (ticketed.latest_claim, None));
        }
    }
    if let Some(seal) = media.seal() {
        let found = match seal {
            Seal::Broken(Found::Present(facts)) => Some((FoundAs::Present, Some(facts.etag.clone()))),
            Seal::Broken(Found::Absent) => Some((FoundAs::Absent, None)),
            Seal::Open | Seal::Sealed => None,
        };
        assert_eq!((row.sealed_at.is_some(), row.found), (*seal == Seal::Sealed, found.as_ref().map(|found| found.0)));
        assert_eq!(
            (row.substituted_at.is_some(), &row.found_etag),
            (found.is_some(), &found.and_then(|found| found.1))
        );
    }
    match media {
        Media::Released(_, ReleasedFrom::Cancelled(_)) => {
            assert_eq!(row.release_reason, Some(ReleaseReason::Cancelled))
        }
        Media::Released(_, ReleasedFrom::Detached(_)) => assert_eq!(row.release_reason, Some(ReleaseReason::Detached)),
        Media::Pending(..) | Media::Uploaded(..) | Media::Confirmed(..) => assert_eq!(row.release_reason, None),
        Media::Unrequested
        | Media::Collecting(..)
        | Media::Trashed(..)
        | Media::Restoring(..)
        | Media::Collected(..) => {}
    }
}

fn assert_claim(claimed: &Claimed, row: &MediaRow, outcome: Option<CollectOutcome>) {
    let seen = match claimed.seen {
        DomainSeen::Present { .. } => SeenAs::Present,
        DomainSeen::Absent => SeenAs::Absent,
        DomainSeen::Unknown => SeenAs::Unknown,
    };
    assert_eq!(
        (Some(claimed.claim), Some(claimed.reason), Some(seen), outcome),
        (row.claim, row.collect_reason, row.seen, row.outcome)
    );
}

#[test]
fn folding_into_a_row_agrees_with_the_domain_on_any_events() {
    let mut met = std::collections::HashSet::new();
    for seed in 0..60 {
        let journal = Seeded(seed).journal(800, 40);
        let mut media = std::collections::HashMap::<_, Media>::new();
        let mut rows = std::collections::HashMap::new();
        for event in &journal.events {
            let (id, of_media) = event.of_media().unwrap();
            let row = rows.entry(id).or_insert(None);
            let media = media.entry(id).or_default();
            met.insert((media.state(), of_media.type_name()));
            fold(row, event);
            media.apply(of_media.clone());
            assert_agree(media, row.as_ref());
            if let Some(row) = row {
                assert_eq!((row.sequence, row.position), (event.sequence, event.position));
            }
        }
    }
    assert_eq!(met.len(), 9 * 12, "every event was met in every state");
}

#[test]
fn a_request_makes_a_pending_row() {
    let row = row([]);
    assert_eq!(row.media_id, id(1));
    assert_eq!((row.state, row.sequence, row.position), (State::Pending, 1, 1));
    assert_eq!(row.owner.as_str(), "owner-1");
    assert_eq!((row.requested_at, row.collectable_at), (at(0), deadlines(0).collectable_at));
    assert_eq!(row.content_length, ByteSize::new(1000));
    assert_eq!((row.uploaded_at, row.etag, row.claim), (None, None, None));
}

#[test]
fn an_item_that_was_never_requested_has_no_row() {
    assert_eq!(row_after([uploaded("one"), confirmed(None)]), None);
    let row = row_after([uploaded("one"), requested(id(1))]).unwrap();
    assert_eq!((row.state, row.sequence), (State::Pending, 2));
}

#[test]
fn a_renewed_ticket_moves_the_three_deadlines() {
    let row = row([renewed(50)]);
    let Deadlines { ticket_expires_at, confirm_by, collectable_at } = deadlines(50);
    assert_eq!(
        (row.ticket_expires_at, row.confirm_by, row.collectable_at),
        (ticket_expires_at, confirm_by, collectable_at)
    );
    assert_eq!((row.state, row.requested_at, row.sequence), (State::Pending, at(0), 2));
}

#[test]
fn an_upload_is_dated_when_it_was_recorded_and_the_newest_counts() {
    let row = row([uploaded("one"), uploaded("two")]);
    assert_eq!((row.state, row.uploaded_at, row.etag), (State::Uploaded, Some(at(3)), Some(etag("two"))));
}

#[test]
fn a_confirm_attaches_and_naming_the_place_later_keeps_its_date() {
    let row = row([uploaded("one"), confirmed(None), confirmed(Some("post-1"))]);
    assert_eq!((row.state, row.confirmed_at, row.etag), (State::Confirmed, Some(at(3)), Some(etag("one"))));
    assert_eq!(row.attached_to.unwrap().as_str(), "post-1");
}

#[test]
fn a_release_takes_the_place_away_and_moves_the_deadline() {
    let row = row([uploaded("one"), confirmed(Some("post-1")), released(ReleaseReason::Detached, 900)]);
    assert_eq!((row.state, row.released_at, row.collectable_at), (State::Released, Some(at(4)), at(900)));
    assert_eq!((row.release_reason, row.attached_to), (Some(ReleaseReason::Detached), None));
    assert_eq!(row.confirmed_at, Some(at(3)));
}

#[test]
fn a_confirm_undoes_a_detaching_release_but_not_a_cancelling_one() {
    let detached = [uploaded("one"), confirmed(None), released(ReleaseReason::Detached, 900), confirmed(Some("p"))];
    let undone = row(detached);
    assert_eq!((undone.state, undone.confirmed_at), (State::Confirmed, Some(at(5))));
    assert_eq!((undone.released_at, undone.release_reason), (None, None));
    assert_eq!(undone.collectable_at, at(900));

    let cancelled = row([uploaded("one"), released(ReleaseReason::Cancelled, 900), confirmed(None)]);
    assert_eq!((cancelled.state, cancelled.confirmed_at, cancelled.sequence), (State::Released, None, 4));
}

#[test]
fn a_collection_is_started_and_finished_by_its_own_claim_only() {
    let claimed = started(1, CollectReason::Expired, present("seen"));
    let collecting = row([claimed.clone(), collected(2, CollectOutcome::Deleted, 9)]);
    assert_eq!((collecting.state, collecting.collected_at), (State::Collecting, None));
    assert_eq!((collecting.claim, collecting.collect_run_id), (Some(claim(1)), Some(run_id())));
    assert_eq!((collecting.seen, collecting.etag), (Some(SeenAs::Present), Some(etag("seen"))));
    assert_eq!(collecting.collectable_at, deadlines(0).collectable_at);

    let done = row([claimed, collected(1, CollectOutcome::Deleted, 1000)]);
    assert_eq!(
        (done.state, done.collection_started_at, done.collected_at),
        (State::Collected, Some(at(2)), Some(at(3)))
    );
    assert_eq!((done.outcome, done.bytes_freed), (Some(CollectOutcome::Deleted), Some(ByteSize::new(1000))));
}

#[test]
fn a_late_upload_begins_a_collection_of_its_own() {
    let row = row([
        started(1, CollectReason::Expired, Seen::Absent),
        collected(1, CollectOutcome::Absent, 0),
        started(2, CollectReason::LateUpload, present("late")),
    ]);
    assert_eq!((row.state, row.claim), (State::Collecting, Some(claim(2))));
    assert_eq!((row.collect_reason, row.seen), (Some(CollectReason::LateUpload), Some(SeenAs::Present)));
    assert_eq!((row.collected_at, row.outcome, row.bytes_freed), (None, None, None));
    assert_eq!(row.collection_started_at, Some(at(4)));
}
