use std::collections::BTreeSet;

use zeroload_domain::{CollectOutcome, CollectReason, MediaId, ReleaseReason, Seen, State};

use super::Fixture;
use crate::{
    DueItem, PendingQuery,
    testing::{
        Journal, Seeded, at, claim, collected, confirmed, deadlines, id, owner, present, released, request_of,
        requested, started, tenant, uploaded,
    },
};

fn of_default() -> PendingQuery {
    PendingQuery { tenant: tenant("default"), owner: None, due_before: None, limit: 1000, cursor: None }
}

async fn all_pages(fixture: &Fixture, mut query: PendingQuery) -> Vec<MediaId> {
    let mut ids = Vec::new();
    loop {
        let page = fixture.models.pending(&query).await.unwrap();
        assert!(page.items.len() <= query.limit as usize);
        ids.extend(page.items.iter().map(|item| item.media_id));
        let Some(cursor) = page.next_cursor else { return ids };
        assert_eq!(page.items.len(), query.limit as usize);
        query.cursor = Some(cursor.to_string().parse().unwrap());
    }
}

fn ids(items: &[DueItem]) -> Vec<MediaId> {
    items.iter().map(|item| item.media_id).collect()
}

#[tokio::test]
async fn pages_show_each_pending_item_once_though_deadlines_tie() {
    let mut journal = Journal::default();
    let mut seeded = Seeded(9);
    let mut expected = Vec::new();
    for number in 0..230 {
        let from = i64::try_from(seeded.below(3)).unwrap();
        let (tenant, owner) = (seeded.one_of(&["default", "other"]), seeded.one_of(&["anna", "ben"]));
        journal.record(id(number), request_of(id(number), tenant, owner, deadlines(from)));
        expected.push((deadlines(from).collectable_at, id(number), tenant, owner));
        match seeded.below(3) {
            0 => drop(journal.record(id(number), uploaded("one")).clone()),
            1 => {
                journal.record(id(number), released(ReleaseReason::Cancelled, 5));
                expected.pop();
            }
            _ => {}
        }
    }
    expected.sort();
    let fixture = Fixture::with(&journal).await;
    for limit in [1, 7, 1000] {
        for tenant_name in ["default", "other"] {
            let query = PendingQuery { tenant: tenant(tenant_name), limit, ..of_default() };
            let of_tenant = |item: &&(_, MediaId, &str, &str)| item.2 == tenant_name;
            let wanted: Vec<_> = expected.iter().filter(of_tenant).map(|item| item.1).collect();
            assert!(wanted.len() > 20);
            assert_eq!(all_pages(&fixture, query.clone()).await, wanted);
            let query = PendingQuery { owner: Some(owner("ben")), ..query };
            let wanted: Vec<_> = expected.iter().filter(of_tenant).filter(|i| i.3 == "ben").map(|i| i.1).collect();
            assert_eq!(all_pages(&fixture, query).await, wanted);
        }
    }
    let first = PendingQuery { due_before: Some(deadlines(1).collectable_at), ..of_default() };
    let wanted = expected.iter().filter(|i| i.2 == "default" && i.0 < deadlines(1).collectable_at).count();
    assert_eq!(all_pages(&fixture, first).await.len(), wanted);
}

#[tokio::test]
async fn a_page_tells_what_it_shows_and_at_which_position() {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(2), requested(id(2))),
        (id(2), uploaded("one")),
        (id(2), confirmed(None)),
        (id(3), requested(id(3))),
        (id(3), uploaded("one")),
    ]);
    let fixture = Fixture::with(&journal).await;
    let page = fixture.models.pending(&of_default()).await.unwrap();
    assert_eq!((page.position, page.next_cursor), (6, None));
    let shown: Vec<_> = page.items.iter().map(|item| (item.media_id, item.state)).collect();
    assert_eq!(shown, [(id(1), State::Pending), (id(3), State::Uploaded)]);
    let item = &page.items[0];
    let row = &journal.rows()[0];
    assert_eq!((&item.owner, &item.object_key, item.content_length), (&row.owner, &row.object_key, row.content_length));
    assert_eq!(
        (item.requested_at, item.confirm_by, item.collectable_at),
        (row.requested_at, row.confirm_by, row.collectable_at)
    );
    let none = PendingQuery { tenant: tenant("other"), limit: 0, ..of_default() };
    assert_eq!(fixture.models.pending(&none).await.unwrap().items, []);
    let clamped = PendingQuery { limit: 0, ..of_default() };
    assert_eq!(fixture.models.pending(&clamped).await.unwrap().items.len(), 1);
}

/// Items 1 to 8: pending, uploaded, confirmed, cancelled, detached, collecting, collected, and pending for longer.
fn one_of_each() -> Journal {
    let mut journal = Journal::default();
    for number in 1..=7 {
        journal.record(id(number), requested(id(number)));
    }
    journal.record(id(8), request_of(id(8), "default", "owner-1", deadlines(5000)));
    for number in [2, 3, 5] {
        journal.record(id(number), uploaded("one"));
    }
    for number in [3, 5] {
        journal.record(id(number), confirmed(None));
    }
    journal.record(id(4), released(ReleaseReason::Cancelled, 100));
    journal.record(id(5), released(ReleaseReason::Detached, 100));
    journal.record(id(6), started(1, CollectReason::Expired, Seen::Unknown));
    journal.record(id(7), started(1, CollectReason::Expired, present("one")));
    journal.record(id(7), collected(1, CollectOutcome::Deleted, 1000));
    journal
}

#[tokio::test]
async fn due_items_are_those_that_may_be_claimed_in_order_of_their_deadline() {
    let fixture = Fixture::with(&one_of_each()).await;
    let deadline = deadlines(0).collectable_at;
    let due = async |now, after, limit| ids(&fixture.models.due(now, after, limit).await.unwrap());
    assert_eq!(due(at(99), None, 10).await, []);
    assert_eq!(due(at(100), None, 10).await, [id(4), id(5)]);
    assert_eq!(due(deadline, None, 10).await, [id(4), id(5), id(1), id(2)]);
    assert_eq!(due(deadline, None, 3).await, [id(4), id(5), id(1)]);
    assert_eq!(due(deadline, Some((at(100), id(5))), 3).await, [id(1), id(2)]);
    assert_eq!(due(at(1_000_000), None, 10).await, [id(4), id(5), id(1), id(2), id(8)]);
    let reasons: Vec<_> =
        fixture.models.due(deadline, None, 10).await.unwrap().iter().map(|item| (item.state, item.reason)).collect();
    assert_eq!(
        reasons,
        [
            (State::Released, CollectReason::Cancelled),
            (State::Released, CollectReason::Detached),
            (State::Pending, CollectReason::Expired),
            (State::Uploaded, CollectReason::Expired),
        ]
    );
    assert_eq!(fixture.models.due_count(deadline, 100).await.unwrap(), 4);
    assert_eq!(fixture.models.due_count(deadline, 3).await.unwrap(), 3);
}

#[tokio::test]
async fn unfinished_items_are_those_with_an_open_claim() {
    let fixture = Fixture::with(&one_of_each()).await;
    let unfinished = fixture.models.unfinished(at(1_000_000), None, 10).await.unwrap();
    assert_eq!(ids(&unfinished), [id(6)]);
    let item = &unfinished[0];
    assert_eq!((item.state, item.claim, item.reason), (State::Collecting, Some(claim(1)), CollectReason::Expired));
    let after = Some((item.collectable_at, item.media_id));
    assert_eq!(fixture.models.unfinished(at(1_000_000), after, 10).await.unwrap(), []);
}

#[tokio::test]
async fn analysts_can_query_the_views() {
    let fixture = Fixture::with(&one_of_each()).await;
    let query =
        async |sql: &str| -> Vec<String> { sqlx::query_scalar(sql).fetch_all(&fixture.models.readers).await.unwrap() };
    let funnel =
        "SELECT json_array(day, tenant, requested, uploaded, confirmed, released, collected) FROM funnel_per_day";
    assert_eq!(query(funnel).await, [r#"["2026-09-21","default",8,3,2,2,1]"#]);
    let bytes = "SELECT json_array(tenant, owner, items, bytes, pending_items, pending_bytes, confirmed_items,
        confirmed_bytes, bytes_freed) FROM bytes_per_owner";
    assert_eq!(query(bytes).await, [r#"["default","owner-1",8,8000,3,3000,1,1000,1000]"#]);
    let runs =
        "SELECT json_array(run_id, kind, claimed, deleted, absent, unfinished, bytes_freed) FROM collection_runs";
    assert_eq!(query(runs).await, [r#"["00000000-0000-0000-0000-000000000007","run",2,1,0,1,1000]"#]);
    let pending = "SELECT json_group_array(state ORDER BY media_id) FROM pending_media";
    assert_eq!(query(pending).await, [r#"["pending","uploaded","pending"]"#]);
}

#[tokio::test]
async fn each_query_walks_its_index_and_sorts_nothing() {
    let fixture = Fixture::with(&Journal::requests(500)).await;
    let plans = [
        (
            include_str!("../sql/pending.sql"),
            "media_v1_pending (tenant=? AND (collectable_at,media_id)>(?,?) AND collectable_at<?)",
        ),
        (
            include_str!("../sql/pending_of_owner.sql"),
            "media_v1_pending (tenant=? AND (collectable_at,media_id)>(?,?) AND collectable_at<?)",
        ),
        (include_str!("../sql/due.sql"), "media_v1_due ((collectable_at,media_id)>(?,?) AND collectable_at<?)"),
        (include_str!("../sql/due_count.sql"), "media_v1_due (collectable_at<?)"),
        (include_str!("../sql/unfinished.sql"), "media_v1_collecting ((collectable_at,media_id)>(?,?))"),
        (include_str!("../sql/media_by_id.sql"), "sqlite_autoindex_media_v1_1 (media_id=?)"),
    ];
    for (sql, index) in plans {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(&explain).fetch_all(&fixture.models.readers).await.unwrap();
        let plan: Vec<_> = steps.into_iter().map(|step| step.3).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}{plan:#?}");
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE") || step.starts_with("SCAN media")),
            "{sql}{plan:#?}"
        );
    }
    let unique: BTreeSet<_> = plans.iter().map(|plan| plan.0).collect();
    assert_eq!(unique.len(), plans.len());
}
