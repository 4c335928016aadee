//! What a declared checksum is worth if the bucket does not show the object's checksum.

use zeroload_domain::{Media, ObjectFacts};

use crate::media::ServiceError;

/// What a confirm does if the request declared a checksum, and the bucket shows none for the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumPolicy {
    /// The item is confirmed, and `checksum_verified` says that the bucket has not shown the checksum.
    #[default]
    Trust,
    /// The confirm is refused: [`ServiceError::ChecksumUnverified`].
    Require,
}

impl ChecksumPolicy {
    /// With [`Self::Require`], refuses an upload whose declared checksum is neither in the `facts` of a HEAD nor,
    /// without them, in the recorded upload. A checksum that differs is refused by the domain's rules.
    pub(super) fn check(self, media: &Media, facts: Option<&ObjectFacts>) -> Result<(), ServiceError> {
        let recorded = if let Media::Uploaded(_, recorded) = media { Some(recorded) } else { None };
        let declared = media.ticketed().is_some_and(|ticketed| ticketed.request.checksum_sha256.is_some());
        let unseen = facts.or(recorded).is_some_and(|facts| facts.checksum_sha256.is_none());
        match self {
            Self::Require if declared && unseen => Err(ServiceError::ChecksumUnverified),
            Self::Require | Self::Trust => Ok(()),
        }
    }
}
