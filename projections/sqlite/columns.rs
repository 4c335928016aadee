//! A row of `media` to columns and back.

use chrono::{DateTime, Utc};
use sqlx::{
    Row, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;
use zeroload_domain::{
    ByteSize, Claim, CollectOutcome, CollectReason, Invalid, MediaId, ReleaseReason, Sha256Digest, State,
};

use crate::{Error, MediaRow, SeenAs, time_text};

/// Columns of `media`.
pub(super) const COUNT: usize = 30;

type Bound<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;

/// Binds all columns of a row in the order of the table.
pub(super) fn bind<'q>(query: Bound<'q>, row: &'q MediaRow) -> Bound<'q> {
    query
        .bind(row.media_id.to_string())
        .bind(row.tenant.as_str())
        .bind(row.owner.as_str())
        .bind(row.state.as_str())
        .bind(row.store.as_str())
        .bind(row.bucket.as_str())
        .bind(row.object_key.as_str())
        .bind(row.content_type.as_str())
        .bind(integer(row.content_length.bytes()))
        .bind(row.checksum_sha256.map(|digest| digest.to_string()))
        .bind(row.etag.as_ref().map(|etag| etag.as_str()))
        .bind(row.attached_to.as_ref().map(|place| place.as_str()))
        .bind(time_text::format(row.requested_at))
        .bind(time_text::format(row.ticket_expires_at))
        .bind(time_text::format(row.confirm_by))
        .bind(time_text::format(row.collectable_at))
        .bind(row.uploaded_at.map(time_text::format))
        .bind(row.confirmed_at.map(time_text::format))
        .bind(row.released_at.map(time_text::format))
        .bind(row.release_reason.map(release_reason))
        .bind(row.collection_started_at.map(time_text::format))
        .bind(row.collected_at.map(time_text::format))
        .bind(row.claim.map(Claim::number))
        .bind(row.collect_reason.map(CollectReason::as_str))
        .bind(row.collect_run_id.map(|id| id.to_string()))
        .bind(row.seen.map(SeenAs::as_str))
        .bind(row.outcome.map(CollectOutcome::as_str))
        .bind(row.bytes_freed.map(|size| integer(size.bytes())))
        .bind(integer(row.sequence))
        .bind(integer(row.position))
}

/// Reads all columns of a row in the order of the table.
pub(super) fn media_row(row: &SqliteRow) -> Result<MediaRow, Error> {
    let mut columns = Columns::of(row);
    Ok(MediaRow {
        media_id: columns.value("media_id", MediaId::parse)?,
        tenant: columns.value("tenant", zeroload_domain::Tenant::parse)?,
        owner: columns.value("owner", zeroload_domain::Owner::parse)?,
        state: columns.name("state", state)?,
        store: columns.value("store", zeroload_domain::Store::parse)?,
        bucket: columns.value("bucket", zeroload_domain::Bucket::parse)?,
        object_key: columns.value("object_key", zeroload_domain::ObjectKey::parse)?,
        content_type: columns.value("content_type", zeroload_domain::ContentType::parse)?,
        content_length: columns.size("content_length")?,
        checksum_sha256: columns.optional("checksum_sha256", |text| Sha256Digest::parse(text).ok())?,
        etag: columns.optional("etag", |text| zeroload_domain::ETag::parse(text).ok())?,
        attached_to: columns.optional("attached_to", |text| zeroload_domain::AttachedTo::parse(text).ok())?,
        requested_at: columns.time("requested_at")?,
        ticket_expires_at: columns.time("ticket_expires_at")?,
        confirm_by: columns.time("confirm_by")?,
        collectable_at: columns.time("collectable_at")?,
        uploaded_at: columns.optional("uploaded_at", time_text::parse)?,
        confirmed_at: columns.optional("confirmed_at", time_text::parse)?,
        released_at: columns.optional("released_at", time_text::parse)?,
        release_reason: columns.optional("release_reason", release_reason_of)?,
        collection_started_at: columns.optional("collection_started_at", time_text::parse)?,
        collected_at: columns.optional("collected_at", time_text::parse)?,
        claim: columns.claim()?,
        collect_reason: columns.optional("collect_reason", collect_reason_of)?,
        collect_run_id: columns.optional("collect_run_id", |text| Uuid::try_parse(text).ok())?,
        seen: columns.optional("seen", |text| SeenAs::ALL.into_iter().find(|seen| seen.as_str() == text))?,
        outcome: columns.optional("outcome", outcome_of)?,
        bytes_freed: columns.optional_integer("bytes_freed")?.map(ByteSize::new),
        sequence: columns.integer("sequence")?,
        position: columns.integer("position")?,
    })
}

/// Reads the columns of one row from left to right; an error names the column.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    fn next<T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>>(&mut self) -> Result<T, Error> {
        let value = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// A value of the domain, checked as at the edge.
    pub(super) fn value<T>(
        &mut self,
        column: &'static str,
        parse: fn(&'r str) -> Result<T, Invalid>,
    ) -> Result<T, Error> {
        self.name(column, |text| parse(text).ok())
    }

    pub(super) fn name<T>(&mut self, column: &'static str, parse: impl Fn(&'r str) -> Option<T>) -> Result<T, Error> {
        let text = self.next::<&str>()?;
        parse(text).ok_or_else(|| unreadable(column, text))
    }

    pub(super) fn optional<T>(
        &mut self,
        column: &'static str,
        parse: impl Fn(&'r str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.next::<Option<&str>>()? else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| unreadable(column, text))
    }

    pub(super) fn time(&mut self, column: &'static str) -> Result<DateTime<Utc>, Error> {
        self.name(column, time_text::parse)
    }

    pub(super) fn integer(&mut self, column: &'static str) -> Result<u64, Error> {
        let number = self.next::<i64>()?;
        u64::try_from(number).map_err(|_| unreadable(column, &number.to_string()))
    }

    pub(super) fn small(&mut self, column: &'static str) -> Result<u32, Error> {
        let number = self.integer(column)?;
        u32::try_from(number).map_err(|_| unreadable(column, &number.to_string()))
    }

    fn optional_integer(&mut self, column: &'static str) -> Result<Option<u64>, Error> {
        let Some(number) = self.next::<Option<i64>>()? else { return Ok(None) };
        u64::try_from(number).map(Some).map_err(|_| unreadable(column, &number.to_string()))
    }

    pub(super) fn size(&mut self, column: &'static str) -> Result<ByteSize, Error> {
        self.integer(column).map(ByteSize::new)
    }

    pub(super) fn claim(&mut self) -> Result<Option<Claim>, Error> {
        let Some(number) = self.optional_integer("claim")? else { return Ok(None) };
        // As the domain itself reads a stored claim.
        serde_json::from_value(number.into()).map(Some).map_err(|_| unreadable("claim", &number.to_string()))
    }
}

/// SQLite's integers are signed. No position, sequence or size comes near their end.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unreadable(column: &'static str, value: &str) -> Error {
    Error::Unreadable { column, value: value.to_owned() }
}

pub(super) fn state(text: &str) -> Option<State> {
    use State::{Collected, Collecting, Confirmed, Pending, Released, Uploaded};
    [Pending, Uploaded, Confirmed, Released, Collecting, Collected].into_iter().find(|state| state.as_str() == text)
}

const fn release_reason(reason: ReleaseReason) -> &'static str {
    match reason {
        ReleaseReason::Cancelled => "cancelled",
        ReleaseReason::Detached => "detached",
    }
}

pub(super) fn release_reason_of(text: &str) -> Option<ReleaseReason> {
    [ReleaseReason::Cancelled, ReleaseReason::Detached].into_iter().find(|reason| release_reason(*reason) == text)
}

pub(super) fn collect_reason_of(text: &str) -> Option<CollectReason> {
    use CollectReason::{Cancelled, Detached, Expired, LateUpload};
    [Expired, Cancelled, Detached, LateUpload].into_iter().find(|reason| reason.as_str() == text)
}

fn outcome_of(text: &str) -> Option<CollectOutcome> {
    [CollectOutcome::Deleted, CollectOutcome::Absent].into_iter().find(|outcome| outcome.as_str() == text)
}
