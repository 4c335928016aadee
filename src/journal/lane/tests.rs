use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::{
    StreamKind,
    append::{Append, NewEvent},
};
use super::*;

fn request(stream: u128) -> Request {
    let append = Append {
        kind: StreamKind::Media,
        stream: Uuid::from_u128(stream),
        expected_sequence: 0,
        events: vec![NewEvent { event_type: "T", event_version: "1.0", payload: "{}".into() }],
        metadata: "{}".into(),
        tenant: "t".into(),
        command_id: Uuid::from_u128(stream),
    };
    Request { append: append.prepare().expect("it holds an event"), answer: oneshot::channel().0 }
}

/// A lane in which so many appends wait. No time passes in it.
fn lane(waiting: u128) -> (Lane, mpsc::Sender<Request>) {
    let (sender, queue) = mpsc::channel(1000);
    (0..waiting).for_each(|number| drop(sender.try_send(request(1000 + number))));
    (Lane::new(queue, Sleeper::driven(|_| Box::pin(std::future::pending()))), sender)
}

fn others(count: u128) -> Vec<Request> {
    (0..count).map(request).collect()
}

/// How many of the lane go with a batch of so many others.
fn beside(lane: &mut Lane, count: u128) -> usize {
    let mut batch = others(count);
    lane.add_to(&mut batch, 256);
    batch.len() - usize::try_from(count).unwrap()
}

#[test]
fn beside_others_it_takes_a_small_part_of_each_batch() {
    let (mut lane, _sender) = lane(900);
    assert_eq!([1, 31, 64, 256].map(|count| beside(&mut lane, count)), [4, 4, 8, 32]);
}

#[test]
fn alone_it_goes_in_small_batches_until_nobody_else_is_expected() {
    let (mut lane, _sender) = lane(900);
    assert_eq!(beside(&mut lane, 0), 256, "nobody has come yet");
    assert_eq!(beside(&mut lane, 1), 4);
    assert_eq!(beside(&mut lane, 0), 32);
    lane.alone = CALM - 1;
    assert_eq!(beside(&mut lane, 0), 32);
    assert_eq!(beside(&mut lane, 0), 256);
}

#[test]
fn an_append_to_a_stream_of_the_batch_waits_for_the_next_one() {
    let (mut lane, sender) = lane(0);
    for stream in [0, 1, 2] {
        sender.try_send(request(stream)).expect("there is room");
    }
    assert_eq!(beside(&mut lane, 2), 1);
    assert_eq!(beside(&mut lane, 0), 2);
}

#[tokio::test]
async fn soon_after_others_it_waits_a_moment_for_more_of_them_and_loses_nothing_by_it() {
    let (mut lane, sender) = lane(1);
    assert!(lane.is_ready().await, "nobody has come yet");
    assert_eq!(beside(&mut lane, 1), 1);
    sender.try_send(request(7)).expect("there is room");
    assert!(futures_util::FutureExt::now_or_never(lane.is_ready()).is_none(), "a moment has not passed");
    assert_eq!(beside(&mut lane, 1), 1);
    lane.alone = CALM;
    drop(sender);
    assert!(!lane.is_ready().await, "nothing comes any more");
}
