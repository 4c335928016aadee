//! What every implementation of the journal keeps, as tests over a [`Harness`]: [`contract_suite`] makes one
//! test of each sentence.

pub(super) mod appends;
pub(super) mod consumers;
pub(super) mod faults;
pub(super) mod outcomes;
pub(super) mod reads;
pub(super) mod tampering;

use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{
    Append, AppendError, Appended, Hash, Journal, NewEvent, Options, Reader, StreamKind, WriteStore, WriterTask,
    WriterThread, start,
};
use faults::{Faulty, Script};

/// A database of its own, empty at first, that ends with this value.
pub(super) trait Harness: Send + Sync + Sized {
    type Writer: WriteStore;

    fn create() -> impl Future<Output = Self> + Send;

    /// Opens the database for writing; creates it as [`JOURNAL_ID`] at the first time.
    fn open(&self) -> impl Future<Output = (Self::Writer, Reader)> + Send;

    /// Runs statements past everything that protects the journal: with its triggers gone.
    fn tamper(&self, sql: &str) -> impl Future<Output = ()> + Send;

    fn columns(&self, table: &str) -> impl Future<Output = Vec<String>> + Send;

    /// Flips one bit of one column, the `nth` of a few. Answers with the row's key, which may have changed;
    /// `None` if there is no such bit or a constraint refuses the value. Doing it again undoes it.
    fn flip(&self, table: &str, key: i64, column: &str, nth: usize) -> impl Future<Output = Option<i64>> + Send;

    /// A hash as a literal of this database.
    fn blob(hash: &Hash) -> String;
}

pub(super) const JOURNAL_ID: Uuid = Uuid::from_u128(0x0190_a5f0_0000_7000_8000_0000_0000_00ff);

pub(super) async fn start_default<H: Harness>(harness: &H) -> (Journal, WriterTask) {
    start_scripted(harness, &Script::open(), Options::default()).await
}

pub(super) async fn start_scripted<H: Harness>(
    harness: &H,
    script: &Script,
    options: Options,
) -> (Journal, WriterTask) {
    let (writer, reader) = harness.open().await;
    let writer = Faulty { inner: writer, script: script.clone() };
    start(writer, reader, options, WriterThread::start().expect("there are threads"))
        .await
        .expect("the journal has a head")
}

pub(super) fn stream(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_a5f0_1000_7000_8000_0000_0000_0000 + number)
}

/// `count` events for a stream at `expected`; the command's id follows from both.
pub(super) fn append(number: u128, expected: u64, count: usize) -> Append {
    let event = |at| NewEvent {
        event_type: "MediaRequested",
        event_version: "1.0",
        payload: format!(r#"{{"stream":{number},"at":{at}}}"#),
    };
    Append {
        kind: StreamKind::Media,
        stream: stream(number),
        expected_sequence: expected,
        events: (0..count).map(event).collect(),
        metadata: r#"{"request_id":"r1"}"#.into(),
        tenant: "default".into(),
        command_id: Uuid::from_u128(number << 64 | u128::from(expected) << 32 | 1),
    }
}

/// An append that is in the queue, its caller waiting. The writer must be held.
pub(super) fn queued(journal: &Journal, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
    let journal = journal.clone();
    let mut waiting = async move { journal.append(append).await }.boxed();
    assert!((&mut waiting).now_or_never().is_none(), "it was answered at once");
    waiting
}

/// Appends that must succeed, one commit each.
pub(super) async fn append_each(journal: &Journal, appends: impl IntoIterator<Item = Append>) -> Vec<Appended> {
    let mut results = Vec::new();
    for append in appends {
        results.push(journal.append(append).await.expect("nothing stands against it"));
    }
    results
}

macro_rules! contract_suite {
    ($harness:ty) => {
        $crate::contract::contract_suite!($harness;
            appends::an_append_is_read_back_as_it_was_given,
            appends::appends_that_give_way_are_written_all_the_same,
            appends::an_append_to_a_stream_that_went_on_is_a_conflict,
            appends::an_append_beyond_the_end_of_its_stream_is_a_conflict,
            appends::streams_of_two_kinds_may_have_one_id_and_share_a_commit,
            appends::a_conflict_fails_alone_and_its_neighbours_share_the_commit,
            appends::a_batch_of_conflicts_writes_nothing,
            appends::two_appends_to_one_stream_keep_their_order_in_two_commits,
            appends::an_append_larger_than_a_batch_is_one_commit,
            appends::an_append_without_events_is_refused,
            appends::many_callers_leave_no_gap_and_a_tailing_reader_sees_all_in_order,
            appends::time_never_goes_back_even_if_the_clock_does,
            appends::a_restart_continues_the_chain,
            appends::an_append_whose_caller_is_gone_still_happens,
            reads::an_empty_journal_has_a_head_and_nothing_to_read,
            reads::the_history_of_a_tenant_comes_page_by_page,
            reads::the_history_of_a_stream_comes_page_by_page,
            reads::every_stored_event_version_is_listed_once,
            reads::a_missing_event_stops_a_reader,
            reads::a_missing_last_event_stops_a_reader,
            reads::a_stream_with_a_missing_event_is_not_read,
            reads::a_value_that_was_never_written_is_not_read,
            outcomes::a_commit_whose_answer_was_lost_is_found_and_answered,
            outcomes::a_loser_in_a_found_commit_is_a_conflict,
            outcomes::a_commit_that_did_not_happen_is_unavailable_and_can_be_repeated,
            outcomes::appends_are_refused_until_the_unknown_outcome_is_known,
            outcomes::a_failed_batch_is_unavailable_and_the_next_one_is_written,
            outcomes::a_full_queue_refuses_at_once,
            outcomes::stop_writes_what_is_queued_and_refuses_what_comes_later,
            outcomes::stop_does_not_wait_for_an_outcome_that_stays_unknown,
            outcomes::a_caller_is_not_kept_waiting_for_an_outcome_that_stays_unknown,
            outcomes::a_panic_stops_the_writer_and_answers_everyone,
            outcomes::an_answer_does_not_wait_for_the_batch_after_it,
            outcomes::a_panic_takes_no_answer_from_the_batch_before_it,
            tampering::an_untouched_journal_is_verified_up_to_its_head,
            tampering::verify_works_beside_a_running_writer,
            tampering::any_flipped_bit_of_an_event_is_found_at_its_position,
            tampering::any_flipped_bit_of_a_commit_is_found_at_its_first_position,
            tampering::any_flipped_bit_of_the_head_is_found,
            tampering::a_removed_event_is_found_where_it_stood,
            tampering::a_removed_commit_is_found_where_it_stood,
            tampering::an_added_event_is_found_where_it_stands,
            tampering::an_event_below_the_first_position_is_found,
            tampering::an_unlisted_event_version_is_found,
            tampering::an_event_rewritten_with_its_leaf_breaks_its_commit,
            tampering::a_last_commit_forged_to_an_earlier_time_is_found,
            tampering::a_journal_cut_with_its_head_is_found_by_an_expected_head,
            tampering::an_expected_head_is_the_end_of_a_commit,
        );
    };
    ($harness:ty; $($group:ident :: $sentence:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                use $crate::contract::Harness as _;
                $crate::contract::$group::$sentence(&<$harness>::create().await).await;
            }
        )*
    };
}
pub(super) use contract_suite;
