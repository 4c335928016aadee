//! What a run did, item by item.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroload_domain::{MediaId, ObjectKey};

use crate::metrics::Collected;

/// Items that a report names at most; the counts are always complete.
const MAX_ITEMS: usize = 1000;

/// Codes that a report counts apart; the number of codes that S3 may answer with is not bounded.
const MAX_CODES: usize = 50;

/// The code under which failures are counted once there are [`MAX_CODES`] codes.
const OTHER_CODES: &str = "other";

/// What one run of the collector did. The six outcomes are disjoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CollectionReport)]
pub struct RunReport {
    pub run_id: Uuid,
    /// Nothing was changed; `items` names the items that would go, and why.
    pub dry_run: bool,
    /// Items that the run handled.
    pub due: u64,
    /// Items whose object was deleted.
    pub collected: u64,
    /// Items whose object was moved into the trash.
    pub trashed: u64,
    /// Items that turned out never to have had an object.
    pub absent: u64,
    /// Items that were confirmed, renewed or taken over meanwhile.
    pub in_use: u64,
    /// Items whose delete the server refused; each is tried again after a time of its own.
    pub failed: u64,
    /// Items for which no answer came; each is tried again.
    pub unknown: u64,
    /// Bytes.
    pub bytes_freed: u64,
    /// The run ended at its limit; more is due now.
    pub more: bool,
    /// Why the brake is on. Then nothing was claimed, unless the run was told to override it; a dry run says what would go
    /// if it were. Null where it is off.
    #[schema(required = true)]
    pub braked: Option<String>,
    /// Why nothing more was claimed: the clock is not believed, or the bucket has not shown that it deletes. Null where there
    /// was no such reason.
    #[schema(required = true)]
    pub withheld: Option<String>,
    /// Items that are gone, counted by the reason for which they were due.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub reasons: BTreeMap<&'static str, u64>,
    /// Failed and unknown items, counted by code.
    pub failures: BTreeMap<String, u64>,
    /// At most 1000.
    pub items: Vec<ItemReport>,
}

/// What happened to one item.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CollectionReportItem)]
pub struct ItemReport {
    #[schema(value_type = Uuid)]
    pub id: MediaId,
    #[schema(value_type = String)]
    pub object_key: ObjectKey,
    /// Why the item was due: `expired`, `cancelled`, `detached` or `late_upload`; null where it turned out not to be
    /// due.
    #[schema(required = true)]
    pub reason: Option<&'static str>,
    pub outcome: ItemOutcome,
    /// The server's or our own code for what went wrong, or for why the item stays.
    #[schema(required = true)]
    pub code: Option<String>,
}

/// The outcome of one run for one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CollectionOutcome)]
#[serde(rename_all = "snake_case")]
pub enum ItemOutcome {
    Deleted,
    /// In the trash for its time.
    Trashed,
    Absent,
    InUse,
    Failed,
    Unknown,
    /// Dry runs only.
    WouldCollect,
}

impl RunReport {
    /// The counts of the run for the metrics.
    pub(super) fn counted(&self) -> Collected {
        Collected {
            deleted: self.collected,
            trashed: self.trashed,
            absent: self.absent,
            in_use: self.in_use,
            failed: self.failed,
            unknown: self.unknown,
            freed_bytes: self.bytes_freed,
            braked: self.braked.is_some(),
        }
    }

    pub(crate) fn new(run_id: Uuid, dry_run: bool) -> Self {
        Self {
            run_id,
            dry_run,
            due: 0,
            collected: 0,
            trashed: 0,
            absent: 0,
            in_use: 0,
            failed: 0,
            unknown: 0,
            bytes_freed: 0,
            more: false,
            braked: None,
            withheld: None,
            reasons: BTreeMap::new(),
            failures: BTreeMap::new(),
            items: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, item: ItemReport) {
        match item.outcome {
            ItemOutcome::Deleted => self.collected += 1,
            ItemOutcome::Trashed => self.trashed += 1,
            ItemOutcome::Absent => self.absent += 1,
            ItemOutcome::InUse => self.in_use += 1,
            ItemOutcome::Failed => self.failed += 1,
            ItemOutcome::Unknown => self.unknown += 1,
            ItemOutcome::WouldCollect => {}
        }
        match (item.outcome, item.reason) {
            (ItemOutcome::Deleted | ItemOutcome::Trashed | ItemOutcome::Absent, Some(reason)) => {
                *self.reasons.entry(reason).or_default() += 1
            }
            (ItemOutcome::Failed | ItemOutcome::Unknown, _) => self.count_failure(item.code.as_deref()),
            _ => {}
        }
        if self.items.len() < MAX_ITEMS {
            self.items.push(item);
        }
    }

    fn count_failure(&mut self, code: Option<&str>) {
        let code = code.unwrap_or(OTHER_CODES);
        let code = if self.failures.len() < MAX_CODES || self.failures.contains_key(code) { code } else { OTHER_CODES };
        *self.failures.entry(code.to_owned()).or_default() += 1;
    }
}
