use uuid::Uuid;
use zeroload_domain::{Bucket, ByteSize, Claim, ContentType, ETag, Store, Tenant};

use super::*;

fn prefix() -> KeyPrefix {
    KeyPrefix::parse("media").unwrap()
}

fn id(number: u128) -> MediaId {
    MediaId::from(Uuid::from_u128(0x019a_0d2e_7b1c_7000_8000_0000_0000_0000 | number << 8 | 7))
}

fn item(number: u128, state: State) -> ExpectedObject {
    let tenant = Tenant::parse("default").unwrap();
    ExpectedObject {
        media_id: id(number),
        object_key: ObjectKey::new(&prefix(), &tenant, id(number), &ContentType::parse("image/jpeg").unwrap()),
        state,
        store: Store::parse("embedded").unwrap(),
        bucket: Bucket::parse("media").unwrap(),
        etag: ETag::parse("one").ok(),
        content_length: ByteSize::new(10),
    }
}

fn object(key: &str) -> Listed {
    Listed { key: key.to_owned(), size: 10, etag: "one".to_owned(), last_modified: None }
}

fn object_of(number: u128) -> Listed {
    object(item(number, State::Confirmed).object_key.as_str())
}

fn confirmed(numbers: impl IntoIterator<Item = u128>) -> impl Iterator<Item = ExpectedObject> {
    numbers.into_iter().map(|number| item(number, State::Confirmed))
}

fn suspected(suspicions: &[Suspicion]) -> Vec<MediaId> {
    let ids = suspicions.iter().map(|suspicion| match suspicion {
        Suspicion::Confirmed { item } => item.media_id,
        other => panic!("{other:?} is about no confirmed item"),
    });
    ids.collect()
}

/// The confirmed items that do not fit, and the objects of no confirmed item.
fn merged(listed: &[Listed], items: impl Iterator<Item = ExpectedObject>) -> (Vec<MediaId>, Vec<&Listed>) {
    let (suspicions, rest) = merge(listed, items.collect());
    (suspected(&suspicions), rest)
}

#[test]
fn what_fits_together_is_not_suspected() {
    let listed: Vec<_> = (1..=5).map(object_of).collect();
    assert_eq!(merged(&listed, confirmed(1..=5)), (vec![], vec![]));
}

#[test]
fn an_item_without_its_object_is_suspected_wherever_it_is() {
    let listed: Vec<_> = [2, 4].map(object_of).into();
    assert_eq!(merged(&listed, confirmed(1..=5)), (vec![id(1), id(3), id(5)], vec![]));
    assert_eq!(merged(&[], confirmed(1..=2)), (vec![id(1), id(2)], vec![]));
}

#[test]
fn an_object_of_another_size_or_etag_is_suspected() {
    let listed = [Listed { size: 11, ..object_of(1) }, Listed { etag: "two".into(), ..object_of(2) }, object_of(3)];
    assert_eq!(merged(&listed, confirmed(1..=3)), (vec![id(1), id(2)], vec![]));
}

#[test]
fn objects_of_no_confirmed_item_are_left_over_wherever_they_are() {
    let listed: Vec<_> = [1, 2, 4, 6, 7].map(object_of).into();
    let (suspects, rest) = merged(&listed, confirmed([2, 3, 4, 5]));
    assert_eq!((suspects, rest), (vec![id(3), id(5)], vec![&listed[0], &listed[3], &listed[4]]));
}

#[test]
fn an_object_is_unowned_unless_a_live_item_has_its_key() {
    let listed: Vec<_> = (1..=7).map(object_of).collect();
    let states = [State::Pending, State::Uploaded, State::Confirmed, State::Released, State::Collecting];
    let mut known: Vec<_> = (1..).zip(states).map(|(number, state)| item(number, state)).collect();
    known.push(item(6, State::Collected));
    let found = unowned(listed.iter().collect(), &known, &prefix());
    let expected = [
        Suspicion::CameBack { id: id(6), object: listed[5].clone() },
        Suspicion::Unknown { id: Some(id(7)), object: listed[6].clone() },
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_key_that_is_no_items_is_unknown_and_names_none() {
    let other_extension = object_of(1).key.replace(".jpg", ".png");
    let deeper = object_of(1).key.replace("media/", "media/deeper/");
    let listed = ["media/default/a.txt", &other_extension, &deeper].map(object);
    let refs: Vec<_> = listed.iter().collect();
    assert_eq!(ids(&refs, &prefix()), [id(1)]);
    let found = unowned(refs, &[item(1, State::Confirmed)], &prefix());
    let ids = found.iter().map(|suspicion| match suspicion {
        Suspicion::Unknown { id, .. } => *id,
        other => panic!("{other:?}"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), [None, Some(id(1)), None]);
}

#[test]
fn what_begins_with_a_dot_is_our_own_but_for_the_trash() {
    let own = ["media/.zeroload", "media/.zeroload-probe/1/a", "media/.trash", "elsewhere/x", "media"];
    for key in own {
        assert!(is_our_own(key, &prefix()), "{key}");
        assert_eq!(unowned(vec![&object(key)], &[], &prefix()), []);
    }
    assert!(!is_our_own("media/default/.zeroload", &prefix()));
}

#[test]
fn a_copy_in_the_trash_is_suspected_unless_its_item_may_have_one_there() {
    let states = [State::Collecting, State::Trashed, State::Restoring, State::Collected, State::Confirmed];
    let known: Vec<_> = (1..).zip(states).map(|(number, state)| item(number, state)).collect();
    let keys: Vec<_> = (1..=6).map(|number| item(number, State::Collected).object_key.in_trash(Claim::FIRST)).collect();
    let listed: Vec<_> = keys.iter().map(|key| object(key.as_str())).collect();
    let refs: Vec<_> = listed.iter().collect();
    assert_eq!(ids(&refs, &prefix()), (1..=6).map(id).collect::<Vec<_>>());
    let orphaned = |index: usize| Suspicion::Orphaned { key: keys[index].clone(), object: listed[index].clone() };
    assert_eq!(unowned(refs, &known, &prefix()), [orphaned(3), orphaned(4), orphaned(5)]);
    let stranger = object("media/.trash/notes.txt");
    let unknown = Suspicion::Unknown { id: None, object: stranger.clone() };
    assert_eq!(unowned(vec![&stranger], &known, &prefix()), [unknown]);
}
