//! A suspicion against what is true now: the item's stream, and a HEAD.

use zeroload_domain::{Media, MediaId, SeenVia};
use zeroload_projections::{Finding, FindingKind, Owned};

use super::{ReconcileError, Reconciler, Step, compare::Suspicion};
use crate::{
    commands::{CommandError, Loaded},
    late_uploads::Looked,
    storage::{Listed, Location},
};

pub(super) const REPORTED: &str = "reported";
pub(super) const COLLECTED_AGAIN: &str = "collected_again";

impl Reconciler {
    /// What is wrong, if it still is.
    pub(super) async fn verify_one(
        &self,
        suspicion: Suspicion,
        step: &Step,
    ) -> Result<Option<Finding>, ReconcileError> {
        match suspicion {
            Suspicion::Confirmed { item } => self.confirmed(&item).await,
            Suspicion::CameBack { id, object } => self.came_back(id, &object, step).await,
            Suspicion::Unknown { id: None, object } => Ok(Some(self.unknown(&object))),
            // The event of a request comes before its object: whoever reads the stream after the listing sees it.
            Suspicion::Unknown { id: Some(id), object } => match self.owner(id, &object.key).await? {
                None => Ok(Some(self.unknown(&object))),
                Some(Loaded { media: Media::Collected(..), .. }) => self.came_back(id, &object, step).await,
                Some(_) => Ok(None),
            },
        }
    }

    /// The item of this id, if this is the key of its object.
    pub(super) async fn owner(&self, id: MediaId, key: &str) -> Result<Option<Loaded>, CommandError> {
        let loaded = self.parts.commands.load_internal(id).await?;
        let owns = loaded.media.ticketed().is_some_and(|ticketed| ticketed.request.object_key.as_str() == key);
        Ok(owns.then_some(loaded))
    }

    /// A confirmed item's object is missing or another one only if it is so by a look between two reads of its stream
    /// that agree.
    async fn confirmed(&self, item: &Owned) -> Result<Option<Finding>, ReconcileError> {
        let before = self.parts.commands.load_internal(item.media_id).await?;
        let Media::Confirmed(ticketed, pinned, _) = &before.media else { return Ok(None) };
        let recorded = &pinned.facts;
        let found = self.parts.gateway.head(&Location::of(&ticketed.request)).await?;
        let kind = match &found {
            None => FindingKind::Missing,
            Some(found) if found.etag == recorded.etag && found.content_length == recorded.content_length => {
                return Ok(None);
            }
            Some(_) => FindingKind::Differs,
        };
        if self.parts.commands.load_internal(item.media_id).await?.sequence != before.sequence {
            return Ok(None);
        }
        Ok(Some(Finding {
            kind,
            object_key: item.object_key.as_str().to_owned(),
            media_id: Some(item.media_id),
            found_at: self.parts.clock.now(),
            size: found.as_ref().map(|found| found.content_length.bytes()),
            etag: found.as_ref().map(|found| found.etag.to_string()),
            last_modified: None,
            expected_size: Some(recorded.content_length.bytes()),
            expected_etag: Some(recorded.etag.to_string()),
            action: REPORTED.to_owned(),
        }))
    }

    /// Claims what came back after its collection; the collector deletes it. The claim that was there before the look goes
    /// along, so that bytes of before the collection cannot be taken for new ones.
    async fn came_back(&self, id: MediaId, object: &Listed, step: &Step) -> Result<Option<Finding>, ReconcileError> {
        let Some(Loaded { media: Media::Collected(ticketed, claimed, _), .. }) = self.owner(id, &object.key).await?
        else {
            return Ok(None);
        };
        let mut finding = self.of_object(FindingKind::CameBack, object);
        finding.media_id = Some(id);
        let at = Location::of(&ticketed.request);
        if step.walk.report_only.is_some() {
            return Ok(self.parts.gateway.head(&at).await?.map(|_| finding));
        }
        COLLECTED_AGAIN.clone_into(&mut finding.action);
        let (via, now) = (SeenVia::Reconciliation, self.parts.clock.now());
        match self.parts.late_uploads.look(id, &at, claimed.claim, via, &step.origin, now).await? {
            Looked::Found => Ok(Some(finding)),
            Looked::Gone | Looked::NotCollected => Ok(None),
        }
    }

    fn unknown(&self, object: &Listed) -> Finding {
        self.of_object(FindingKind::Unknown, object)
    }

    fn of_object(&self, kind: FindingKind, object: &Listed) -> Finding {
        Finding {
            kind,
            object_key: object.key.clone(),
            media_id: None,
            found_at: self.parts.clock.now(),
            size: Some(object.size),
            etag: Some(object.etag.clone()),
            last_modified: object.last_modified,
            expected_size: None,
            expected_etag: None,
            action: REPORTED.to_owned(),
        }
    }
}
