//! Why a command was refused. The codes are part of the HTTP interface and never change.

use chrono::{DateTime, Utc};

use crate::{
    policy::MAX_RENEWALS,
    values::{AttachedTo, ETag},
};

/// A command that the rules refuse; nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such media")]
    NotFound,
    #[error("this media was requested before with other values; use another Idempotency-Key")]
    RequestMismatch,
    #[error("the media is released, being collected or collected; request a new one")]
    Gone,
    #[error("the media was requested too long ago for a new ticket; request a new one")]
    TooOld,
    #[error("the media's ticket was renewed {MAX_RENEWALS} times; request a new media")]
    TooManyTickets,
    #[error("the media is already uploaded and needs no ticket; confirm it")]
    AlreadyUploaded,
    #[error("the media is already confirmed and needs no ticket")]
    AlreadyConfirmed,
    #[error("the object's {field} is {found}, but {requested} was requested; request a new media")]
    UploadMismatch { field: &'static str, requested: String, found: String },
    #[error("the object was {recorded} when it was recorded and is {found} now")]
    ContentChanged { recorded: ETag, found: ETag },
    #[error("the bucket does not hold the media's object; upload it first")]
    NotUploaded,
    #[error("the media is already attached to {attached_to}")]
    AttachedElsewhere { attached_to: AttachedTo },
    #[error("the media was cancelled; request a new one")]
    Cancelled,
    #[error("the media is not collectable before {collectable_at}")]
    NotDue { collectable_at: DateTime<Utc> },
    #[error("the media is confirmed, so it is in use")]
    InUse,
    #[error("the media is not being collected")]
    NotCollecting,
    #[error("the media is not in the trash, so there is nothing to restore")]
    NotTrashed,
    #[error("the media is being restored; try again")]
    Restoring,
    #[error("the media is not confirmed")]
    NotConfirmed,
    #[error("a ticket may write the media's object until {sealable_at}")]
    NotSealable { sealable_at: DateTime<Utc> },
}

impl Refusal {
    /// The stable code that programs compare.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::RequestMismatch => "request-mismatch",
            Self::Gone => "gone",
            Self::TooOld => "too-old",
            Self::TooManyTickets => "too-many-tickets",
            Self::AlreadyUploaded => "already-uploaded",
            Self::AlreadyConfirmed => "already-confirmed",
            Self::UploadMismatch { .. } => "upload-mismatch",
            Self::ContentChanged { .. } => "content-changed",
            Self::NotUploaded => "not-uploaded",
            Self::AttachedElsewhere { .. } => "attached-elsewhere",
            Self::Cancelled => "cancelled",
            Self::NotDue { .. } => "not-due",
            Self::InUse => "in-use",
            Self::NotCollecting => "not-collecting",
            Self::NotTrashed => "not-trashed",
            Self::Restoring => "restoring",
            Self::NotConfirmed => "not-confirmed",
            Self::NotSealable { .. } => "not-sealable",
        }
    }
}
