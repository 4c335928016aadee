//! Deletes objects that belong to no item: only on an explicit command, and only objects that are old enough.
//!
//! P-1 is at stake: a key that no item owns now must not become an item's before the delete lands. Ids of version 7 are
//! made once, at random, so no later item can come to own such a key. Ids of version 8 are derived from idempotency
//! keys, and a request may bring such an id back at any moment: their objects are only reported. A key that has not the
//! form of an item's never becomes an item's.

use chrono::{DateTime, TimeDelta, Utc};
use zeroload_domain::ObjectKey;
use zeroload_projections::{Finding, FindingKind};

use super::{ReconcileError, Reconciler, Step, compare::is_our_own, verify::REPORTED};
use crate::storage::Deletion;

pub(super) const DELETED: &str = "deleted";
/// Too young, or of an age that the server does not tell.
pub(super) const TOO_YOUNG: &str = "kept: too young";
/// A request with the same idempotency key would own the object.
const MAY_BE_REQUESTED: &str = "kept: may be requested again";
/// The journal knows an item of this id by now, or the key is our own.
const OWNED: &str = "kept: an item's";

/// The key is like those of a service with a prefix below ours.
const OTHER_SERVICE: &str = "kept: may be another service's";

/// The version of ids that are derived from idempotency keys.
const DERIVED: usize = 8;

/// Keys that are checked and then deleted with one call: few, so that the delete follows a moment after the check.
const AT_ONCE: usize = 100;

impl Reconciler {
    /// Deletes the unknown objects that are older than `age` seconds, and writes into each finding what was done.
    pub(super) async fn delete_unknown(
        &self,
        findings: &mut [Finding],
        age: u64,
        step: &mut Step,
    ) -> Result<(), ReconcileError> {
        let older_than = self.handles.clock.now() - TimeDelta::seconds(i64::try_from(age).unwrap_or(i64::MAX / 1000));
        let mut unknown: Vec<&mut Finding> = findings
            .iter_mut()
            .filter(|finding| finding.kind == FindingKind::Unknown && finding.action == REPORTED)
            .collect();
        for chunk in unknown.chunks_mut(AT_ONCE) {
            let mut doomed = Vec::new();
            for finding in chunk {
                match self.reason_to_keep(finding, older_than).await? {
                    Some(reason) => reason.clone_into(&mut finding.action),
                    None => doomed.push(finding),
                }
            }
            if doomed.is_empty() {
                continue;
            }
            // The bucket may have become another journal's since the walk began.
            if let Some(problem) = self.look_at_bucket().await? {
                step.walk.report_only = Some(problem);
                return Ok(());
            }
            self.pace(step).await;
            let keys: Vec<&str> = doomed.iter().map(|finding| finding.object_key.as_str()).collect();
            let deletions = self.handles.gateway.delete_unowned(&keys).await;
            for (finding, deletion) in doomed.into_iter().zip(deletions) {
                finding.action = match deletion {
                    Deletion::Gone => {
                        tracing::info!(object.key = finding.object_key, "an object of no item was deleted");
                        DELETED.to_owned()
                    }
                    Deletion::Failed { code } => format!("failed: {code}"),
                    Deletion::Unknown { why } => format!("failed: {}", why.reason()),
                };
            }
        }
        Ok(())
    }

    async fn reason_to_keep(
        &self,
        finding: &Finding,
        older_than: DateTime<Utc>,
    ) -> Result<Option<&'static str>, ReconcileError> {
        if is_our_own(&finding.object_key, self.handles.gateway.prefix()) {
            return Ok(Some(OWNED));
        }
        if finding.last_modified.is_none_or(|at| at > older_than) {
            return Ok(Some(TOO_YOUNG));
        }
        // Another service may have a prefix below ours: its marker and its items are not ours to judge.
        if finding.object_key.split('/').any(|part| part.starts_with('.')) {
            return Ok(Some(OTHER_SERVICE));
        }
        let Ok(key) = ObjectKey::parse(finding.object_key.as_str()) else { return Ok(None) };
        if !key.is_in(self.handles.gateway.prefix()) {
            return Ok(Some(OTHER_SERVICE));
        }
        if key.media_id().as_uuid().get_version_num() == DERIVED {
            return Ok(Some(MAY_BE_REQUESTED));
        }
        // An item counts even if it has another key now: a restore may be about to give it this one.
        let known = self.handles.commands.load_internal(key.media_id()).await?.sequence > 0;
        Ok(known.then_some(OWNED))
    }
}
