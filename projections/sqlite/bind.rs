//! A row to the parameters of a statement.

use sqlx::{Sqlite, query::Query, sqlite::SqliteArguments};
use zeroload_domain::{Claim, CollectOutcome, CollectReason};

use crate::{
    FoundAs, MediaRow, SeenAs,
    columns::{self, Cell},
    time_text,
};

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
        .bind(columns::integer(row.content_length.bytes()))
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
        .bind(row.release_reason.map(columns::release_reason))
        .bind(row.collection_started_at.map(time_text::format))
        .bind(row.collected_at.map(time_text::format))
        .bind(row.claim.map(Claim::number))
        .bind(row.collect_reason.map(CollectReason::as_str))
        .bind(row.collect_run_id.map(|id| id.to_string()))
        .bind(row.seen.map(SeenAs::as_str))
        .bind(row.outcome.map(CollectOutcome::as_str))
        .bind(row.bytes_freed.map(|size| columns::integer(size.bytes())))
        .bind(columns::integer(row.sequence))
        .bind(columns::integer(row.position))
        .bind(row.sealed_at.map(time_text::format))
        .bind(row.substituted_at.map(time_text::format))
        .bind(row.found.map(FoundAs::as_str))
        .bind(row.found_etag.as_ref().map(|etag| etag.as_str()))
}

/// Binds values in their order.
pub(super) fn bind_cells(query: Bound<'_>, cells: Vec<Cell>) -> Bound<'_> {
    cells.into_iter().fold(query, |query, cell| match cell {
        Cell::Text(text) => query.bind(text),
        Cell::Number(number) => query.bind(number),
    })
}
