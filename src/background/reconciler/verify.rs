//! Verifies suspicions against the item's stream, and against a HEAD if one is needed.
//!
//! A HEAD that fails is repeated, and the bucket's marker is read in between: while the marker cannot be read, no
//! finding is made of the entry, and the walk stops to be taken up later. An entry whose HEADs go on failing while the
//! marker can be read is put aside, with the reason, and stops no other.

use futures_util::{StreamExt, stream};
use zeroload_domain::{Media, MediaId, SeenVia};
use zeroload_projections::{ExpectedObject, Finding, FindingKind};

use super::{ReconcileError, Reconciler, Step, compare::Suspicion, shown};
use crate::{
    media::{Loaded, commands::CommandError, late_uploads::LateCheck},
    storage::{Illegible, Listed, Location, ThrottleStreak},
};

/// Suspicions that are verified at once.
const LOOKS: usize = 16;

/// HEADs of an entry before it is put aside. The gateway repeats each of them once, after a pause.
const TRIES: usize = 3;

/// Characters of an unreadable key that a finding keeps: more than S3 lets a key have, escaped.
const KEY: usize = 3072;

pub(super) const REPORTED: &str = "reported";
pub(super) const COLLECTED_AGAIN: &str = "collected_again";

impl Reconciler {
    /// Verifies a batch of suspicions, and collects or deletes what is to be collected or deleted. If the walk is to
    /// stop before the end of the batch, returns the place that was reached.
    pub(super) async fn verify(
        &self,
        batch: Vec<Suspicion>,
        step: &mut Step,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<String>, ReconcileError> {
        let mut batch = batch.into_iter();
        let streak = ThrottleStreak::default();
        let mut stopped_at = None;
        loop {
            let chunk: Vec<Suspicion> = batch.by_ref().take(LOOKS).collect();
            let Some(place) = chunk.last().map(|last| last.place().to_owned()) else { break };
            self.look_at(chunk, &streak, step, findings).await?;
            if self.is_stopping() && batch.len() > 0 {
                stopped_at = Some(place);
                break;
            }
        }
        if step.walk.report_only.is_none() {
            self.remove_orphans(findings, step).await?;
            if let Some(age) = step.walk.delete_older_than {
                self.delete_unknown(findings, age, step).await?;
            }
        }
        Ok(stopped_at)
    }

    async fn look_at(
        &self,
        mut open: Vec<Suspicion>,
        streak: &ThrottleStreak,
        step: &mut Step,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ReconcileError> {
        let mut failed = Vec::new();
        for _ in 0..TRIES {
            failed.clear();
            for _ in open.iter().filter(|suspicion| suspicion.needs_look()) {
                self.pace(step).await;
            }
            let shared = &*step;
            let look = |suspicion: Suspicion| async move {
                let verified = self.verify_one(&suspicion, shared).await;
                (suspicion, verified)
            };
            let looked: Vec<_> = stream::iter(open).map(look).buffered(LOOKS).collect().await;
            let mut broken = None;
            for (suspicion, verified) in looked {
                match verified {
                    Ok(found) => {
                        streak.note(None);
                        findings.extend(found);
                    }
                    Err(ReconcileError::Storage(why)) => failed.push((suspicion, why)),
                    Err(error) => broken = broken.or(Some(error)),
                }
            }
            if let Some(error) = broken {
                return Err(error);
            }
            if failed.is_empty() {
                return Ok(());
            }
            // If the bucket as a whole does not answer, no entry is put aside: the walk stops, and goes on once the
            // bucket is back.
            self.pace(step).await;
            if let Some(problem) = self.look_at_bucket().await? {
                step.walk.report_only = Some(problem);
            }
            open = failed.iter().map(|(suspicion, _)| suspicion.clone()).collect();
        }
        for (suspicion, why) in failed.drain(..) {
            streak.note(Some(&why));
            if streak.is_lost() {
                return Err(why.into());
            }
            findings.push(self.unreadable(&suspicion, &why.to_string()));
        }
        Ok(())
    }

    /// The finding, if the suspicion is still true.
    async fn verify_one(&self, suspicion: &Suspicion, step: &Step) -> Result<Option<Finding>, ReconcileError> {
        match suspicion {
            Suspicion::Confirmed { item } => self.confirmed(item).await,
            Suspicion::CameBack { id, object } => self.came_back(*id, object, step).await,
            Suspicion::Unknown { id: None, object } => Ok(Some(self.unknown(object))),
            // A request is in the journal before its object is in the bucket: a stream that is read after the listing
            // has it.
            Suspicion::Unknown { id: Some(id), object } => match self.owner(*id, &object.key).await? {
                None => Ok(Some(self.unknown(object))),
                Some(Loaded { media: Media::Collected(..), .. }) => self.came_back(*id, object, step).await,
                Some(_) => Ok(None),
            },
            Suspicion::Orphaned { key, object } => self.orphaned(key, object).await,
            Suspicion::Illegible(entry) => Ok(Some(self.unreadable(suspicion, entry.reason))),
        }
    }

    /// The finding for an entry that could not be checked.
    fn unreadable(&self, suspicion: &Suspicion, reason: &str) -> Finding {
        let finding = match suspicion {
            Suspicion::Confirmed { item } => Finding {
                media_id: Some(item.media_id),
                expected_size: Some(item.content_length.bytes()),
                expected_etag: item.etag.as_ref().map(ToString::to_string),
                ..self.bare(item.object_key.as_str())
            },
            Suspicion::CameBack { id, object } => {
                Finding { media_id: Some(*id), ..self.of_object(FindingKind::Unreadable, object) }
            }
            Suspicion::Unknown { id, object } => {
                Finding { media_id: *id, ..self.of_object(FindingKind::Unreadable, object) }
            }
            Suspicion::Orphaned { key, object } => {
                Finding { media_id: Some(key.media_id()), ..self.of_object(FindingKind::Unreadable, object) }
            }
            Suspicion::Illegible(Illegible { key, .. }) => self.bare(&key.chars().take(KEY).collect::<String>()),
        };
        Finding { action: format!("skipped: {}", shown(reason)), ..finding }
    }

    fn bare(&self, key: &str) -> Finding {
        Finding {
            kind: FindingKind::Unreadable,
            object_key: key.to_owned(),
            media_id: None,
            found_at: self.handles.clock.now(),
            size: None,
            etag: None,
            last_modified: None,
            expected_size: None,
            expected_etag: None,
            action: REPORTED.to_owned(),
        }
    }

    /// The item of this id, if this is the key of its object in this bucket.
    pub(super) async fn owner(&self, id: MediaId, key: &str) -> Result<Option<Loaded>, CommandError> {
        let loaded = self.handles.commands.load_internal(id).await?;
        let owns = loaded.media.ticketed().is_some_and(|ticketed| {
            ticketed.request.object_key.as_str() == key && self.handles.gateway.serves(&Location::of(&ticketed.request))
        });
        Ok(owns.then_some(loaded))
    }

    /// A confirmed item's object counts as missing or another one only if a HEAD says so, and the item's stream is the
    /// same before and after the HEAD.
    async fn confirmed(&self, item: &ExpectedObject) -> Result<Option<Finding>, ReconcileError> {
        let before = self.handles.commands.load_internal(item.media_id).await?;
        let Media::Confirmed(ticketed, pinned, _) = &before.media else { return Ok(None) };
        let recorded = &pinned.facts;
        let found = self.handles.gateway.head(&Location::of(&ticketed.request)).await?;
        let kind = match &found {
            None => FindingKind::Missing,
            Some(found) if found.etag == recorded.etag && found.content_length == recorded.content_length => {
                return Ok(None);
            }
            Some(_) => FindingKind::Differs,
        };
        if self.handles.commands.load_internal(item.media_id).await?.sequence != before.sequence {
            return Ok(None);
        }
        Ok(Some(Finding {
            kind,
            object_key: item.object_key.as_str().to_owned(),
            media_id: Some(item.media_id),
            found_at: self.handles.clock.now(),
            size: found.as_ref().map(|found| found.content_length.bytes()),
            etag: found.as_ref().map(|found| found.etag.to_string()),
            last_modified: None,
            expected_size: Some(recorded.content_length.bytes()),
            expected_etag: Some(recorded.etag.to_string()),
            action: REPORTED.to_owned(),
        }))
    }

    /// Claims an object that came back after its collection; the collector deletes it. The command names the claim that
    /// was in the stream before the HEAD, so that bytes of before the collection cannot be taken for new ones.
    async fn came_back(&self, id: MediaId, object: &Listed, step: &Step) -> Result<Option<Finding>, ReconcileError> {
        let Some(Loaded { media: Media::Collected(ticketed, claimed, _), .. }) = self.owner(id, &object.key).await?
        else {
            return Ok(None);
        };
        let mut finding = self.of_object(FindingKind::CameBack, object);
        finding.media_id = Some(id);
        let at = Location::of(&ticketed.request);
        if step.walk.report_only.is_some() {
            return Ok(self.handles.gateway.head(&at).await?.map(|_| finding));
        }
        COLLECTED_AGAIN.clone_into(&mut finding.action);
        let (via, now) = (SeenVia::Reconciliation, self.handles.clock.now());
        match self.handles.late_uploads.look(id, &at, claimed.claim, via, &step.origin, now).await? {
            LateCheck::Found => Ok(Some(finding)),
            LateCheck::Gone | LateCheck::NotCollected => Ok(None),
        }
    }

    pub(super) fn unknown(&self, object: &Listed) -> Finding {
        self.of_object(FindingKind::Unknown, object)
    }

    pub(super) fn of_object(&self, kind: FindingKind, object: &Listed) -> Finding {
        Finding {
            kind,
            object_key: object.key.clone(),
            media_id: None,
            found_at: self.handles.clock.now(),
            size: Some(object.size),
            etag: Some(object.etag.clone()),
            last_modified: object.last_modified,
            expected_size: None,
            expected_etag: None,
            action: REPORTED.to_owned(),
        }
    }
}
