//! Why nothing is known about an object.
//!
//! A server's answer proves something or it does not. What does not is [`StorageError::Unavailable`]: nobody may take it
//! for "absent" or "gone" (P-1, P-7). Its text never holds an address, a signed URL or a secret: those can be in the
//! SDK's own messages, so only status, code and the innermost I/O error are taken over.

use std::{error::Error, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use zeroload_domain::{Bucket, Store};

/// An S3 error code is a short word; anything longer is not taken over from the wire.
const MAX_CODE: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Nothing was asked: the item is in a bucket that this process does not serve.
    #[error("the item is in bucket {bucket} of store {store}, which is not the one served here")]
    OtherBucket { store: Store, bucket: Bucket },
    /// The server was not reached, or its answer proves nothing.
    #[error("{detail}")]
    Unavailable {
        kind: Fault,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// S3's error code, if the answer had one.
        code: Option<String>,
        detail: String,
    },
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection could not be made or was lost.
    Connection,
    /// No answer in time; what was asked may have happened.
    Timeout,
    /// The server asks for fewer requests.
    Throttled,
    /// The server failed.
    Server,
    /// The server refuses: rights, credentials, a bucket that does not exist. It will not pass by itself.
    Refused,
    /// An answer that is not understood.
    Answer,
    /// No credentials could be had.
    Credentials,
}

impl Fault {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Refused => "refused",
            Self::Answer => "answer",
            Self::Credentials => "credentials",
        }
    }

    const fn of_status(status: u16) -> Self {
        match status {
            429 | 503 => Self::Throttled,
            408 => Self::Timeout,
            500.. => Self::Server,
            // A redirect names another region or address than the one that was set.
            300..500 => Self::Refused,
            _ => Self::Answer,
        }
    }
}

impl StorageError {
    /// An answer that was had but cannot be used.
    pub(super) fn answer(detail: impl Into<String>) -> Self {
        Self::Unavailable { kind: Fault::Answer, status: None, code: None, detail: detail.into() }
    }

    /// One word for it: S3's own code, else what kind of fault it was.
    pub fn reason(&self) -> &str {
        match self {
            Self::OtherBucket { .. } => "other-bucket",
            Self::Unavailable { code: Some(code), .. } => code,
            Self::Unavailable { kind, .. } => kind.as_str(),
        }
    }

    /// S3's error code, if there was one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::OtherBucket { .. } => None,
            Self::Unavailable { code, .. } => code.as_deref(),
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::OtherBucket { .. } => None,
            Self::Unavailable { status, .. } => *status,
        }
    }
}

impl<E> From<&SdkError<E, HttpResponse>> for StorageError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        let code = error.as_service_error().and_then(|e| e.code()).and_then(clean_code);
        let (kind, detail) = match error {
            SdkError::TimeoutError(_) => (Fault::Timeout, "no answer from storage in time".to_owned()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                (Fault::Timeout, "no answer from storage in time".to_owned())
            }
            SdkError::ServiceError(_) => {
                let status = status.unwrap_or_default();
                let kind = match code.as_deref() {
                    Some("SlowDown" | "ServiceUnavailable" | "TooManyRequests" | "RequestLimitExceeded") => {
                        Fault::Throttled
                    }
                    Some("InternalError") => Fault::Server,
                    Some("RequestTimeout") => Fault::Timeout,
                    _ if (200..300).contains(&status) => Fault::Answer,
                    _ => Fault::of_status(status),
                };
                let word = code.as_deref().unwrap_or("no error code");
                (kind, format!("storage answered {status} ({word})"))
            }
            _ if source_of::<CredentialsError>(error).is_some() => {
                (Fault::Credentials, "no credentials for storage could be had".to_owned())
            }
            SdkError::DispatchFailure(_) => {
                let cause = source_of::<io::Error>(error).map_or_else(String::new, |io| format!(": {io}"));
                (Fault::Connection, format!("the connection to storage failed{cause}"))
            }
            SdkError::ResponseError(_) if source_of::<io::Error>(error).is_some() => {
                (Fault::Connection, "the connection to storage was lost during the answer".to_owned())
            }
            _ => (Fault::Answer, "the answer from storage is not understood".to_owned()),
        };
        Self::Unavailable { kind, status, code, detail }
    }
}

/// The innermost source of type `T`.
fn source_of<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |e: &&'a (dyn Error + 'static)| (*e).source())
        .filter_map(|e| e.downcast_ref::<T>())
        .last()
}

/// An error code as it came over the wire, if it looks like one.
pub(super) fn clean_code(code: &str) -> Option<String> {
    let fits = (1..=MAX_CODE).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    fits.then(|| code.to_owned())
}

#[cfg(test)]
mod tests;
