//! What a declared checksum is worth that nobody but the client has seen.

use zeroload_domain::{Media, ObjectFacts};

use crate::media::ServiceError;

/// What a confirm does where a checksum was declared with the request, and the bucket shows none of the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumPolicy {
    /// The item is confirmed, and `checksum_verified` says that nobody has seen the checksum.
    #[default]
    Trust,
    /// The confirm is refused: [`ServiceError::ChecksumUnverified`].
    Require,
}

impl ChecksumPolicy {
    /// Refuses an upload whose declared checksum nobody has seen, by what a look has shown or else by what was recorded. A
    /// checksum that differs is refused by the rules themselves.
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
