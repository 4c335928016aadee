//! Where a consumer stands, and whether the journal still holds what was read up to there.

use crate::hash::Hash;
use crate::reader::Reader;
use crate::stored::{Head, ReadError, StoredEvent};

/// A commit of the journal. Its hash covers every event before it, so a journal that holds it has the same past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub commit_id: u64,
    pub hash: Hash,
}

/// The last position that was consumed, 0 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    pub position: u64,
    /// The latest commit known to begin at or before `position`; none before the first, and of a cursor of an earlier
    /// build.
    pub mark: Option<Mark>,
}

impl Mark {
    /// Of the journal's end; an empty journal has no commit.
    pub(super) fn of_head(head: &Head) -> Option<Self> {
        (head.commit_id > 0).then_some(Self { commit_id: head.commit_id, hash: head.hash })
    }

    async fn of_commit(reader: &Reader, commit_id: u64) -> Result<Option<Self>, ReadError> {
        Ok(reader.commit_hash(commit_id).await?.map(|hash| Self { commit_id, hash }))
    }
}

/// The commit of an event.
///
/// # Errors
/// [`ReadError`].
pub async fn mark_of(reader: &Reader, event: &StoredEvent) -> Result<Option<Mark>, ReadError> {
    Mark::of_commit(reader, event.commit_id).await
}

/// The commit at `position`, where the journal reaches `head`. `commit_id` is its number, where the caller knows it.
pub(super) async fn mark_at(
    reader: &Reader,
    head: &Head,
    position: u64,
    commit_id: Option<u64>,
) -> Result<Option<Mark>, ReadError> {
    if position == head.position {
        return Ok(Mark::of_head(head));
    }
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    match commit_id {
        Some(commit_id) => Mark::of_commit(reader, commit_id).await,
        None => match reader.read(before, 1).await?.first() {
            Some(event) => mark_of(reader, event).await,
            None => Ok(None),
        },
    }
}

/// Whether a journal that ends at `head` holds what was read up to `cursor`. Positions alone would not do: a journal that was
/// restored from a backup grows, and soon has as many.
///
/// # Errors
/// [`ReadError`].
pub async fn holds(reader: &Reader, head: &Head, cursor: &Cursor) -> Result<bool, ReadError> {
    if head.position < cursor.position {
        return Ok(false);
    }
    match cursor.mark {
        None => Ok(true),
        Some(mark) if mark.commit_id == head.commit_id => Ok(mark.hash == head.hash),
        Some(mark) => Ok(reader.commit_hash(mark.commit_id).await? == Some(mark.hash)),
    }
}
