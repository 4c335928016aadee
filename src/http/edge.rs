//! The middleware around every request: request id, whole body, problems, counters.
//!
//! The body is read to its end before anything is answered: a client that is still sending when an early answer closes
//! the connection sees a reset instead of the answer.

use std::{
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, HttpMessage,
    body::{self, BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method,
        header::{HeaderName, HeaderValue, TRANSFER_ENCODING},
    },
    middleware::Next,
    rt::time::sleep,
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt,
    future::{Either, select},
};

use super::{
    Api, Problem,
    heads::{Heads, OpenRequest},
};

/// Bytes of the largest body that is accepted: a confirm of 1000 ids needs about 40 KiB.
const MAX_BODY: usize = 256 * 1024;

/// Bytes of a too large body that are read and dropped before the connection is given up.
const MAX_DRAIN: usize = 64 * 1024 * 1024;

/// How long a body may take. A slower client, however steadily it sends, only holds the connection: the largest body
/// that is accepted needs 70 kbit/s.
const BODY_MAY_TAKE: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id under which the request appears in answers, logs and event metadata.
#[derive(Clone)]
pub struct RequestId(pub String);

/// The whole body.
#[derive(Clone)]
pub struct Body(pub Bytes);

pub async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let api = request.app_data::<web::Data<Api>>().cloned();
    let request_id = request_id(&request, api.as_ref().map(|api| &***api));
    let method = request.method().clone();
    let open = request.conn_data::<Rc<Heads>>().map(Heads::begin);
    let in_chunks = request.headers().contains_key(TRANSFER_ENCODING);
    let body = read_body(&mut request, sleep(BODY_MAY_TAKE)).await;
    let is_broken = matches!(body, Err(Refused { is_broken: true, .. }));
    match &open {
        Some(open) if is_broken => open.note_broken_body(),
        Some(open) => open.note_body(body.as_deref().ok(), in_chunks),
        None => {}
    }
    let body = body.map_err(|refused| refused.problem);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let served = api.as_ref().map_or(Ok(()), |api| api.allowed_hosts.check(request.request()));
    let mut response = match served.and(body) {
        Ok(body) => {
            request.extensions_mut().insert(Body(body));
            match next.call(request).await {
                Ok(response) => render(response.map_into_boxed_body(), &request_id),
                Err(error) => return Err(error),
            }
        }
        Err(problem) => request.into_response(problem.response(&request_id)),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(api) = api {
        let route = response.request().match_pattern().unwrap_or_default();
        api.metrics.answered(label(&method), &route, response.status().as_u16());
    }
    if is_broken {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let response = if method == Method::HEAD { headers_only(response) } else { response };
    Ok(response.map_body(|_, body| BoxBody::new(Answer { body, _open: open })))
}

/// The body of an answer. Its request stays open until the whole body was sent.
struct Answer {
    body: BoxBody,
    _open: Option<OpenRequest>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.body.as_pin_mut().poll_next(cx)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, _open } = self;
        body.try_into_bytes().map_err(|body| Self { body, _open })
    }
}

/// The method as a metric's label. Unknown methods share one label, or anybody could make any number of counters.
fn label(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "other",
    }
}

/// Drops the body of an answer to HEAD if it is a stream, which would be read to its end for nothing. For a body of
/// known length the framework sends the length alone.
fn headers_only(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    match response.response().body().size() {
        BodySize::Stream => response.map_body(|_, _| BoxBody::new(body::None::new())),
        BodySize::None | BodySize::Sized(_) => response,
    }
}

fn request_id(request: &ServiceRequest, api: Option<&Api>) -> String {
    let mut values = request.headers().get_all(REQUEST_ID);
    let given = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => id.to_owned(),
        _ => api.map(|api| api.ids.new_id(api.clock.now()).to_string()).unwrap_or_default(),
    }
}

/// A body that is refused.
#[derive(Debug)]
struct Refused {
    problem: Problem,
    /// The body was not read to its end, so no further request on this connection can be parsed.
    is_broken: bool,
}

/// Reads the whole body, if it comes before `deadline` ends.
async fn read_body(request: &mut ServiceRequest, deadline: impl Future<Output = ()>) -> Result<Bytes, Refused> {
    let broken = |problem| Refused { problem, is_broken: true };
    let mut payload = request.take_payload();
    let mut deadline = pin!(deadline);
    let mut body = Pieces::default();
    let mut read = 0_usize;
    loop {
        let next = match select(payload.next(), deadline.as_mut()).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => {
                let detail = format!("the body was not there after {} s", BODY_MAY_TAKE.as_secs());
                return Err(broken(Problem::new(408, "timeout", detail)));
            }
        };
        let Some(chunk) = next else { break };
        let chunk =
            chunk.map_err(|error| broken(Problem::invalid("body", format!("the body cannot be read: {error}"))))?;
        read = read.saturating_add(chunk.len());
        if read <= MAX_BODY {
            body.push(chunk);
        } else if read > MAX_DRAIN {
            break;
        }
    }
    if read > MAX_BODY {
        let problem = Problem::new(413, "too-large", format!("a body may have at most {MAX_BODY} bytes"));
        return Err(Refused { problem, is_broken: read > MAX_DRAIN });
    }
    Ok(body.whole())
}

/// A body as it comes in. Most bodies come in one piece, which needs no copy.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    /// All pieces joined, once there are several.
    joined: BytesMut,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&piece);
    }

    fn whole(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

/// Turns every error into its problem, also those of the framework.
fn render(response: ServiceResponse<BoxBody>, request_id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let problem = match response.response().error() {
        Some(error) => match error.as_error::<Problem>() {
            Some(problem) => problem.clone(),
            None => Problem::of_framework(status, error.to_string()),
        },
        None => return response,
    };
    response.into_response(problem.response(request_id))
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn, ready},
        task::Poll,
    };

    use actix_web::{dev::Payload, error::PayloadError, test::TestRequest};
    use futures_util::stream;

    use super::*;

    #[actix_web::test]
    async fn a_client_that_stops_in_the_middle_of_a_body_is_given_up() {
        let mut request = TestRequest::post().to_srv_request();
        let begun = stream::iter([Ok::<_, PayloadError>(Bytes::from_static(b"{"))]).chain(stream::pending());
        request.set_payload(Payload::Stream { payload: Box::pin(begun) });
        let refused = read_body(&mut request, ready(())).await.unwrap_err();
        assert_eq!((refused.problem.status(), refused.is_broken), (408, true));
    }

    #[actix_web::test]
    async fn a_client_whose_body_drips_for_ever_is_given_up_at_the_deadline() {
        let mut request = TestRequest::post().to_srv_request();
        // Each poll for the body gives a byte, but never at once.
        let dripping = stream::repeat_with(|| ready(())).then(|_| async {
            tokio::task::yield_now().await;
            Ok::<_, PayloadError>(Bytes::from_static(b" "))
        });
        request.set_payload(Payload::Stream { payload: Box::pin(dripping) });
        let mut waits = 0;
        let deadline = poll_fn(|_| {
            waits += 1;
            if waits > 100 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(read_body(&mut request, deadline).await.unwrap_err().problem.status(), 408);
    }

    #[actix_web::test]
    async fn a_body_is_the_same_in_however_many_pieces_it_comes() {
        for pieces in [&[][..], &["{}"], &["", "{", "}"], &["{\"a\"", ":", "", "1}"]] {
            let mut request = TestRequest::post().to_srv_request();
            let sent =
                stream::iter(pieces.iter().map(|piece| Ok::<_, PayloadError>(Bytes::from_static(piece.as_bytes()))));
            request.set_payload(Payload::Stream { payload: Box::pin(sent) });
            assert_eq!(read_body(&mut request, pending()).await.unwrap(), pieces.concat());
        }
    }

    #[test]
    fn made_up_methods_share_one_counter() {
        let odd = Method::from_bytes(b"BREW").unwrap();
        assert_eq!((label(&odd), label(&Method::GET)), ("other", "GET"));
    }
}
