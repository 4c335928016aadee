//! Reading, and what stops a reader.

use super::{Harness, JOURNAL_ID, append, append_each, start_default, stream};
use crate::{Append, Journal, NewEvent, ReadError, StoredEvent, WriterTask};

pub(crate) async fn an_empty_journal_has_a_head_and_nothing_to_read<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let head = journal.head().await.expect("it can be read");
    assert_eq!((head.position, head.commit_id, head.journal_id), (0, 0, JOURNAL_ID));
    assert_eq!(head.recorded_at.timestamp(), 0);
    assert_eq!(*journal.head_watch().borrow(), 0);
    assert_eq!(journal.read(0, 10).await.expect("there is no hole"), []);
    assert_eq!(journal.read(7, 10).await.expect("there is no hole"), []);
    assert_eq!(journal.stream(stream(1)).await.expect("it can be read"), []);
    assert_eq!(journal.facts(stream(1)).await.expect("it can be read"), []);
    assert_eq!(journal.event_versions().await.expect("it can be read"), []);
    writer.stop().await;
}

pub(crate) async fn the_history_of_a_tenant_comes_page_by_page<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let of = |tenant: &str, number| Append { tenant: tenant.into(), ..append(number, 0, 2) };
    append_each(&journal, [of("a", 1), of("b", 2), of("a", 3), of("ab", 4)]).await;
    let positions = |events: Vec<StoredEvent>| events.iter().map(|event| event.position).collect::<Vec<_>>();
    let none: [u64; 0] = [];
    assert_eq!(positions(journal.read_tenant("a", 0, 3).await.expect("it can be read")), [1, 2, 5]);
    assert_eq!(positions(journal.read_tenant("a", 5, 3).await.expect("it can be read")), [6]);
    assert_eq!(positions(journal.read_tenant("b", 0, 3).await.expect("it can be read")), [3, 4]);
    assert_eq!(positions(journal.read_tenant("c", 0, 3).await.expect("it can be read")), none);
    assert_eq!(positions(journal.read(2, 3).await.expect("there is no hole")), [3, 4, 5]);
    assert_eq!(positions(journal.read(2, 0).await.expect("there is no hole")), none);
    writer.stop().await;
}

pub(crate) async fn the_history_of_a_stream_comes_page_by_page<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [append(1, 0, 2), append(2, 0, 2), append(1, 2, 3)]).await;
    let page = async |after, limit| {
        let events = journal.stream_after(stream(1), after, limit).await.expect("it can be read");
        events.iter().map(|event| (event.sequence, event.position)).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2).await, [(1, 1), (2, 2)]);
    assert_eq!(page(2, 2).await, [(3, 5), (4, 6)]);
    assert_eq!(page(4, 2).await, [(5, 7)]);
    assert_eq!(page(5, 2).await, []);
    assert_eq!(page(u64::MAX, 2).await, []);
    assert_eq!(page(0, u32::MAX).await.len(), 5);
    writer.stop().await;
}

pub(crate) async fn every_stored_event_version_is_listed_once<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let of = |number, expected, event_type, event_version| {
        let event = NewEvent { event_type, event_version, payload: "{}".into() };
        Append { events: vec![event], ..append(number, expected, 0) }
    };
    append_each(&journal, [of(1, 0, "B", "1.0"), of(1, 1, "A", "2.0"), of(2, 0, "B", "1.0")]).await;
    journal.append(of(2, 5, "Lost", "1.0")).await.expect_err("its stream is not there");
    let listed = journal.event_versions().await.expect("it can be read");
    assert_eq!(listed, [("A".to_owned(), "2.0".to_owned()), ("B".to_owned(), "1.0".to_owned())]);
    writer.stop().await;

    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [of(3, 0, "B", "1.0"), of(3, 1, "A", "1.0")]).await;
    assert_eq!(journal.event_versions().await.expect("it can be read").len(), 3);
    writer.stop().await;
}

/// Six events, three of each of two streams in turn; a statement is run past the triggers.
async fn tampered<H: Harness>(harness: &H, sql: &str) -> (Journal, WriterTask) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, (0..6).map(|at| append(at % 2, at as u64 / 2, 1))).await;
    harness.tamper(sql).await;
    (journal, writer)
}

pub(crate) async fn a_missing_event_stops_a_reader<H: Harness>(harness: &H) {
    let (journal, writer) = tampered(harness, "DELETE FROM events WHERE position = 3").await;
    for after in [0, 2] {
        let result = journal.read(after, 10).await;
        assert!(matches!(result, Err(ReadError::Hole { expected: 3, found: Some(4) })), "{result:?}");
    }
    assert_eq!(journal.read(0, 2).await.expect("before the hole").len(), 2);
    assert_eq!(journal.read(3, 10).await.expect("behind the hole").len(), 3);
    writer.stop().await;
}

pub(crate) async fn a_missing_last_event_stops_a_reader<H: Harness>(harness: &H) {
    let (journal, writer) = tampered(harness, "DELETE FROM events WHERE position = 6").await;
    assert_eq!(journal.read(0, 10).await.expect("before the hole").len(), 5);
    let result = journal.read(5, 10).await;
    assert!(matches!(result, Err(ReadError::Hole { expected: 6, found: None })), "{result:?}");
    writer.stop().await;
}

pub(crate) async fn a_stream_with_a_missing_event_is_not_read<H: Harness>(harness: &H) {
    let (journal, writer) = tampered(harness, "DELETE FROM events WHERE position = 3").await;
    let whole = journal.stream(stream(0)).await.map(drop);
    for result in [whole, journal.facts(stream(0)).await.map(drop)] {
        assert!(matches!(result, Err(ReadError::Corrupt { position: 5, column: "sequence" })), "{result:?}");
    }
    assert_eq!(journal.stream(stream(1)).await.expect("it is whole").len(), 3);
    assert_eq!(journal.facts(stream(1)).await.expect("it is whole").len(), 3);
    writer.stop().await;
}

pub(crate) async fn a_value_that_was_never_written_is_not_read<H: Harness>(harness: &H) {
    let upper = "UPDATE events SET command_id = upper('a' || substr(command_id, 2)) WHERE position = 4";
    let (journal, writer) = tampered(harness, upper).await;
    let [all, whole] = [journal.read(0, 10).await.map(drop), journal.stream(stream(1)).await.map(drop)];
    for result in [all, whole, journal.facts(stream(1)).await.map(drop)] {
        assert!(matches!(result, Err(ReadError::Corrupt { position: 4, column: "command_id" })), "{result:?}");
    }
    writer.stop().await;
}
