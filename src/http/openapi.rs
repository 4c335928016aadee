//! The interface as OpenAPI 3.1, generated from the handlers.
//!
//! A handler describes its own parameters and answers. The parts that all calls share (keys, request ids, problems) are
//! added here, so that no call can lack them.

pub(super) mod guide;

use std::{io::Write, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use flate2::{Compression, write::GzEncoder};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, Header, HttpMethod, Object, OpenApi as Document, Ref, RefOr, Required, Response, Schema, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    alphabets, collections, events, explain, health, history, media, notifications, paths, problem::ProblemShape,
    read_side, reconciliations, restore,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "zeroload",
        description = "Tickets for direct uploads to S3, confirms, and collection of what nobody confirmed. \
                       Times are RFC 3339 in UTC, sizes are bytes. Errors are RFC 9457 problems with a stable `code`, \
                       also for paths (404 `not-found`) and methods (405 `method-not-allowed`, with `Allow`) that are \
                       not listed here. HEAD is possible wherever GET is."
    ),
    tags(
        (name = "media", description = "what a backend asks for"),
        (name = "history", description = "what an auditor reads"),
        (name = "projections", description = "what an analyst reads"),
        (name = "collections", description = "what an operator does"),
        (name = "notifications", description = "what the bucket sends"),
        (name = "operations", description = "for probes and scrapers; no key is needed"),
    ),
    paths(
        media::request, media::get, media::uploaded, media::confirm, media::confirm_many, media::ticket,
        media::release, restore::restore, explain::explain, history::of_media, history::all, history::verify, read_side::pending,
        read_side::projections, collections::run, collections::list, collections::one, reconciliations::begin, reconciliations::list,
        reconciliations::one, notifications::s3, guide::home, guide::docs, health::livez, health::readyz, health::metrics, serve
    ),
    components(schemas(ProblemShape)),
    security(("api_key" = [])),
    modifiers(&Everywhere)
)]
struct Described;

/// Status and codes of the problems that any call may be answered with.
const ANY: [(&str, &str); 4] = [
    ("400", "`invalid`: `field` names what was refused"),
    ("421", "`misdirected`: the name in Host is not served"),
    ("431", "`headers-too-large`"),
    ("500", "`internal`: whether the call was carried out is unknown, repeat it"),
];

/// Further problems of calls that take a key.
const WITH_KEY: [(&str, &str); 3] = [
    ("401", "`unauthorized`: no key, or none of this service"),
    ("403", "`forbidden`: the key's role is not for this call"),
    ("503", "`journal-unavailable`, `journal-unreadable`"),
];

/// Further problems of calls that may have a body.
const WITH_BODY: [(&str, &str); 3] = [
    ("408", "`timeout`: the body stopped coming"),
    ("413", "`too-large`: the body of the call"),
    ("415", "`unsupported-media-type`: a body that is not sent as application/json"),
];

/// The calls of a path.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (HttpMethod, &Operation)> {
    let all = [(HttpMethod::Get, &item.get), (HttpMethod::Post, &item.post), (HttpMethod::Delete, &item.delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Adds the parts that all calls, or all calls of a kind, share.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("Where API keys are set"));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme.build()));
        alphabets::describe_members(components);
        for (path, item) in &mut document.paths.paths {
            let with_key = path.starts_with("/v1/");
            for (method, operation) in [
                (HttpMethod::Get, &mut item.get),
                (HttpMethod::Post, &mut item.post),
                (HttpMethod::Delete, &mut item.delete),
            ] {
                if let Some(operation) = operation {
                    complete(operation, with_key, method != HttpMethod::Get);
                }
            }
        }
    }
}

fn complete(operation: &mut Operation, with_key: bool, with_body: bool) {
    let mut shared = ANY.to_vec();
    if with_key {
        shared.extend(WITH_KEY);
        operation.parameters.get_or_insert_default().push(request_id());
    } else {
        operation.security = Some(Vec::new());
    }
    if with_key && with_body {
        shared.extend(WITH_BODY);
    }
    alphabets::describe_parameters(operation);
    for content in operation.request_body.iter_mut().flat_map(|body| body.content.values_mut()) {
        content.schema = content.schema.take().map(without_null);
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in shared {
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(description)));
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = reason(status).to_owned();
        }
        let header = |description: &str| {
            let mut header = Header::new(Object::with_type(Type::String));
            header.description = Some(description.to_owned());
            header
        };
        response.headers.insert("X-Request-Id".to_owned(), header("the call's own, or the one that it was given"));
        match status.as_str() {
            "401" => {
                response.headers.insert("WWW-Authenticate".to_owned(), header("how to authenticate"));
            }
            "503" if with_key => {
                response.headers.insert("Retry-After".to_owned(), header("seconds after which to try again"));
            }
            _ => {}
        }
        if let Some(lines) = response.content.get_mut("application/x-ndjson") {
            lines.schema = Some(events::lines_of("Event").into());
        }
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert("application/problem+json".to_owned(), problem);
        }
    }
}

/// The schema of a body without null: utoipa derives a body that may be left out as one that may be null, which the
/// service refuses.
fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::OneOf(one_of)) if one_of.items.len() == 2 => {
            let body = one_of.items.iter().find(|schema| matches!(schema, RefOr::Ref(_))).cloned();
            body.unwrap_or(RefOr::T(Schema::OneOf(one_of)))
        }
        other => other,
    }
}

fn reason(status: &str) -> &'static str {
    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    status.and_then(|status| status.canonical_reason()).unwrap_or("answered")
}

fn request_id() -> Parameter {
    ParameterBuilder::new()
        .name("X-Request-Id")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("1 to 128 visible ASCII characters; kept in the events' metadata and given back"))
        .schema(Some(Object::with_type(Type::String)))
        .build()
}

/// The interface as OpenAPI.
pub fn document() -> Document {
    Described::openapi()
}

/// This document
///
/// Compressed for clients that send `Accept-Encoding: gzip`.
#[utoipa::path(
    get, path = paths::openapi::PATH, operation_id = "openapi", tag = "operations",
    responses((status = 200, body = Object, content_type = "application/json", description = "OpenAPI 3.1"))
)]
pub async fn serve(request: HttpRequest) -> HttpResponse {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&document()).expect("a description of texts and numbers serializes"));
    static COMPRESSED: LazyLock<Vec<u8>> = LazyLock::new(|| compressed(TEXT.as_bytes()));
    let mut response = HttpResponse::Ok();
    response.content_type("application/json").insert_header((header::VARY, "accept-encoding"));
    if takes_gzip(&request) {
        return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(COMPRESSED.as_slice());
    }
    response.body(TEXT.as_str())
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("a buffer in memory takes all")
}

/// Whether `Accept-Encoding` names gzip, and not with a weight of 0 (RFC 9110 section 12.5.3).
fn takes_gzip(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).is_some_and(|q: f32| q <= 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
