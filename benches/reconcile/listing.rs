//! A listing that is made up, as small in memory as can be: what is measured is who reads it.

use chrono::{DateTime, Utc};
use futures_util::{FutureExt, future::BoxFuture};
use uuid::Uuid;
use zeroload::storage::{Listed, ListedPage, Listing, ListingError};
use zeroload_domain::ObjectKey;

use crate::past::{ETAG, LENGTH};

/// Keys of one page, as S3 has them.
const PAGE: usize = 1000;

/// Sorts behind all keys of items.
const UNKNOWN: &str = "media/unknown";

/// The objects of items, in the order of their keys, and one of no item.
#[derive(Default)]
pub struct MadeUp {
    ids: Vec<Uuid>,
    /// What stands around the id in the key of each item.
    around: Option<(String, String)>,
}

impl MadeUp {
    pub fn add(&mut self, keys: &[ObjectKey]) {
        for key in keys {
            let id = key.media_id().as_uuid();
            self.around.get_or_insert_with(|| {
                let (before, after) = key.as_str().split_once(&id.to_string()).unwrap_or_default();
                // Without the two digits of the id and the slash behind them.
                (before[..before.len().saturating_sub(3)].to_owned(), after.to_owned())
            });
            self.ids.push(id);
        }
    }

    /// Leaves out the first item's object: the first item was confirmed.
    pub fn finish(&mut self) {
        self.ids.swap_remove(0);
        self.ids.sort_unstable_by_key(|id| order(*id));
        self.ids.shrink_to_fit();
    }

    fn key(&self, id: Uuid) -> String {
        let (before, after) = self.around.as_ref().map_or(("", ""), |(before, after)| (before, after));
        format!("{before}{:02x}/{id}{after}", id.as_bytes()[15])
    }

    fn after(&self, after: &str) -> ListedPage {
        // The id is 36 characters, in front of what is after it.
        let behind = self.around.as_ref().map_or(0, |(_, behind)| behind.len());
        let last =
            after.len().checked_sub(behind).and_then(|end| Uuid::parse_str(after.get(end.checked_sub(36)?..end)?).ok());
        let first = match last {
            _ if after >= UNKNOWN => return ListedPage::default(),
            Some(last) => self.ids.partition_point(|id| order(*id) <= order(last)),
            None => 0,
        };
        let ids = &self.ids[first..self.ids.len().min(first + PAGE)];
        let mut objects: Vec<_> = ids.iter().map(|id| listed(self.key(*id))).collect();
        let more = objects.len() == PAGE;
        if !more {
            objects.push(listed(UNKNOWN.to_owned()));
        }
        ListedPage { objects, more, ..ListedPage::default() }
    }
}

/// As the keys are ordered: by the last byte, which is a folder, and then by the whole.
fn order(id: Uuid) -> (u8, Uuid) {
    (id.as_bytes()[15], id)
}

fn listed(key: String) -> Listed {
    Listed { key, size: LENGTH, etag: ETAG.to_owned(), last_modified: Some(DateTime::<Utc>::UNIX_EPOCH) }
}

impl Listing for MadeUp {
    fn page<'a>(&'a self, after: &'a str) -> BoxFuture<'a, Result<ListedPage, ListingError>> {
        async move { Ok(self.after(after)) }.boxed()
    }
}
