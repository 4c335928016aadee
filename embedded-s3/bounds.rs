//! How many connections and uploads the server takes on at once, so that no client keeps the others out.
//!
//! - One client address has at most half of the connections and half of the uploads. Behind a proxy all clients have
//!   one address, so together they have half.
//! - One ticket is one upload at a time, so it has one temporary file at most. A request whose client has gone silent
//!   yields to a later request with the same ticket: a client whose line broke sends again long before the server
//!   notices.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use s3s::{S3Result, s3_error};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::instant;

const YIELDS_AFTER: Duration = Duration::from_secs(5);

/// The most that one server takes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub connections: usize,
    pub uploads: usize,
    /// A client that has sent nothing for so long yields its ticket to a later request.
    pub yields_after: Duration,
}

impl Bounds {
    /// The bounds for a process that may have `files` files open: an upload takes a connection and a file, and the rest
    /// of the process keeps half.
    pub(super) fn of_files(files: u64) -> Self {
        let connections = usize::try_from(files / 4).unwrap_or(usize::MAX).clamp(16, 4096);
        Self { connections, uploads: connections.min(2048), yields_after: YIELDS_AFTER }
    }
}

/// Admits connections and uploads within the bounds. Clones share their counts.
#[derive(Clone)]
pub(super) struct Admission(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    connections: Tally,
    uploads: Tally,
    tickets: HashMap<Ticket, Arc<Holder>>,
}

/// Bucket and key: all URLs of one object count as one ticket.
type Ticket = (String, String);

#[derive(Default)]
struct Tally {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

impl Tally {
    fn take(&mut self, client: IpAddr, most: usize) -> bool {
        let own = self.of.get(&client).copied().unwrap_or(0);
        if self.all >= most || own >= most.div_ceil(2) {
            return false;
        }
        self.all += 1;
        self.of.insert(client, own + 1);
        true
    }

    fn give_back(&mut self, client: IpAddr) {
        self.all = self.all.saturating_sub(1);
        if let Some(own) = self.of.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                self.of.remove(&client);
            }
        }
    }
}

/// The request that uses a ticket now.
struct Holder {
    heard: Mutex<Instant>,
    /// False once all bytes have come: from then on the request ends without waiting for its client.
    receiving: AtomicBool,
    displaced: Notify,
}

impl Holder {
    fn yields(&self, after: Duration) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        self.receiving.load(Ordering::Acquire) && instant() - heard >= after
    }
}

/// A connection that is being served; dropping this value makes room for another.
pub(super) struct Connected {
    admission: Admission,
    client: IpAddr,
}

/// An upload under way; dropping this value makes room for another.
pub(super) struct Uploading {
    admission: Admission,
    client: IpAddr,
    ticket: Option<(Ticket, Arc<Holder>)>,
}

impl Admission {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared { bounds, taken: Mutex::default() }))
    }

    /// `None` if there is no room.
    pub(super) fn connect(&self, address: IpAddr) -> Option<Connected> {
        let client = client(address);
        let most = self.0.bounds.connections;
        self.taken().connections.take(client, most).then(|| Connected { admission: self.clone(), client })
    }

    /// Admits an upload. `ticket` names its object if the request is presigned, so that anybody who has the URL can
    /// send it.
    pub(super) fn upload(&self, address: IpAddr, ticket: Option<Ticket>) -> S3Result<Uploading> {
        let client = client(address);
        let mut taken = self.taken();
        if let Some(holder) = ticket.as_ref().and_then(|ticket| taken.tickets.get(ticket))
            && !holder.yields(self.0.bounds.yields_after)
        {
            return Err(s3_error!(
                ConditionalRequestConflict,
                "another request is uploading this object: send again when it has ended"
            ));
        }
        if !taken.uploads.take(client, self.0.bounds.uploads) {
            return Err(s3_error!(SlowDown, "too many uploads at once: send again in a moment"));
        }
        let ticket = ticket.map(|ticket| {
            let holder = Arc::new(Holder {
                heard: Mutex::new(instant()),
                receiving: AtomicBool::new(true),
                displaced: Notify::new(),
            });
            if let Some(silent) = taken.tickets.insert(ticket.clone(), Arc::clone(&holder)) {
                silent.displaced.notify_one();
            }
            (ticket, holder)
        });
        Ok(Uploading { admission: self.clone(), client, ticket })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.admission.taken().connections.give_back(self.client);
    }
}

impl Uploading {
    /// Notes that bytes have come.
    pub(super) fn heard(&self) {
        if let Some((_, holder)) = &self.ticket {
            *holder.heard.lock().unwrap_or_else(PoisonError::into_inner) = instant();
        }
    }

    /// Notes that all bytes have come: no later request displaces this one.
    pub(super) fn received(&self) {
        if let Some((_, holder)) = &self.ticket {
            holder.receiving.store(false, Ordering::Release);
        }
    }

    /// Returns once a later request has taken over the ticket.
    pub(super) async fn displaced(&self) {
        match &self.ticket {
            Some((_, holder)) => holder.displaced.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let mut taken = self.admission.taken();
        taken.uploads.give_back(self.client);
        if let Some((ticket, holder)) = &self.ticket
            && taken.tickets.get(ticket).is_some_and(|present| Arc::ptr_eq(present, holder))
        {
            taken.tickets.remove(ticket);
        }
    }
}

/// The client that an address stands for: all addresses of an IPv6 /64 network are one client, since each client has
/// that many.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { connections: 8, uploads: 4, yields_after: Duration::MAX };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn ticket(key: &str) -> Option<Ticket> {
        Some(("media".to_owned(), key.to_owned()))
    }

    fn code<T>(result: S3Result<T>) -> String {
        result.err().map_or_else(String::new, |error| error.code().as_str().to_owned())
    }

    #[test]
    fn one_address_has_at_most_half_and_all_have_what_there_is() {
        let admission = Admission::new(BOUNDS);
        let connect = |text: &str| admission.connect(address(text));
        let mut first: Vec<_> = (0..4).map(|_| connect("192.0.2.1").expect("room")).collect();
        assert!(connect("192.0.2.1").is_none(), "more than half");
        assert!(connect("::ffff:192.0.2.1").is_none(), "the same address in IPv6's clothes");
        let second: Vec<_> = (0..4).map(|n| connect(&format!("2001:db8::{n}")).expect("room")).collect();
        assert!(connect("2001:db8::ffff").is_none(), "one network is one client");
        assert!(connect("192.0.2.2").is_none(), "all is taken");
        first.pop();
        drop(connect("192.0.2.2").expect("room again"));
        drop((first, second));
        assert!(admission.taken().connections.of.is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn uploads_beyond_the_bounds_are_told_to_slow_down() {
        let admission = Admission::new(BOUNDS);
        let upload = |text: &str| admission.upload(address(text), None);
        let one = [upload("192.0.2.1").expect("room"), upload("192.0.2.1").expect("room")];
        assert_eq!(code(upload("192.0.2.1")), "SlowDown");
        let other = [upload("192.0.2.2").expect("room"), upload("192.0.2.2").expect("room")];
        assert_eq!(code(upload("192.0.2.3")), "SlowDown");
        drop(one);
        upload("192.0.2.3").expect("room again");
        drop(other);
    }

    #[test]
    fn a_ticket_in_use_is_refused_until_it_is_free() {
        let admission = Admission::new(BOUNDS);
        let upload = |key: &str| admission.upload(address("192.0.2.1"), ticket(key));
        let first = upload("k").expect("it is free");
        assert_eq!(code(upload("k")), "ConditionalRequestConflict");
        upload("other").expect("another object");
        drop(first);
        upload("k").expect("it is free again");
        assert!(admission.taken().tickets.is_empty(), "nothing is kept of what has ended");
    }

    #[tokio::test]
    async fn a_request_whose_client_is_silent_yields_its_ticket_until_all_bytes_are_there() {
        let admission = Admission::new(Bounds { yields_after: Duration::ZERO, ..BOUNDS });
        let upload = |key: &str| admission.upload(address("192.0.2.1"), ticket(key));
        let first = upload("k").expect("it is free");
        let second = upload("k").expect("the first is silent");
        first.displaced().await;
        drop(first);
        second.received();
        assert_eq!(code(upload("k")), "ConditionalRequestConflict", "who was displaced frees nothing");
        drop(second);
        upload("k").expect("it is free again");
    }

    #[test]
    fn the_rest_of_the_process_keeps_half_of_the_files() {
        assert_eq!(Bounds::of_files(1024), Bounds { connections: 256, uploads: 256, yields_after: YIELDS_AFTER });
        assert_eq!(Bounds::of_files(1 << 20), Bounds { connections: 4096, uploads: 2048, yields_after: YIELDS_AFTER });
    }
}
