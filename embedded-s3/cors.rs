//! Cross-origin rules: any page may use a URL that it was given, since the signature decides what is allowed. No
//! credentials of a browser are ever used, so `*` is enough.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use s3s::Body;

const METHODS: HeaderValue = HeaderValue::from_static("GET, PUT, HEAD, POST, DELETE");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// The answer to `OPTIONS`.
pub(super) fn preflight<B>(request: &Request<B>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let asked = request.headers();
    if !asked.contains_key(header::ORIGIN) || !asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    for names in asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::VARY, VARY);
    response
}

pub(super) fn is_preflight(method: &Method) -> bool {
    method == Method::OPTIONS
}

/// Lets a page read the answer, also an error, and all its `x-amz-*` headers. The headers are set even if the request
/// names no origin: a browser that keeps the answer to an `<img>` gives it to a later `fetch` of the same URL.
pub(super) fn expose(headers: &mut HeaderMap) {
    let mut names = String::from("ETag");
    for name in headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        names.push_str(", ");
        names.push_str(name.as_str());
    }
    if let Ok(value) = HeaderValue::from_str(&names) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, value);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.append(header::VARY, VARY);
}
