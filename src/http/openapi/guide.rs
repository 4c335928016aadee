//! The page of text at the service's root address: lists all calls.

use std::{fmt::Write, sync::LazyLock};

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use utoipa::openapi::{HttpMethod, OpenApi};

use super::{document, operations};
use crate::http::paths;

/// Where everything is, as a page of text
#[utoipa::path(
    get, path = paths::home::PATH, operation_id = "guide", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain", description = "a page of text"))
)]
pub async fn home() -> HttpResponse {
    page()
}

/// The same page
#[utoipa::path(
    get, path = paths::docs::PATH, operation_id = "docs", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain", description = "a page of text"))
)]
pub async fn docs() -> HttpResponse {
    page()
}

fn page() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| written(&document()));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(PAGE.as_str())
}

/// The page: each call with its summary, grouped by tag.
fn written(document: &OpenApi) -> String {
    let mut page = format!(
        "{} {}\n\n{}\n\nThe whole interface, as OpenAPI: /openapi.json\n",
        document.info.title,
        document.info.version,
        document.info.description.as_deref().unwrap_or_default()
    );
    for tag in document.tags.iter().flatten() {
        let about = tag.description.as_deref().unwrap_or_default();
        write!(page, "\n{}: {about}\n", tag.name).expect("a string takes any text");
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                if operation.tags.iter().flatten().any(|of| *of == tag.name) {
                    let summary = operation.summary.as_deref().unwrap_or_default();
                    let call = format!("{} {path}", name(&method));
                    writeln!(page, "  {call:40} {summary}").expect("a string takes any text");
                }
            }
        }
    }
    page
}

const fn name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    }
}
