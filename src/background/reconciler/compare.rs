//! Which objects and items do not fit together. Pure: two ordered lists in, suspicions out.

use std::{cmp::Ordering, collections::HashMap};

use zeroload_domain::{KeyPrefix, MediaId, ObjectKey, State};
use zeroload_projections::ExpectedObject;

use crate::storage::{Illegible, Listed};

/// Where the trash is, under our prefix.
const TRASH: &str = ".trash/";

/// Something to look at more closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// A confirmed item whose object is not listed, or is another one.
    Confirmed { item: ExpectedObject },
    /// The object of an item that was collected.
    CameBack { id: MediaId, object: Listed },
    /// An object of no item that the read model knows, whose key may be an item's.
    Unknown { id: Option<MediaId>, object: Listed },
    /// A copy in the trash of an item that has nothing there, as far as the read model knows.
    Orphaned { key: ObjectKey, object: Listed },
    /// An entry of the listing that cannot be read.
    Illegible(Illegible),
}

impl Suspicion {
    /// The key at which a walk that has looked at it is.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::Confirmed { item } => item.object_key.as_str(),
            Self::CameBack { object, .. } | Self::Unknown { object, .. } | Self::Orphaned { object, .. } => &object.key,
            Self::Illegible(entry) => &entry.after,
        }
    }

    /// Whether it takes a HEAD to find out.
    pub(super) const fn needs_look(&self) -> bool {
        match self {
            Self::Confirmed { .. } | Self::CameBack { .. } => true,
            Self::Unknown { .. } | Self::Orphaned { .. } | Self::Illegible(_) => false,
        }
    }
}

/// Of confirmed items those whose object is missing or another one, and the objects that are no confirmed item's. Both lists
/// are in order of key, and whole in the range that is compared.
pub(super) fn merge(mut listed: &[Listed], items: Vec<ExpectedObject>) -> (Vec<Suspicion>, Vec<&Listed>) {
    let (mut suspicions, mut rest) = (Vec::new(), Vec::new());
    for item in items {
        let mut found = None;
        while let Some((object, others)) = listed.split_first() {
            match object.key.as_str().cmp(item.object_key.as_str()) {
                Ordering::Less => rest.push(object),
                Ordering::Equal => found = Some(object),
                Ordering::Greater => break,
            }
            listed = others;
        }
        if !found.is_some_and(|object| is_as_recorded(&item, object)) {
            suspicions.push(Suspicion::Confirmed { item });
        }
    }
    rest.extend(listed);
    (suspicions, rest)
}

fn is_as_recorded(item: &ExpectedObject, object: &Listed) -> bool {
    item.content_length.bytes() == object.size && item.etag.as_ref().is_some_and(|etag| etag.as_str() == object.etag)
}

/// A key behind `folder` under our prefix that has the form of an item's.
fn key_in(object: &Listed, prefix: &KeyPrefix, folder: &str) -> Option<ObjectKey> {
    let rest = object.key.strip_prefix(prefix.as_str())?.strip_prefix('/')?.strip_prefix(folder)?;
    let key = ObjectKey::parse(object.key.as_str()).ok()?;
    (rest.split('/').count() == 3).then_some(key)
}

/// The key of an item's object, or of a copy of it in the trash.
fn own_key(object: &Listed, prefix: &KeyPrefix) -> Option<ObjectKey> {
    key_in(object, prefix, "").or_else(|| key_in(object, prefix, TRASH))
}

/// The items that these objects may belong to.
pub(super) fn ids(objects: &[&Listed], prefix: &KeyPrefix) -> Vec<MediaId> {
    objects.iter().filter_map(|object| Some(own_key(object, prefix)?.media_id())).collect()
}

/// Of objects that no confirmed item owns those that no other live item owns either. `known` are the items of [`ids`].
pub(super) fn unowned(objects: Vec<&Listed>, known: &[ExpectedObject], prefix: &KeyPrefix) -> Vec<Suspicion> {
    let by_key: HashMap<&str, &ExpectedObject> = known.iter().map(|item| (item.object_key.as_str(), item)).collect();
    let by_id: HashMap<MediaId, &ExpectedObject> = known.iter().map(|item| (item.media_id, item)).collect();
    let of = |object: &Listed| {
        if let Some(key) = key_in(object, prefix, TRASH) {
            let state = by_id.get(&key.media_id()).map(|item| item.state);
            let has_a_copy = matches!(state, Some(State::Collecting | State::Trashed | State::Restoring));
            return (!has_a_copy).then(|| Suspicion::Orphaned { key, object: object.clone() });
        }
        match by_key.get(object.key.as_str()) {
            Some(item) if item.state == State::Collected => {
                Some(Suspicion::CameBack { id: item.media_id, object: object.clone() })
            }
            Some(_) => None,
            None => {
                let id = key_in(object, prefix, "").map(|key| key.media_id());
                Some(Suspicion::Unknown { id, object: object.clone() })
            }
        }
    };
    objects.into_iter().filter(|object| !is_our_own(&object.key, prefix)).filter_map(of).collect()
}

/// The marker, what a probe writes, and whatever else begins with a dot but the trash: that is kept for what is no item's but
/// ours. Never a finding, and never deleted.
pub(super) fn is_our_own(key: &str, prefix: &KeyPrefix) -> bool {
    let rest = key.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.is_none_or(|rest| rest.starts_with('.') && !rest.starts_with(TRASH))
}

#[cfg(test)]
mod tests;
