//! What walks of the bucket found, and how far they are.
//!
//! Not a projection: it is written by the reconciliation, beside the read tables, and a rebuild leaves it alone. Losing it
//! means walking again.
//!
//! One walk goes on at a time. Whoever works on it is its holder, and saves it every few pages; a walk without a holder,
//! or whose holder has not saved it for long, is taken over and goes on from the key that was saved last.

mod rows;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::{Bucket, ByteSize, ETag, MediaId, ObjectKey, State, Store};

use crate::{
    Error, ReadModels,
    engine::{Cell, row},
    query::{AFTER_ALL, Page, at_most},
};
pub(crate) use rows::{FINDINGS, WALKS};
use rows::{FindingRecord, WalkRecord, cells};

/// Walks that are kept; older ones go with their findings.
const KEPT: u32 = 20;

/// Where a walk of the bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkStatus {
    /// It is under way, or was cut off and will be taken up again.
    Running,
    Ended,
    /// Another walk took its place before it was done.
    Abandoned,
    /// It cannot be gone on with, and is not taken up again.
    Failed,
}

impl WalkStatus {
    const ALL: [Self; 4] = [Self::Running, Self::Ended, Self::Abandoned, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
        }
    }
}

/// One walk of the bucket against the journal: a row of `reconciliations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    pub id: Uuid,
    /// Who asked: `timer`, the name of an API key, or the subcommand.
    pub caller: String,
    pub status: WalkStatus,
    pub started_at: DateTime<Utc>,
    pub saved_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Everything up to this key is done; empty at the beginning.
    pub after_key: String,
    /// Seconds. Unknown objects that are older were to be deleted.
    pub delete_older_than: Option<u64>,
    /// Why it only reports, where it may do no more.
    pub report_only: Option<String>,
    /// Objects that were expected when it began.
    pub expected: u64,
    pub counts: Counts,
    /// Why it last stopped before its end.
    pub broken_off: Option<String>,
}

/// What a walk has met up to its `after_key`, and the requests that it has made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects in the listing.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Requests to S3.
    pub requests: u64,
    pub came_back: u64,
    pub unknown: u64,
    pub missing: u64,
    pub differs: u64,
    /// Unknown and orphaned objects that were deleted.
    pub deleted: u64,
    pub unreadable: u64,
    pub orphaned: u64,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// It belongs to an item that was collected.
    CameBack,
    /// It belongs to no item.
    Unknown,
    /// A confirmed item has no object.
    Missing,
    /// A confirmed item's object is not the one that was confirmed.
    Differs,
    /// The server does not say what it is, or not in words that can be read.
    Unreadable,
    /// A copy in the trash that its item no longer names.
    Orphaned,
}

impl FindingKind {
    pub const ALL: [Self; 6] =
        [Self::CameBack, Self::Unknown, Self::Missing, Self::Differs, Self::Unreadable, Self::Orphaned];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CameBack => "came_back",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Unreadable => "unreadable",
            Self::Orphaned => "orphaned",
        }
    }
}

/// One object or item that is not as it should be: a row of `reconciliation_findings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    pub object_key: String,
    /// The item that it belongs to; absent for what is unknown.
    pub media_id: Option<MediaId>,
    pub found_at: DateTime<Utc>,
    /// Bytes, of the object that is there.
    pub size: Option<u64>,
    pub etag: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
    /// Bytes, as recorded.
    pub expected_size: Option<u64>,
    pub expected_etag: Option<String>,
    /// What was done about it: `reported`, `collected_again`, `deleted`, or why it was not deleted or read.
    pub action: String,
}

row! {
    /// An item and the object that it should have.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ExpectedObject {
        pub media_id: MediaId,
        pub object_key: ObjectKey,
        pub state: State,
        pub store: Store,
        pub bucket: Bucket,
        /// Of the object when it was last seen.
        pub etag: Option<ETag>,
        /// Bytes, as requested.
        pub content_length: ByteSize,
    }
}

/// The notebook of reconciliations, and what they look up.
#[derive(Clone, Copy, Debug)]
pub struct WalkStore<'a> {
    models: &'a ReadModels,
}

impl<'a> WalkStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }
}

impl WalkStore<'_> {
    /// Begins a walk that `holder` works on, unless another one is running; forgets what is too old to keep.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Database`], [`Error::ReadOnly`].
    pub async fn begin(&self, walk: &Walk, holder: Uuid) -> Result<bool, Error> {
        let old = || vec![Cell::number(KEPT)];
        // One walk runs at a time.
        let begin = format!("{} ON CONFLICT DO NOTHING", WALKS.insert());
        let begun = self.models.database()?.execute(vec![
            (begin.into(), cells(WalkRecord::of(walk, Some(holder)))),
            (include_str!("prune_findings.sql").into(), old()),
            (include_str!("prune_walks.sql").into(), old()),
        ]);
        Ok(begun.await? == 1)
    }

    /// Saves how far a walk is, and what it found since, as its holder; neither if another one has taken over.
    ///
    /// # Errors
    /// As [`WalkStore::begin`].
    pub async fn save(&self, walk: &Walk, findings: &[Finding], holder: Option<Uuid>, by: Uuid) -> Result<bool, Error> {
        let mut of_walk = cells(WalkRecord::of(walk, holder));
        of_walk.push(Cell::of(&by));
        let by = format!("${}", of_walk.len());
        let save = format!(
            "UPDATE reconciliations SET {} WHERE reconciliation_id = $1 AND holder = {by}",
            WALKS.assignments()
        );
        // A page that is walked again finds the same again.
        let find = format!("{} {}", FINDINGS.insert(), FINDINGS.or_replace());
        let mut statements = vec![(save.into(), of_walk)];
        let found = findings.iter().map(|finding| FindingRecord::of(walk.id, finding));
        statements.extend(found.map(|finding| (find.clone().into(), cells(finding))));
        Ok(self.models.database()?.execute(statements).await? == 1)
    }

    /// Makes `holder` work on the walk that is running, if nobody does or its holder has not saved it since `stale`.
    ///
    /// # Errors
    /// As [`WalkStore::begin`].
    pub async fn take_over(
        &self,
        holder: Uuid,
        now: DateTime<Utc>,
        stale: DateTime<Utc>,
    ) -> Result<Option<Walk>, Error> {
        let cells = vec![Cell::of(&holder), Cell::of(&now), Cell::of(&stale)];
        if self.models.database()?.execute(vec![(include_str!("take_over.sql").into(), cells)]).await? == 0 {
            return Ok(None);
        }
        self.running().await
    }

    /// Gives up the walk that is running, as [`WalkStore::take_over`] would take it.
    ///
    /// # Errors
    /// As [`WalkStore::begin`].
    pub async fn abandon(&self, now: DateTime<Utc>, stale: DateTime<Utc>) -> Result<bool, Error> {
        let cells = vec![Cell::of(&now), Cell::of(&stale)];
        Ok(self.models.database()?.execute(vec![(include_str!("abandon.sql").into(), cells)]).await? == 1)
    }

    /// The walk that is running, whoever works on it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn running(&self) -> Result<Option<Walk>, Error> {
        let sql = "SELECT {columns} FROM reconciliations WHERE status = 'running'";
        Ok(self.models.database()?.find::<WalkRecord>(sql, vec![]).await?.map(Walk::from))
    }

    /// Walks, newest first, behind the one of `before` if it is named; at most `limit`, 1 to 1000.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn list(&self, before: Option<Uuid>, limit: u32) -> Result<Page<Walk, Uuid>, Error> {
        let before = before.map_or(Cell::text(AFTER_ALL), |id| Cell::of(&id));
        let cells = vec![before, Cell::number(at_most(limit) + 1)];
        let records: Vec<WalkRecord> = self.models.database()?.select(include_str!("walks.sql"), cells).await?;
        Ok(Page::of(limit, records.into_iter().map(Walk::from).collect(), |walk: &Walk| walk.id))
    }

    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn find(&self, id: Uuid) -> Result<Option<Walk>, Error> {
        let sql = "SELECT {columns} FROM reconciliations WHERE reconciliation_id = $1";
        Ok(self.models.database()?.find::<WalkRecord>(sql, vec![Cell::of(&id)]).await?.map(Walk::from))
    }

    /// What a walk found, in order of key, behind `after`; at most `limit`, 1 to 1000.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn findings(&self, id: Uuid, after: &str, limit: u32) -> Result<Page<Finding, String>, Error> {
        let cells = vec![Cell::of(&id), Cell::text(after), Cell::number(at_most(limit) + 1)];
        let records: Vec<FindingRecord> = self.models.database()?.select(include_str!("findings.sql"), cells).await?;
        let findings = records.into_iter().map(Finding::from).collect();
        Ok(Page::of(limit, findings, |finding: &Finding| finding.object_key.clone()))
    }

    /// The items of these ids that there are.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn owned(&self, ids: &[MediaId]) -> Result<Vec<ExpectedObject>, Error> {
        let sql = "SELECT {columns} FROM media WHERE media_id {in $1}";
        self.models.database()?.select(sql, vec![Cell::json(&serde_json::json!(ids))]).await
    }

    /// Confirmed items whose key is behind `after` and not behind `until`, in order of key; at most `limit`.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn confirmed(&self, after: &str, until: &str, limit: u32) -> Result<Vec<ExpectedObject>, Error> {
        let cells = vec![Cell::text(after), Cell::text(until), Cell::number(limit)];
        self.models.database()?.select(include_str!("confirmed.sql"), cells).await
    }

    /// How many objects the bucket should hold: items that are uploaded, confirmed, released or being collected. Reads
    /// every row.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn expected(&self) -> Result<u64, Error> {
        self.models.database()?.count(include_str!("expected.sql"), vec![]).await
    }
}

#[cfg(test)]
mod tests;
