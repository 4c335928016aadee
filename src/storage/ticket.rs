//! Tickets: presigned PUTs (AWS Signature Version 4, "Authenticating requests: using query parameters").
//!
//! A ticket permits one thing: to put an object of the declared type and length, with the declared checksum, under its
//! key, where none is yet. All of that is signed, so a client that sends anything else is refused by the server. What a
//! particular server does not enforce, [`Gateway::probe`](super::Gateway::probe) finds out.
//!
//! A URL cannot be taken back, so it must never outlive what the journal knows (P-7): it is dated with the decision's
//! `now`, in whole seconds, and ends at or before the recorded expiry. A server checks the expiry when a PUT begins.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use chrono::{DateTime, Utc};
use zeroload_domain::{Bucket, ByteSize, ContentType, FileName, Sha256Digest, Store, event::MediaRequested};

use super::{credentials::end_of, gateway::Location};

/// The longest life that S3 grants a URL, in seconds.
const SEVEN_DAYS: i64 = 7 * 24 * 60 * 60;

/// What a ticket permits.
#[derive(Clone, Copy, Debug)]
pub struct TicketSpec<'a> {
    pub at: Location<'a>,
    pub content_type: &'a ContentType,
    pub content_length: ByteSize,
    /// The server verifies it, where it can.
    pub checksum_sha256: Option<Sha256Digest>,
    /// Becomes the object's `Content-Disposition`, and is kept nowhere else.
    pub file_name: Option<&'a FileName>,
}

impl<'a> TicketSpec<'a> {
    pub fn of(request: &'a MediaRequested, file_name: Option<&'a FileName>) -> Self {
        Self {
            at: Location::of(request),
            content_type: &request.content_type,
            content_length: request.content_length,
            checksum_sha256: request.checksum_sha256,
            file_name,
        }
    }

    pub(super) fn headers(&self) -> BTreeMap<String, String> {
        let mut headers = required_headers(self.content_type, self.content_length, self.checksum_sha256);
        if let Some(name) = self.file_name {
            headers.insert("content-disposition".to_owned(), disposition(name));
        }
        headers
    }
}

pub(super) fn required_headers(
    content_type: &ContentType,
    content_length: ByteSize,
    checksum_sha256: Option<Sha256Digest>,
) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::from([
        ("content-length".to_owned(), content_length.to_string()),
        ("content-type".to_owned(), content_type.to_string()),
        ("if-none-match".to_owned(), "*".to_owned()),
    ]);
    if let Some(checksum) = checksum_sha256 {
        headers.insert("x-amz-checksum-sha256".to_owned(), checksum.to_string());
    }
    headers
}

/// A signed ticket. Whoever has the URL can upload, so it is shown to the one who asked and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    pub method: &'static str,
    pub url: String,
    /// Exactly what the client must send besides `Host`; names are lower-case.
    pub headers: BTreeMap<String, String>,
    /// When the URL ends, in whole seconds: as asked, or earlier where S3 or the signing credentials end it.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why no ticket was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("a ticket that ends at {expires_at} has already ended")]
    Expired { expires_at: DateTime<Utc> },
    #[error("the item is in bucket {bucket} of store {store}, which is not the one served here")]
    OtherBucket { store: Store, bucket: Bucket },
    #[error("no credentials to sign with could be had")]
    NoCredentials,
    #[error("the endpoint's address cannot be signed")]
    Unsignable,
}

/// What is the same for all tickets of a bucket.
pub(super) struct Signer {
    region: String,
    /// Ends with a slash; the key follows.
    base: String,
    settings: SigningSettings,
}

impl Signer {
    pub fn new(region: String, base: String) -> Self {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        // S3 takes the path as it stands: encoded once, dots and double slashes kept.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.excluded_headers = None;
        Self { region, base, settings }
    }

    /// Signs a PUT of `key`, which needs no escaping: all keys are made of `a-z 0-9 . - /`.
    pub fn sign(
        &self,
        credentials: &Credentials,
        key: &str,
        headers: BTreeMap<String, String>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Upload, SignError> {
        let start = now.timestamp();
        let mut end = expires_at.timestamp().min(start + SEVEN_DAYS);
        if end <= start {
            return Err(SignError::Expired { expires_at });
        }
        if let Some(last) = end_of(credentials) {
            end = end.min(last.timestamp());
        }
        let life = u64::try_from(end - start).ok().filter(|life| *life > 0).ok_or(SignError::NoCredentials)?;
        let instant = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(SignError::Expired { expires_at });

        let mut settings = self.settings.clone();
        settings.expires_in = Some(Duration::from_secs(life));
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(instant(start)?))
            .settings(settings)
            .build()
            .expect("all parameters are given")
            .into();
        // The SDKs name the operation in the query; so a ticket looks like theirs to any server or proxy.
        let mut url = format!("{}{key}?x-id=PutObject", self.base);
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new("PUT", url.as_str(), pairs, SignableBody::UnsignedPayload)
            .map_err(|_| SignError::Unsignable)?;
        let (instructions, _) = sign(request, &params).map_err(|_| SignError::Unsignable)?.into_parts();
        for (name, value) in instructions.params() {
            url.push('&');
            url.push_str(name);
            url.push('=');
            percent_encode(&mut url, value);
        }
        Ok(Upload { method: "PUT", url, headers, expires_at: instant(end)? })
    }
}

/// RFC 6266 with the extended form of RFC 8187 alone: pure ASCII, no quotes, so that it passes every client unchanged.
/// `inline`, since media is for showing; the object is on the bucket's own host either way.
fn disposition(name: &FileName) -> String {
    let mut value = "inline; filename*=UTF-8''".to_owned();
    percent_encode(&mut value, name.as_str());
    value
}

/// All but RFC 3986's unreserved characters as `%XX`.
fn percent_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes everything");
        }
    }
}

#[cfg(test)]
mod tests;
