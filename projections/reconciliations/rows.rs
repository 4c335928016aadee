//! Rows of the notebook: values to cells, and back.

use uuid::Uuid;
use zeroload_domain::{Bucket, ETag, MediaId, ObjectKey, Store};

use super::{Counts, Finding, FindingKind, Owned, Walk, WalkStatus};
use crate::{
    Error,
    columns::{self, Cell, Cells, Columns, integer, optional_text, text, time},
    time_text,
};

/// All columns of a walk but its holder, in the order of the table.
pub(super) fn cells(walk: &Walk) -> Vec<Cell> {
    let Counts { objects, bytes, requests, came_back, unknown, missing, differs, deleted, unreadable, orphaned } =
        walk.counts;
    let mut cells = vec![
        text(walk.id.to_string()),
        text(walk.caller.as_str()),
        text(walk.status.as_str()),
        time(walk.started_at),
        time(walk.saved_at),
        optional_text(walk.ended_at.map(time_text::format)),
        text(walk.after_key.as_str()),
        Cell::Number(walk.delete_older_than.map(integer)),
        optional_text(walk.report_only.clone()),
    ];
    let found = [came_back, unknown, missing, differs, deleted, unreadable, orphaned];
    let numbers = [walk.expected, objects, bytes, requests].into_iter().chain(found);
    cells.extend(numbers.map(|number| Cell::Number(Some(integer(number)))));
    cells.push(optional_text(walk.broken_off.clone()));
    cells
}

pub(super) fn walk(row: &dyn Cells) -> Result<Walk, Error> {
    let mut columns = Columns::of(row);
    Ok(Walk {
        id: columns.name("reconciliation_id", |text| Uuid::try_parse(text).ok())?,
        caller: columns.name("caller", |text| Some(text.to_owned()))?,
        status: columns.name("status", |text| WalkStatus::ALL.into_iter().find(|status| status.as_str() == text))?,
        started_at: columns.time("started_at")?,
        saved_at: columns.time("saved_at")?,
        ended_at: columns.optional("ended_at", time_text::parse)?,
        after_key: columns.name("after_key", |text| Some(text.to_owned()))?,
        delete_older_than: columns.optional_integer("delete_older_than")?,
        report_only: columns.optional("report_only", |text| Some(text.to_owned()))?,
        expected: columns.integer("expected")?,
        counts: Counts {
            objects: columns.integer("objects")?,
            bytes: columns.integer("bytes")?,
            requests: columns.integer("requests")?,
            came_back: columns.integer("came_back")?,
            unknown: columns.integer("unknown")?,
            missing: columns.integer("missing")?,
            differs: columns.integer("differs")?,
            deleted: columns.integer("deleted")?,
            unreadable: columns.integer("unreadable")?,
            orphaned: columns.integer("orphaned")?,
        },
        broken_off: columns.optional("broken_off", |text| Some(text.to_owned()))?,
    })
}

pub(super) fn finding_cells(walk: Uuid, finding: &Finding) -> Vec<Cell> {
    vec![
        text(walk.to_string()),
        text(finding.object_key.as_str()),
        text(finding.kind.as_str()),
        optional_text(finding.media_id.map(|id| id.to_string())),
        time(finding.found_at),
        Cell::Number(finding.size.map(integer)),
        optional_text(finding.etag.clone()),
        optional_text(finding.last_modified.map(time_text::format)),
        Cell::Number(finding.expected_size.map(integer)),
        optional_text(finding.expected_etag.clone()),
        text(finding.action.as_str()),
    ]
}

pub(super) fn finding(row: &dyn Cells) -> Result<Finding, Error> {
    let mut columns = Columns::of(row);
    Ok(Finding {
        object_key: columns.name("object_key", |text| Some(text.to_owned()))?,
        kind: columns.name("kind", |text| FindingKind::ALL.into_iter().find(|kind| kind.as_str() == text))?,
        media_id: columns.optional("media_id", |text| MediaId::parse(text).ok())?,
        found_at: columns.time("found_at")?,
        size: columns.optional_integer("size")?,
        etag: columns.optional("etag", |text| Some(text.to_owned()))?,
        last_modified: columns.optional("last_modified", time_text::parse)?,
        expected_size: columns.optional_integer("expected_size")?,
        expected_etag: columns.optional("expected_etag", |text| Some(text.to_owned()))?,
        action: columns.name("action", |text| Some(text.to_owned()))?,
    })
}

pub(super) fn owned(row: &dyn Cells) -> Result<Owned, Error> {
    let mut columns = Columns::of(row);
    Ok(Owned {
        media_id: columns.value("media_id", MediaId::parse)?,
        object_key: columns.value("object_key", ObjectKey::parse)?,
        state: columns.name("state", columns::state)?,
        store: columns.value("store", Store::parse)?,
        bucket: columns.value("bucket", Bucket::parse)?,
        etag: columns.optional("etag", |text| ETag::parse(text).ok())?,
        content_length: columns.size("content_length")?,
    })
}
