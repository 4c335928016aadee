//! Errors as `application/problem+json` (RFC 9457), with a stable `code` for programs.

use std::fmt;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;
use zeroload_domain::{Invalid, Refusal};
use zeroload_journal::{AppendError, ReadError};

use crate::{
    background::collector::RunError,
    media::{ServiceError, commands::CommandError},
};

/// Seconds after which a client may try again.
const RETRY_AFTER: &str = "1";

/// Characters of a text that may quote the client's request.
const MAX_TEXT: usize = 1000;

/// An error as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: u16,
    code: &'static str,
    detail: String,
    field: Option<String>,
    position: Option<u64>,
    /// The methods that are possible instead.
    allow: Option<String>,
    /// Whether the call also takes the API key as a password (HTTP basic authentication).
    basic: bool,
}

/// The JSON of a problem (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemShape<'a> {
    /// `urn:zeroload:problem:` and the code.
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    /// A stable word, for programs to compare.
    code: &'static str,
    /// The same text as `detail`.
    message: &'a str,
    /// The `X-Request-Id` of the call.
    request_id: &'a str,
    /// The value that was refused: a member of the body, a query parameter, a header or `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
    /// The position at which the journal is broken; only from verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<u64>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: shortened(detail.into()), field: None, position: None, allow: None, basic: false }
    }

    /// The problem of a value of the request that is refused.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(shortened(field.into())), ..Self::new(400, "invalid", detail) }
    }

    pub fn internal() -> Self {
        Self::new(500, "internal", "the request could not be carried out; whether it was is unknown, repeat it")
    }

    /// The problem of a request without a key of this service; `basic` if the call also takes the key as the password
    /// of HTTP basic authentication.
    pub fn unauthorized(basic: bool) -> Self {
        let detail = "send Authorization: Bearer KEY with a key of this service";
        Self { basic, ..Self::new(401, "unauthorized", detail) }
    }

    /// `allow` are the methods that are possible instead.
    pub fn method_not_allowed(allow: String, detail: String) -> Self {
        Self { allow: Some(allow), ..Self::new(405, "method-not-allowed", detail) }
    }

    /// The problem in place of a bare answer of the HTTP parser, or of a head that came too slowly.
    pub fn of_parser(status: u16) -> Self {
        match status {
            408 => Self::new(408, "timeout", "the head of the request was not there in time"),
            431 => {
                Self::new(431, "headers-too-large", "the head of the request must have at most 128 KiB and 96 headers")
            }
            500 => Self::internal(),
            _ => Self::invalid("request", "the request must be HTTP/1.1 as RFC 9112 describes it"),
        }
    }

    pub fn at_position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn shape<'a>(&'a self, request_id: &'a str) -> ProblemShape<'a> {
        ProblemShape {
            r#type: format!("urn:zeroload:problem:{}", self.code),
            title: StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error"),
            status: self.status,
            detail: &self.detail,
            code: self.code,
            message: &self.detail,
            request_id,
            field: self.field.as_deref(),
            position: self.position,
        }
    }

    pub fn response(&self, request_id: &str) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        response.content_type("application/problem+json");
        match self.status {
            // The rest of the request may still come, and must not be taken for the next request.
            408 => {
                response.force_close();
            }
            401 => {
                if self.basic {
                    response.append_header((header::WWW_AUTHENTICATE, "Basic realm=\"zeroload\""));
                }
                response.append_header((header::WWW_AUTHENTICATE, "Bearer realm=\"zeroload\""));
            }
            503 => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
            }
            _ => {}
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        response.body(self.json(request_id))
    }

    /// The body of the problem's answer.
    pub fn json(&self, request_id: &str) -> String {
        serde_json::to_string(&self.shape(request_id)).expect("texts and numbers serialize")
    }

    /// The problem of an error that the web framework itself answered with.
    pub fn of_framework(status: StatusCode, detail: String) -> Self {
        let code = match status.as_u16() {
            404 => "not-found",
            405 => "method-not-allowed",
            408 => "timeout",
            413 => "too-large",
            415 => "unsupported-media-type",
            400..=499 => "invalid",
            _ => return Self::internal(),
        };
        Self::new(status.as_u16(), code, detail)
    }
}

/// Cuts a text, so that a long request is not repeated in whole in the answer and in the client's logs.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        // The edge makes the answer again, with the request's id.
        self.response("")
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.what, invalid.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::NotFound => 404,
            Refusal::RequestMismatch => 422,
            Refusal::Gone => 410,
            Refusal::TooOld
            | Refusal::TooManyTickets
            | Refusal::AlreadyUploaded
            | Refusal::AlreadyConfirmed
            | Refusal::UploadMismatch { .. }
            | Refusal::ContentChanged { .. }
            | Refusal::NotUploaded
            | Refusal::AttachedElsewhere { .. }
            | Refusal::Cancelled
            | Refusal::NotDue { .. }
            | Refusal::InUse
            | Refusal::NotCollecting
            | Refusal::NotTrashed
            | Refusal::Restoring
            | Refusal::NotConfirmed
            | Refusal::NotSealable { .. } => 409,
        };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let code = match &error {
            ReadError::Unavailable(_) => "journal-unavailable",
            // The stored events are wrong, and a repeated read will not help.
            ReadError::Hole { .. } | ReadError::Corrupt { .. } | ReadError::NoHead => "journal-unreadable",
        };
        Self::new(503, code, format!("the journal cannot be read: {error}"))
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Contended => Self::new(409, "contended", error.to_string()),
            CommandError::Append(AppendError::QueueFull { .. }) => Self::new(
                503,
                "overloaded",
                "more is asked than the journal can write; nothing was recorded, try again",
            ),
            CommandError::Append(error) => {
                Self::new(503, "journal-unavailable", format!("{error}; it is safe to repeat the request"))
            }
            CommandError::Read(error) => error.into(),
            CommandError::Unreadable { .. } => Self::new(503, "journal-unreadable", error.to_string()),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Command(error) => error.into(),
            ServiceError::ChecksumUnverified => Self::new(409, "checksum-unverified", error.to_string()),
            ServiceError::Storage(_) | ServiceError::Sign(_) => {
                Self::new(503, "storage-unavailable", error.to_string())
            }
        }
    }
}

impl From<zeroload_projections::Error> for Problem {
    fn from(error: zeroload_projections::Error) -> Self {
        Self::new(503, "projection-unavailable", format!("the projection cannot be read: {error}"))
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Bucket(_) | RunError::Marker(_) => Self::new(503, "storage-unavailable", error.to_string()),
            RunError::Review(_) => Self::new(503, "review-unavailable", error.to_string()),
            RunError::Journal(error) => error.into(),
            RunError::Record(error) => crate::media::commands::CommandError::Append(error).into(),
            RunError::Projection(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroload_journal::{StoreError, StoreErrorKind};

    use super::*;

    #[test]
    fn a_journal_that_is_stored_wrong_is_unreadable_and_one_that_is_away_is_unavailable() {
        let away = StoreError::new(StoreErrorKind::NoConnection, "nobody listens");
        for (error, code) in [
            (ReadError::Hole { expected: 7, found: Some(8) }, "journal-unreadable"),
            (ReadError::Corrupt { position: 7, column: "payload" }, "journal-unreadable"),
            (ReadError::NoHead, "journal-unreadable"),
            (ReadError::Unavailable(away), "journal-unavailable"),
        ] {
            let of_command = Problem::from(CommandError::Read(error.clone()));
            let of_run = Problem::from(RunError::Journal(error.clone()));
            for problem in [Problem::from(error), of_command, of_run] {
                assert_eq!((problem.status(), problem.code), (503, code), "{problem}");
            }
        }
    }
}
