//! The HTTP server: workers, connections, and the answers to clients that speak no HTTP.
//!
//! Does what `actix_web::HttpServer` does, with a [`Connection`] around each socket.

use std::{future::ready, io, net::TcpListener, rc::Rc, time::Duration};

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{dev::AppConfig, rt::time::sleep, web};
use futures_util::FutureExt;
use tokio::net::TcpStream;

use super::{
    Api, Problem, app,
    connection::{Connection, Deadline, Refusal},
};

/// How long the head of a request may take: the first head of a connection from the begin of the connection to the
/// head's last byte, each further head from its first byte.
const HEAD_MAY_TAKE: Duration = Duration::from_secs(20);

/// How long a connection may be idle between two requests: longer than clients and load balancers keep one (60 and 90 s
/// are usual), so that they close it first, and do not send a request on a connection that is about to be closed.
const IDLE: Duration = Duration::from_secs(120);

/// How long a client has to take its last answer.
const END_MAY_TAKE: Duration = Duration::from_secs(1);

/// The options of the server.
pub struct Listening {
    pub workers: usize,
    /// Seconds that open requests have to end when the server stops.
    pub drain_seconds: u64,
}

/// Serves `api` on a socket. Must be called on an actix system, on which the server then runs.
///
/// # Errors
/// [`io::Error`] of the socket.
pub fn serve(api: web::Data<Api>, socket: TcpListener, listening: &Listening) -> io::Result<Server> {
    let address = socket.local_addr()?;
    let server = Server::build().workers(listening.workers).shutdown_timeout(listening.drain_seconds).disable_signals();
    let draining = server.graceful_shutdown_signal();
    let server = server.listen("http", socket, move || {
        let (draining, refusing) = (draining.clone(), api.clone());
        let refusal: Refusal = Rc::new(move |status, head| refused(&refusing, status, head));
        let deadline: Deadline = Rc::new(|| sleep(HEAD_MAY_TAKE).boxed_local());
        let routes = app(api.clone()).into_factory().map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(IDLE)
            .client_request_timeout(HEAD_MAY_TAKE)
            .client_disconnect_timeout(END_MAY_TAKE)
            .local_addr(address)
            .on_connect_ext(|connection: &Connection<TcpStream>, data| {
                data.insert(connection.hangup());
                data.insert(connection.heads());
            })
            .finish(map_config(routes, |()| AppConfig::default()));
        fn_service(move |socket: TcpStream| {
            let peer = socket.peer_addr().ok();
            let connection = Connection::new(socket, refusal.clone(), deadline.clone());
            ready(Ok::<_, DispatchError>((connection, Protocol::Http1, peer)))
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// The answer with a problem that is sent in place of the parser's bare answer, with the other headers of that answer.
fn refused(api: &Api, status: u16, head: &str) -> Vec<u8> {
    let request_id = api.ids.new_id(api.clock.now()).to_string();
    api.metrics.answered("none", "", status);
    tracing::debug!(status, request.id = request_id, "a connection brought no valid HTTP request");
    let body = Problem::of_parser(status).json(&request_id);
    let mut answer = String::with_capacity(head.len() + body.len() + 200);
    for line in head.lines().filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if !["content-length", "connection"].iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
    }
    if !head.to_ascii_lowercase().contains("\ndate:") {
        answer.push_str(&api.clock.now().format("date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string());
    }
    answer.push_str(&format!(
        "connection: close\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\r\n{body}",
        body.len()
    ));
    answer.into_bytes()
}
