//! A fault: an effect, and when it acts.

use std::num::NonZeroU32;

use s3s::S3ErrorCode;

/// S3 operations a fault can be tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    PutObject,
    CopyObject,
    GetObject,
    HeadObject,
    DeleteObject,
    DeleteObjects,
    ListObjectsV2,
    ListBuckets,
    CreateBucket,
    HeadBucket,
    GetBucketLocation,
    GetBucketVersioning,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::ListBuckets => "ListBuckets",
            Self::CreateBucket => "CreateBucket",
            Self::HeadBucket => "HeadBucket",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketVersioning => "GetBucketVersioning",
        }
    }
}

/// An S3 error and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 503
    SlowDown,
    /// 403
    AccessDenied,
    /// 500
    InternalError,
    /// 501
    NotImplemented,
    /// 400, as for a HEAD of an object that is encrypted with a key which only its client knows.
    InvalidRequest,
}

impl Refusal {
    pub(crate) fn code(self) -> S3ErrorCode {
        match self {
            Self::SlowDown => S3ErrorCode::SlowDown,
            Self::AccessDenied => S3ErrorCode::AccessDenied,
            Self::InternalError => S3ErrorCode::InternalError,
            Self::NotImplemented => S3ErrorCode::NotImplemented,
            Self::InvalidRequest => S3ErrorCode::InvalidRequest,
        }
    }
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Answers with an error; nothing else happens.
    Refuse(Refusal),
    /// Answers a `DeleteObjects` with the error for each key that fits; the other keys are deleted.
    RefuseKey(Refusal),
    /// Answers a whole `DeleteObjects` with an error if one of its keys fits.
    RefuseCall(Refusal),
    /// Closes the connection; nothing else happens.
    CutRequest,
    /// Does the work, then closes the connection instead of answering.
    CutAnswer,
    /// `GetBucketVersioning` says `Enabled`, although nothing is versioned.
    ReportVersioned,
    /// `ListObjectsV2` lists the keys of a page from the last to the first.
    ListBackwards,
    /// `ListObjectsV2` always begins with the first key.
    ListAnew,
    /// A proxy in front of the server answers a request for an object or the bucket with `404 text/plain`, before the
    /// server sees it. A fault on an operation fits by method alone: GET, HEAD, PUT, DELETE or POST.
    StandIn,
    /// The server has a manner of another S3 server.
    Manner(Manner),
}

impl Effect {
    /// Whether the effect acts when the request is let in; other effects act where the request's work is done.
    pub(super) fn acts_before_the_work(self) -> bool {
        matches!(self, Self::Refuse(_) | Self::CutRequest | Self::CutAnswer)
    }
}

/// Manners of other S3 servers. A manner lasts until the faults are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Signatures are not verified, nor dates and lengths that were signed.
    ChecksNoSignature,
    /// A PUT or DELETE with a condition is answered with 501.
    RefusesConditions,
    /// A `DeleteObjects` without `Content-MD5` is answered with 400.
    WantsContentMd5,
    /// A PUT whose checksum is wrong is answered with 400, and its bytes are kept.
    KeepsRefusedBytes,
    /// The checksum of a PUT is stored and returned, but never compared with the bytes.
    RepeatsChecksums,
    /// No checksum is compared or returned.
    KeepsNoChecksums,
    /// A list claims `EncodingType=url`, and does not escape its keys.
    ListsKeysAsTheyAre,
    /// `GetBucketVersioning` is answered with a list, as if there were no query.
    IgnoresTheVersioningQuery,
    /// A 404 to a HEAD is an empty page without `x-amz-request-id`.
    HasPlainNotFounds,
}

/// An effect and when it acts: on every operation and key, until cleared, unless narrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(super) effect: Effect,
    pub(super) target: Target,
    pub(super) times: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) operation: Option<Operation>,
    pub(super) key: Option<String>,
}

impl Target {
    pub(super) fn fits(&self, operation: &str, key: Option<&str>) -> bool {
        self.operation.is_none_or(|wanted| wanted.name() == operation)
            && self.key.as_deref().is_none_or(|wanted| key == Some(wanted))
    }
}

impl Fault {
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self { effect, target: Target::default(), times: None }
    }

    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.target.operation = Some(operation);
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.target.key = Some(key.into());
        self
    }

    #[must_use]
    pub fn times(mut self, times: NonZeroU32) -> Self {
        self.times = Some(times);
        self
    }

    #[must_use]
    pub fn once(self) -> Self {
        self.times(NonZeroU32::MIN)
    }
}
