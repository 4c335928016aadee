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
fn lane(waiting: u128) -> (LowPriorityQueue, mpsc::Sender<Request>) {
    let (sender, queue) = mpsc::channel(1000);
    (0..waiting).for_each(|number| drop(sender.try_send(request(1000 + number))));
    (
        LowPriorityQueue::new(
            queue,
            Arc::new(AtomicUsize::new(usize::MAX)),
            Sleeper::driven(|_| Box::pin(std::future::pending())),
        ),
        sender,
    )
}

fn others(count: u128) -> Vec<Request> {
    (0..count).map(request).collect()
}

/// How many of the lane go with a batch of so many others.
fn beside(lane: &mut LowPriorityQueue, count: u128) -> usize {
    let mut batch = others(count);
    lane.add_to(&mut batch, 256);
    batch.len() - usize::try_from(count).unwrap()
}

/// As if time had passed.
fn end_pause(lane: &mut LowPriorityQueue) {
    assert!(lane.pause.take().is_some(), "it paused");
}

#[test]
fn beside_others_a_small_part_goes_from_time_to_time() {
    let (mut lane, _sender) = lane(900);
    assert_eq!([1; 3].map(|count| beside(&mut lane, count)), [16, 0, 0]);
    end_pause(&mut lane);
    assert_eq!([1; 2].map(|count| beside(&mut lane, count)), [16, 0]);
}

#[test]
fn the_part_grows_with_what_others_append() {
    let (mut lane, _sender) = lane(900);
    assert_eq!(beside(&mut lane, 80), 20);
    assert_eq!([60, 60].map(|count| beside(&mut lane, count)), [0, 0]);
    end_pause(&mut lane);
    assert_eq!(lane.share.load(Ordering::Acquire), 16);
    assert_eq!(beside(&mut lane, 80), 50);
    assert_eq!(lane.share.load(Ordering::Acquire), 50);
    end_pause(&mut lane);
    assert_eq!(beside(&mut lane, 1), 16, "only what came since then counts");
}

#[test]
fn alone_it_goes_in_small_batches_until_nobody_else_is_expected() {
    let (mut lane, _sender) = lane(900);
    assert_eq!(beside(&mut lane, 0), 256, "nobody has come yet");
    assert_eq!(beside(&mut lane, 1), 16);
    for _ in 0..CALM {
        assert_eq!(lane.share.load(Ordering::Acquire), 16);
        end_pause(&mut lane);
        assert_eq!(beside(&mut lane, 0), 16);
    }
    end_pause(&mut lane);
    assert_eq!(beside(&mut lane, 0), 256);
    assert!(lane.pause.is_none() && lane.share.load(Ordering::Acquire) == usize::MAX);
}

#[test]
fn an_append_to_a_stream_of_the_batch_waits_for_the_next_one() {
    let (mut lane, sender) = lane(0);
    for stream in [0, 1, 2] {
        sender.try_send(request(stream)).expect("there is room");
    }
    assert_eq!(beside(&mut lane, 2), 1);
    end_pause(&mut lane);
    assert_eq!(beside(&mut lane, 0), 2);
}

#[tokio::test]
async fn soon_after_others_it_waits_for_the_pause_to_end_and_loses_nothing_by_it() {
    let (mut lane, sender) = lane(1);
    assert!(lane.is_ready().await, "nobody has come yet");
    assert_eq!(beside(&mut lane, 1), 1);
    sender.try_send(request(7)).expect("there is room");
    assert!(lane.is_ready().now_or_never().is_none(), "the pause is not over");
    assert_eq!(beside(&mut lane, 1), 0);
    end_pause(&mut lane);
    assert_eq!(beside(&mut lane, 1), 1);
    drop(sender);
    assert!(!lane.is_ready().await, "nothing comes any more");
}

#[tokio::test]
async fn a_pause_passes_with_time() {
    let (sender, queue) = mpsc::channel(10);
    let mut lane = LowPriorityQueue::new(queue, Arc::new(AtomicUsize::new(usize::MAX)), Sleeper::system());
    for stream in 1000..1003 {
        sender.try_send(request(stream)).expect("there is room");
        assert!(lane.is_ready().await);
        assert_eq!(beside(&mut lane, 1), 1);
        assert!(lane.is_pausing());
    }
}
