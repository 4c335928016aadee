//! What callers are told when the database, the writer or its answer fails (P-3).

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::FutureExt;

use super::faults::{Fault, Script};
use super::{Harness, append, append_each, queued, start_default, start_scripted, stream};
use crate::{AppendError, Appended, Options, StoreErrorKind, verify};

fn impatient() -> Options {
    Options { settle_pause: Duration::from_micros(100), ..Options::default() }
}

fn is_unavailable(result: &Result<Appended, AppendError>) -> bool {
    matches!(result, Err(AppendError::Unavailable { source }) if source.kind == StoreErrorKind::Io)
}

pub(crate) async fn a_commit_whose_answer_was_lost_is_found_and_answered<H: Harness>(harness: &H) {
    let script = Script::held().faults([Fault::AnswerLost, Fault::AnswerLost]);
    let (journal, writer) = start_scripted(harness, &script, impatient()).await;
    let first = queued(&journal, append(1, 0, 2));
    script.batch_begun().await;
    // The same command on two streams: each is answered with its own events.
    let again = crate::Append { command_id: append(2, 0, 1).command_id, ..append(3, 0, 3) };
    let (second, third) = (queued(&journal, append(2, 0, 1)), queued(&journal, again));
    script.release();
    for (result, number) in [(first.await, 1), (second.await, 2), (third.await, 3)] {
        let appended = result.expect("it happened");
        let events = journal.stream(stream(number)).await.expect("it can be read");
        let last = events.last().expect("it was written");
        assert_eq!((appended.first_position, appended.last_position), (events[0].position, last.position));
        assert_eq!((appended.last_sequence, appended.recorded_at), (last.sequence, last.recorded_at));
    }
    assert_eq!(*journal.head_watch().borrow(), 6);
    append_each(&journal, [append(1, 2, 1)]).await;
    verify(journal.reader(), None, |_, _| ()).await.expect("nothing was written twice");
    writer.stop().await;
}

pub(crate) async fn a_loser_in_a_found_commit_is_a_conflict<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [append(1, 0, 1)]).await;
    writer.stop().await;

    let script = Script::held().faults([Fault::Failed, Fault::AnswerLost]);
    let (journal, writer) = start_scripted(harness, &script, impatient()).await;
    let first = queued(&journal, append(9, 0, 1));
    script.batch_begun().await;
    let (loser, winner) = (queued(&journal, append(1, 0, 1)), queued(&journal, append(2, 0, 1)));
    script.release();
    assert!(is_unavailable(&first.await));
    // The loser's command is that of the event at position 1, which stands before the batch's head.
    assert!(matches!(loser.await, Err(AppendError::Conflict { .. })));
    assert_eq!(winner.await.expect("it happened").first_position, 2);
    writer.stop().await;
}

pub(crate) async fn a_commit_that_did_not_happen_is_unavailable_and_can_be_repeated<H: Harness>(harness: &H) {
    let script = Script::open().faults([Fault::NeverArrived]);
    let (journal, writer) = start_scripted(harness, &script, impatient()).await;
    assert!(is_unavailable(&journal.append(append(1, 0, 1)).await));
    assert_eq!(journal.append(append(1, 0, 1)).await.expect("nothing was written").first_position, 1);
    writer.stop().await;
}

pub(crate) async fn appends_are_refused_until_the_unknown_outcome_is_known<H: Harness>(harness: &H) {
    let script = Script::held().faults([Fault::AnswerLost]);
    script.fail_lookups(usize::MAX);
    let (journal, writer) = start_scripted(harness, &script, impatient()).await;
    let unknown = queued(&journal, append(1, 0, 1));
    script.batch_begun().await;
    let waiting = queued(&journal, append(2, 0, 1));
    script.release();
    for _ in 0..3 {
        script.lookup_failed().await;
    }
    assert!(matches!(journal.append(append(3, 0, 1)).await, Err(AppendError::Settling { .. })));
    script.fail_lookups(0);
    assert_eq!(unknown.await.expect("it happened").first_position, 1);
    assert_eq!(waiting.await.expect("it was queued before").first_position, 2);
    append_each(&journal, [append(3, 0, 1)]).await;
    writer.stop().await;
}

pub(crate) async fn a_failed_batch_is_unavailable_and_the_next_one_is_written<H: Harness>(harness: &H) {
    let script = Script::open().faults([Fault::Failed]);
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    assert!(is_unavailable(&journal.append(append(1, 0, 1)).await));
    assert_eq!(journal.append(append(1, 0, 1)).await.expect("it is back").first_position, 1);
    writer.stop().await;
}

pub(crate) async fn a_full_queue_refuses_at_once<H: Harness>(harness: &H) {
    let script = Script::held();
    let queue = NonZeroUsize::new(3).expect("3 is not 0");
    let (journal, writer) = start_scripted(harness, &script, Options { queue, ..Options::default() }).await;
    let mut waiting = vec![queued(&journal, append(0, 0, 1))];
    script.batch_begun().await;
    waiting.extend((1..=3).map(|number| queued(&journal, append(number, 0, 1))));
    let refused = journal.append(append(4, 0, 1)).await;
    assert!(matches!(refused, Err(AppendError::QueueFull { capacity: 3 })));
    script.release();
    for append in waiting {
        append.await.expect("it had a place");
    }
    append_each(&journal, [append(4, 0, 1)]).await;
    writer.stop().await;
}

pub(crate) async fn stop_writes_what_is_queued_and_refuses_what_comes_later<H: Harness>(harness: &H) {
    let script = Script::held();
    let batch_events = NonZeroUsize::new(2).expect("2 is not 0");
    let (journal, writer) = start_scripted(harness, &script, Options { batch_events, ..Options::default() }).await;
    let mut waiting = vec![queued(&journal, append(0, 0, 1))];
    script.batch_begun().await;
    waiting.extend((1..=5).map(|number| queued(&journal, append(number, 0, 1))));
    let stopped = tokio::spawn(writer.stop());
    script.release();
    for append in waiting {
        append.await.expect("it was queued before the stop");
    }
    stopped.await.expect("stop does not panic");
    assert!(!journal.is_running());
    assert!(matches!(journal.append(append(9, 0, 1)).await, Err(AppendError::Stopped)));
    assert_eq!(journal.read(0, 10).await.expect("reading goes on").len(), 6);
}

pub(crate) async fn stop_does_not_wait_for_an_outcome_that_stays_unknown<H: Harness>(harness: &H) {
    let script = Script::open().faults([Fault::AnswerLost]);
    script.fail_lookups(usize::MAX);
    let patient = Options { settle_pause: Duration::from_secs(3600), ..Options::default() };
    let (journal, writer) = start_scripted(harness, &script, patient).await;
    let command_id = append(1, 0, 1).command_id;
    let caller = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(append(1, 0, 1)).await }
    });
    script.lookup_failed().await;
    writer.stop().await;
    let result = caller.await.expect("the caller does not panic");
    assert!(matches!(result, Err(AppendError::Unknown { command_id: id }) if id == command_id));
}

pub(crate) async fn a_caller_is_not_kept_waiting_for_an_outcome_that_stays_unknown<H: Harness>(harness: &H) {
    let script = Script::open().faults([Fault::AnswerLost]);
    script.fail_lookups(usize::MAX);
    let impatient = Options { patience: Duration::from_millis(1), ..impatient() };
    let (journal, writer) = start_scripted(harness, &script, impatient).await;
    let command_id = append(1, 0, 1).command_id;
    let result = journal.append(append(1, 0, 1)).await;
    assert!(matches!(result, Err(AppendError::Unknown { command_id: id }) if id == command_id));
    writer.stop().await;
    assert_eq!(journal.read(0, 10).await.expect("reading goes on").len(), 1, "it had happened");
}

pub(crate) async fn a_panic_stops_the_writer_and_answers_everyone<H: Harness>(harness: &H) {
    let script = Script::held().faults([Fault::Panic]);
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let mut head = journal.head_watch();
    let in_flight = queued(&journal, append(1, 0, 1));
    script.batch_begun().await;
    let waiting = queued(&journal, append(2, 0, 1));
    script.release();
    assert!(matches!(in_flight.await, Err(AppendError::Unknown { .. })));
    assert!(matches!(waiting.await, Err(AppendError::Stopped)));
    assert!(matches!(journal.append(append(3, 0, 1)).await, Err(AppendError::Stopped)));
    head.changed().await.expect_err("whoever watches the head is told");
    journal.ended().await;
    writer.stop().await;
}

pub(crate) async fn an_answer_does_not_wait_for_the_batch_after_it<H: Harness>(harness: &H) {
    let script = Script::held();
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let first = queued(&journal, append(1, 0, 1));
    script.batch_begun().await;
    let second = queued(&journal, append(2, 0, 1));
    script.release_one();
    assert_eq!(first.await.expect("it happened").first_position, 1);
    assert!(script.batch_begun().now_or_never().is_some(), "the database has the second before the first is answered");
    assert_eq!(*journal.head_watch().borrow(), 1, "the second is still held");
    script.release();
    assert_eq!(second.await.expect("it happened").first_position, 2);
    writer.stop().await;
}

pub(crate) async fn a_panic_takes_no_answer_from_the_batch_before_it<H: Harness>(harness: &H) {
    let script = Script::held().faults([Fault::Nothing, Fault::Panic]);
    let (journal, writer) = start_scripted(harness, &script, Options::default()).await;
    let first = queued(&journal, append(1, 0, 1));
    script.batch_begun().await;
    let second = queued(&journal, append(2, 0, 1));
    script.release();
    assert_eq!(first.await.expect("it happened").first_position, 1);
    assert!(matches!(second.await, Err(AppendError::Unknown { .. })));
    writer.stop().await;
}
