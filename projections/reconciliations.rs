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
    columns::{Cell, Cells, Columns, optional_text, text, time},
};
use rows::{cells, finding, finding_cells, owned, walk};

/// Walks that are kept; older ones go with their findings.
const KEPT: i64 = 20;

/// Rows of one page at most.
const PAGE: std::ops::RangeInclusive<u32> = 1..=1000;

/// Sorts after every id and every key.
const AFTER_ALL: &str = "~";

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

/// A page of a list, and where the next one begins if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    pub next: Option<C>,
}

/// An item and the object that it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
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

/// The notebook of reconciliations, and what they look up.
#[derive(Clone, Copy, Debug)]
pub struct WalkStore<'a> {
    models: &'a ReadModels,
}

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("reconciliations/", $name, ".sql"))
    };
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
        let mut cells = cells(walk);
        cells.push(text(holder.to_string()));
        let old = || vec![Cell::Number(Some(KEPT))];
        let begun = self
            .models
            .execute(vec![(sql!("begin"), cells), (sql!("prune_findings"), old()), (sql!("prune_walks"), old())])
            .await?;
        Ok(begun == 1)
    }

    /// Saves how far a walk is, and what it found since, as its holder; neither if another one has taken over.
    ///
    /// # Errors
    /// As [`WalkStore::begin`].
    pub async fn save(&self, walk: &Walk, findings: &[Finding], holder: Option<Uuid>, by: Uuid) -> Result<bool, Error> {
        let mut of_walk = cells(walk);
        of_walk.push(optional_text(holder.map(|holder| holder.to_string())));
        of_walk.push(text(by.to_string()));
        let mut statements = vec![(sql!("save"), of_walk)];
        statements.extend(findings.iter().map(|finding| (sql!("find"), finding_cells(walk.id, finding))));
        Ok(self.models.execute(statements).await? == 1)
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
        let cells = vec![text(holder.to_string()), time(now), time(stale)];
        if self.models.execute(vec![(sql!("take_over"), cells)]).await? == 0 {
            return Ok(None);
        }
        self.running().await
    }

    /// Gives up the walk that is running, as [`WalkStore::take_over`] would take it.
    ///
    /// # Errors
    /// As [`WalkStore::begin`].
    pub async fn abandon(&self, now: DateTime<Utc>, stale: DateTime<Utc>) -> Result<bool, Error> {
        Ok(self.models.execute(vec![(sql!("abandon"), vec![time(now), time(stale)])]).await? == 1)
    }

    /// The walk that is running, whoever works on it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn running(&self) -> Result<Option<Walk>, Error> {
        Ok(self.models.select(sql!("running"), vec![], walk).await?.pop())
    }

    /// Walks, newest first, behind the one of `before` if it is named; at most `limit`, 1 to 1000.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn list(&self, before: Option<Uuid>, limit: u32) -> Result<Page<Walk, Uuid>, Error> {
        let before = before.map_or(AFTER_ALL.to_owned(), |id| id.to_string());
        let rows = self.models.select(sql!("walks"), vec![text(before), wanted(limit)], walk).await?;
        Ok(page(rows, limit, |walk| walk.id))
    }

    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn find(&self, id: Uuid) -> Result<Option<Walk>, Error> {
        Ok(self.models.select(sql!("walk"), vec![text(id.to_string())], walk).await?.pop())
    }

    /// What a walk found, in order of key, behind `after`; at most `limit`, 1 to 1000.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn findings(&self, id: Uuid, after: &str, limit: u32) -> Result<Page<Finding, String>, Error> {
        let cells = vec![text(id.to_string()), text(after), wanted(limit)];
        let rows = self.models.select(sql!("findings"), cells, finding).await?;
        Ok(page(rows, limit, |finding| finding.object_key.clone()))
    }

    /// The items of these ids that there are.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn owned(&self, ids: &[MediaId]) -> Result<Vec<Owned>, Error> {
        let ids = serde_json::json!(ids).to_string();
        let sql = self.models.either(include_str!("sqlite/sql/owned.sql"), include_str!("postgres/sql/owned.sql"));
        self.models.select(sql, vec![text(ids)], owned).await
    }

    /// Confirmed items whose key is behind `after` and not behind `until`, in order of key; at most `limit`.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn confirmed(&self, after: &str, until: &str, limit: u32) -> Result<Vec<Owned>, Error> {
        let cells = vec![text(after), text(until), Cell::Number(Some(limit.into()))];
        self.models.select(sql!("confirmed"), cells, owned).await
    }

    /// How many objects the bucket should hold: items that are uploaded, confirmed, released or being collected. Looks at
    /// every row.
    ///
    /// # Errors
    /// As [`WalkStore::running`].
    pub async fn expected(&self) -> Result<u64, Error> {
        let count = |row: &dyn Cells| Columns::of(row).integer("count");
        Ok(self.models.select(sql!("expected"), vec![], count).await?.pop().unwrap_or_default())
    }
}

fn wanted(limit: u32) -> Cell {
    Cell::Number(Some(i64::from(limit.clamp(*PAGE.start(), *PAGE.end())) + 1))
}

fn page<T, C>(mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> C) -> Page<T, C> {
    let limit = usize::try_from(limit.clamp(*PAGE.start(), *PAGE.end())).expect("a limit of at most 1000 fits");
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(place);
    Page { items, next }
}
