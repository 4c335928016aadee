//! What the clients were told, and what they sent: all that a restart is measured by.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;

/// An answer that showed an item: from then on it must be so.
#[derive(Clone, Debug)]
pub struct Shown {
    pub state: String,
    pub position: u64,
    pub sequence: u64,
}

/// One item as its client knows it.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: String,
    pub bytes: Bytes,
    /// In the order of the answers.
    pub shown: Vec<Shown>,
    /// An upload was acknowledged by the bucket.
    pub stored: bool,
    /// A release was sent, answered or not.
    pub released: bool,
    /// As of the last answer.
    pub collectable_at: DateTime<Utc>,
}

/// Everything that was acknowledged to any client.
pub struct Ledger {
    items: Mutex<BTreeMap<String, Item>>,
    acknowledged: watch::Sender<u64>,
    lost_requests: AtomicU64,
}

impl Ledger {
    pub fn new() -> Self {
        Self { items: Mutex::default(), acknowledged: watch::Sender::new(0), lost_requests: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a new item, or what a repeated request shows of a known one.
    pub fn requested(&self, media: &Value, bytes: &Bytes) -> String {
        let id = text(media, "id");
        self.lock().entry(id.clone()).or_insert_with(|| Item {
            id: id.clone(),
            bytes: bytes.clone(),
            shown: Vec::new(),
            stored: false,
            released: false,
            collectable_at: DateTime::<Utc>::MIN_UTC,
        });
        self.shown(media);
        id
    }

    /// Enters what an answer shows.
    pub fn shown(&self, media: &Value) {
        let number = |member: &str| media[member].as_u64().unwrap_or_else(|| panic!("no {member} in {media}"));
        let shown = Shown { state: text(media, "state"), position: number("position"), sequence: number("sequence") };
        self.change(&text(media, "id"), |item| {
            if let Some(at) = media["collectable_at"].as_str() {
                item.collectable_at = time(at);
            }
            item.shown.push(shown);
        });
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// The bucket has answered that it holds the item's bytes.
    pub fn stored(&self, id: &str) {
        self.change(id, |item| item.stored = true);
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// To be called before a release is sent.
    pub fn will_release(&self, id: &str) {
        self.change(id, |item| item.released = true);
    }

    /// A request for a new item was sent and not answered: an item may exist that nobody knows of.
    pub fn lost_request(&self) {
        self.lost_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub fn lost_requests(&self) -> u64 {
        self.lost_requests.load(Ordering::Relaxed)
    }

    pub fn item(&self, id: &str) -> Item {
        self.lock().get(id).cloned().unwrap_or_else(|| panic!("{id} is no item of the ledger"))
    }

    pub fn items(&self) -> Vec<Item> {
        self.lock().values().cloned().collect()
    }

    /// Counts acknowledged calls, uploads among them.
    pub fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Item)) {
        change(self.lock().get_mut(id).unwrap_or_else(|| panic!("{id} is no item of the ledger")));
    }
}

pub fn text(json: &Value, member: &str) -> String {
    json[member].as_str().unwrap_or_else(|| panic!("no {member} in {json}")).to_owned()
}

pub fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}")).with_timezone(&Utc)
}
