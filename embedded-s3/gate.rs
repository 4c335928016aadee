//! Refuses, before `s3s` sees them, requests that `s3s` would let pass: anonymous ones, ones that are signed in an old
//! way or twice, and ones with headers that their signature does not cover.
//!
//! Why unsigned `x-amz-*` headers are dangerous: 12:00 a client gets a URL to put one object; 12:01 the client adds
//! `x-amz-copy-source: /bucket/secret`, and a server that obeys the header copies an object that the client may not
//! read to a key that the client can read.

use std::borrow::Cow;

use http::request::Parts;
use http::{Method, header};
use percent_encoding::percent_decode_str;
use s3s::{S3Result, s3_error};

/// Headers besides `x-amz-*` that a PUT stores with its object. A presigned PUT may have one of these only if it is
/// signed: otherwise the holder of the URL could tell readers of the object how to decode, cache and show it.
const KEPT: [&str; 5] = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// Values of `Cache-Control` that a browser adds to a request by itself (Fetch section 4.5), for one while its
/// developer tools are open. They only forbid caching.
const OF_BROWSERS: [&str; 3] = ["no-cache", "no-store", "max-age=0"];

/// S3's limit for the life of a URL, in seconds.
const MAX_EXPIRES: u64 = 7 * 24 * 60 * 60;

pub(super) fn check(parts: &Parts) -> S3Result<()> {
    if parts.method == Method::POST && is_form(parts) {
        return Err(s3_error!(NotImplemented, "uploads by form are not supported"));
    }
    let signed = signed_headers(parts)?;
    let is_signed = |name: &str| signed.iter().any(|signed| signed == name);
    if !is_signed("host") {
        return Err(s3_error!(AccessDenied, "the host header must be signed"));
    }
    let keeps = parts.method == Method::PUT && !parts.headers.contains_key(header::AUTHORIZATION);
    for (name, value) in &parts.headers {
        let name = name.as_str();
        let is_kept =
            keeps && KEPT.contains(&name) && !(name == "cache-control" && OF_BROWSERS.iter().any(|own| value == own));
        if (name.starts_with("x-amz-") || is_kept) && !is_signed(name) {
            return Err(s3_error!(
                AccessDenied,
                "there were headers present in the request which were not signed: {name}"
            ));
        }
        // `s3s` leaves such a value out when it computes the signature.
        if is_signed(name) && std::str::from_utf8(value.as_bytes()).is_err() {
            return Err(s3_error!(AccessDenied, "the value of the signed header {name} is not UTF-8"));
        }
    }
    for name in &signed {
        if !parts.headers.contains_key(name.as_str()) {
            return Err(s3_error!(SignatureDoesNotMatch, "the signed header {name} is missing"));
        }
    }
    Ok(())
}

fn is_form(parts: &Parts) -> bool {
    parts
        .headers
        .get_all(header::CONTENT_TYPE)
        .iter()
        .any(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"multipart/"))
}

/// The names of the signed headers, from the URL or from the one `Authorization` header.
fn signed_headers(parts: &Parts) -> S3Result<Vec<String>> {
    let mut presigned = false;
    let mut names = None;
    for (name, value) in query(parts) {
        match name.as_ref() {
            "X-Amz-Signature" => presigned = true,
            "X-Amz-SignedHeaders" => names = Some(value.into_owned()),
            "X-Amz-Expires" => check_expires(&value)?,
            "Signature" | "AWSAccessKeyId" => return Err(old_signature()),
            _ => {}
        }
    }
    let mut authorizations = parts.headers.get_all(header::AUTHORIZATION).iter();
    let names = match (presigned, authorizations.next(), authorizations.next()) {
        (true, None, _) => names,
        (false, Some(value), None) => {
            let value = value.to_str().unwrap_or_default();
            if value.starts_with("AWS ") {
                return Err(old_signature());
            }
            value.split([',', ' ']).find_map(|part| part.strip_prefix("SignedHeaders=")).map(str::to_owned)
        }
        (false, None, _) => return Err(s3_error!(AccessDenied, "a signature is required")),
        (true, Some(_), _) | (false, Some(_), Some(_)) => {
            return Err(s3_error!(InvalidArgument, "only one authentication mechanism is allowed"));
        }
    };
    let names = names.ok_or_else(|| s3_error!(AccessDenied, "the request does not say which headers are signed"))?;
    // Names are taken as they are: for a name with capitals `s3s` finds no header, and so does not verify it.
    Ok(names.split(';').map(str::to_owned).collect())
}

fn old_signature() -> s3s::S3Error {
    s3_error!(InvalidRequest, "signature version 2 is not supported, please use AWS4-HMAC-SHA256")
}

fn check_expires(value: &str) -> S3Result<()> {
    match value.parse::<u64>() {
        Ok(seconds) if seconds <= MAX_EXPIRES => Ok(()),
        _ => Err(s3_error!(
            AuthorizationQueryParametersError,
            "X-Amz-Expires must be a number of seconds, at most {MAX_EXPIRES}"
        )),
    }
}

fn query(parts: &Parts) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    parts.uri.query().unwrap_or_default().split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Percent-decoding as for a form; malformed escapes stay as they are.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::S3ErrorCode;

    fn refused(request: http::request::Builder) -> Option<S3ErrorCode> {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        check(&parts).err().map(|error| error.code().clone())
    }

    fn presigned(signed: &str) -> http::request::Builder {
        http::Request::put(format!("/b/k?X-Amz-Expires=60&X-Amz-SignedHeaders={signed}&X-Amz-Signature=0"))
            .header("host", "localhost")
    }

    #[test]
    fn headers_that_the_signature_covers_pass() {
        assert_eq!(refused(presigned("host")), None);
        assert_eq!(refused(presigned("host").header("content-type", "text/plain")), None);
        assert_eq!(refused(presigned("host%3bx-amz-meta-a").header("x-amz-meta-a", "1")), None);
        let authorization =
            "AWS4-HMAC-SHA256 Credential=a/20200101/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0";
        let request = http::Request::get("/b").header("host", "h").header("x-amz-date", "d");
        assert_eq!(refused(request.header("authorization", authorization)), None);
    }

    #[test]
    fn an_unsigned_amz_header_is_refused() {
        let request = presigned("host").header("X-Amz-Copy-Source", "/b/secret");
        assert_eq!(refused(request), Some(S3ErrorCode::AccessDenied));
    }

    #[test]
    fn a_header_is_not_signed_by_its_name_in_capitals() {
        let authorization =
            "AWS4-HMAC-SHA256 Credential=a/20200101/r/s3/aws4_request, SignedHeaders=host;X-Amz-Acl, Signature=0";
        let request = http::Request::put("/b/k").header("host", "h").header("x-amz-acl", "private");
        assert_eq!(refused(request.header("authorization", authorization)), Some(S3ErrorCode::AccessDenied));
    }

    #[test]
    fn a_signed_header_that_is_missing_is_refused() {
        assert_eq!(refused(presigned("content-type%3Bhost")), Some(S3ErrorCode::SignatureDoesNotMatch));
    }

    #[test]
    fn a_signed_header_that_the_signature_would_skip_is_refused() {
        let value = http::HeaderValue::from_bytes(b"/b/secr\xe9t").expect("a value");
        let request = presigned("host%3Bx-amz-copy-source").header("x-amz-copy-source", value);
        assert_eq!(refused(request), Some(S3ErrorCode::AccessDenied));
    }

    #[test]
    fn other_ways_to_authenticate_are_refused() {
        assert_eq!(refused(http::Request::get("/b/k").header("host", "h")), Some(S3ErrorCode::AccessDenied));
        let old = http::Request::get("/b/k?AWSAccessKeyId=a&Signature=b&Expires=9").header("host", "h");
        assert_eq!(refused(old), Some(S3ErrorCode::InvalidRequest));
        let old = http::Request::get("/b/k").header("host", "h").header("authorization", "AWS a:b");
        assert_eq!(refused(old), Some(S3ErrorCode::InvalidRequest));
        let both = presigned("host").header("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0");
        assert_eq!(refused(both), Some(S3ErrorCode::InvalidArgument));
        let form = http::Request::post("/b").header("content-type", "Multipart/form-data; boundary=x");
        assert_eq!(refused(form), Some(S3ErrorCode::NotImplemented));
    }

    #[test]
    fn a_url_lives_seven_days_at_most() {
        let url = |seconds| {
            http::Request::get(format!("/b/k?X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host&X-Amz-Signature=0"))
        };
        assert_eq!(refused(url("604800").header("host", "h")), None);
        for bad in ["604801", "-1", "x", ""] {
            assert_eq!(refused(url(bad).header("host", "h")), Some(S3ErrorCode::AuthorizationQueryParametersError));
        }
    }
}
