use zeroload_domain::{CollectReason, MediaId, ReleaseReason, State};

use crate::testing::contract::{Fixture, Kind, on_both};
use crate::{
    DueItem, PendingQuery,
    testing::{
        Journal, Seeded, at, claim, confirmed, deadlines, id, one_of_each, owner, released, request_of, requested,
        tenant, uploaded,
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

async fn pages_show_each_pending_item_once_though_deadlines_tie(kind: Kind) {
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
    let fixture = Fixture::with(kind, &journal).await;
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

async fn a_page_tells_what_it_shows_and_at_which_position(kind: Kind) {
    let journal = Journal::of([
        (id(1), requested(id(1))),
        (id(2), requested(id(2))),
        (id(2), uploaded("one")),
        (id(2), confirmed(None)),
        (id(3), requested(id(3))),
        (id(3), uploaded("one")),
    ]);
    let fixture = Fixture::with(kind, &journal).await;
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

async fn due_items_are_those_that_may_be_claimed_in_order_of_their_deadline(kind: Kind) {
    let fixture = Fixture::with(kind, &one_of_each()).await;
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

async fn unfinished_items_are_those_with_an_open_claim(kind: Kind) {
    let fixture = Fixture::with(kind, &one_of_each()).await;
    let unfinished = fixture.models.unfinished(at(1_000_000), None, 10).await.unwrap();
    assert_eq!(ids(&unfinished), [id(6)]);
    let item = &unfinished[0];
    assert_eq!((item.state, item.claim, item.reason), (State::Collecting, Some(claim(1)), CollectReason::Expired));
    let after = Some((item.collectable_at, item.media_id));
    assert_eq!(fixture.models.unfinished(at(1_000_000), after, 10).await.unwrap(), []);
}

on_both!(
    pages_show_each_pending_item_once_though_deadlines_tie,
    a_page_tells_what_it_shows_and_at_which_position,
    due_items_are_those_that_may_be_claimed_in_order_of_their_deadline,
    unfinished_items_are_those_with_an_open_claim,
);
