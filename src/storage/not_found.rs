//! The traits of a 404 to a HEAD. Such an answer has no body, so only headers tell who sent it.

use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;

/// Characters of a header value; longer ones are cut, since they are shown to people.
const MAX_VALUE: usize = 64;

/// The headers by which a 404 to a HEAD is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFoundLook {
    /// The answer has a request id, which only S3 servers send.
    pub(super) request_id: bool,
    /// The media type in small letters, without parameters.
    pub(super) content_type: Option<String>,
    pub(super) server: Option<String>,
}

impl NotFoundLook {
    /// `None` for an answer that is no 404, or one in which MinIO names another reason than a missing key.
    pub(super) fn of(answer: &HttpResponse) -> Option<Self> {
        let header = |name| answer.headers().get(name);
        let other_reason = header("x-minio-error-code").is_some_and(|code| code != "NoSuchKey");
        if answer.status().as_u16() != 404 || other_reason {
            return None;
        }
        let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // `x-amzn-requestid` is the header of AWS's other services, which some servers use for S3 too.
        let request_id = header("x-amz-request-id").or_else(|| header("x-amzn-requestid"));
        Some(Self {
            request_id: request_id.is_some_and(|id| !id.trim().is_empty()),
            content_type: header("content-type").map(|value| shortened(&essence(value))),
            server: header("server").map(shortened),
        })
    }

    /// As S3 itself answers.
    #[cfg(test)]
    pub(crate) const fn of_s3() -> Self {
        Self { request_id: true, content_type: None, server: None }
    }

    /// Whether the same server may have sent both answers.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        // Proxies in front of a server may change its `Server` header, but they make no request ids.
        let same_server = self.request_id || self.server == other.server;
        self.request_id == other.request_id && self.content_type == other.content_type && same_server
    }

    pub(super) const fn has_request_id(&self) -> bool {
        self.request_id
    }
}

impl fmt::Display for NotFoundLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            |value: &Option<String>| value.as_ref().map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
        let request_id = if self.request_id { "with" } else { "without" };
        let (content_type, server) = (named(&self.content_type), named(&self.server));
        write!(f, "404 {request_id} x-amz-request-id, Content-Type {content_type}, Server {server}")
    }
}

fn shortened(value: &str) -> String {
    value.chars().take(MAX_VALUE).collect()
}
