//! Which objects and items do not fit together. Pure: two ordered lists in, suspicions out.

use std::{cmp::Ordering, collections::HashMap};

use zeroload_domain::{KeyPrefix, MediaId, ObjectKey, State};
use zeroload_projections::Owned;

use crate::storage::Listed;

/// Something to look at more closely.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// A confirmed item whose object is not listed, or is another one.
    Confirmed { item: Owned },
    /// The object of an item that was collected.
    CameBack { id: MediaId, object: Listed },
    /// An object of no item that the read model knows, whose key may be an item's.
    Unknown { id: Option<MediaId>, object: Listed },
}

impl Suspicion {
    /// Whether it takes a HEAD to find out.
    pub(super) const fn needs_look(&self) -> bool {
        match self {
            Self::Confirmed { .. } | Self::CameBack { .. } => true,
            Self::Unknown { .. } => false,
        }
    }
}

/// A page of the listing beside confirmed items, which come in chunks in the same order.
pub(super) struct Merge<'a> {
    listed: &'a [Listed],
    /// Listed, and no confirmed item's.
    rest: Vec<&'a Listed>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(listed: &'a [Listed]) -> Self {
        Self { listed, rest: Vec::new() }
    }

    /// The items of the next chunk whose object is missing or another one.
    pub(super) fn take(&mut self, items: impl Iterator<Item = Owned>) -> Vec<Suspicion> {
        let mut suspicions = Vec::new();
        for item in items {
            let mut found = None;
            while let Some((object, others)) = self.listed.split_first() {
                match object.key.as_str().cmp(item.object_key.as_str()) {
                    Ordering::Less => self.rest.push(object),
                    Ordering::Equal => found = Some(object),
                    Ordering::Greater => break,
                }
                self.listed = others;
            }
            if !found.is_some_and(|object| is_as_recorded(&item, object)) {
                suspicions.push(Suspicion::Confirmed { item });
            }
        }
        suspicions
    }

    /// What is listed and belongs to no confirmed item.
    pub(super) fn rest(mut self) -> Vec<&'a Listed> {
        self.rest.extend(self.listed);
        self.rest
    }
}

fn is_as_recorded(item: &Owned, object: &Listed) -> bool {
    item.content_length.bytes() == object.size && item.etag.as_ref().is_some_and(|etag| etag.as_str() == object.etag)
}

/// The item that a key may belong to, if it is a key of ours.
fn id_of(object: &Listed, prefix: &KeyPrefix) -> Option<MediaId> {
    let key = ObjectKey::parse(object.key.as_str()).ok()?;
    // Folders, tenant and name: no key of ours has more parts.
    let rest = object.key.strip_prefix(prefix.as_str())?.strip_prefix('/')?;
    (rest.split('/').count() == 3).then(|| key.media_id())
}

/// The items that these objects may belong to.
pub(super) fn ids(objects: &[&Listed], prefix: &KeyPrefix) -> Vec<MediaId> {
    objects.iter().filter_map(|object| id_of(object, prefix)).collect()
}

/// Of objects that no confirmed item owns those that no other live item owns either. `known` are the items of [`ids`].
pub(super) fn unowned(objects: Vec<&Listed>, known: &[Owned], prefix: &KeyPrefix) -> Vec<Suspicion> {
    let known: HashMap<&str, &Owned> = known.iter().map(|item| (item.object_key.as_str(), item)).collect();
    let objects = objects.into_iter().filter(|object| !is_our_own(&object.key, prefix));
    let suspicions = objects.filter_map(|object| match known.get(object.key.as_str()) {
        Some(item) if item.state == State::Collected => {
            Some(Suspicion::CameBack { id: item.media_id, object: object.clone() })
        }
        Some(_) => None,
        None => Some(Suspicion::Unknown { id: id_of(object, prefix), object: object.clone() }),
    });
    suspicions.collect()
}

/// The marker, what a probe writes, and whatever else begins with a dot: that is kept for what is no item's but ours.
/// Never a finding, and never deleted.
pub(super) fn is_our_own(key: &str, prefix: &KeyPrefix) -> bool {
    key.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('/')).is_none_or(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests;
