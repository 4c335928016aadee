//! The OpenAPI document against the service: every route is described, and every answer is as it was described.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    app::{id, wish},
    edge::{
        STRANGER,
        paths::ROUTES,
        wire::{Answer, ask},
    },
    roles::Keyed,
};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 as good as any";
const PROBLEM: &str = "application/problem+json";

struct Document(Value);

impl Document {
    async fn of(keyed: &Keyed) -> Self {
        let answer = Answer::of(keyed.app.call(Method::GET, "/openapi.json")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        Self(answer.json())
    }

    /// Path, method and description of every call.
    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().expect("paths");
        paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().expect("a path item");
            operations.iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    fn operation(&self, path: &str, method: &Method) -> &Value {
        let operation = &self.0["paths"][path][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        operation
    }

    #[track_caller]
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// Why `value` is not what `schema` describes, if it is not. An object may have no member that is not described.
    fn differs(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let schema = self.resolve(schema);
        for (keyword, enough) in [("oneOf", 1), ("anyOf", 1), ("allOf", usize::MAX)] {
            if let Some(schemas) = schema[keyword].as_array() {
                let failures: Vec<_> = schemas.iter().filter_map(|one| self.differs(one, value, at)).collect();
                if schemas.len() - failures.len() < enough.min(schemas.len()) {
                    return Some(failures.join("; "));
                }
            }
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let fits = |name: &&str| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{at}: {other} is no type"),
        };
        if !types.is_empty() && !types.iter().any(fits) {
            return Some(format!("{at} is no {types:?}: {value}"));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            return Some(format!("{at} is none of {allowed:?}: {value}"));
        }
        if let (Some(text), Some("date-time")) = (value.as_str(), schema["format"].as_str())
            && chrono::DateTime::parse_from_rfc3339(text).is_err()
        {
            return Some(format!("{at} is no time: {text}"));
        }
        if let (Some(text), Some("uuid")) = (value.as_str(), schema["format"].as_str())
            && zeroload_domain::MediaId::parse(text).is_err()
        {
            return Some(format!("{at} is no id: {text}"));
        }
        if let (Some(number), Some(least)) = (value.as_f64(), schema["minimum"].as_f64())
            && number < least
        {
            return Some(format!("{at} is less than {least}: {number}"));
        }
        if let Some(items) = value.as_array() {
            let found = items
                .iter()
                .enumerate()
                .find_map(|(index, item)| self.differs(&schema["items"], item, &format!("{at}[{index}]")));
            return found.filter(|_| schema["items"].is_object());
        }
        let (Some(members), true) = (value.as_object(), types.contains(&"object")) else { return None };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                return Some(format!("{at} lacks {name}: {value}"));
            }
        }
        let others = &schema["additionalProperties"];
        let is_free = schema["properties"].is_null() && others.is_null();
        members.iter().find_map(|(name, member)| {
            let at = format!("{at}.{name}");
            match &schema["properties"][name] {
                Value::Null if others.is_object() => self.differs(others, member, &at),
                Value::Null if is_free => None,
                Value::Null => Some(format!("{at} is not described")),
                described => self.differs(described, member, &at),
            }
        })
    }

    /// Makes a call and checks that its body and its answer are as described.
    async fn check(&self, path: &str, method: Method, call: RequestBuilder, status: u16) -> Value {
        let about = format!("{method} {path} {status}");
        let operation = self.operation(path, &method);
        let request = call.build().expect("a request");
        if status < 300
            && let Some(body) = request.body().and_then(|body| body.as_bytes()).filter(|body| !body.is_empty())
        {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{about}: its body is not described");
            let body = serde_json::from_slice(body).expect("JSON");
            assert_eq!(self.differs(schema, &body, "the request"), None, "{about}");
        }
        let answer = Answer::of(RequestBuilder::from_parts(reqwest::Client::new(), request)).await;
        assert_eq!(answer.status, status, "{about}: {}", String::from_utf8_lossy(&answer.body));
        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{about} is not described");
        for name in described["headers"].as_object().expect("headers").keys() {
            assert!(!answer.header(&name.to_lowercase()).is_empty(), "{about} lacks {name}");
        }
        let content_type = answer.header("content-type").split(';').next().unwrap_or_default();
        let mut schema = &described["content"][content_type]["schema"];
        assert!(schema.is_object(), "{about}: {content_type} is not described");
        if content_type == "application/x-ndjson" {
            assert_eq!(schema["type"], "string", "{about}: what reads descriptions knows no lines");
            schema = &schema["x-line"];
        }
        let values: Vec<Value> = match content_type {
            "application/x-ndjson" => {
                let text = String::from_utf8(answer.body).expect("text");
                text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
            }
            "application/openmetrics-text" | "text/plain" => vec![String::from_utf8(answer.body).expect("text").into()],
            _ => vec![answer.json()],
        };
        for value in &values {
            assert_eq!(self.differs(schema, value, "the answer"), None, "{about}");
        }
        values.into_iter().next().unwrap_or_default()
    }
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_check_of_answers_notices_what_is_not_described() {
    let described = json!({
        "type": "object",
        "required": ["id", "size"],
        "properties": {
            "id": { "type": "string", "format": "uuid" },
            "size": { "type": "integer", "minimum": 1 },
            "state": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/State" }] },
            "tags": { "type": "array", "items": { "type": ["string", "null"] } },
            "at": { "type": "string", "format": "date-time" },
        },
    });
    let document =
        Document(json!({ "components": { "schemas": { "State": { "type": "string", "enum": ["pending"] } } } }));
    let good =
        json!({ "id": STRANGER, "size": 1, "state": "pending", "tags": ["a", null], "at": "2026-01-02T03:04:05Z" });
    assert_eq!(document.differs(&described, &good, "it"), None);
    for (name, wrong) in [
        ("id", json!("7")),
        ("size", json!("1")),
        ("size", json!(0)),
        ("size", json!(1.5)),
        ("state", json!("gone")),
        ("state", json!(1)),
        ("tags", json!([1])),
        ("tags", json!("a")),
        ("at", json!("yesterday")),
        ("other", json!(null)),
    ] {
        let mut bad = good.clone();
        bad[name] = wrong;
        assert!(document.differs(&described, &bad, "it").is_some(), "{bad}");
    }
    assert!(document.differs(&described, &json!({ "id": STRANGER }), "it").is_some(), "a member lacks");
    assert!(document.differs(&described, &json!([]), "it").is_some(), "no object");
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_all_its_references_lead_somewhere() {
    let keyed = Keyed::start().await;
    let document = Document::of(&keyed).await;
    assert!(document.0["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert!(document.0["info"]["title"].is_string() && document.0["info"]["version"].is_string());
    let mut found = BTreeSet::new();
    references(&document.0, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix("#/components/schemas/").map(|name| format!("/components/schemas/{name}"));
        assert!(pointer.is_some_and(|pointer| document.0.pointer(&pointer).is_some()), "{reference} leads nowhere");
    }
    let tags: Vec<_> = document.0["tags"].as_array().expect("tags").iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in document.operations() {
        let about = format!("{method} {path}");
        assert!(path.starts_with('/') && ["get", "post", "delete"].contains(&method), "{about}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{about} has no summary");
        assert!(operation["operationId"].as_str().is_some_and(|id| ids.insert(id)), "{about}: its id is not its own");
        assert!(operation["tags"].as_array().is_some_and(|own| own.iter().all(|tag| tags.contains(&tag))), "{about}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let names: BTreeSet<_> = parameters.iter().map(|p| (p["in"].to_string(), p["name"].to_string())).collect();
        assert_eq!(names.len(), parameters.len(), "{about}: a parameter is described twice");
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").collect::<Vec<_>>();
        assert_eq!(in_path.len(), path.matches('{').count(), "{about}");
        assert!(in_path.iter().all(
            |p| p["required"] == true && path.contains(&format!("{{{}}}", p["name"].as_str().unwrap_or_default()))
        ));
        for parameter in &parameters {
            assert!(parameter["schema"].is_object(), "{about}: {parameter}");
        }
        if let Some(body) = operation.get("requestBody") {
            let schema = &body["content"]["application/json"]["schema"];
            assert!(document.differs(schema, &Value::Null, "null").is_some(), "{about} takes no null for a body");
            // What S3 servers send has members that are none of our business.
            let foreign = path == "/v1/notifications/s3";
            let needed = foreign || ["/v1/media", "/v1/media/confirm"].contains(&path);
            assert_eq!(body["required"].as_bool().unwrap_or_default(), needed, "{about}");
            assert!(
                foreign || document.resolve(schema)["additionalProperties"] == false,
                "{about} takes no other members"
            );
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{about} {status}");
            let content =
                response["content"].as_object().unwrap_or_else(|| panic!("{about} {status} describes no body"));
            assert!(content.values().all(|content| content["schema"].is_object()), "{about} {status}");
        }
    }
}

#[tokio::test]
async fn schemas_have_the_names_that_a_client_wants_to_see() {
    let keyed = Keyed::start().await;
    let document = Document::of(&keyed).await;
    let schemas = document.0["components"]["schemas"].as_object().expect("schemas");
    for name in ["NewMedia", "Media", "Ticket", "Confirmation", "Event", "EventMetadata", "Problem", "CollectionReport"]
    {
        assert!(schemas.contains_key(name), "{name} is not in {:?}", schemas.keys());
    }
    for (name, schema) in schemas {
        assert!(!["Body", "Shape", "Whole"].iter().any(|ours| name.ends_with(ours)), "{name} is a name of the code");
        let members = schema["properties"].as_object().into_iter().flatten();
        let members: Vec<String> = members.map(|(member, _)| member.replace('_', "")).collect();
        assert_ne!(members, [name.to_lowercase()], "{name} is named like its only member");
    }
}

#[tokio::test]
async fn each_type_of_event_is_described_and_told_apart_by_its_name() {
    let keyed = Keyed::start().await;
    let document = Document::of(&keyed).await;
    let event = &document.0["components"]["schemas"]["Event"];
    assert_eq!(event["discriminator"]["propertyName"], "type");
    let mapping = event["discriminator"]["mapping"].as_object().expect("a mapping");
    let one_of: BTreeSet<_> =
        event["oneOf"].as_array().expect("schemas").iter().map(|one| one["$ref"].as_str()).collect();
    assert_eq!(one_of, mapping.values().map(Value::as_str).collect());
    assert_eq!(one_of.len(), 14);
    for (name, reference) in mapping {
        let whole = document.resolve(&json!({ "$ref": reference })).clone();
        assert_eq!(whole["properties"]["type"]["enum"], json!([name]));
        let payload = document.resolve(&whole["properties"]["payload"]);
        assert_eq!(payload["properties"]["type"]["enum"], json!([name]), "{name}");
        assert!(payload["properties"].as_object().is_some_and(|members| members.len() > 1), "{name}");
    }
}

#[tokio::test]
async fn the_document_is_compressed_for_whoever_asks_for_it() {
    let keyed = Keyed::start().await;
    let plain = Answer::of(keyed.app.call(Method::GET, "/openapi.json")).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let asked = async |accepted: &str| {
        Answer::of(keyed.app.call(Method::GET, "/openapi.json").header("Accept-Encoding", accepted)).await
    };
    for accepted in ["gzip", "deflate, GZIP;q=0.5, br"] {
        let answer = asked(accepted).await;
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("gzip", "accept-encoding"));
        assert!(answer.body.len() * 4 < plain.body.len(), "{} of {} bytes", answer.body.len(), plain.body.len());
        let mut whole = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(answer.body.as_slice()), &mut whole)
            .expect("gzip");
        assert_eq!(whole, plain.body);
    }
    for accepted in ["identity", "gzip;q=0", "br, gzip; q=0.0", ""] {
        assert_eq!(asked(accepted).await.header("content-encoding"), "", "{accepted}");
    }
}

/// What a generator of requests found, that believes the document.
#[tokio::test]
async fn what_the_document_calls_valid_is_accepted_and_what_it_does_not_is_refused() {
    let keyed = Keyed::start().await;
    let key = "acme-ops";
    let (ascii, wide) = ("~".repeat(255), "\u{10ffff}".repeat(63));
    let base = json!({ "owner": "o", "content_type": "0/0", "content_length": 1 });
    let with = |member: &str, value: &Value| {
        let mut body = base.clone();
        body[member] = value.clone();
        body
    };
    for (member, good, bad) in [
        ("owner", vec![json!(ascii), json!(wide), json!(" ")], vec![json!("\u{85}"), json!("a\u{9f}"), json!("")]),
        ("filename", vec![json!(wide), json!("a b.jpg"), Value::Null], vec![json!("\u{80}"), json!("a/b"), json!("")]),
        (
            "content_type",
            vec![
                json!("a!#$&^_.+-/b"),
                json!("a/b;c=d"),
                json!("a/b; c=d; e=f"),
                json!("a/b;"),
                json!("video/webm;codecs=vp8,opus"),
                json!("a/b;c=\"d;\\\"e\" ; f=g"),
            ],
            vec![json!("a"), json!("a/"), json!("a/b; c"), json!("a/b;c=\"d")],
        ),
        (
            "checksum_sha256",
            vec![json!(format!("{}=", "0".repeat(43))), Value::Null],
            vec![json!(format!("{}1=", "0".repeat(42))), json!("0".repeat(44))],
        ),
        ("content_length", vec![json!(1), json!(5_368_709_120_u64)], vec![json!(-1), json!(5_368_709_121_u64)]),
    ] {
        for value in good {
            let answer = keyed.post(key, "/v1/media", with(member, &value)).await;
            assert_eq!(answer.status, 201, "{member} {value}: {}", answer.json());
        }
        for value in bad {
            keyed.post(key, "/v1/media", with(member, &value)).await.invalid(member, member, &value.to_string());
        }
    }
    let media = keyed.ticket(key).await;
    assert!(keyed.app.put(&media, JPEG).await.status().is_success());
    let confirm = format!("/v1/media/{}/confirm", id(&media));
    keyed.post(key, &confirm, json!({ "attached_to": "a\u{85}" })).await.invalid("attached_to", "attached_to", "C1");
    assert_eq!(keyed.post(key, &confirm, json!({ "attached_to": wide })).await.status, 200);
    let page = format!("/v1/projections/pending?cursor=1.-1.{}&limit=1000&min_position=0", "0".repeat(32));
    for (target, status) in [
        ("/v1/projections/pending?cursor=", 400),
        (page.as_str(), 200),
        ("/v1/projections/pending?owner=%C2%85", 400),
        ("/v1/projections/pending?limit=1001", 400),
        ("/v1/events?after=9223372036854775807&limit=9223372036854775807", 200),
        ("/v1/events?after=9223372036854775808", 400),
        ("/v1/reconciliations/019a0d2e-7b1c-7000-8000-0123456789ab?cursor=", 400),
        ("/v1/reconciliations/019a0d2e-7b1c-7000-8000-0123456789ab?cursor=%00", 400),
        ("/v1/reconciliations/019a0d2e-7b1c-7000-8000-0123456789ab?cursor=a", 404),
    ] {
        let answer = keyed.get(key, target).await;
        assert_eq!(answer.status, status, "{target}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let keyed = Keyed::start().await;
    let document = Document::of(&keyed).await;
    let described: BTreeSet<_> =
        document.operations().map(|(path, method, _)| (path.to_owned(), method.to_uppercase())).collect();
    let answered: BTreeSet<_> = ROUTES
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(|method| ((*path).to_owned(), (*method).to_owned())))
        .filter(|(_, method)| method != "HEAD")
        .collect();
    assert_eq!(described, answered);
    for (path, method) in described {
        let target = path.replace("{id}", STRANGER);
        let answer = ask(&keyed.app, &method, &target, "", b"").await;
        let expected = if path.starts_with("/v1/") { 401 } else { 200 };
        assert_eq!(answer.status, expected, "{method} {path}");
        // What the path itself says that it answers.
        let allow = ask(&keyed.app, "BREW", &target, "", b"").await;
        for allowed in allow.header("allow").split(", ").filter(|method| *method != "HEAD") {
            document.operation(&path, &allowed.parse().expect("a method"));
        }
    }
}

#[tokio::test]
async fn every_call_lists_the_errors_that_it_can_answer_with() {
    let keyed = Keyed::start().await;
    let document = Document::of(&keyed).await;
    for (path, method, operation) in document.operations() {
        let mut expected = vec!["500"];
        if path.starts_with("/v1/") {
            expected.extend(["400", "401", "403", "503"]);
            assert!(operation["security"].is_null(), "{method} {path}: the keys of the whole document hold");
        } else {
            assert_eq!(operation["security"], json!([]), "{method} {path} needs no key");
        }
        if path.contains("{id}") {
            expected.push("404");
        }
        if method != "get" {
            expected.extend(["408", "413", "415"]);
        }
        if path.contains("{id}") && method != "get" {
            expected.push("409");
        }
        for status in expected {
            let schema = &operation["responses"][status]["content"][PROBLEM]["schema"];
            assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{method} {path} {status}");
        }
    }
    assert_eq!(document.0["security"], json!([{ "api_key": [] }]));
    assert_eq!(document.0["components"]["securitySchemes"]["api_key"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_answer_is_as_it_is_described() {
    let keyed = Keyed::start().await;
    let document = Document::of(&keyed).await;
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let key = "acme-ops";
    let mut checked = 0;
    let mut check = async |path: &str, target: &str, method: &Method, body: Option<Value>, status: u16| {
        checked += 1;
        let mut call = keyed.call(key, method.clone(), target);
        if let Some(body) = body {
            call = call.json(&body);
        }
        document.check(path, method.clone(), call, status).await
    };
    let media = check("/v1/media", "/v1/media", &post, Some(wish(JPEG)), 201).await;
    let one = "/v1/media/{id}";
    let item = format!("/v1/media/{}", id(&media));
    let of = |call: &str| (format!("{one}{call}"), format!("{item}{call}"));
    let [uploaded, confirm, ticket] = ["/uploaded", "/confirm", "/ticket"].map(of);
    let [events, explain] = ["/events", "/explain"].map(of);
    let named = json!({ "owner": "ann", "content_type": "a/b", "content_length": 1, "checksum_sha256": null, "filename": "a.b" });
    check("/v1/media", "/v1/media", &post, Some(named), 201).await;
    check("/v1/media", "/v1/media", &post, Some(json!({})), 400).await;
    check("/v1/media", "/v1/media", &post, None, 415).await;
    check("/v1/media", "/v1/media", &post, Some("x".repeat(300_000).into()), 413).await;

    check(one, &item, &get, None, 200).await;
    check(&uploaded.0, &uploaded.1, &post, None, 409).await;
    check(&confirm.0, &confirm.1, &post, None, 409).await;
    let media = check(&ticket.0, &ticket.1, &post, Some(json!({ "filename": "a.jpg" })), 200).await;
    check(&ticket.0, &ticket.1, &post, None, 200).await;
    check("/v1/projections/pending", "/v1/projections/pending?min_position=2&owner=ann&limit=1", &get, None, 200).await;
    assert!(keyed.app.put(&media, JPEG).await.status().is_success());
    check(&uploaded.0, &uploaded.1, &post, None, 200).await;
    check(&ticket.0, &ticket.1, &post, None, 409).await;
    check(&confirm.0, &confirm.1, &post, Some(json!({ "attached_to": "post-1" })), 200).await;
    check(&confirm.0, &confirm.1, &post, Some(json!({ "attached_to": "post-2" })), 409).await;
    let many = json!({ "ids": [id(&media), STRANGER], "attached_to": null });
    check("/v1/media/confirm", "/v1/media/confirm", &post, Some(many), 200).await;
    check("/v1/media/confirm", "/v1/media/confirm", &post, Some(json!({ "ids": [] })), 400).await;
    check(one, &item, &delete, None, 202).await;
    check(&ticket.0, &ticket.1, &post, None, 410).await;
    check(&events.0, &events.1, &get, None, 200).await;
    check(&events.0, &format!("{}?after=1&limit=1", events.1), &get, None, 200).await;
    check(&events.0, &format!("{}?limit=1001", events.1), &get, None, 400).await;
    check(&explain.0, &explain.1, &get, None, 200).await;
    check(&explain.0, &explain.1.replace(id(&media), STRANGER), &get, None, 404).await;
    check("/v1/collections", "/v1/collections", &post, Some(json!({ "dry_run": true })), 200).await;
    check("/v1/collections", "/v1/collections", &post, Some(json!({ "dry_run": 1 })), 400).await;
    let notifications = "/v1/notifications/s3";
    check(notifications, notifications, &post, Some(json!({ "Event": "s3:TestEvent" })), 200).await;
    check(notifications, notifications, &post, Some(json!({})), 400).await;
    let run = keyed.app.collect_later().await;
    assert_eq!(run.items.len(), 2);
    keyed.app.caught_up().await;
    check("/v1/collections", "/v1/collections?limit=1", &get, None, 200).await;
    check("/v1/collections", "/v1/collections?limit=0", &get, None, 400).await;
    check("/v1/collections/{id}", &format!("/v1/collections/{}", run.run_id), &get, None, 200).await;
    check(one, &item, &get, None, 200).await;
    check(&confirm.0, &confirm.1, &post, None, 410).await;
    check(&uploaded.0, &uploaded.1, &post, None, 410).await;
    check(&events.0, &events.1, &get, None, 200).await;

    let wanted = json!({ "delete_unknown_older_than": "30d" });
    let begun = check("/v1/reconciliations", "/v1/reconciliations", &post, Some(wanted), 202).await;
    let bad = json!({ "delete_unknown_older_than": "1h" });
    check("/v1/reconciliations", "/v1/reconciliations", &post, Some(bad), 400).await;
    check("/v1/reconciliations", "/v1/reconciliations?limit=1", &get, None, 200).await;
    let one_walk = format!("/v1/reconciliations/{}?limit=1", id(&begun));
    check("/v1/reconciliations/{id}", &one_walk, &get, None, 200).await;

    check("/v1/events", "/v1/events?after=1&limit=3", &get, None, 200).await;
    check("/v1/events", "/v1/events?after=x", &get, None, 400).await;
    check("/v1/journal/verify", "/v1/journal/verify", &get, None, 200).await;
    check("/v1/projections", "/v1/projections", &get, None, 200).await;
    check("/v1/projections/pending", "/v1/projections/pending?limit=0", &get, None, 400).await;
    for path in ["/", "/docs", "/livez", "/readyz", "/metrics", "/openapi.json"] {
        check(path, path, &get, None, 200).await;
    }
    for (path, methods) in ROUTES.iter().filter(|(path, _)| path.contains("{id}")) {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            let method = method.parse().expect("a method");
            check(path, &path.replace("{id}", STRANGER), &method, None, 404).await;
            check(path, &path.replace("{id}", "7"), &method, None, 400).await;
        }
    }
    for (path, methods) in ROUTES.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            let (method, target) = (method.parse::<Method>().expect("a method"), path.replace("{id}", STRANGER));
            document.check(path, method.clone(), keyed.app.call(method, &target), 401).await;
        }
    }
    document.check(one, get.clone(), keyed.call("acme-bi", get.clone(), &item), 403).await;
    document.check("/v1/collections", post.clone(), keyed.call("acme-web", post.clone(), "/v1/collections"), 403).await;
    let repeat = |body: Value| keyed.call(key, post.clone(), "/v1/media").header("Idempotency-Key", "k").json(&body);
    let first = document.check("/v1/media", post.clone(), repeat(wish(JPEG)), 201).await;
    document.check("/v1/media", post.clone(), repeat(wish(b"other")), 422).await;
    let item = format!("/v1/media/{}", id(&first));
    document.check(one, delete.clone(), keyed.call(key, delete.clone(), &item), 202).await;
    document.check("/v1/media", post.clone(), repeat(wish(JPEG)), 410).await;
    assert!(checked > 40, "{checked}");
}
