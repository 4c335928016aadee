//! The outermost layer of a request: CORS, the gate, then `s3s`. Only this layer can cut the connection, or read the
//! rest of a refused body.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, S3Error};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::exchange::Exchange;
use super::faults::Faults;
use super::{body, cors, gate, manners};

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a scripted fault")]
pub(super) struct Cut;

#[derive(Clone)]
pub(super) struct Front {
    service: S3Service,
    faults: Faults,
    requests: Arc<AtomicU64>,
}

impl Front {
    pub(super) fn new(service: S3Service, faults: Faults) -> Self {
        Self { service, faults, requests: Arc::default() }
    }

    pub(super) async fn answer(self, request: Request<Incoming>, client: IpAddr) -> Result<Response<Body>, Cut> {
        let id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        if cors::is_preflight(request.method()) {
            return Ok(cors::preflight(&request));
        }
        let expects = request.headers().contains_key(header::EXPECT);
        let (mut parts, incoming) = request.into_parts();
        if let Some(response) = manners::stand_in(&self.faults, &parts) {
            return Ok(response);
        }
        join_encodings(&mut parts.headers);
        let (lent, mut leftover) = body::lend(incoming);

        let allowed = if manners::unsigned(&self.faults, &mut parts) { Ok(()) } else { gate::check(&parts) };
        let (mut response, has_id) = match allowed {
            Ok(()) => {
                let request = Request::from_parts(parts, Body::http_body(lent));
                let asked = manners::Asked::of(&request);
                manners::answer(&self.faults, &asked, self.work(request, &id, client).await?)
            }
            Err(error) => {
                drop(lent);
                (refusal(error), true)
            }
        };
        let status = response.status();
        let headers = response.headers_mut();
        if let Ok(rest) = leftover.try_recv()
            && rest.drain(expects)
        {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Ok(id) = HeaderValue::from_str(&id)
            && has_id
        {
            headers.insert("x-amz-request-id", id);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
        }
        // A browser must not take an object for another type than the one that was signed.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        cors::expose(headers);
        Ok(response)
    }

    async fn work(&self, mut request: Request<Body>, id: &str, client: IpAddr) -> Result<Response<Body>, Cut> {
        let exchange = Exchange::with(client);
        request.extensions_mut().insert(exchange.clone());
        // No log for `s3s`: it logs whole requests, and presigned URLs are as good as passwords.
        let result = self.service.call(request).with_subscriber(Dispatch::none()).await;
        if exchange.is_cut() {
            return Err(Cut);
        }
        if let Some(error) = exchange.failure() {
            tracing::error!(error, s3.request_id = id, "the embedded S3 server failed a request");
        }
        Ok(result.unwrap_or_else(|_| {
            tracing::error!(s3.request_id = id, "the embedded S3 server could not write its answer");
            status(StatusCode::INTERNAL_SERVER_ERROR)
        }))
    }
}

/// Joins repeated `Content-Encoding` headers: SDKs send `aws-chunked` in a header of its own beside the object's
/// encoding, and `s3s` refuses a repeated header. Joined by a comma the values mean the same, to the signature too.
fn join_encodings(headers: &mut HeaderMap) {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let (Some(_), Some(_)) = (values.next(), values.next()) else {
        return;
    };
    let all: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b","[..])) {
        headers.insert(header::CONTENT_ENCODING, joined);
    }
}

fn refusal(error: S3Error) -> Response<Body> {
    let code = error.status_code().unwrap_or(StatusCode::BAD_REQUEST);
    error.to_http_response().unwrap_or_else(|_| status(code))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
