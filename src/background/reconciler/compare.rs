//! Finds objects and items that do not fit together. Pure: two ordered lists in, suspicions out.

use std::{cmp::Ordering, collections::HashMap};

use zeroload_domain::{KeyPrefix, MediaId, ObjectKey, State};
use zeroload_projections::ExpectedObject;

use crate::storage::{Illegible, Listed};

/// The folder of the trash, under our prefix.
const TRASH: &str = ".trash/";

/// An entry of a listing, or an item, that is to be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// A confirmed item whose object is not listed, or is listed with another size or ETag.
    Confirmed { item: ExpectedObject },
    /// The object of an item that was collected.
    CameBack { id: MediaId, object: Listed },
    /// An object whose key no item has in the read model; `id` if the key has the form of an item's.
    Unknown { id: Option<MediaId>, object: Listed },
    /// A copy in the trash of an item that has none there, as far as the read model knows.
    Orphaned { key: ObjectKey, object: Listed },
    /// An entry of the listing that cannot be read.
    Illegible(Illegible),
}

impl Suspicion {
    /// The place of a walk that has verified this suspicion.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::Confirmed { item } => item.object_key.as_str(),
            Self::CameBack { object, .. } | Self::Unknown { object, .. } | Self::Orphaned { object, .. } => &object.key,
            Self::Illegible(entry) => &entry.after,
        }
    }

    /// Whether the suspicion is sure to take a HEAD.
    pub(super) const fn needs_look(&self) -> bool {
        match self {
            Self::Confirmed { .. } | Self::CameBack { .. } => true,
            Self::Unknown { .. } | Self::Orphaned { .. } | Self::Illegible(_) => false,
        }
    }
}

/// Returns the confirmed items whose object is missing or another one, and the objects that no confirmed item owns.
/// Both lists must be in order of key, and complete in the range that is compared.
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

/// The object's key, if it is in `folder` under our prefix and has the form of an item's.
fn key_in(object: &Listed, prefix: &KeyPrefix, folder: &str) -> Option<ObjectKey> {
    let rest = object.key.strip_prefix(prefix.as_str())?.strip_prefix('/')?.strip_prefix(folder)?;
    let key = ObjectKey::parse(object.key.as_str()).ok()?;
    (rest.split('/').count() == 3).then_some(key)
}

/// The object's key, if it has the form of an item's, or of a copy of it in the trash.
fn own_key(object: &Listed, prefix: &KeyPrefix) -> Option<ObjectKey> {
    key_in(object, prefix, "").or_else(|| key_in(object, prefix, TRASH))
}

/// The items that these objects may belong to.
pub(super) fn ids(objects: &[&Listed], prefix: &KeyPrefix) -> Vec<MediaId> {
    objects.iter().filter_map(|object| Some(own_key(object, prefix)?.media_id())).collect()
}

/// Suspects those of `objects`, which no confirmed item owns, that no other live item owns either. `known` are the
/// items of [`ids`].
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

/// Whether a key is our own and no item's: the marker, the objects of a probe, and every other name that begins with a
/// dot, but for the trash; also every key outside our prefix. Never a finding, and never deleted.
pub(super) fn is_our_own(key: &str, prefix: &KeyPrefix) -> bool {
    let rest = key.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.is_none_or(|rest| rest.starts_with('.') && !rest.starts_with(TRASH))
}

#[cfg(test)]
mod tests;
