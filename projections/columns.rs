//! Columns of the read tables back to values: both databases hold the same text and the same signed integers.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::{
    ByteSize, Claim, CollectOutcome, CollectReason, Invalid, MediaId, ReleaseReason, Sha256Digest, State,
};

use crate::{Error, FoundAs, MediaRow, SeenAs, time_text};

/// Columns of `media`.
pub(crate) const COUNT: usize = 34;

/// A value on its way into a row: both databases take text and signed integers.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
}

pub(crate) fn text(value: impl Into<String>) -> Cell {
    Cell::Text(Some(value.into()))
}

pub(crate) fn optional_text(value: Option<String>) -> Cell {
    Cell::Text(value)
}

pub(crate) fn time(at: DateTime<Utc>) -> Cell {
    text(time_text::format(at))
}

/// The cells of a row of either database, by their index.
pub(crate) trait Cells {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error>;
    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error>;
}

impl Cells for sqlx::sqlite::SqliteRow {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }

    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }
}

impl Cells for sqlx::postgres::PgRow {
    fn text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }

    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        sqlx::Row::try_get(self, index)
    }
}

/// Reads all columns of a row in the order of the table.
pub(crate) fn media_row(row: &dyn Cells) -> Result<MediaRow, Error> {
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
        sealed_at: columns.optional("sealed_at", time_text::parse)?,
        substituted_at: columns.optional("substituted_at", time_text::parse)?,
        found: columns.optional("found", |text| FoundAs::ALL.into_iter().find(|found| found.as_str() == text))?,
        found_etag: columns.optional("found_etag", |text| zeroload_domain::ETag::parse(text).ok())?,
    })
}

/// Reads the columns of one row from left to right; an error names the column.
pub(crate) struct Columns<'r> {
    row: &'r dyn Cells,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r dyn Cells) -> Self {
        Self { row, next: 0 }
    }

    fn text(&mut self) -> Result<Option<&'r str>, Error> {
        let value = self.row.text(self.next)?;
        self.next += 1;
        Ok(value)
    }

    fn number(&mut self) -> Result<Option<i64>, Error> {
        let value = self.row.number(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// A value of the domain, checked as at the edge.
    pub(crate) fn value<T>(
        &mut self,
        column: &'static str,
        parse: fn(&'r str) -> Result<T, Invalid>,
    ) -> Result<T, Error> {
        self.name(column, |text| parse(text).ok())
    }

    pub(crate) fn name<T>(&mut self, column: &'static str, parse: impl Fn(&'r str) -> Option<T>) -> Result<T, Error> {
        let text = self.text()?.ok_or_else(|| unreadable(column, "NULL"))?;
        parse(text).ok_or_else(|| unreadable(column, text))
    }

    pub(crate) fn optional<T>(
        &mut self,
        column: &'static str,
        parse: impl Fn(&'r str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text()? else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| unreadable(column, text))
    }

    pub(crate) fn time(&mut self, column: &'static str) -> Result<DateTime<Utc>, Error> {
        self.name(column, time_text::parse)
    }

    pub(crate) fn integer(&mut self, column: &'static str) -> Result<u64, Error> {
        let number = self.number()?.ok_or_else(|| unreadable(column, "NULL"))?;
        u64::try_from(number).map_err(|_| unreadable(column, &number.to_string()))
    }

    pub(crate) fn small(&mut self, column: &'static str) -> Result<u32, Error> {
        let number = self.integer(column)?;
        u32::try_from(number).map_err(|_| unreadable(column, &number.to_string()))
    }

    pub(crate) fn optional_integer(&mut self, column: &'static str) -> Result<Option<u64>, Error> {
        let Some(number) = self.number()? else { return Ok(None) };
        u64::try_from(number).map(Some).map_err(|_| unreadable(column, &number.to_string()))
    }

    pub(crate) fn size(&mut self, column: &'static str) -> Result<ByteSize, Error> {
        self.integer(column).map(ByteSize::new)
    }

    pub(crate) fn claim(&mut self) -> Result<Option<Claim>, Error> {
        let Some(number) = self.optional_integer("claim")? else { return Ok(None) };
        // As the domain itself reads a stored claim.
        serde_json::from_value(number.into()).map(Some).map_err(|_| unreadable("claim", &number.to_string()))
    }
}

/// The databases' integers are signed. No position, sequence or size comes near their end.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unreadable(column: &'static str, value: &str) -> Error {
    Error::Unreadable { column, value: value.to_owned() }
}

pub(crate) fn state(text: &str) -> Option<State> {
    use State::{Collected, Collecting, Confirmed, Pending, Released, Restoring, Trashed, Uploaded};
    let all = [Pending, Uploaded, Confirmed, Released, Collecting, Trashed, Restoring, Collected];
    all.into_iter().find(|state| state.as_str() == text)
}

pub(crate) const fn release_reason(reason: ReleaseReason) -> &'static str {
    match reason {
        ReleaseReason::Cancelled => "cancelled",
        ReleaseReason::Detached => "detached",
    }
}

pub(crate) fn release_reason_of(text: &str) -> Option<ReleaseReason> {
    [ReleaseReason::Cancelled, ReleaseReason::Detached].into_iter().find(|reason| release_reason(*reason) == text)
}

pub(crate) fn collect_reason_of(text: &str) -> Option<CollectReason> {
    use CollectReason::{Cancelled, Detached, Expired, LateUpload};
    [Expired, Cancelled, Detached, LateUpload].into_iter().find(|reason| reason.as_str() == text)
}

fn outcome_of(text: &str) -> Option<CollectOutcome> {
    [CollectOutcome::Deleted, CollectOutcome::Absent].into_iter().find(|outcome| outcome.as_str() == text)
}
