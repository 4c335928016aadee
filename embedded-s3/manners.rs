//! Scripted manners that change whole requests and answers; see [`Manner`]. The other manners act where their work is
//! done.

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, request::Parts};
use s3s::Body;

use super::faults::{Faults, Manner};

/// The answer of a proxy in front of the server: that of Traefik while the container behind it restarts.
pub(super) fn stand_in(faults: &Faults, parts: &Parts) -> Option<Response<Body>> {
    let key = parts.uri.path().trim_start_matches('/').split_once('/').map(|(_, key)| key);
    faults.stands_in(&parts.method, key).then(|| {
        let mut response = Response::new(Body::from("404 page not found\n".to_owned()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    })
}

/// Takes the signature off a request, for a server that checks none: [`super::access`] then lets the unsigned request
/// in.
pub(super) fn unsigned(faults: &Faults, parts: &mut Parts) -> bool {
    if !faults.has(Manner::ChecksNoSignature) {
        return false;
    }
    parts.headers.remove(header::AUTHORIZATION);
    let signing = |pair: &&str| !pair.get(..6).is_some_and(|name| name.eq_ignore_ascii_case("X-Amz-"));
    let query: Vec<&str> = parts.uri.query().unwrap_or_default().split('&').filter(signing).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    if let Ok(uri) = format!("{}{query}", parts.uri.path()).parse::<Uri>() {
        parts.uri = uri;
    }
    true
}

/// The traits of a request that decide whether its answer is changed.
pub(super) struct Asked {
    method: Method,
    versioning: bool,
}

impl Asked {
    pub(super) fn of(request: &Request<Body>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let versioning = query.split('&').any(|pair| pair.split('=').next() == Some("versioning"));
        Self { method: request.method().clone(), versioning }
    }
}

/// The answer as a server with the scripted manners gives it, and whether it has a request id.
pub(super) fn answer(faults: &Faults, asked: &Asked, response: Response<Body>) -> (Response<Body>, bool) {
    if asked.method == Method::HEAD
        && response.status() == StatusCode::NOT_FOUND
        && faults.has(Manner::HasPlainNotFounds)
    {
        let mut plain = Response::new(Body::empty());
        *plain.status_mut() = StatusCode::NOT_FOUND;
        plain.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        return (plain, false);
    }
    if asked.method == Method::GET && asked.versioning && faults.has(Manner::IgnoresTheVersioningQuery) {
        let list = "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><KeyCount>0</KeyCount></ListBucketResult>";
        return (Response::new(Body::from(list.to_owned())), true);
    }
    (response, true)
}
