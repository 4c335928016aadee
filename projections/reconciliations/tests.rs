use uuid::Uuid;
use zeroload_domain::{ByteSize, State};

use crate::testing::contract::{Fixture, Kind, on_both};
use crate::{
    Counts, Finding, FindingKind, Walk, WalkStatus,
    testing::{Journal, at, id, one_of_each},
};

fn walk(number: u128) -> Walk {
    Walk {
        id: Uuid::from_u128(0x019a_0d2e_7b1c_7000_8000_0000_0000_0000 + number),
        caller: "timer".into(),
        status: WalkStatus::Running,
        started_at: at(0),
        saved_at: at(0),
        ended_at: None,
        after_key: String::new(),
        delete_older_than: Some(86_400),
        report_only: Some("restored".into()),
        expected: 5,
        counts: Counts {
            objects: 1,
            bytes: 2,
            requests: 3,
            came_back: 4,
            unknown: 5,
            missing: 6,
            differs: 7,
            deleted: 8,
            unreadable: 9,
            orphaned: 10,
        },
        broken_off: Some("no answer".into()),
    }
}

fn finding(key: &str) -> Finding {
    Finding {
        kind: FindingKind::Differs,
        object_key: key.into(),
        media_id: Some(id(1)),
        found_at: at(1),
        size: Some(10),
        etag: Some("two".into()),
        last_modified: Some(at(2)),
        expected_size: Some(11),
        expected_etag: Some("one".into()),
        action: "reported".into(),
    }
}

const ME: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

async fn a_walk_and_its_findings_read_back_as_they_were_saved(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let walks = fixture.models.walks();
    let mut walk = walk(1);
    assert!(walks.begin(&walk, ME).await.unwrap());
    assert_eq!(walks.running().await.unwrap(), Some(walk.clone()));
    walk.after_key = "media/b".into();
    let bare = Finding {
        media_id: None,
        size: None,
        etag: None,
        last_modified: None,
        expected_size: None,
        expected_etag: None,
        ..finding("media/c")
    };
    // A page that is walked again finds the same again.
    for _ in 0..2 {
        assert!(walks.save(&walk, &[finding("media/a"), bare.clone()], Some(ME), ME).await.unwrap());
    }
    assert_eq!(walks.find(walk.id).await.unwrap(), Some(walk.clone()));
    let page = walks.findings(walk.id, "", 1).await.unwrap();
    assert_eq!((page.items, page.next.as_deref()), (vec![finding("media/a")], Some("media/a")));
    let page = walks.findings(walk.id, "media/a", 1).await.unwrap();
    assert_eq!((page.items, page.next), (vec![bare], None));
}

async fn one_walk_runs_at_a_time_and_a_holder_that_is_gone_is_replaced(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let walks = fixture.models.walks();
    assert!(walks.begin(&walk(1), ME).await.unwrap());
    assert!(!walks.begin(&walk(2), OTHER).await.unwrap());
    assert_eq!(walks.take_over(OTHER, at(10), at(0)).await.unwrap(), None, "its holder has just saved it");
    let taken = walks.take_over(OTHER, at(10), at(5)).await.unwrap().unwrap();
    assert_eq!((taken.id, taken.saved_at), (walk(1).id, at(10)));
    assert!(!walks.save(&taken, &[finding("media/a")], Some(ME), ME).await.unwrap(), "it is another's now");
    assert_eq!(walks.findings(taken.id, "", 10).await.unwrap().items, [], "and so is what it finds");
    let ended = Walk { status: WalkStatus::Ended, ended_at: Some(at(11)), ..taken };
    assert!(walks.save(&ended, &[], None, OTHER).await.unwrap());
    assert_eq!(walks.take_over(ME, at(20), at(20)).await.unwrap(), None, "it has ended");

    assert!(walks.begin(&walk(2), ME).await.unwrap());
    assert!(!walks.abandon(at(12), at(0)).await.unwrap());
    assert!(walks.abandon(at(12), at(1)).await.unwrap());
    let ids: Vec<_> = walks.list(None, 10).await.unwrap().items.iter().map(|walk| (walk.id, walk.status)).collect();
    assert_eq!(ids, [(walk(2).id, WalkStatus::Abandoned), (walk(1).id, WalkStatus::Ended)]);
}

async fn old_walks_go_with_their_findings(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let walks = fixture.models.walks();
    for number in 1..=25 {
        assert!(walks.begin(&walk(number), ME).await.unwrap());
        let ended = Walk { status: WalkStatus::Ended, ..walk(number) };
        assert!(walks.save(&ended, &[finding("media/a")], None, ME).await.unwrap());
    }
    assert_eq!(walks.list(None, 1000).await.unwrap().items.len(), 20);
    assert_eq!(walks.findings(walk(5).id, "", 10).await.unwrap().items, []);
    assert_eq!(walks.findings(walk(6).id, "", 10).await.unwrap().items.len(), 1);
    let page = walks.list(None, 15).await.unwrap();
    assert_eq!((page.items.len(), page.next), (15, Some(walk(11).id)));
    assert_eq!(walks.list(page.next, 15).await.unwrap().items.len(), 5);
}

async fn confirmed_items_come_in_order_of_key_and_others_by_id(kind: Kind) {
    let fixture = Fixture::with(kind, &one_of_each()).await;
    let walks = fixture.models.walks();
    // Uploaded, confirmed, cancelled, detached and collecting.
    assert_eq!(walks.expected().await.unwrap(), 5);
    let confirmed = walks.confirmed("media/", "media0", 10).await.unwrap();
    let ids: Vec<_> = confirmed.iter().map(|item| item.media_id).collect();
    assert_eq!(ids, [id(3)]);
    let item = &confirmed[0];
    assert_eq!((item.state, item.content_length), (State::Confirmed, ByteSize::new(1000)));
    let key = item.object_key.as_str();
    assert_eq!(walks.confirmed(key, "media0", 10).await.unwrap(), []);
    assert_eq!(walks.confirmed("media/", key, 10).await.unwrap().len(), 1);
    assert_eq!(walks.confirmed("media0", "~", 10).await.unwrap(), []);

    let mut owned = walks.owned(&[id(7), id(3), id(99)]).await.unwrap();
    owned.sort_by_key(|item| item.media_id);
    let states: Vec<_> = owned.iter().map(|item| (item.media_id, item.state)).collect();
    assert_eq!(states, [(id(3), State::Confirmed), (id(7), State::Collected)]);
    assert_eq!(walks.owned(&[]).await.unwrap(), []);
}

async fn a_rebuild_leaves_walks_alone_and_keeps_the_order_of_keys(kind: Kind) {
    let journal: Journal = one_of_each();
    let fixture = Fixture::with(kind, &journal).await;
    fixture.models.walks().begin(&walk(1), ME).await.unwrap();
    let rebuild = fixture.models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events, None).await.unwrap();
    rebuild.swap().await.unwrap();
    assert!(fixture.models.walks().running().await.unwrap().is_some());
    assert_eq!(fixture.models.walks().confirmed("media/", "media0", 10).await.unwrap().len(), 1);
}

on_both!(
    a_walk_and_its_findings_read_back_as_they_were_saved,
    one_walk_runs_at_a_time_and_a_holder_that_is_gone_is_replaced,
    old_walks_go_with_their_findings,
    confirmed_items_come_in_order_of_key_and_others_by_id,
    a_rebuild_leaves_walks_alone_and_keeps_the_order_of_keys,
);
