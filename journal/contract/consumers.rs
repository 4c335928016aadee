//! What every consumer whose cursor is stored can rely on, on either database.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures_util::FutureExt;
use uuid::Uuid;
use zeroload_clock::Clock;

use super::{Harness, append, append_each, start_default};
use crate::consumers::{
    ConsumeError, Consumer, ConsumerError, ConsumerState, ConsumerStore, Cursor, CursorTable, Engine, Mark, Restored,
    Standing, Stored, Turn,
};
use crate::{Journal, Reader, StoredEvent, WriterTask};

/// A database that keeps cursors.
pub(crate) trait KeepsCursors: Harness {
    fn cursors(&self) -> impl CursorTable;

    /// Where the database's clock decides: as if a minute had passed for those who hold a lease.
    fn end_leases(&self) -> impl Future<Output = ()> + Send;
}

/// Processes on one machine.
struct Site<'h, H> {
    harness: &'h H,
    /// Seconds that have passed.
    passed: Arc<AtomicI64>,
}

impl<'h, H: KeepsCursors> Site<'h, H> {
    fn new(harness: &'h H) -> Self {
        Self { harness, passed: Arc::default() }
    }

    /// The cursors, as one process sees them.
    fn store(&self, reader: &Reader, process: u128) -> ConsumerStore {
        let passed = self.passed.clone();
        let begin = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let clock = Clock::driven(move || begin + TimeDelta::seconds(passed.load(Ordering::Relaxed)));
        ConsumerStore::new(self.harness.cursors(), reader.clone(), clock, Uuid::from_u128(process))
    }

    async fn a_minute_later(&self) {
        self.passed.fetch_add(61, Ordering::Relaxed);
        self.harness.end_leases().await;
    }
}

/// Notes the positions that it is given.
#[derive(Clone, Default)]
struct Notes {
    name: String,
    positions: Arc<Mutex<Vec<u64>>>,
    fails: Arc<AtomicBool>,
    /// After the effect.
    hangs: Arc<AtomicBool>,
}

impl Notes {
    fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn taken(&self) -> Vec<u64> {
        std::mem::take(&mut self.positions.lock().expect("no test panics with it"))
    }
}

impl Consumer for Notes {
    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> u32 {
        3
    }

    async fn consume(&self, events: &[StoredEvent]) -> Result<(), ConsumeError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(ConsumeError { reason: "nobody answers".into(), retry_after: Duration::from_secs(7) });
        }
        let positions = events.iter().map(|event| event.position);
        self.positions.lock().expect("no test panics with it").extend(positions);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

const NAME: &str = "notes";

/// So many commits of one event each, which begin with stream number `from`.
async fn grow(journal: &Journal, from: u128, events: u128) {
    append_each(journal, (from..from + events).map(|number| append(number, 0, 1))).await;
}

/// A journal with so many events, and one process with a consumer that begins before the first.
async fn one_consumer<H: KeepsCursors>(
    site: &Site<'_, H>,
    events: u128,
) -> (Journal, WriterTask, ConsumerStore, Engine<Stored<Notes>>) {
    let (journal, writer) = start_default(site.harness).await;
    grow(&journal, 0, events).await;
    let store = site.store(journal.reader(), 1);
    store.register(NAME, 0).await.expect("nothing stands against it");
    let engine = Stored::engine(Notes::of(NAME), store.clone());
    (journal, writer, store, engine)
}

fn taken(engine: &Engine<Stored<Notes>>) -> Vec<u64> {
    engine.follower().consumer().taken()
}

async fn reached(engine: &Engine<Stored<Notes>>) -> Turn {
    engine.run_once().await.expect("nothing stands against it")
}

async fn state(store: &ConsumerStore) -> ConsumerState {
    store.list().await.expect("it can be read").pop().expect("there is one")
}

/// Whether a future ends within so many polls; it is dropped there.
async fn ends_within(polls: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

/// Times at which a turn is dropped while it is under way.
const DROPS: usize = 15;

pub(crate) async fn every_event_is_consumed_in_order_wherever_a_turn_is_dropped<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (journal, writer) = start_default(harness).await;
    grow(&journal, 0, 8).await;
    let store = site.store(journal.reader(), 1);
    let (mut polls, mut turns, mut dropped) = (0, 0, 0);
    // How often a turn has to wait for its databases differs, so a turn is gone through until it was dropped often enough.
    while dropped < DROPS {
        turns += 1;
        let name = format!("notes-{turns}");
        store.register(&name, 0).await.expect("nothing stands against it");
        let engine = Stored::engine(Notes::of(&name), store.clone());
        let ended = ends_within(polls, engine.run_once()).await;
        let before = store.list().await.expect("it can be read").into_iter().find(|state| state.name == name);
        let saved = before.expect("it is there").cursor.position;
        let mut noted = taken(&engine);
        assert!(saved <= noted.iter().copied().max().unwrap_or(0), "{saved} is saved, {noted:?} are consumed");
        // A statement of the dropped turn may still arrive, and then the first try finds another cursor.
        while !matches!(engine.run_once().await, Ok(Turn::Reached(8))) {}
        noted.extend(taken(&engine));
        let goes_on = |pair: &[u64]| pair[1] == pair[0] + 1 || pair[1] <= pair[0];
        assert!(noted.windows(2).all(goes_on), "after {polls} polls: {noted:?}");
        noted.sort_unstable();
        noted.dedup();
        assert_eq!(noted, [1, 2, 3, 4, 5, 6, 7, 8], "after {polls} polls");
        dropped += usize::from(!ended && polls > 0);
        polls = if ended { 0 } else { polls + 1 };
    }
    writer.stop().await;
}

pub(crate) async fn a_crash_between_effect_and_save_repeats_the_batch<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (_journal, writer, store, engine) = one_consumer(&site, 5).await;
    let notes = engine.follower().consumer().clone();
    notes.hangs.store(true, Ordering::Relaxed);
    {
        let mut turn = pin!(engine.run_once());
        while notes.positions.lock().expect("no test panics with it").is_empty() {
            assert!(turn.as_mut().now_or_never().is_none(), "it hangs");
            tokio::task::yield_now().await;
        }
    }
    notes.hangs.store(false, Ordering::Relaxed);
    assert_eq!((notes.taken(), state(&store).await.cursor.position), (vec![1, 2, 3], 0));
    assert_eq!(reached(&engine).await, Turn::Reached(5));
    assert_eq!((notes.taken(), state(&store).await.cursor.position), (vec![1, 2, 3, 4, 5], 5));
    writer.stop().await;
}

pub(crate) async fn of_two_processes_one_consumes_and_the_other_takes_over<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (journal, writer, store, first) = one_consumer(&site, 4).await;
    let other = site.store(journal.reader(), 2);
    let second = Stored::engine(Notes::of(NAME), other.clone());
    assert_eq!((reached(&first).await, reached(&second).await), (Turn::Reached(4), Turn::HeldByAnother));
    let lease = state(&other).await.lease.expect("somebody is at it");
    assert_eq!(lease.holder, Uuid::from_u128(1));
    assert!(matches!(other.move_to(NAME, 0).await, Err(ConsumerError::Held { .. })));
    grow(&journal, 10, 2).await;
    assert_eq!(reached(&second).await, Turn::HeldByAnother);

    site.a_minute_later().await;
    assert_eq!((reached(&second).await, taken(&second)), (Turn::Reached(6), vec![5, 6]));
    assert_eq!(reached(&first).await, Turn::HeldByAnother);
    let late = store.save(NAME, 4, &Cursor { position: 5, mark: None }).await;
    assert!(matches!(late, Err(ConsumerError::Lost { .. })), "{late:?}");
    assert_eq!(state(&store).await.cursor.position, 6);

    other.release(NAME).await.expect("it is ours");
    assert_eq!((reached(&first).await, taken(&first)), (Turn::Reached(6), vec![1, 2, 3, 4]));
    writer.stop().await;
}

pub(crate) async fn a_paused_consumer_stands_still_until_it_is_resumed<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (journal, writer, store, engine) = one_consumer(&site, 2).await;
    assert_eq!(reached(&engine).await, Turn::Reached(2));
    grow(&journal, 10, 2).await;
    let operator = site.store(journal.reader(), 9);
    operator.pause(NAME).await.expect("it is there");
    assert_eq!((reached(&engine).await, taken(&engine)), (Turn::Paused, vec![1, 2]));
    let paused = state(&store).await;
    assert_eq!((paused.paused, paused.lease, paused.lag.events), (true, None, 2));
    operator.move_to(NAME, 3).await.expect("nobody is at it");
    assert_eq!(reached(&engine).await, Turn::Paused);
    operator.resume(NAME).await.expect("it is there");
    assert_eq!((reached(&engine).await, taken(&engine)), (Turn::Reached(4), vec![4]));
    for unknown in [operator.pause("other").await, operator.move_to("other", 0).await, operator.delete("other").await] {
        assert!(matches!(unknown, Err(ConsumerError::Unknown { .. })), "{unknown:?}");
    }
    operator.delete(NAME).await.expect("it is there");
    assert!(matches!(engine.run_once().await, Err(ConsumerError::Unknown { .. })));
    writer.stop().await;
}

pub(crate) async fn a_pause_ends_a_turn_after_the_batch_that_is_under_way<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (_journal, writer, store, _) = one_consumer(&site, 4).await;
    assert!(matches!(store.claim(NAME).await, Ok(Standing::At(_))));
    store.pause(NAME).await.expect("it is there");
    let goes_on = store.save(NAME, 0, &Cursor { position: 3, mark: None }).await;
    assert!(matches!(goes_on, Ok(false)), "{goes_on:?}");
    assert_eq!(state(&store).await.cursor.position, 3);
    writer.stop().await;
}

pub(crate) async fn a_move_back_replays_what_came_after<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (journal, writer, store, engine) = one_consumer(&site, 5).await;
    reached(&engine).await;
    assert_eq!(taken(&engine), [1, 2, 3, 4, 5]);
    store.move_to(NAME, 2).await.expect("only we are at it");
    let mark = Mark { commit_id: 2, hash: journal.reader().commit_hash(2).await.expect("read").expect("there") };
    assert_eq!(state(&store).await.cursor, Cursor { position: 2, mark: Some(mark) });
    assert_eq!((reached(&engine).await, taken(&engine)), (Turn::Reached(5), vec![3, 4, 5]));
    let beyond = store.move_to(NAME, 6).await;
    assert!(matches!(beyond, Err(ConsumerError::Beyond { position: 6, head: 5 })), "{beyond:?}");
    writer.stop().await;
}

pub(crate) async fn a_batch_does_not_undo_a_move_that_came_while_it_was_under_way<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (_journal, writer, store, engine) = one_consumer(&site, 5).await;
    reached(&engine).await;
    let Ok(Standing::At(cursor)) = store.claim(NAME).await else { panic!("it is ours") };
    store.move_to(NAME, 1).await.expect("only we are at it");
    let late = store.save(NAME, cursor.position, &Cursor { position: 5, mark: None }).await;
    assert!(matches!(late, Err(ConsumerError::Lost { .. })), "{late:?}");
    assert_eq!(state(&store).await.cursor.position, 1);
    writer.stop().await;
}

pub(crate) async fn a_failure_keeps_the_cursor_and_is_told_until_it_is_over<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (journal, writer, store, engine) = one_consumer(&site, 2).await;
    reached(&engine).await;
    grow(&journal, 10, 1).await;
    let notes = engine.follower().consumer().clone();
    notes.fails.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let failed = engine.run_once().await.expect_err("it fails");
        assert_eq!(failed.retry_after(), Some(Duration::from_secs(7)));
        let told = state(&store).await;
        assert_eq!((told.cursor.position, told.failure.as_deref()), (2, Some("nobody answers")));
        assert_eq!(engine.failure().as_deref(), Some("nobody answers"));
    }
    notes.fails.store(false, Ordering::Relaxed);
    assert_eq!(reached(&engine).await, Turn::Reached(3));
    let told = state(&store).await;
    assert_eq!((told.cursor.position, told.failure, engine.failure()), (3, None, None));
    writer.stop().await;
}

pub(crate) async fn a_consumer_that_is_registered_again_stays_where_it_is<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (_journal, writer, store, engine) = one_consumer(&site, 3).await;
    reached(&engine).await;
    store.register(NAME, 1).await.expect("it is there");
    store.register("from-the-middle", 2).await.expect("nothing stands against it");
    let listed = store.list().await.expect("it can be read");
    let listed: Vec<_> =
        listed.iter().map(|state| (state.name.as_str(), state.cursor.position, state.lag.events)).collect();
    assert_eq!(listed, [("from-the-middle", 2, 1), (NAME, 3, 0)]);
    assert!(matches!(store.register("late", 4).await, Err(ConsumerError::Beyond { .. })));
    for name in ["", "A b", &"n".repeat(101)] {
        assert!(matches!(store.register(name, 0).await, Err(ConsumerError::Name { .. })), "{name}");
    }
    writer.stop().await;
}

/// Consumes five events, and then takes the journal back to the second, as a backup would.
async fn restored<H: KeepsCursors>(site: &Site<'_, H>) {
    let (_journal, writer, store, engine) = one_consumer(site, 5).await;
    reached(&engine).await;
    store.release(NAME).await.expect("it is ours");
    writer.stop().await;
    let to_the_second = "UPDATE journal_head SET (position, commit_id, recorded_at, hash) =
             (SELECT 2, commit_id, recorded_at, hash FROM commits WHERE commit_id = 2);
         DELETE FROM events WHERE position > 2;
         DELETE FROM commits WHERE commit_id > 2";
    site.harness.tamper(to_the_second).await;
}

/// It has stopped and stays stopped, also in another process, until it is moved.
async fn stops_until_it_is_moved<H: KeepsCursors>(site: &Site<'_, H>, journal: &Journal, position: u64) {
    let head = journal.head().await.expect("it can be read").position;
    for process in [2, 2, 3] {
        let store = site.store(journal.reader(), process);
        let engine = Stored::engine(Notes::of(NAME), store.clone());
        let Err(ConsumerError::Restored(stopped)) = engine.run_once().await else { panic!("it went on") };
        let Restored { position: at, head: ends, remedy } = stopped.clone();
        assert_eq!((at, ends), (position, head));
        assert!(remedy.contains("move") && stopped.to_string().contains("restored from a backup"), "{stopped}");
        let told = state(&store).await;
        assert_eq!((told.cursor.position, told.failure), (position, Some(stopped.to_string())));
        assert!(taken(&engine).is_empty());
    }
    let store = site.store(journal.reader(), 4);
    store.move_to(NAME, 2).await.expect("nobody is at it");
    let engine = Stored::engine(Notes::of(NAME), store.clone());
    assert_eq!(reached(&engine).await, Turn::Reached(head));
    assert_eq!(taken(&engine), (3..=head).collect::<Vec<_>>());
    assert_eq!(state(&store).await.failure, None);
}

pub(crate) async fn a_journal_restored_to_before_the_cursor_stops_the_consumer<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    restored(&site).await;
    let (journal, writer) = start_default(harness).await;
    grow(&journal, 20, 1).await;
    stops_until_it_is_moved(&site, &journal, 5).await;
    writer.stop().await;
}

pub(crate) async fn a_restored_journal_that_has_grown_as_far_as_the_cursor_stops_the_consumer<H: KeepsCursors>(
    harness: &H,
) {
    let site = Site::new(harness);
    restored(&site).await;
    let (journal, writer) = start_default(harness).await;
    grow(&journal, 20, 3).await;
    stops_until_it_is_moved(&site, &journal, 5).await;
    writer.stop().await;
}

pub(crate) async fn a_restored_journal_that_has_grown_beyond_the_cursor_stops_the_consumer<H: KeepsCursors>(
    harness: &H,
) {
    let site = Site::new(harness);
    restored(&site).await;
    let (journal, writer) = start_default(harness).await;
    grow(&journal, 20, 6).await;
    stops_until_it_is_moved(&site, &journal, 5).await;
    writer.stop().await;
}

pub(crate) async fn a_journal_rewritten_below_the_cursor_stops_the_consumer<H: KeepsCursors>(harness: &H) {
    let site = Site::new(harness);
    let (journal, writer, store, engine) = one_consumer(&site, 3).await;
    reached(&engine).await;
    grow(&journal, 10, 2).await;
    let other = H::blob(&journal.reader().commit_hash(1).await.expect("read").expect("there"));
    harness.tamper(&format!("UPDATE commits SET hash = {other} WHERE commit_id = 3")).await;
    store.release(NAME).await.expect("it is ours");
    stops_until_it_is_moved(&site, &journal, 3).await;
    writer.stop().await;
}

macro_rules! consumers_suite {
    ($harness:ty) => {
        mod consumers {
            use super::*;

            $crate::contract::contract_suite!($harness;
                consumers::every_event_is_consumed_in_order_wherever_a_turn_is_dropped,
                consumers::a_crash_between_effect_and_save_repeats_the_batch,
                consumers::of_two_processes_one_consumes_and_the_other_takes_over,
                consumers::a_paused_consumer_stands_still_until_it_is_resumed,
                consumers::a_pause_ends_a_turn_after_the_batch_that_is_under_way,
                consumers::a_move_back_replays_what_came_after,
                consumers::a_batch_does_not_undo_a_move_that_came_while_it_was_under_way,
                consumers::a_failure_keeps_the_cursor_and_is_told_until_it_is_over,
                consumers::a_consumer_that_is_registered_again_stays_where_it_is,
                consumers::a_journal_restored_to_before_the_cursor_stops_the_consumer,
                consumers::a_restored_journal_that_has_grown_as_far_as_the_cursor_stops_the_consumer,
                consumers::a_restored_journal_that_has_grown_beyond_the_cursor_stops_the_consumer,
                consumers::a_journal_rewritten_below_the_cursor_stops_the_consumer,
            );
        }
    };
}
pub(crate) use consumers_suite;
