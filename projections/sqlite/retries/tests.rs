use super::*;
use crate::testing::{Journal, at, claim, collected, confirmed, id, present, requested, started, uploaded};
use zeroload_domain::{CollectOutcome, CollectReason};

const BACKOFF: Backoff = Backoff { first: TimeDelta::seconds(60), cap: TimeDelta::seconds(300) };

async fn models(journal: &Journal) -> (ReadModels, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let models = ReadModels::open(folder.path().join("projections.db")).await.unwrap();
    models.apply(&journal.events).await.unwrap();
    (models, folder)
}

fn failed(number: u128, of: Option<u32>, code: &str) -> Postponed {
    Postponed { media_id: id(number), claim: of.map(claim), code: code.to_owned() }
}

async fn waits(models: &ReadModels) -> Vec<(MediaId, i64, i64)> {
    let select = "SELECT media_id, attempts, next_try_at FROM collection_retries ORDER BY media_id";
    let rows: Vec<(String, i64, String)> = sqlx::query_as(select).fetch_all(&models.readers).await.unwrap();
    let wait = |at_text: &str| (time_text::parse(at_text).unwrap() - at(0)).num_seconds();
    rows.iter().map(|row| (MediaId::parse(&row.0).unwrap(), row.1, wait(&row.2))).collect()
}

#[test]
fn waits_double_up_to_the_cap() {
    let waits = |backoff: Backoff| -> Vec<i64> {
        backoff.times(at(0)).into_iter().map(|time| (time - at(0)).num_seconds()).collect()
    };
    assert_eq!(waits(BACKOFF), [60, 120, 240, 300]);
    assert_eq!(waits(Backoff { first: TimeDelta::seconds(9), cap: TimeDelta::seconds(5) }), [5]);
    let endless = Backoff { first: TimeDelta::zero(), cap: TimeDelta::seconds(5) };
    assert!(waits(endless).len() <= 40);
    assert!(waits(Backoff { first: TimeDelta::seconds(1), cap: TimeDelta::MAX }).len() <= 40);
}

#[tokio::test]
async fn failures_of_one_claim_in_a_row_wait_longer_each_time() {
    let (models, _folder) = models(&Journal::requests(3)).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        models.retries().postpone(&[failed(1, Some(1), "SlowDown")], at(0), BACKOFF).await.unwrap();
        seen.extend(waits(&models).await);
    }
    let expected = [(1, 60), (2, 120), (3, 240), (4, 300), (5, 300), (6, 300)];
    assert_eq!(seen, expected.map(|(attempts, wait)| (id(1), attempts, wait)));
    models.retries().postpone(&[failed(1, Some(2), "SlowDown")], at(10), BACKOFF).await.unwrap();
    assert_eq!(waits(&models).await, [(id(1), 1, 70)]);
    models.retries().postpone(&[failed(1, None, "Timeout")], at(10), BACKOFF).await.unwrap();
    models.retries().postpone(&[failed(1, None, "Timeout")], at(10), BACKOFF).await.unwrap();
    assert_eq!(waits(&models).await, [(id(1), 2, 130)]);
}

#[tokio::test]
async fn an_item_that_waits_is_not_due_until_its_time_and_delays_no_other() {
    let (models, _folder) = models(&Journal::requests(3)).await;
    let now = at(1_000_000);
    models.retries().postpone(&[failed(1, None, "Timeout")], now, BACKOFF).await.unwrap();
    let due = async |seconds| -> Vec<MediaId> {
        let now = now + TimeDelta::seconds(seconds);
        models.due(now, None, 10).await.unwrap().iter().map(|item| item.media_id).collect()
    };
    assert_eq!(due(0).await, [id(0), id(2)]);
    assert_eq!(models.due_count(now, 10).await.unwrap(), 2);
    assert_eq!(due(59).await, [id(0), id(2)]);
    assert_eq!(due(60).await, [id(0), id(1), id(2)]);
    models.retries().clear(&[id(1), id(2)]).await.unwrap();
    assert_eq!(due(0).await, [id(0), id(1), id(2)]);
}

#[tokio::test]
async fn an_open_claim_that_waits_is_not_unfinished_until_its_time() {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(1), started(1, CollectReason::Expired, present("one"))),
        (id(2), requested(id(2))),
        (id(2), started(1, CollectReason::Expired, present("one"))),
    ]);
    let (models, _folder) = models(&journal).await;
    models.retries().postpone(&[failed(1, Some(1), "AccessDenied")], at(0), BACKOFF).await.unwrap();
    let count = async |seconds| models.unfinished(at(seconds), None, 10).await.unwrap().len();
    assert_eq!((count(59).await, count(60).await), (1, 2));
}

#[tokio::test]
async fn waiting_items_are_counted_by_code_and_pruned_once_done() {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(1), started(1, CollectReason::Expired, present("one"))),
        (id(1), collected(1, CollectOutcome::Deleted, 1)),
        (id(2), requested(id(2))),
        (id(3), requested(id(3))),
        (id(3), uploaded("one")),
        (id(3), confirmed(None)),
    ]);
    let (models, _folder) = models(&journal).await;
    let items = [failed(1, Some(1), "SlowDown"), failed(2, None, "SlowDown"), failed(3, None, "it's \"odd\"")];
    models.retries().postpone(&items, at(0), BACKOFF).await.unwrap();
    let counts = models.retries().count_by_code().await.unwrap();
    assert_eq!(counts, BTreeMap::from([("SlowDown".to_owned(), 2), ("it's \"odd\"".to_owned(), 1)]));
    assert_eq!(models.retries().prune().await.unwrap(), 2);
    assert_eq!(waits(&models).await, [(id(2), 1, 60)]);
}

#[tokio::test]
async fn many_items_are_postponed_and_cleared() {
    let (models, _folder) = models(&Journal::requests(1)).await;
    let items: Vec<_> = (0..2500).map(|number| failed(number, None, "Timeout")).collect();
    models.retries().postpone(&items, at(0), BACKOFF).await.unwrap();
    assert_eq!(models.retries().count_by_code().await.unwrap()["Timeout"], 2500);
    let ids: Vec<_> = items.iter().map(|item| item.media_id).collect();
    models.retries().clear(&ids).await.unwrap();
    assert!(models.retries().count_by_code().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_item_that_waits_tells_why_and_until_when() {
    let (models, _folder) = models(&Journal::requests(2)).await;
    models.retries().postpone(&[failed(1, Some(1), "Timeout")], at(0), BACKOFF).await.unwrap();
    models.retries().postpone(&[failed(1, Some(1), "SlowDown")], at(10), BACKOFF).await.unwrap();
    let expected = Retry { code: "SlowDown".to_owned(), attempts: 2, next_try_at: at(130) };
    assert_eq!(models.retries().of(id(1)).await.unwrap(), Some(expected));
    assert_eq!(models.retries().of(id(2)).await.unwrap(), None);
    models.retries().clear(&[id(1)]).await.unwrap();
    assert_eq!(models.retries().of(id(1)).await.unwrap(), None);
}
