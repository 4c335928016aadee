//! What analysts ask of `media`.

use crate::engine::View;

/// Items that were requested or uploaded and are neither confirmed nor being collected.
pub(crate) const PENDING_MEDIA: View =
    View { name: "pending_media", query: "SELECT * FROM media WHERE state IN ('pending', 'uploaded')" };

pub(crate) const FUNNEL_PER_DAY: View = View { name: "funnel_per_day", query: include_str!("funnel_per_day.sql") };

pub(crate) const BYTES_PER_OWNER: View = View { name: "bytes_per_owner", query: include_str!("bytes_per_owner.sql") };

pub(crate) const SUBSTITUTED_MEDIA: View =
    View { name: "substituted_media", query: include_str!("substituted_media.sql") };
