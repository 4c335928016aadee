//! Tickets: presigned PUTs (AWS Signature Version 4, "Authenticating requests: using query parameters").
//!
//! A ticket permits one thing: to put an object of the declared type and length, with the declared checksum, under its
//! key, where none is yet. All of that is signed, so the server refuses a client that sends anything else.
//! [`Gateway::probe`](super::Gateway::probe) finds out what a particular server does not enforce.
//!
//! A URL cannot be taken back, so it must never outlive what the journal knows (P-7): it is dated with the decision's
//! `now`, in whole seconds, and ends at or before the recorded expiry. A server checks the expiry when a PUT begins.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use zeroload_domain::{Bucket, ByteSize, ContentType, FileName, Sha256Digest, Store, event::MediaRequested, time_text};

use super::{credentials::end_of, disposition::disposition, location::Location};
use crate::outside::escaped;

/// The longest life that S3 grants a URL, in seconds.
const SEVEN_DAYS: i64 = 7 * 24 * 60 * 60;

const HOST: &str = "host";

const SIGNED: &str = "&X-Amz-SignedHeaders=";
/// A semicolon as it stands in a query.
const ESCAPED: &str = "%3B";

/// Bytes that suffice for most URLs and most texts to sign.
const TYPICAL: usize = 1024;

/// What a ticket permits.
#[derive(Clone, Copy, Debug)]
pub struct TicketSpec<'a> {
    pub at: Location<'a>,
    pub content_type: &'a ContentType,
    pub content_length: ByteSize,
    /// Verified by the server against the bytes, if it can.
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

    pub(super) fn headers(&self) -> BTreeMap<&'static str, String> {
        let mut headers = required_headers(self.content_type, self.content_length, self.checksum_sha256);
        if let Some(name) = self.file_name {
            headers.insert("content-disposition", disposition(name));
        }
        headers
    }
}

pub(super) fn required_headers(
    content_type: &ContentType,
    content_length: ByteSize,
    checksum_sha256: Option<Sha256Digest>,
) -> BTreeMap<&'static str, String> {
    let mut headers = BTreeMap::from([
        ("content-length", content_length.to_string()),
        ("content-type", content_type.to_string()),
        ("if-none-match", "*".to_owned()),
    ]);
    if let Some(checksum) = checksum_sha256 {
        headers.insert("x-amz-checksum-sha256", checksum.to_string());
    }
    headers
}

/// A signed ticket. Anybody who has the URL can upload, so it is shown to the caller who asked for it and to nobody
/// else.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    pub method: &'static str,
    pub url: String,
    /// Exactly what the client must send besides `Host`; names are lower-case.
    pub headers: BTreeMap<&'static str, String>,
    /// When the URL ends, in whole seconds: as asked, or earlier where S3 or the signing credentials end it.
    pub expires_at: DateTime<Utc>,
    /// The signing credentials end before the ticket was to end, so it was shortened.
    pub shortened: bool,
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
}

/// Signs tickets; holds the parts that are the same for all tickets of a bucket.
pub(super) struct Signer {
    region: String,
    /// The address for the client, before the key: ends with a slash.
    base: String,
    /// The `Host` header that the server sees.
    host: String,
    /// The path that the server sees, before the key: begins and ends with a slash.
    path: String,
    day: Mutex<Option<Arc<Day>>>,
}

/// The parts that are the same for all tickets of one day. Deriving the signing key costs more than all the rest of a
/// ticket.
struct Day {
    /// As `20261125`.
    name: String,
    access_key: String,
    secret_key: String,
    scope: String,
    /// Access key and scope, escaped for a query.
    credential: String,
    key: Vec<u8>,
}

impl Signer {
    /// For clients that reach the server at `base` itself, or through something that leaves `Host` and path as they are.
    pub fn new(region: String, base: String) -> Self {
        let own = base.clone();
        Self::behind(region, base, &own)
    }

    /// For clients at `base`, where a proxy or CDN asks the server itself at `asked`.
    pub fn behind(region: String, base: String, asked: &str) -> Self {
        let (scheme, authority, path) = parts(asked);
        let default_port = if scheme == "http" { ":80" } else { ":443" };
        // Browsers send the host in lower case, however the setting was written, so all clients are given it in lower
        // case.
        let host = authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
        let path = path.to_owned();
        let (scheme, authority, behind) = parts(&base);
        let base = format!("{scheme}://{}{behind}", authority.to_ascii_lowercase());
        Self { region, base, host, path, day: Mutex::new(None) }
    }

    #[cfg(test)]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Signs a PUT of `key`, which needs no escaping: all keys are made of `a-z 0-9 . - /`.
    pub fn sign(
        &self,
        credentials: &Credentials,
        key: &str,
        headers: BTreeMap<&'static str, String>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Upload, SignError> {
        let start = now.timestamp();
        let mut end = expires_at.timestamp().min(start + SEVEN_DAYS);
        if end <= start {
            return Err(SignError::Expired { expires_at });
        }
        let shortened = end_of(credentials).is_some_and(|last| last.timestamp() < end);
        if let Some(last) = end_of(credentials) {
            end = end.min(last.timestamp());
        }
        let life = u64::try_from(end - start).ok().filter(|life| *life > 0).ok_or(SignError::NoCredentials)?;
        let instant = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(SignError::Expired { expires_at });

        let date = basic_format(instant(start)?);
        let day = self.day_of(credentials, &date[..8], instant(start)?);
        let mut token = String::new();
        if let Some(session) = credentials.session_token() {
            token.push_str("&X-Amz-Security-Token=");
            token.extend(escaped(session));
        }
        let life = life.to_string();
        let algorithm = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=";
        let first = [algorithm, &day.credential, "&X-Amz-Date=", &date, "&X-Amz-Expires=", &life];

        let mut text = String::with_capacity(TYPICAL);
        text.extend(["PUT\n", &self.path, key, "\n"]);
        text.extend(first.into_iter().chain([token.as_str(), SIGNED]));
        self.push_names(&mut text, &headers, ESCAPED);
        text.push_str("&x-id=PutObject\n");
        for (name, value) in self.signed(&headers) {
            text.extend([name, ":", &one_line(value), "\n"]);
        }
        text.push('\n');
        self.push_names(&mut text, &headers, ";");
        text.push_str("\nUNSIGNED-PAYLOAD");
        let hash = hex::encode(Sha256::digest(&text));

        text.clear();
        text.extend(["AWS4-HMAC-SHA256\n", &date, "\n", &day.scope, "\n", &hash]);
        let signature = v4::calculate_signature(&day.key, text.as_bytes());

        text.clear();
        // The SDKs name the operation in the query; so a ticket looks like theirs to any server or proxy.
        text.extend([&self.base, key, "?x-id=PutObject&"]);
        text.extend(first.into_iter().chain([SIGNED]));
        self.push_names(&mut text, &headers, ESCAPED);
        text.extend(["&X-Amz-Signature=", &signature, &token]);
        Ok(Upload { method: "PUT", url: text, headers, expires_at: instant(end)?, shortened })
    }

    /// All headers that the client sends, in the order of their names.
    fn signed<'h>(&'h self, headers: &'h BTreeMap<&'static str, String>) -> impl Iterator<Item = (&'h str, &'h str)> {
        let named = |(name, value): (&'h &'static str, &'h String)| (*name, value.as_str());
        let before = headers.range::<str, _>((Bound::Unbounded, Bound::Excluded(HOST))).map(named);
        let behind = headers.range::<str, _>((Bound::Included(HOST), Bound::Unbounded)).map(named);
        before.chain([(HOST, self.host.as_str())]).chain(behind)
    }

    fn push_names(&self, text: &mut String, headers: &BTreeMap<&'static str, String>, between: &str) {
        for (at, (name, _)) in self.signed(headers).enumerate() {
            text.extend([if at == 0 { "" } else { between }, name]);
        }
    }

    fn day_of(&self, credentials: &Credentials, name: &str, now: DateTime<Utc>) -> Arc<Day> {
        let (access_key, secret_key) = (credentials.access_key_id(), credentials.secret_access_key());
        let mut kept = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(day) if day.name == name && day.access_key == access_key && day.secret_key == secret_key => {
                day.clone()
            }
            _ => {
                let scope = format!("{name}/{}/s3/aws4_request", self.region);
                let mut credential: String = escaped(access_key).collect();
                credential.extend(["/", &scope]);
                let day = Arc::new(Day {
                    name: name.to_owned(),
                    access_key: access_key.to_owned(),
                    secret_key: secret_key.to_owned(),
                    scope,
                    credential: credential.replace('/', "%2F"),
                    key: v4::generate_signing_key(secret_key, SystemTime::from(now), &self.region, "s3")
                        .as_ref()
                        .to_vec(),
                });
                *kept = Some(day.clone());
                day
            }
        }
    }
}

/// Scheme, authority and path of an address; `/` for an address without a path.
fn parts(address: &str) -> (&str, &str, &str) {
    let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
    let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    (scheme, authority, path)
}

/// ISO 8601's basic format, as `20261125T190855Z`.
fn basic_format(at: DateTime<Utc>) -> String {
    let mut text = time_text::format(at);
    text.truncate("2026-11-25T19:08:55".len());
    text.retain(|character| !matches!(character, '-' | ':'));
    text.push('Z');
    text
}

/// A header's value as it is signed: without spaces around, and one where there were several.
fn one_line(value: &str) -> Cow<'_, str> {
    if !value.starts_with(' ') && !value.ends_with(' ') && !value.contains("  ") {
        return value.into();
    }
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").into()
}

#[cfg(test)]
mod tests;
