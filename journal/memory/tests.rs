//! The rows in memory pass the contract of every journal, as far as it does not need SQL.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::super::consumers::{ConsumerError, Cursor, Engine, Follower, Mark, Moved, Standing, Turn};
use super::super::contract::{Harness, JOURNAL_ID, append, append_each, contract_suite, start_default};
use super::super::{
    Edges, Found, Hash, Outcome, Prepared, RawCommit, RawDecisionEvent, RawEvent, RawHead, ReadError, ReadStore,
    Reader, StoreError, StoredEvent, StreamKind, WriteError, WriteStore,
};
use super::Rows;

#[derive(Clone)]
struct InMemory {
    rows: Arc<Mutex<Rows>>,
    /// How often commits were asked for.
    commits: Arc<AtomicUsize>,
}

impl InMemory {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("no test panics with it")
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

impl Harness for InMemory {
    type Writer = Self;

    async fn create() -> Self {
        Self { rows: Arc::new(Mutex::new(Rows::new(JOURNAL_ID))), commits: Arc::default() }
    }

    async fn open(&self) -> (Self, Reader) {
        (self.clone(), Reader::new(self.clone()))
    }

    async fn tamper(&self, _: &str) {
        unreachable!("this suite does not tamper");
    }

    async fn columns(&self, _: &str) -> Vec<String> {
        unreachable!("this suite does not tamper");
    }

    async fn flip(&self, _: &str, _: i64, _: &str, _: usize) -> Option<i64> {
        unreachable!("this suite does not tamper");
    }

    fn blob(_: &Hash) -> String {
        unreachable!("this suite does not tamper");
    }
}

impl WriteStore for InMemory {
    async fn append(&mut self, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        Ok(self.rows().append(batch, now(), false))
    }

    async fn find(&mut self, after: u64, batch: &[Prepared]) -> Result<Vec<Found>, StoreError> {
        Ok(self.rows().find(after, batch))
    }

    async fn close(self) {}
}

impl ReadStore for InMemory {
    fn events<'a>(
        &'a self,
        after: i64,
        limit: u32,
        tenant: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RawEvent>, ReadError>> {
        Box::pin(async move { Ok(self.rows().events(after, limit, tenant)) })
    }

    fn stream(
        &self,
        kind: StreamKind,
        stream: Uuid,
        after: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RawEvent>, ReadError>> {
        Box::pin(async move { Ok(self.rows().stream(kind, stream, after, limit)) })
    }

    fn facts(&self, kind: StreamKind, stream: Uuid) -> BoxFuture<'_, Result<Vec<RawDecisionEvent>, ReadError>> {
        Box::pin(async move { Ok(self.rows().facts(kind, stream)) })
    }

    fn commits(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<RawCommit>, ReadError>> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(self.rows().commits(after, limit)) })
    }

    fn head(&self) -> BoxFuture<'_, Result<RawHead, ReadError>> {
        Box::pin(async move { Ok(self.rows().head()) })
    }

    fn edges(&self) -> BoxFuture<'_, Result<Edges, ReadError>> {
        Box::pin(async move { Ok(self.rows().edges()) })
    }

    fn now(&self) -> BoxFuture<'_, Result<DateTime<Utc>, ReadError>> {
        Box::pin(async move { Ok(now()) })
    }

    fn event_versions(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, ReadError>> {
        Box::pin(async move { Ok(self.rows().event_versions()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

contract_suite!(InMemory;
    appends::an_append_is_read_back_as_it_was_given,
    appends::an_append_to_a_stream_that_went_on_is_a_conflict,
    appends::an_append_beyond_the_end_of_its_stream_is_a_conflict,
    appends::a_conflict_fails_alone_and_its_neighbours_share_the_commit,
    appends::a_batch_of_conflicts_writes_nothing,
    appends::two_appends_to_one_stream_keep_their_order_in_two_commits,
    appends::many_callers_leave_no_gap_and_a_tailing_reader_sees_all_in_order,
    appends::a_restart_continues_the_chain,
    reads::an_empty_journal_has_a_head_and_nothing_to_read,
    reads::the_history_of_a_tenant_comes_page_by_page,
    reads::the_history_of_a_stream_comes_page_by_page,
    reads::every_stored_event_version_is_listed_once,
    outcomes::a_commit_whose_answer_was_lost_is_found_and_answered,
    outcomes::a_loser_in_a_found_commit_is_a_conflict,
    outcomes::a_commit_that_did_not_happen_is_unavailable_and_can_be_repeated,
);

/// Keeps its cursor in memory, and takes two events at a time.
#[derive(Default)]
struct Keeping(Mutex<Cursor>);

impl Follower for Keeping {
    type Event = StoredEvent;
    type Error = ConsumerError;

    const REMEDY: &'static str = "";
    const CHECKS_EACH_TURN: bool = false;

    fn name(&self) -> &str {
        "keeping"
    }

    fn batch(&self) -> u32 {
        2
    }

    async fn stand(&self) -> Result<Standing, ConsumerError> {
        Ok(Standing::At(*self.0.lock().expect("no test panics with it")))
    }

    fn decode(&self, event: StoredEvent) -> Result<StoredEvent, ConsumerError> {
        Ok(event)
    }

    fn position(event: &StoredEvent) -> u64 {
        event.position
    }

    async fn apply(&self, batch: Vec<StoredEvent>, mark: Option<Mark>) -> Result<Moved, ConsumerError> {
        let position = batch.last().expect("a batch is not empty").position;
        *self.0.lock().expect("no test panics with it") = Cursor { position, mark };
        Ok(Moved { position, goes_on: true })
    }
}

#[tokio::test]
async fn a_batch_asks_for_its_mark_once_and_not_at_all_where_it_ends_at_the_head() {
    let harness = InMemory::create().await;
    let (journal, writer) = start_default(&harness).await;
    let asked = || harness.commits.swap(0, Ordering::Relaxed);
    let engine = Engine::new(journal.reader().clone(), Keeping::default());
    let cursor = || *engine.follower().0.lock().expect("no test panics with it");
    for (number, expected) in [(0, 2), (1, 4)] {
        append_each(&journal, [append(number, 0, 2)]).await;
        assert_eq!(engine.run_once().await.expect("nothing stands against it"), Turn::Reached(expected));
        assert_eq!(asked(), 0, "it ends at the head");
    }
    assert_eq!(cursor().mark.map(|mark| mark.commit_id), Some(2));
    // Batches end within commits and between them: 6 and 8 before the head, 9 at it.
    append_each(&journal, [append(2, 0, 3), append(3, 0, 1), append(4, 0, 1)]).await;
    assert_eq!(engine.run_once().await.expect("nothing stands against it"), Turn::Reached(9));
    assert_eq!(asked(), 2);
    let head = journal.head().await.expect("it can be read");
    assert_eq!(cursor(), Cursor { position: 9, mark: Some(Mark { commit_id: 5, hash: head.hash }) });
    assert_eq!(engine.run_once().await.expect("nothing stands against it"), Turn::Reached(9));
    assert_eq!(asked(), 0, "it was checked before");

    let again = Engine::new(journal.reader().clone(), Keeping(Mutex::new(cursor())));
    append_each(&journal, [append(5, 0, 1)]).await;
    assert_eq!(again.run_once().await.expect("nothing stands against it"), Turn::Reached(10));
    assert_eq!(asked(), 1, "the first turn checks the mark");
    writer.stop().await;
}
