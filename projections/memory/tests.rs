use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::MemoryTables;
use crate::{
    Backoff, Deferred, DueItem, ReadModels,
    testing::{Seeded, at, claim, id},
};

fn in_memory(tables: &MemoryTables) -> ReadModels {
    ReadModels::in_memory(tables.clone(), Arc::new(|| Box::pin(async { Ok(()) })))
}

#[tokio::test]
async fn the_tables_in_memory_answer_like_those_of_sqlite() {
    const BACKOFF: Backoff = Backoff { first: TimeDelta::seconds(60), cap: TimeDelta::hours(9) };
    let dir = tempfile::tempdir().unwrap();
    let sqlite = ReadModels::open(dir.path().join("projections.db")).await.unwrap();
    let tables = MemoryTables::default();
    let memory = in_memory(&tables);
    let mut seeded = Seeded(3);
    let journal = seeded.journal(600, 40);
    for batch in journal.events.chunks(37) {
        assert_eq!(memory.apply(batch, None).await.unwrap(), sqlite.apply(batch, None).await.unwrap());
        assert_eq!(memory.checkpoint().await.unwrap(), sqlite.checkpoint().await.unwrap());
        let now = at(i64::try_from(seeded.below(100_000)).unwrap());
        let failed = |number| Deferred { media_id: id(number), claim: Some(claim(1)), code: "SlowDown".to_owned() };
        let unclaimed = Deferred { claim: None, ..failed(u128::from(seeded.below(40))) };
        let items = [failed(u128::from(seeded.below(40))), failed(u128::from(40 + seeded.below(9))), unclaimed];
        let done = [id(u128::from(seeded.below(40)))];
        for models in [&memory, &sqlite] {
            models.retries().postpone(&items, now, BACKOFF).await.unwrap();
            models.retries().clear(&done).await.unwrap();
        }
        assert_eq!(memory.retries().prune().await.unwrap(), sqlite.retries().prune().await.unwrap());
        assert_eq!(lists(&memory, now).await, lists(&sqlite, now).await);
        let from = now - TimeDelta::minutes(40);
        assert_eq!(memory.activity(from, now, 9).await.unwrap(), sqlite.activity(from, now, 9).await.unwrap());
        assert_eq!(memory.unanswered(from, now).await.unwrap(), sqlite.unanswered(from, now).await.unwrap());
    }
    let mut rows = Vec::new();
    sqlite.dump(None, |row| rows.push(row.clone())).await.unwrap();
    assert_eq!(tables.contents(), (600, rows));
}

/// All pages of both lists.
async fn lists(models: &ReadModels, now: DateTime<Utc>) -> (Vec<DueItem>, Vec<DueItem>) {
    let (mut due, mut unfinished) = (Vec::new(), Vec::new());
    let place = |items: &[DueItem]| items.last().map(|item| (item.collectable_at, item.media_id));
    loop {
        let page = models.due(now, place(&due), 7).await.unwrap();
        let rest = models.unfinished(now, place(&unfinished), 7).await.unwrap();
        if page.is_empty() && rest.is_empty() {
            return (due, unfinished);
        }
        due.extend(page);
        unfinished.extend(rest);
    }
}
