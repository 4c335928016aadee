//! Which of the waiting appends go into the next commit.
//!
//! A batch holds at most one append per stream: of two that expect the same sequence the second must see the
//! first in the journal before it can be told that it lost. Later appends to a stream wait, in their order.

use std::collections::{HashSet, VecDeque};

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::StreamKind;
use super::append::{AppendError, Appended, Prepared};

/// An append on its way, and who waits for it.
pub(super) struct Request {
    pub append: Prepared,
    pub answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Taken from the queue and not yet in a batch; in order of arrival.
#[derive(Default)]
pub(super) struct Backlog(VecDeque<Request>);

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, request: Request) {
        self.0.push_back(request);
    }

    pub fn extend(&mut self, requests: impl IntoIterator<Item = Request>) {
        self.0.extend(requests);
    }

    pub fn drain(&mut self) -> impl Iterator<Item = Request> {
        self.0.drain(..)
    }

    /// The next batch: what waits here and in the queue, up to `max_events` events (more only if the first
    /// append alone holds more). Not empty if the backlog is not. What is passed over stays, and never grows
    /// beyond `max_events` appends, so that the queue's bound stays the bound.
    pub fn take(&mut self, queue: &mut mpsc::Receiver<Request>, max_events: usize) -> Vec<Request> {
        self.take_beside(queue, max_events, &[])
    }

    /// As [`Backlog::take`], for the same batch as `taken`: what is for one of its streams waits.
    pub fn take_beside(
        &mut self,
        queue: &mut mpsc::Receiver<Request>,
        max_events: usize,
        taken: &[Request],
    ) -> Vec<Request> {
        let mut batch = Vec::new();
        let mut later = VecDeque::new();
        let mut streams: HashSet<_> = taken.iter().map(|request| key(&request.append)).collect();
        let mut events = 0;
        while later.len() < max_events {
            let Some(request) = self.0.pop_front().or_else(|| queue.try_recv().ok()) else { break };
            if !streams.insert(key(&request.append)) {
                later.push_back(request);
                continue;
            }
            let size = request.append.event_count();
            if events > 0 && events + size > max_events {
                later.push_back(request);
                break;
            }
            events += size;
            batch.push(request);
        }
        later.append(&mut self.0);
        self.0 = later;
        batch
    }
}

fn key(append: &Prepared) -> (StreamKind, Uuid) {
    (append.kind, append.stream)
}

#[cfg(test)]
mod tests {
    use super::super::append::{Append, NewEvent};
    use super::*;

    fn request(stream: u128, command: u128, events: usize) -> Request {
        let event = NewEvent { event_type: "T", event_version: "1.0", payload: "{}".into() };
        let append = Append {
            kind: StreamKind::Media,
            stream: Uuid::from_u128(stream),
            expected_sequence: 0,
            events: vec![event; events],
            metadata: "{}".into(),
            tenant: "t".into(),
            command_id: Uuid::from_u128(command),
        };
        Request { append: append.prepare().expect("it holds events"), answer: oneshot::channel().0 }
    }

    /// The commands of each batch until nothing waits.
    fn batches(requests: Vec<Request>, max_events: usize) -> Vec<Vec<u128>> {
        let (sender, mut queue) = mpsc::channel(100);
        requests.into_iter().for_each(|request| drop(sender.try_send(request)));
        let mut backlog = Backlog::default();
        std::iter::from_fn(|| {
            let batch = backlog.take(&mut queue, max_events);
            (!batch.is_empty()).then(|| batch.iter().map(|r| r.append.command_id.as_u128()).collect())
        })
        .collect()
    }

    #[test]
    fn a_batch_holds_one_append_per_stream_and_later_ones_keep_their_order() {
        let requests = vec![request(1, 1, 1), request(1, 2, 1), request(2, 3, 1), request(1, 4, 1), request(2, 5, 1)];
        assert_eq!(batches(requests, 100), vec![vec![1, 3], vec![2, 5], vec![4]]);
    }

    #[test]
    fn a_batch_ends_before_it_would_hold_too_many_events() {
        let requests = vec![request(1, 1, 2), request(2, 2, 2), request(3, 3, 1), request(4, 4, 1)];
        assert_eq!(batches(requests, 3), vec![vec![1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn an_append_that_is_larger_than_a_batch_goes_alone() {
        let requests = vec![request(1, 1, 9), request(2, 2, 1)];
        assert_eq!(batches(requests, 3), vec![vec![1], vec![2]]);
    }

    #[test]
    fn many_appends_to_one_stream_do_not_empty_the_queue_into_the_backlog() {
        let (sender, mut queue) = mpsc::channel(100);
        (0..50).for_each(|command| drop(sender.try_send(request(1, command, 1))));
        let mut backlog = Backlog::default();
        assert_eq!(backlog.take(&mut queue, 4).len(), 1);
        assert_eq!((backlog.drain().count(), queue.len()), (4, 45));
    }
}
