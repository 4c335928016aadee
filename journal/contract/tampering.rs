//! Whatever is done to the tables past their triggers, `verify` finds it (P-5).

use super::{Harness, append, append_each, start_default};
use crate::{Fault, Hash, Head, Journal, Reader, Verified, VerifyError, WriterTask, hash::CommitHasher, verify};

/// Flips that are tried on each value: see [`Harness::flip`].
const FLIPS: usize = 6;

/// Four commits: positions 1, 2–4, 5–6 and 7.
async fn four_commits<H: Harness>(harness: &H) -> (Journal, WriterTask) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, [append(1, 0, 1), append(2, 0, 3), append(1, 1, 2), append(3, 0, 1)]).await;
    (journal, writer)
}

async fn check(reader: &Reader) -> Result<Verified, VerifyError> {
    verify(reader, None, |_, _| ()).await
}

async fn position_and_fault(reader: &Reader) -> (u64, Fault) {
    match check(reader).await {
        Err(VerifyError::Broken { position, fault }) => (position, fault),
        other => panic!("not found to be broken: {other:?}"),
    }
}

async fn after_tampering<H: Harness>(harness: &H, sql: &str) -> (u64, Fault) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    harness.tamper(sql).await;
    position_and_fault(journal.reader()).await
}

pub(crate) async fn an_untouched_journal_is_verified_up_to_its_head<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let verified = |head: Head| Verified { position: head.position, hash: head.hash };
    let head = journal.head().await.expect("it can be read");
    assert_eq!(check(journal.reader()).await.expect("it is whole"), verified(head));
    writer.stop().await;

    let (journal, writer) = four_commits(harness).await;
    let mut seen = Vec::new();
    let found = verify(journal.reader(), None, |done, total| seen.push((done, total))).await.expect("it is whole");
    let head = journal.head().await.expect("it can be read");
    assert_eq!(found, verified(head));
    assert_eq!((head.position, head.commit_id), (7, 4));
    assert_eq!(seen, [(0, 7), (1, 7), (4, 7), (6, 7), (7, 7)]);
    writer.stop().await;
}

pub(crate) async fn verify_works_beside_a_running_writer<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    append_each(&journal, (0..200).map(|at| append(1, at, 1))).await;
    let writing = tokio::spawn({
        let journal = journal.clone();
        async move { append_each(&journal, (0..400).map(|at| append(2, at, 1))).await }
    });
    let mut last = 0;
    while last < 600 {
        let found = check(journal.reader()).await.expect("it is whole at every moment").position;
        assert!(found >= last);
        last = found;
    }
    writing.await.expect("the caller does not panic");
    writer.stop().await;
}

/// Flips bits in every column of the row and gives the columns in which one could be flipped.
async fn flip_all<H: Harness>(harness: &H, reader: &Reader, table: &str, key: i64, at: Option<u64>) -> Vec<String> {
    let mut flipped = Vec::new();
    for column in harness.columns(table).await {
        for nth in 0..FLIPS {
            let Some(new_key) = harness.flip(table, key, &column, nth).await else { continue };
            let result = check(reader).await;
            match (&result, at) {
                (Err(VerifyError::Broken { position, .. }), Some(at)) if *position == at => {}
                (Err(VerifyError::Broken { .. } | VerifyError::Read(_)), None) => {}
                _ => panic!("flip {nth} of {table}.{column} in row {key}: {result:?}"),
            }
            assert_eq!(harness.flip(table, new_key, &column, nth).await, Some(key), "it was undone");
            flipped.push(column.clone());
        }
    }
    check(reader).await.expect("everything was undone");
    flipped.dedup();
    flipped
}

pub(crate) async fn any_flipped_bit_of_an_event_is_found_at_its_position<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    harness.tamper("").await;
    for position in [1, 3, 4, 7] {
        let at = Some(u64::try_from(position).expect("it is above 0"));
        let flipped = flip_all(harness, journal.reader(), "events", position, at).await;
        assert_eq!(flipped.len(), 13, "a column was not tried: {flipped:?}");
    }
}

pub(crate) async fn any_flipped_bit_of_a_commit_is_found_at_its_first_position<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    harness.tamper("").await;
    for (commit_id, first_position) in [(1, 1), (2, 2), (3, 5), (4, 7)] {
        let flipped = flip_all(harness, journal.reader(), "commits", commit_id, Some(first_position)).await;
        assert_eq!(flipped.len(), 5, "a column was not tried: {flipped:?}");
    }
}

pub(crate) async fn any_flipped_bit_of_the_head_is_found<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    harness.tamper("").await;
    let flipped = flip_all(harness, journal.reader(), "journal_head", 1, None).await;
    assert!(flipped.len() >= 5, "a column was not tried: {flipped:?}");
}

pub(crate) async fn a_removed_event_is_found_where_it_stood<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    // From the end, so that each is the lowest that is missing.
    for position in (1..=7).rev() {
        harness.tamper(&format!("DELETE FROM events WHERE position = {position}")).await;
        assert_eq!(position_and_fault(journal.reader()).await, (position, Fault::EventMissing));
    }
}

pub(crate) async fn a_removed_commit_is_found_where_it_stood<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    harness.tamper("DELETE FROM commits WHERE commit_id = 4").await;
    assert_eq!(position_and_fault(journal.reader()).await, (7, Fault::CommitMissing));
    // The last commit gone with its events, the head still there.
    harness.tamper("DELETE FROM events WHERE position = 7").await;
    assert_eq!(position_and_fault(journal.reader()).await, (7, Fault::CommitMissing));
    harness.tamper("DELETE FROM commits WHERE commit_id = 2").await;
    assert_eq!(position_and_fault(journal.reader()).await, (2, Fault::CommitMissing));
}

/// Copies the event at `from` to `position`, at a sequence that its stream does not have.
fn copy(from: u64, position: i64) -> String {
    format!(
        "INSERT INTO events SELECT {position}, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type,
         aggregate_id, 900, event_type, event_version, payload, metadata FROM events WHERE position = {from}"
    )
}

pub(crate) async fn an_added_event_is_found_where_it_stands<H: Harness>(harness: &H) {
    assert_eq!(after_tampering(harness, &copy(7, 8)).await, (8, Fault::Extra));
    // With a commit of its own too.
    harness.tamper("INSERT INTO commits SELECT 5, 8, 1, recorded_at, hash FROM commits WHERE commit_id = 4").await;
    let reader = harness.open().await.1;
    assert_eq!(position_and_fault(&reader).await, (8, Fault::Extra));
}

pub(crate) async fn an_event_below_the_first_position_is_found<H: Harness>(harness: &H) {
    assert_eq!(after_tampering(harness, &copy(7, 0)).await, (0, Fault::Extra));
    let reader = harness.open().await.1;
    harness.tamper("DELETE FROM events WHERE position = 0").await;
    check(&reader).await.expect("it is whole again");
    harness.tamper("INSERT INTO commits SELECT -5, 8, 1, recorded_at, hash FROM commits WHERE commit_id = 4").await;
    assert_eq!(position_and_fault(&reader).await, (0, Fault::Extra));
}

pub(crate) async fn an_unlisted_event_version_is_found<H: Harness>(harness: &H) {
    assert_eq!(after_tampering(harness, "DELETE FROM event_versions").await, (1, Fault::VersionNotListed));
}

pub(crate) async fn an_event_rewritten_with_its_leaf_breaks_its_commit<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    let rewrite = "UPDATE events SET payload = '{}' WHERE position = 3";
    harness.tamper(rewrite).await;
    assert_eq!(position_and_fault(journal.reader()).await, (3, Fault::Leaf));
    let raw = journal.reader().store().events(2, 1, None).await.expect("it can be read");
    harness.tamper(&format!("UPDATE events SET leaf_hash = {} WHERE position = 3", H::blob(&raw[0].leaf()))).await;
    assert_eq!(position_and_fault(journal.reader()).await, (2, Fault::Commit));
}

pub(crate) async fn a_last_commit_forged_to_an_earlier_time_is_found<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    let store = journal.reader().store();
    let third = store.commits(2, 1).await.expect("it can be read").remove(0);
    let last = store.events(6, 1, None).await.expect("it can be read").remove(0);
    let previous = Hash::from_bytes(third.hash.try_into().expect("it has 32 bytes"));
    let mut forged = CommitHasher::new(&previous, 4, 7, 1, 1);
    forged.leaf(&last.leaf_hash);
    let hash = H::blob(&forged.finish());
    harness
        .tamper(&format!(
            "UPDATE events SET recorded_at = 1 WHERE position = 7;
             UPDATE commits SET recorded_at = 1, hash = {hash} WHERE commit_id = 4;
             UPDATE journal_head SET recorded_at = 1, hash = {hash}"
        ))
        .await;
    assert_eq!(position_and_fault(journal.reader()).await, (7, Fault::TimeWentBack));
}

pub(crate) async fn a_journal_cut_with_its_head_is_found_by_an_expected_head<H: Harness>(harness: &H) {
    let (journal, writer) = four_commits(harness).await;
    writer.stop().await;
    let head = journal.head().await.expect("it can be read");
    let expect = Some((head.position, head.hash));
    verify(journal.reader(), expect, |_, _| ()).await.expect("it is the expected one");
    harness
        .tamper(
            "UPDATE journal_head SET (position, commit_id, recorded_at, hash) =
                 (SELECT 6, commit_id, recorded_at, hash FROM commits WHERE commit_id = 3);
             DELETE FROM events WHERE position = 7;
             DELETE FROM commits WHERE commit_id = 4",
        )
        .await;
    assert_eq!(check(journal.reader()).await.expect("it is whole in itself").position, 6);
    let result = verify(journal.reader(), expect, |_, _| ()).await;
    assert!(
        matches!(result, Err(VerifyError::NotAsExpected { position: 7, expected, found: None }) if expected == head.hash)
    );
}

pub(crate) async fn an_expected_head_is_the_end_of_a_commit<H: Harness>(harness: &H) {
    let (journal, writer) = start_default(harness).await;
    let genesis = journal.head().await.expect("it can be read").hash;
    append_each(&journal, [append(1, 0, 2)]).await;
    let first = journal.head().await.expect("it can be read").hash;
    append_each(&journal, [append(1, 2, 2)]).await;
    let expect = async |position, hash| verify(journal.reader(), Some((position, hash)), |_, _| ()).await;
    assert_eq!(expect(0, genesis).await.expect("it began so").position, 4);
    assert_eq!(expect(2, first).await.expect("it was so").position, 4);
    let other = Hash::from_bytes([7; 32]);
    let result = expect(2, other).await;
    assert!(matches!(result, Err(VerifyError::NotAsExpected { found: Some(found), .. }) if found == first));
    let result = expect(1, first).await;
    assert!(matches!(result, Err(VerifyError::NotAsExpected { found: None, .. })));
    writer.stop().await;
}
