//! Rows of the notebook, and its tables.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::MediaId;

use super::{Counts, Finding, FindingKind, Walk, WalkStatus};
use crate::{
    engine::{Cell, Index, Row, Sink, Table, row},
    values::names,
};

names!(WalkStatus: WalkStatus::ALL, FindingKind: FindingKind::ALL);

row! {
    /// A row of `reconciliations`; a [`Walk`] says what the columns mean.
    pub(super) struct WalkRecord {
        reconciliation_id: Uuid,
        caller: String,
        status: WalkStatus,
        started_at: DateTime<Utc>,
        saved_at: DateTime<Utc>,
        ended_at: Option<DateTime<Utc>>,
        after_key: String,
        delete_older_than: Option<u64>,
        report_only: Option<String>,
        expected: u64,
        objects: u64,
        bytes: u64,
        requests: u64,
        came_back: u64,
        unknown: u64,
        missing: u64,
        differs: u64,
        deleted: u64,
        broken_off: Option<String>,
        /// The process that works on the walk.
        holder: Option<Uuid>,
        unreadable: u64,
        orphaned: u64,
    }
}

row! {
    /// A row of `reconciliation_findings`; a [`Finding`] says what the columns mean.
    pub(super) struct FindingRecord {
        reconciliation_id: Uuid,
        object_key: String,
        kind: FindingKind,
        media_id: Option<MediaId>,
        found_at: DateTime<Utc>,
        size: Option<u64>,
        etag: Option<String>,
        last_modified: Option<DateTime<Utc>>,
        expected_size: Option<u64>,
        expected_etag: Option<String>,
        action: String,
    }
}

/// One walk runs at a time.
const RUNNING: Index = Index { name: "running", unique: true, on: "status", filter: Some("status = 'running'") };

pub(crate) const WALKS: Table = Table {
    name: "reconciliations",
    columns: WalkRecord::COLUMNS,
    key: &["reconciliation_id"],
    indexes: &[RUNNING],
    without_rowid: true,
};

pub(crate) const FINDINGS: Table = Table {
    name: "reconciliation_findings",
    columns: FindingRecord::COLUMNS,
    key: &["reconciliation_id", "object_key"],
    indexes: &[],
    without_rowid: true,
};

/// All cells of a row, as a statement's parameters.
pub(super) fn cells(row: impl Row) -> Vec<Cell> {
    struct Cells(Vec<Cell>);
    impl Sink for Cells {
        fn text(&mut self, text: Option<&str>) {
            self.0.push(Cell::Text(text.map(str::to_owned)));
        }

        fn number(&mut self, number: Option<i64>) {
            self.0.push(Cell::Number(number));
        }
    }
    let mut cells = Cells(Vec::new());
    row.write(&mut cells);
    cells.0
}

impl WalkRecord {
    pub(super) fn of(walk: &Walk, holder: Option<Uuid>) -> Self {
        let Counts { objects, bytes, requests, came_back, unknown, missing, differs, deleted, unreadable, orphaned } =
            walk.counts;
        Self {
            reconciliation_id: walk.id,
            caller: walk.caller.clone(),
            status: walk.status,
            started_at: walk.started_at,
            saved_at: walk.saved_at,
            ended_at: walk.ended_at,
            after_key: walk.after_key.clone(),
            delete_older_than: walk.delete_older_than,
            report_only: walk.report_only.clone(),
            expected: walk.expected,
            objects,
            bytes,
            requests,
            came_back,
            unknown,
            missing,
            differs,
            deleted,
            broken_off: walk.broken_off.clone(),
            holder,
            unreadable,
            orphaned,
        }
    }
}

impl From<WalkRecord> for Walk {
    fn from(record: WalkRecord) -> Self {
        let WalkRecord { objects, bytes, requests, came_back, unknown, missing, differs, deleted, .. } = record;
        let WalkRecord { unreadable, orphaned, .. } = record;
        Self {
            id: record.reconciliation_id,
            caller: record.caller,
            status: record.status,
            started_at: record.started_at,
            saved_at: record.saved_at,
            ended_at: record.ended_at,
            after_key: record.after_key,
            delete_older_than: record.delete_older_than,
            report_only: record.report_only,
            expected: record.expected,
            counts: Counts {
                objects,
                bytes,
                requests,
                came_back,
                unknown,
                missing,
                differs,
                deleted,
                unreadable,
                orphaned,
            },
            broken_off: record.broken_off,
        }
    }
}

impl FindingRecord {
    pub(super) fn of(walk: Uuid, finding: &Finding) -> Self {
        Self {
            reconciliation_id: walk,
            object_key: finding.object_key.clone(),
            kind: finding.kind,
            media_id: finding.media_id,
            found_at: finding.found_at,
            size: finding.size,
            etag: finding.etag.clone(),
            last_modified: finding.last_modified,
            expected_size: finding.expected_size,
            expected_etag: finding.expected_etag.clone(),
            action: finding.action.clone(),
        }
    }
}

impl From<FindingRecord> for Finding {
    fn from(record: FindingRecord) -> Self {
        let FindingRecord { object_key, kind, media_id, found_at, size, etag, last_modified, .. } = record;
        let FindingRecord { expected_size, expected_etag, action, .. } = record;
        Self { kind, object_key, media_id, found_at, size, etag, last_modified, expected_size, expected_etag, action }
    }
}
