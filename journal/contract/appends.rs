//! Appending when nothing fails.

use std::collections::HashSet;

use chrono::DateTime;
use futures_util::future::join_all;
use uuid::Uuid;

use super::faults::Script;
use super::{Harness, append, append_each, queued, start_default, start_scripted, stream};
use crate::{Append, AppendError, Appended, Journal, NewEvent, Options, StreamKind, verify};

fn is_conflict(result: &Result<impl Sized, AppendError>, number: u128, expected: u64) -> bool {
    matches!(result, Err(AppendError::Conflict { stream: id, expected_sequence })
        if (*id, *expected_sequence) == (stream(number), expected))
}

pub(crate) async fn an_append_is_read_back_as_it_was_given<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let event = |event_type, payload: &str| NewEvent { event_type, event_version: "1.0", payload: payload.into() };
    let given = Append {
        events: vec![event("MediaRequested", "{ \"b\": 1.50,\n \"a\":\"ü😀\" }"), event("Uploaded", "{}")],
        metadata: "{\"z\": 1,  \"a\": null}".into(),
        tenant: "tenant/ä".into(),
        ..append(1, 0, 0)
    };
    let appended = journal.append(given.clone()).await.expect("the stream is new");
    assert_eq!((appended.first_position, appended.last_position, appended.last_sequence), (1, 2, 2));

    let events = journal.stream(given.stream).await.expect("it can be read");
    assert_eq!(journal.read(0, 10).await.expect("it can be read"), events);
    assert_eq!(events.len(), 2);
    for ((number, stored), event) in (1..).zip(&events).zip(&given.events) {
        assert_eq!((stored.position, stored.sequence, stored.commit_id), (number, number, 1));
        assert_eq!((&*stored.event_type, &*stored.event_version), (event.event_type, event.event_version));
        assert_eq!((&stored.payload, &stored.metadata), (&event.payload, &given.metadata));
        assert_eq!((&stored.tenant, stored.command_id), (&given.tenant, given.command_id));
        assert_eq!((stored.aggregate_id, stored.recorded_at), (given.stream, appended.recorded_at));
    }
    let facts = journal.facts(given.stream).await.expect("it can be read");
    assert_eq!(facts.len(), 2);
    for (fact, stored) in facts.iter().zip(&events) {
        assert_eq!(
            (fact.position, fact.sequence, fact.command_id),
            (stored.position, stored.sequence, stored.command_id)
        );
        assert_eq!((&fact.event_type, &fact.event_version), (&stored.event_type, &stored.event_version));
        assert_eq!(fact.payload, stored.payload);
    }
    let head = journal.head().await.expect("it can be read");
    assert_eq!((head.position, head.commit_id, head.recorded_at), (2, 1, appended.recorded_at));
    assert_eq!(*journal.head_watch().borrow(), 2);
    assert!(journal.database_now().await.expect("it can be read") >= appended.recorded_at);
    writer.stop().await;
}

pub(crate) async fn appends_that_give_way_are_written_all_the_same<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let low_priority = journal.low_priority();
    let mut all: Vec<futures_util::future::BoxFuture<'_, _>> = Vec::new();
    for number in 0..60 {
        all.push(Box::pin(low_priority.append(append(number, 0, 1))));
        all.push(Box::pin(journal.append(append(1000 + number, 0, 1))));
    }
    let mut positions: Vec<_> =
        join_all(all).await.into_iter().map(|written| written.expect("each stream is new").last_position).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=120).collect::<Vec<_>>());
    let (own, others) = tokio::join!(low_priority.append(append(7, 1, 1)), journal.append(append(7, 1, 1)));
    assert!(own.is_ok() != others.is_ok(), "one of two to the same stream: {own:?} {others:?}");
    let waiting = low_priority.append(append(8, 1, 1));
    let (written, ()) = tokio::join!(waiting, writer.stop());
    assert!(written.is_ok(), "a stop writes what waits: {written:?}");
    assert!(matches!(low_priority.append(append(9, 1, 1)).await, Err(AppendError::Stopped)));
}

pub(crate) async fn an_append_to_a_stream_that_went_on_is_a_conflict<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [append(1, 0, 2)]).await;
    assert!(is_conflict(&journal.append(append(1, 0, 1)).await, 1, 0));
    assert!(is_conflict(&journal.append(append(1, 1, 1)).await, 1, 1));
    assert_eq!(journal.append(append(1, 2, 1)).await.expect("it is the next").last_sequence, 3);
    writer.stop().await;
}

pub(crate) async fn an_append_beyond_the_end_of_its_stream_is_a_conflict<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    assert!(is_conflict(&journal.append(append(1, 1, 1)).await, 1, 1));
    append_each(&journal, [append(1, 0, 1)]).await;
    for beyond in [2, 3, u64::MAX] {
        assert!(is_conflict(&journal.append(Append { expected_sequence: beyond, ..append(1, 0, 1) }).await, 1, beyond));
    }
    assert_eq!(journal.head().await.expect("it can be read").position, 1);
    writer.stop().await;
}

pub(crate) async fn streams_of_two_kinds_may_have_one_id_and_share_a_commit<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [append(1, 0, 2)]).await;
    writer.stop().await;

    let script = Script::held();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let run = Append { kind: StreamKind::CollectionRun, command_id: Uuid::from_u128(7), ..append(1, 0, 2) };
    let results = in_one_batch(&journal, &script, [append(1, 2, 1), run, append(2, 1, 1)]).await;
    assert!(is_conflict(&results[2], 2, 1), "its stream does not exist");
    let sequence = |index: usize| results[index].as_ref().expect("nothing stands against it").last_sequence;
    assert_eq!([sequence(0), sequence(1)], [3, 2]);

    let of = async |kind| {
        let events = journal.reader().stream_of(kind, stream(1)).await.expect("it can be read");
        assert!(events.iter().all(|event| event.kind == kind));
        events.iter().map(|event| (event.position, event.commit_id)).collect::<Vec<_>>()
    };
    assert_eq!(of(StreamKind::Media).await, [(1, 1), (2, 1), (4, 3)]);
    assert_eq!(of(StreamKind::CollectionRun).await, [(5, 3), (6, 3)]);
    let facts = journal.facts(stream(1)).await.expect("it can be read");
    assert_eq!(facts.iter().map(|fact| fact.position).collect::<Vec<_>>(), [1, 2, 4]);
    verify(journal.reader(), None, |_, _| ()).await.expect("it is whole");
    writer.stop().await;
}

/// Puts all appends into one batch: they are queued while the writer is held at a first one.
async fn in_one_batch(
    journal: &Journal,
    script: &Script,
    appends: impl IntoIterator<Item = Append>,
) -> Vec<Result<Appended, AppendError>> {
    let first = queued(journal, append(1_000, 0, 1));
    script.batch_begun().await;
    let all: Vec<_> = appends.into_iter().map(|append| queued(journal, append)).collect();
    script.release();
    first.await.expect("the stream is new");
    join_all(all).await
}

pub(crate) async fn a_conflict_fails_alone_and_its_neighbours_share_the_commit<H: Harness>(harness: &H) {
    let script = Script::open();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    append_each(&journal, [append(1, 0, 2), append(2, 0, 1)]).await;
    writer.stop().await;

    let script = Script::held();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let batch = [append(1, 1, 1), append(2, 1, 2), append(3, 1, 1), append(4, 0, 2), append(5, 7, 1), append(6, 0, 1)];
    let results = in_one_batch(&journal, &script, batch).await;
    assert!(is_conflict(&results[0], 1, 1), "its stream went on");
    assert!(is_conflict(&results[2], 3, 1), "its stream does not exist");
    assert!(is_conflict(&results[4], 5, 7), "its stream does not exist");
    let positions = [1, 3, 5].map(|index: usize| {
        let appended = results[index].as_ref().expect("nothing stands against it");
        (appended.first_position, appended.last_position)
    });
    assert_eq!(positions, [(5, 6), (7, 8), (9, 9)]);
    let events = journal.read(4, 100).await.expect("there is no hole");
    assert_eq!(events.iter().map(|event| event.commit_id).collect::<HashSet<_>>(), HashSet::from([4]));
    assert_eq!(events.len(), 5);
    verify(journal.reader(), None, |_, _| ()).await.expect("it is whole");
    writer.stop().await;
}

pub(crate) async fn a_batch_of_conflicts_writes_nothing<H: Harness>(harness: &H) {
    let script = Script::held();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let results = in_one_batch(&journal, &script, [append(1, 1, 1), append(2, 3, 2)]).await;
    assert!(is_conflict(&results[0], 1, 1) && is_conflict(&results[1], 2, 3));
    let head = journal.head().await.expect("it can be read");
    assert_eq!((head.position, head.commit_id), (1, 1));
    append_each(&journal, [append(1, 0, 1)]).await;
    writer.stop().await;
}

pub(crate) async fn two_appends_to_one_stream_keep_their_order_in_two_commits<H: Harness>(harness: &H) {
    let script = Script::held();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let batch = [append(1, 0, 1), append(1, 1, 1), append(2, 0, 1), append(1, 1, 3), append(1, 2, 1)];
    let results = in_one_batch(&journal, &script, batch).await;
    let sequence = |index: usize| results[index].as_ref().expect("nothing stands against it").last_sequence;
    assert_eq!([sequence(0), sequence(1), sequence(2), sequence(4)], [1, 2, 1, 3]);
    assert!(is_conflict(&results[3], 1, 1));
    let events = journal.stream(stream(1)).await.expect("it can be read");
    assert_eq!(events.iter().map(|event| event.commit_id).collect::<Vec<_>>(), [2, 3, 4]);
    writer.stop().await;
}

pub(crate) async fn an_append_larger_than_a_batch_is_one_commit<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let count = Options::default().batch_events.get() * 2 + 88;
    let appended = journal.append(append(1, 0, count)).await.expect("the stream is new");
    assert_eq!((appended.first_position, appended.last_position), (1, count as u64));
    let events = journal.read(0, 10_000).await.expect("there is no hole");
    assert_eq!((events.len(), events.last().map(|event| event.commit_id)), (count, Some(1)));
    verify(journal.reader(), None, |_, _| ()).await.expect("it is whole");
    writer.stop().await;
}

pub(crate) async fn an_append_without_events_is_refused<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    assert!(matches!(journal.append(append(1, 0, 0)).await, Err(AppendError::Empty { .. })));
    writer.stop().await;
}

const CALLERS: u128 = 64;
const ROUNDS: u64 = 12;

/// Each caller has a stream of its own, and tries the next event of one that all share.
async fn call(journal: Journal, caller: u128) -> (u64, u64) {
    let (mut written, mut lost) = (0, 0);
    for round in 0..ROUNDS {
        let own = journal.append(append(caller, round * 2, 2)).await.expect("nobody else writes it");
        let shared = Append { command_id: Uuid::from_u128(caller << 64 | u128::from(round)), ..append(500, round, 1) };
        written += 2;
        match journal.append(shared).await {
            Ok(appended) => {
                assert!(appended.first_position > own.last_position);
                written += 1;
            }
            Err(AppendError::Conflict { .. }) => lost += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (written, lost)
}

pub(crate) async fn many_callers_leave_no_gap_and_a_tailing_reader_sees_all_in_order<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(call(journal.clone(), caller))).collect();

    // Reads to the end while they write; ends when the writer does.
    let (reader, mut head) = (journal.reader().clone(), journal.head_watch());
    let tail = tokio::spawn(async move {
        let mut seen = Vec::new();
        loop {
            let ended = head.changed().await.is_err();
            let committed = *head.borrow_and_update();
            loop {
                let page = reader.read(seen.len() as u64, 50).await.expect("there is no hole");
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            assert!(seen.len() as u64 >= committed);
            if ended {
                return seen;
            }
        }
    });

    let (mut written, mut lost) = (0, 0);
    for caller in callers {
        let counts = caller.await.expect("no caller panics");
        (written, lost) = (written + counts.0, lost + counts.1);
    }
    assert!(lost > 0, "the callers never met");
    writer.stop().await;
    let seen = tail.await.expect("the reader does not panic");
    assert_eq!(seen.len() as u64, written);
    assert!((1..).zip(&seen).all(|(position, event)| event.position == position));
    assert!(seen.windows(2).all(|pair| pair[0].recorded_at <= pair[1].recorded_at));
    assert!(seen.last().is_some_and(|event| event.commit_id < written), "no commit was shared");
    for caller in 0..CALLERS {
        let own: Vec<_> = seen.iter().filter(|event| event.aggregate_id == stream(caller)).collect();
        assert!((1..).zip(&own).all(|(sequence, event)| event.sequence == sequence));
        assert_eq!(own.len() as u64, ROUNDS * 2);
    }
    let verified = verify(journal.reader(), None, |_, _| ()).await.expect("it is whole");
    assert_eq!(verified.position, written);
}

pub(crate) async fn time_never_goes_back_even_if_the_clock_does<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let far = DateTime::from_timestamp(4_102_444_800, 0).expect("it is the year 2100");
    harness.tamper(&format!("UPDATE journal_head SET recorded_at = {}", far.timestamp_micros())).await;
    let appended = append_each(&journal, [append(1, 0, 1), append(1, 1, 1)]).await;
    assert_eq!([appended[0].recorded_at, appended[1].recorded_at], [far, far]);
    writer.stop().await;
}

pub(crate) async fn a_restart_continues_the_chain<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [append(1, 0, 2)]).await;
    let before = journal.head().await.expect("it can be read");
    writer.stop().await;

    let (journal, writer) = start_default(harness).await;
    assert_eq!(journal.head().await.expect("it can be read"), before);
    assert_eq!(*journal.head_watch().borrow(), 2);
    let appended = append_each(&journal, [append(1, 2, 1)]).await;
    assert_eq!((appended[0].first_position, appended[0].last_sequence), (3, 3));
    let after = journal.head().await.expect("it can be read");
    assert_eq!((after.journal_id, after.commit_id), (before.journal_id, 2));
    verify(journal.reader(), Some((2, before.hash)), |_, _| ()).await.expect("it went on from there");
    writer.stop().await;
}

pub(crate) async fn an_append_whose_caller_is_gone_still_happens<H: Harness>(harness: &H) {
    let script = Script::held();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    drop(queued(&journal, append(1, 0, 1)));
    script.batch_begun().await;
    drop(queued(&journal, append(2, 0, 1)));
    script.release();
    writer.stop().await;
    assert_eq!(journal.read(0, 10).await.expect("there is no hole").len(), 2);
}
