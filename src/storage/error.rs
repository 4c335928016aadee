//! Why nothing is known about an object.
//!
//! A server's answer either proves something or is a [`StorageError::Unavailable`], which nobody may take for "absent"
//! or "gone" (P-1, P-7). The error's text names the operation and the answer: status, and S3's own code, message and
//! request id, each bounded and escaped (P-13). The text never holds an address, a signed URL or a secret: those can be
//! in the SDK's own messages, so of these only the innermost I/O error is taken over.

use std::{error::Error, fmt::Write, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use zeroload_domain::{Bucket, Store};

use crate::outside::innermost;

/// An S3 error code is a short word, and so are a request id and a media type; anything longer is not taken over from the
/// wire.
const MAX_CODE: usize = 64;

/// Characters that are kept of a message of S3's or of the network.
const MAX_MESSAGE: usize = 200;

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
        /// For people: the operation and its answer, without a full stop.
        detail: String,
    },
}

/// The operation behind an error of the SDK, by the name that S3's documentation and policies give it.
pub(super) trait Asked {
    const OPERATION: &'static str;
}

macro_rules! asked {
    ($($module:ident::$error:ident = $name:literal,)*) => {
        $(impl Asked for aws_sdk_s3::operation::$module::$error {
            const OPERATION: &'static str = $name;
        })*
    };
}

asked! {
    abort_multipart_upload::AbortMultipartUploadError = "AbortMultipartUpload",
    copy_object::CopyObjectError = "CopyObject",
    delete_object::DeleteObjectError = "DeleteObject",
    delete_objects::DeleteObjectsError = "DeleteObjects",
    get_bucket_versioning::GetBucketVersioningError = "GetBucketVersioning",
    get_object::GetObjectError = "GetObject",
    get_object_legal_hold::GetObjectLegalHoldError = "GetObjectLegalHold",
    get_object_retention::GetObjectRetentionError = "GetObjectRetention",
    head_object::HeadObjectError = "HeadObject",
    list_multipart_uploads::ListMultipartUploadsError = "ListMultipartUploads",
    list_object_versions::ListObjectVersionsError = "ListObjectVersions",
    list_objects_v2::ListObjectsV2Error = "ListObjectsV2",
    list_parts::ListPartsError = "ListParts",
    put_object::PutObjectError = "PutObject",
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection could not be made, or was lost.
    Connection,
    /// No answer in time; the request may have been carried out.
    Timeout,
    /// The server asks for fewer requests.
    Throttled,
    /// The server failed.
    Server,
    /// The server refuses: rights, credentials, a bucket that does not exist. A refusal will not pass by itself.
    Refused,
    /// The answer is not understood.
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
    /// The error for an answer that came but cannot be used.
    pub(super) fn answer(detail: impl Into<String>) -> Self {
        Self::Unavailable { kind: Fault::Answer, status: None, code: None, detail: detail.into() }
    }

    /// The error for an answer to a request that was sent without the SDK, such as a ticket's PUT; `body` is the
    /// beginning of the answer's body.
    pub(super) fn answered(operation: &str, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let answer = Answer {
            operation,
            status,
            code: element(&body, "Code").and_then(clean_code),
            message: element(&body, "Message"),
            request_id: header(REQUEST_ID),
            content_type: header("content-type"),
            wants_tls: says_https(&body),
        };
        answer.into_error()
    }

    /// Advises to grant `right`, if the answer was a denial; empty where a right would not help.
    pub fn advice(&self, right: &str) -> String {
        // An answer to HEAD has no code. Any other code of a 403 is about access keys or clocks, not rights.
        let denied = match self.code() {
            Some(code) => code == "AccessDenied",
            None => self.status() == Some(403),
        };
        if denied { format!("; grant {right}") } else { String::new() }
    }

    /// Whether there was an answer, from S3 or from a proxy in front of S3.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::OtherBucket { .. } => false,
            Self::Unavailable { kind, status, .. } => status.is_some() || *kind == Fault::Answer,
        }
    }

    /// The error in one word: S3's own code, else the kind of fault.
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
    E: Asked + ProvideErrorMetadata + Error + 'static,
{
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        let operation = E::OPERATION;
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        let (kind, detail) = match error {
            SdkError::ServiceError(refusal) => {
                let header = |name| refusal.raw().headers().get(name);
                let answer =
                    Answer {
                        operation,
                        status: status.unwrap_or_default(),
                        code: refusal.err().code().and_then(clean_code),
                        message: refusal.err().message(),
                        request_id: header(REQUEST_ID),
                        content_type: header("content-type"),
                        wants_tls: refusal.raw().body().bytes().is_some_and(|body| {
                            says_https(&String::from_utf8_lossy(&body[..body.len().min(MAX_READ)]))
                        }),
                    };
                return answer.into_error();
            }
            SdkError::TimeoutError(_) => (Fault::Timeout, format!("storage gave no answer to {operation} in time")),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                (Fault::Timeout, format!("storage gave no answer to {operation} in time"))
            }
            _ if innermost::<CredentialsError>(error).is_some() => {
                (Fault::Credentials, format!("no credentials for {operation} could be had"))
            }
            SdkError::DispatchFailure(_) => {
                let cause = innermost::<io::Error>(error).map_or_else(String::new, |io| format!(": {}", network(io)));
                (Fault::Connection, format!("the connection to storage for {operation} failed{cause}"))
            }
            SdkError::ResponseError(_) if innermost::<io::Error>(error).is_some() => {
                (Fault::Connection, format!("the connection to storage was lost during the answer to {operation}"))
            }
            _ => {
                let answer = status.map_or_else(String::new, |status| format!(" ({status})"));
                (Fault::Answer, format!("the answer of storage to {operation} is not understood{answer}"))
            }
        };
        Self::Unavailable { kind, status, code: None, detail }
    }
}

/// What identifies a request in the server's own logs.
const REQUEST_ID: &str = "x-amz-request-id";

/// Bytes of a refusal's body that are searched for the reason.
const MAX_READ: usize = 4096;

/// A refusal as it came over the wire.
struct Answer<'a> {
    operation: &'a str,
    status: u16,
    /// Has passed [`clean_code`].
    code: Option<String>,
    message: Option<&'a str>,
    request_id: Option<&'a str>,
    content_type: Option<&'a str>,
    /// The body is a web server's complaint that plain HTTP came to a port for TLS.
    wants_tls: bool,
}

impl Answer<'_> {
    fn into_error(self) -> StorageError {
        let kind = match self.code.as_deref() {
            Some("SlowDown" | "ServiceUnavailable" | "TooManyRequests" | "RequestLimitExceeded") => Fault::Throttled,
            Some("InternalError") => Fault::Server,
            Some("RequestTimeout") => Fault::Timeout,
            _ if (200..300).contains(&self.status) => Fault::Answer,
            _ => Fault::of_status(self.status),
        };
        let mut detail = format!("storage answered {} with {}", self.operation, self.status);
        let mut add = |text: std::fmt::Arguments<'_>| detail.write_fmt(text).expect("a string takes everything");
        match (&self.code, self.message.and_then(clean_message)) {
            (Some(code), Some(message)) => add(format_args!(" {code}: {message}")),
            (Some(code), None) => add(format_args!(" {code}")),
            // An answer to HEAD has no body, so a missing code means nothing there.
            (None, _) => match self.content_type.and_then(clean_word) {
                Some(kind) if !kind.ends_with("xml") => add(format_args!(" and no code of S3's, but {kind}")),
                _ => add(format_args!(" and no code of S3's")),
            },
        }
        if let Some(id) = self.request_id.and_then(clean_word) {
            add(format_args!(" (request {id})"));
        }
        if self.code.is_none() && self.wants_tls {
            add(format_args!("; the port expects TLS: the endpoint must begin with https://"));
        }
        StorageError::Unavailable { kind, status: Some(self.status), code: self.code, detail }
    }
}

/// Whether a body complains of plain HTTP on a port for TLS, in the words of nginx, Apache or Go.
fn says_https(body: &str) -> bool {
    let body = body.to_ascii_lowercase();
    body.contains("http request") && body.contains("https") || body.contains("plain http to an ssl-enabled")
}

/// The text of an XML element without children; escapes in it stay as they are.
fn element<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// An error of the network, in words that say what to do where the commonest mistakes are behind it.
fn network(error: &io::Error) -> String {
    let text = error.to_string();
    if text.contains("InvalidContentType") {
        return "what listens there does not speak TLS: begin the endpoint with http://, or name the port for TLS"
            .to_owned();
    }
    let advice = match text.contains("invalid peer certificate") {
        true => "; add its authority to this machine's trusted ones, or name them in SSL_CERT_FILE",
        false => "",
    };
    let mut shown = shortened(&text);
    // An I/O error's text is made on this machine; only the parts of a certificate that TLS quotes come from others.
    shown.retain(|character| !character.is_control());
    shown + advice
}

/// An error code as it came over the wire, if it has the form of one.
pub(super) fn clean_code(code: &str) -> Option<String> {
    let fits = (1..=MAX_CODE).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    fits.then(|| code.to_owned())
}

/// A request id or media type as it came over the wire, if it has the form of one; a media type without its parameters.
fn clean_word(word: &str) -> Option<&str> {
    let word = word.split(';').next().unwrap_or_default().trim();
    let fits = (1..=MAX_CODE).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/+=:".contains(&b));
    fits.then_some(word)
}

/// A message of S3's as it may be shown and recorded: quoted, without control characters, and not one that repeats a
/// signature.
fn clean_message(message: &str) -> Option<String> {
    let message = message.trim();
    let lower = message.to_ascii_lowercase();
    let is_secret = ["signature=", "x-amz-", "token="].iter().any(|word| lower.contains(word));
    (!message.is_empty() && !is_secret).then(|| format!("{:?}", shortened(message)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
