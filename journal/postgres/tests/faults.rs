//! The network between journal and server, cut at the worst moments, and servers that are not what they were.

use tokio::task::spawn_blocking;
use zeroload_test_postgres::Relay;

use super::super::super::contract::{Harness, append, append_each, start_default, stream};
use super::super::super::{AppendError, ReadError, StoreErrorKind, WriteError, WriteStore, verify};
use super::super::Settings;
use super::{OnPostgres, start_on};

/// A way to the database on which everything passes this relay.
async fn relayed(harness: &OnPostgres) -> (Relay, Settings) {
    harness.open().await.0.close().await;
    let settings = harness.database.settings();
    assert!(settings.options.get_socket().is_none(), "ZEROLOAD_TEST_DATABASE_URL must name a server by host and port");
    let relay = Relay::to(format!("{}:{}", settings.options.get_host(), settings.options.get_port()));
    let options = settings.options().host("127.0.0.1").port(relay.port());
    (relay, Settings { options, ..settings })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_on_the_network_is_found_and_answered() {
    let harness = OnPostgres::create().await;
    let (relay, settings) = relayed(&harness).await;
    let (journal, writer) = start_on(&settings).await;
    for number in 0..10 {
        // The first answer of a connection is to the statement's preparation, the second one to the batch.
        if number % 2 == 1 {
            relay.lose_next_answer();
        }
        let appended = journal.append(append(number, 0, 2)).await.expect("it was looked up");
        let events = journal.stream(stream(number)).await.expect("it can be read");
        assert_eq!((events.len(), events[0].position), (2, appended.first_position));
    }
    assert_eq!(relay.lost(), 5);
    assert_eq!(verify(journal.reader(), None, |_, _| ()).await.expect("it is whole").position, 20);
    writer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_arrives_after_it_was_looked_up_is_refused_by_the_server() {
    let harness = OnPostgres::create().await;
    let (relay, settings) = relayed(&harness).await;
    let (journal, writer) = start_on(&settings).await;
    append_each(&journal, [append(1, 0, 1)]).await;
    relay.hold_next_question();
    let late = journal.append(append(2, 0, 1)).await;
    assert!(matches!(late, Err(AppendError::Unavailable { .. })), "{late:?}");
    let answer = spawn_blocking(move || relay.deliver()).await.expect("it does not panic");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("ZL004"), "{answer}");
    assert_eq!(journal.append(append(2, 0, 1)).await.expect("it was not written").first_position, 2);
    verify(journal.reader(), None, |_, _| ()).await.expect("nothing was written twice");
    writer.stop().await;
}

const GO_BACK: &str = "DELETE FROM events WHERE position > 1; DELETE FROM commits WHERE commit_id > 1;
    UPDATE journal_head SET position = 1, commit_id = 1, hash = (SELECT hash FROM commits)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_is_recognised_even_when_others_have_gone_on_with_it() {
    let harness = OnPostgres::create().await;
    let (mut writer, reader) = harness.open().await;
    let batch = |number| [append(number, 0, 1).prepare().expect("it holds events")];
    for number in [1, 2] {
        writer.append(&batch(number)).await.expect("nothing stands against it");
    }
    harness.tamper(GO_BACK).await;
    let is_older = |read: Result<_, ReadError>| matches!(read, Err(ReadError::Unavailable(source)) if source.kind == StoreErrorKind::WentBack);
    assert!(is_older(reader.head().await.map(drop)));
    let (others, other_writer) = start_default(&harness).await;
    append_each(&others, [append(3, 0, 1), append(4, 0, 1)]).await;

    for read in [reader.read(0, 10).await.map(drop), reader.read_tenant("t", 0, 10).await.map(drop)] {
        assert!(is_older(read));
    }
    for read in [reader.stream(stream(1)).await.map(drop), reader.facts(stream(1)).await.map(drop)] {
        assert!(is_older(read));
    }
    assert!(is_older(reader.head().await.map(drop)));
    // As after a loss of the connection.
    writer.connection = None;
    let older = writer.append(&batch(5)).await;
    assert!(matches!(older, Err(WriteError::Failed(source)) if source.kind == StoreErrorKind::WentBack));
    assert_eq!(others.read(0, 10).await.expect("they know no other").len(), 3);
    other_writer.stop().await;
}
