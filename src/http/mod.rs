//! The HTTP interface: parse at the edge, call the service, show the result. Shapes and errors only; no rules.
//!
//! | module | holds |
//! |---|---|
//! | [`listen`], [`connection`], [`heads`] | the server, and its answers to clients that speak no HTTP or send a head too slowly |
//! | [`hosts`] | the host names that are served |
//! | [`edge`] | the middleware around every request: request id, whole body, errors as problems, counters |
//! | [`call`] | the caller, its role, and the values of path, query and body |
//! | [`keys`], [`key_ring`] | who may call what, for which tenant; the API keys in force |
//! | [`body`] | the JSON of a request's body |
//! | [`problem`] | RFC 9457 errors with stable codes |
//! | [`shapes`] | the JSON of Media and Event |
//! | [`media`], [`history`], [`read_side`], [`restore`], [`collections`], [`reconciliations`], [`notifications`], [`health`] | the routes |
//! | [`paths`] | where each route is |
//! | [`verifying`] | one verification of the journal at a time |
//! | [`openapi`], [`events`], [`alphabets`] | the interface as OpenAPI, generated from the handlers, and as a page of text; the members of each event; the patterns of allowed texts |
//!
//! Sockets to database and S3 belong to the service's runtime. A handler hands its work over to that runtime, so that a
//! client that goes away does not stop the work halfway. Tickets and confirms are many and may be stopped anywhere, so
//! the handler does them itself.

mod alphabets;
mod body;
mod call;
mod collections;
mod connection;
mod edge;
mod events;
mod explain;
mod heads;
mod health;
mod history;
mod hosts;
mod key_ring;
mod keys;
pub mod listen;
mod media;
mod notifications;
mod openapi;
mod paths;
mod problem;
mod read_side;
mod reconciliations;
mod restore;
mod shapes;
mod subscription;
mod verifying;

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use actix_web::{
    App, FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    guard::fn_guard,
    http::Method,
    middleware::from_fn,
    web,
};
use chrono::TimeDelta;
use futures_util::FutureExt;
pub use hosts::{AllowedHosts, MUST_BE as HOSTS_MUST_BE};
pub use key_ring::KeyRing;
pub use keys::{ApiKey, ApiKeys, KeysError, Role};
pub use openapi::document as openapi_document;
pub use problem::Problem;
pub use reconciliations::{FindingShape, Reconciliation, parse_age};
pub use shapes::{EventShape, MediaShape};
pub use verifying::Verifying;
use zeroload_clock::{Clock, Ids};
use zeroload_journal::Journal;
use zeroload_projections::ReadModels;

use self::openapi::guide;
use crate::{
    background::{
        collector::CollectorHandle, inspector::InspectorHandle, projector::Projector, reconciler::ReconcilerHandle,
    },
    database::WalWatch,
    media::{bucket::BucketGuard, service::Service},
    metrics::Metrics,
    storage::Gateway,
};

/// The parts of the service that the handlers use.
pub struct Api {
    pub service: Arc<Service>,
    pub journal: Journal,
    pub read_models: ReadModels,
    pub projector: Arc<Projector>,
    pub guard: Arc<BucketGuard>,
    pub gateway: Gateway,
    /// How long tickets are to live.
    pub ticket_ttl: TimeDelta,
    pub wal: WalWatch,
    pub collector: CollectorHandle,
    pub inspector: InspectorHandle,
    pub reconciler: ReconcilerHandle,
    pub keys: KeyRing,
    pub allowed_hosts: AllowedHosts,
    pub max_content_length: u64,
    pub clock: Clock,
    pub ids: Ids,
    pub metrics: Metrics,
    pub verifying: Verifying,
    /// The service's runtime, which owns every socket to database and S3.
    pub runtime: tokio::runtime::Handle,
}

impl Api {
    /// Does work on the thread that has read the request. The work is dropped if the client goes away, so it must be
    /// work that may stop anywhere, and that no other task waits for.
    ///
    /// # Errors
    /// A [`Problem`] of status 500 if the work panics.
    fn here<'a, T>(&'a self, work: impl Future<Output = T> + 'a) -> impl Future<Output = Result<T, Problem>> + 'a {
        // Boxed: the framework moves a handler's future a few times.
        let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        async move {
            let ended = poll_fn(|context| {
                // A socket that the work opens must belong to the service's runtime.
                let _entered = self.runtime.enter();
                work.as_mut().poll(context)
            });
            ended.await.map_err(|_| {
                tracing::error!("a request's work panicked");
                Problem::internal()
            })
        }
    }

    /// Does work on the service's runtime. The work goes on even if the client does not wait for it.
    ///
    /// # Errors
    /// A [`Problem`] of status 500 if the work panics.
    fn on_runtime<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, Problem>> + use<T, F> {
        // Spawned at once, so that the handler's future holds a small handle, and the work is not moved about with it.
        let work = self.runtime.spawn(work);
        async move {
            work.await.map_err(|error| {
                tracing::error!(%error, "a request's work did not end");
                Problem::internal()
            })
        }
    }
}

/// The routes of the interface on `api`. Any other path is answered with a problem.
pub fn app(
    api: web::Data<Api>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(api)
        .service(at(paths::media::PATH, [post(media::request)]))
        // Before `{id}`, which would take `confirm` for an id.
        .service(at(paths::confirm_many::PATH, [post(media::confirm_many)]))
        .service(at(paths::one::PATH, [get(media::get), delete(media::release)]))
        .service(at(paths::uploaded::PATH, [post(media::uploaded)]))
        .service(at(paths::confirm::PATH, [post(media::confirm)]))
        .service(at(paths::ticket::PATH, [post(media::ticket)]))
        .service(at(paths::restore::PATH, [post(restore::restore)]))
        .service(at(paths::explain::PATH, [get(explain::explain)]))
        .service(at(paths::media_events::PATH, [get(history::of_media)]))
        .service(at(paths::events::PATH, [get(history::all)]))
        .service(at(paths::verify::PATH, [get(history::verify)]))
        .service(at(paths::projections::PATH, [get(read_side::projections)]))
        .service(at(paths::pending::PATH, [get(read_side::pending)]))
        .service(at(paths::collections::PATH, [get(collections::list), post(collections::run)]))
        .service(at(paths::collection::PATH, [get(collections::one)]))
        .service(at(paths::notifications::PATH, [post(notifications::s3)]))
        .service(at(paths::reconciliations::PATH, [get(reconciliations::list), post(reconciliations::begin)]))
        .service(at(paths::reconciliation::PATH, [get(reconciliations::one)]))
        .service(at(paths::home::PATH, [get(guide::home)]))
        .service(at(paths::docs::PATH, [get(guide::docs)]))
        .service(at(paths::livez::PATH, [get(health::livez)]))
        .service(at(paths::readyz::PATH, [get(health::readyz)]))
        .service(at(paths::metrics::PATH, [get(health::metrics)]))
        .service(at(paths::openapi::PATH, [get(openapi::serve)]))
        .default_service(web::to(not_found))
        .wrap(from_fn(edge::edge))
}

fn get<F: Handler<A>, A: FromRequest + 'static>(handler: F) -> (Method, Route)
where
    F::Output: Responder + 'static,
{
    (Method::GET, web::to(handler))
}

fn post<F: Handler<A>, A: FromRequest + 'static>(handler: F) -> (Method, Route)
where
    F::Output: Responder + 'static,
{
    (Method::POST, web::to(handler))
}

fn delete<F: Handler<A>, A: FromRequest + 'static>(handler: F) -> (Method, Route)
where
    F::Output: Responder + 'static,
{
    (Method::DELETE, web::to(handler))
}

/// The routes of one path, HEAD wherever GET is (RFC 9110 section 9.1), and for any other method a 405 that names them.
fn at<const N: usize>(path: &'static str, routes: [(Method, Route); N]) -> Resource {
    let mut resource = web::resource(path);
    let mut allow = Vec::new();
    for (method, route) in routes {
        allow.push(method.to_string());
        let alias = (method == Method::GET).then_some(Method::HEAD);
        allow.extend(alias.as_ref().map(Method::to_string));
        resource = resource.route(route.guard(fn_guard(move |context| {
            let asked = &context.head().method;
            *asked == method || alias.as_ref() == Some(asked)
        })));
    }
    let allow = allow.join(", ");
    resource.default_service(web::to(move |request: HttpRequest| {
        let detail = format!("method {} is not allowed for {}; allowed: {allow}", request.method(), request.path());
        let problem = Problem::method_not_allowed(allow.clone(), detail);
        async { Err::<HttpResponse, _>(problem) }
    }))
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.path();
    let meant = path.trim_end_matches('/');
    let is_route = !meant.is_empty() && meant != path && request.resource_map().match_pattern(meant).is_some();
    Err(Problem::new(
        404,
        "not-found",
        if is_route {
            format!("there is nothing at {path}; the address is {meant}, without a slash at its end")
        } else {
            format!("there is nothing at {path}; see /docs")
        },
    ))
}
