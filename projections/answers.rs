//! Rows of either database to the answers of [`crate::query`].

use chrono::{DateTime, Utc};
use zeroload_domain::{Bucket, CollectReason, ETag, MediaId, ObjectKey, Owner, ReleaseReason, State, Store, Tenant};

use crate::{
    Checkpoint, Cursor, DueItem, Error, Inspected, PendingItem, PendingPage, PendingQuery, Status,
    columns::{self, Cells, Columns},
    time_text,
};

/// Items of one page.
const PAGE: std::ops::RangeInclusive<u32> = 1..=1000;

/// Sorts after every time.
pub(crate) const AFTER_ALL: &str = "~";

/// A place in the order of `(collectable_at, media_id)`; empty text comes before everything.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) collectable_at: String,
    pub(crate) media_id: String,
}

impl Place {
    pub(crate) fn after(item: Option<(DateTime<Utc>, MediaId)>) -> Self {
        item.map_or_else(Self::default, |(at, id)| Self {
            collectable_at: time_text::format(at),
            media_id: id.to_string(),
        })
    }
}

pub(crate) fn pending_item(row: &dyn Cells) -> Result<PendingItem, Error> {
    let mut columns = Columns::of(row);
    Ok(PendingItem {
        media_id: columns.value("media_id", MediaId::parse)?,
        owner: columns.value("owner", Owner::parse)?,
        state: columns.name("state", columns::state)?,
        object_key: columns.value("object_key", ObjectKey::parse)?,
        content_length: columns.size("content_length")?,
        requested_at: columns.time("requested_at")?,
        confirm_by: columns.time("confirm_by")?,
        collectable_at: columns.time("collectable_at")?,
    })
}

pub(crate) fn due_item(row: &dyn Cells) -> Result<DueItem, Error> {
    let mut columns = Columns::of(row);
    let media_id = columns.value("media_id", MediaId::parse)?;
    let tenant = columns.value("tenant", Tenant::parse)?;
    let state = columns.name("state", columns::state)?;
    let store = columns.value("store", Store::parse)?;
    let bucket = columns.value("bucket", Bucket::parse)?;
    let object_key = columns.value("object_key", ObjectKey::parse)?;
    let content_length = columns.size("content_length")?;
    let etag = columns.optional("etag", |text| ETag::parse(text).ok())?;
    let collectable_at = columns.time("collectable_at")?;
    let release_reason = columns.optional("release_reason", columns::release_reason_of)?;
    let collect_reason = columns.optional("collect_reason", columns::collect_reason_of)?;
    let claim = columns.claim()?;
    let sequence = columns.integer("sequence")?;
    let reason = match (state, release_reason) {
        (State::Collecting, _) => collect_reason.unwrap_or(CollectReason::Expired),
        (_, Some(ReleaseReason::Cancelled)) => CollectReason::Cancelled,
        (_, Some(ReleaseReason::Detached)) => CollectReason::Detached,
        (_, None) => CollectReason::Expired,
    };
    Ok(DueItem {
        media_id,
        tenant,
        state,
        store,
        bucket,
        object_key,
        content_length,
        etag,
        collectable_at,
        reason,
        claim,
        sequence,
    })
}

pub(crate) fn inspected(row: &dyn Cells) -> Result<Inspected, Error> {
    let mut columns = Columns::of(row);
    Ok(Inspected {
        media_id: columns.value("media_id", MediaId::parse)?,
        store: columns.value("store", Store::parse)?,
        bucket: columns.value("bucket", Bucket::parse)?,
        object_key: columns.value("object_key", ObjectKey::parse)?,
        claim: columns.claim()?,
        collected_at: columns.optional("collected_at", time_text::parse)?,
        position: columns.integer("position")?,
        ticket_expires_at: columns.time("ticket_expires_at")?,
    })
}

pub(crate) fn checkpoint(row: &dyn Cells) -> Result<Checkpoint, Error> {
    let mut columns = Columns::of(row);
    Ok(Checkpoint {
        name: columns.name("name", |text| Some(text.to_owned()))?,
        version: columns.small("version")?,
        status: columns.name("status", |text| Status::ALL.into_iter().find(|status| status.as_str() == text))?,
        position: columns.integer("position")?,
        recorded_at: columns.optional("recorded_at", time_text::parse)?,
    })
}

/// How many rows to ask for so that the answer tells whether there is a next page.
pub(crate) fn rows_wanted(query: &PendingQuery) -> u32 {
    limit_of(query) + 1
}

/// A page of what was asked for with [`rows_wanted`].
pub(crate) fn page(query: &PendingQuery, mut items: Vec<PendingItem>, position: u64) -> PendingPage {
    let limit = usize::try_from(limit_of(query)).expect("a limit of at most 1000 fits");
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| Cursor { collectable_at: last.collectable_at, media_id: last.media_id });
    PendingPage { items, next_cursor, position }
}

fn limit_of(query: &PendingQuery) -> u32 {
    query.limit.clamp(*PAGE.start(), *PAGE.end())
}

/// The live one of all checkpoints.
pub(crate) fn live(all: Vec<Checkpoint>) -> Result<Checkpoint, Error> {
    // The migration makes a live version and a swap exchanges it.
    all.into_iter().find(|c| c.status == Status::Live).ok_or(Error::Database(sqlx::Error::RowNotFound))
}

/// The checkpoint of a version, of the live one if none is named.
pub(crate) fn version(all: Vec<Checkpoint>, version: Option<u32>) -> Result<Checkpoint, Error> {
    all.into_iter()
        .find(|c| version.map_or(c.status == Status::Live, |version| c.version == version))
        .ok_or(Error::NoSuchVersion { version: version.unwrap_or_default() })
}
