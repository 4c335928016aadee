//! Counts the findings of a walk, each once however often it is found.

use zeroload_projections::{Counts, Finding, FindingKind};

use super::{Step, unknown::DELETED};

impl Step {
    /// Counts the findings up to the place of the walk: those of now, and those that an earlier try saved before it
    /// broke off.
    pub(super) fn count(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.uncounted.remove(&finding.object_key);
            count(&mut self.walk.counts, finding);
        }
        if !self.uncounted.is_empty() {
            let (counts, place) = (&mut self.walk.counts, &self.walk.after_key);
            self.uncounted.retain(|key, finding| {
                let reached = key <= place;
                if reached {
                    count(counts, finding);
                }
                !reached
            });
        }
    }
}

fn count(counts: &mut Counts, finding: &Finding) {
    let of_kind = match finding.kind {
        FindingKind::CameBack => &mut counts.came_back,
        FindingKind::Unknown => &mut counts.unknown,
        FindingKind::Missing => &mut counts.missing,
        FindingKind::Differs => &mut counts.differs,
        FindingKind::Unreadable => &mut counts.unreadable,
        FindingKind::Orphaned => &mut counts.orphaned,
    };
    *of_kind += 1;
    if finding.action == DELETED {
        counts.deleted += 1;
    }
    let id = finding.media_id.map(|id| id.to_string());
    match finding.kind {
        FindingKind::Missing | FindingKind::Differs => tracing::error!(
            finding.kind = finding.kind.as_str(),
            media.id = id,
            object.key = finding.object_key,
            "the object of a confirmed item is missing or different"
        ),
        FindingKind::Unreadable => tracing::warn!(
            media.id = id,
            object.key = ?finding.object_key,
            finding.action,
            "an entry could not be checked, and nothing is known of its object"
        ),
        FindingKind::CameBack | FindingKind::Unknown | FindingKind::Orphaned => {}
    }
}
