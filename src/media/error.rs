//! Why a backend's call failed.

use zeroload_domain::Refusal;

use super::commands::CommandError;
use crate::storage::{SignError, StorageError};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("storage is unavailable: {0}")]
    Storage(String),
    #[error("a ticket cannot be signed: {0}")]
    Sign(SignError),
    #[error(
        "the media was requested with a checksum, and the bucket does not show the object's SHA-256; checksum_policy is \
         require, so it is not taken for the right one"
    )]
    ChecksumUnverified,
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        Self::Command(refusal.into())
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}
