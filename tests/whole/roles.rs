//! Who may call what, and whose media they see.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    app::{TestApp, id, wish},
    edge::{STRANGER, paths::ROUTES, wire::Answer},
};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 as good as any";

/// Tenant, name and role of each key; the key itself is `secret-of-` and the name.
const KEYS: [(&str, &str, &str); 7] = [
    ("acme", "acme-web", "backend"),
    ("acme", "acme-audit", "auditor"),
    ("acme", "acme-bi", "analyst"),
    ("acme", "acme-ops", "operator"),
    ("acme", "acme-s3", "notifier"),
    ("rival", "rival-web", "backend"),
    ("rival", "rival-ops", "operator"),
];

/// A service that asks for keys.
pub struct Keyed {
    pub app: TestApp,
    _keys: tempfile::TempDir,
}

impl Keyed {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("keys.toml");
        let mut text = String::new();
        for (tenant, name, role) in KEYS {
            let digest: String = Sha256::digest(secret(name)).iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("[[key]]\ntenant = {tenant:?}\nname = {name:?}\nrole = {role:?}\nsha256 = {digest:?}\n");
        }
        std::fs::write(&file, text).expect("written");
        let app = TestApp::start_with(|raw| raw.api_keys = Some(file.display().to_string())).await;
        Self { app, _keys: dir }
    }

    /// A call with the key of this name.
    pub fn call(&self, name: &str, method: Method, path: &str) -> RequestBuilder {
        self.app.call(method, path).bearer_auth(secret(name))
    }

    pub async fn get(&self, name: &str, path: &str) -> Answer {
        Answer::of(self.call(name, Method::GET, path)).await
    }

    pub async fn post(&self, name: &str, path: &str, body: Value) -> Answer {
        Answer::of(self.call(name, Method::POST, path).json(&body)).await
    }

    pub async fn ticket(&self, name: &str) -> Value {
        let answer = self.post(name, "/v1/media", wish(JPEG)).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()
    }

    async fn uploaded(&self, name: &str) -> Value {
        let media = self.ticket(name).await;
        assert!(self.app.put(&media, JPEG).await.status().is_success());
        media
    }

    async fn head(&self) -> u64 {
        self.app.head().await.position
    }

    /// The lines of `/v1/events` as this key sees them.
    pub async fn events(&self, name: &str) -> Vec<Value> {
        let answer = self.get(name, "/v1/events").await;
        assert_eq!(answer.status, 200);
        let text = String::from_utf8(answer.body).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    /// The ids of the PENDING view as this key sees it, up to date.
    async fn pending(&self, name: &str) -> Vec<String> {
        let head = self.head().await;
        let answer = self.get(name, &format!("/v1/projections/pending?min_position={head}")).await.json();
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        items.iter().map(|item| id(item).to_owned()).collect()
    }
}

pub fn secret(name: &str) -> String {
    format!("secret-of-{name}")
}

/// A body that the call understands.
fn body_of(path: &str, item: &str) -> Option<Value> {
    match path {
        "/v1/media" => Some(wish(JPEG)),
        "/v1/media/confirm" => Some(json!({ "ids": [item] })),
        "/v1/collections" => Some(json!({ "dry_run": true })),
        "/v1/notifications/s3" => Some(json!({ "Records": [] })),
        _ => None,
    }
}

/// Every call that takes a key.
fn calls() -> impl Iterator<Item = (Method, &'static str)> {
    let routes = ROUTES.iter().filter(|(path, _)| path.starts_with("/v1/"));
    routes.flat_map(|(path, methods)| methods.iter().map(|method| (method.parse().expect("a method"), *path)))
}

fn may(role: &str, method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD;
    match role {
        "backend" => path.starts_with("/v1/media") && path != "/v1/media/{id}/restore",
        "auditor" => {
            path == "/v1/journal/verify" || path == "/v1/events" || (path.starts_with("/v1/media/{id}") && reads)
        }
        "analyst" => path.starts_with("/v1/projections"),
        "notifier" => path == "/v1/notifications/s3",
        "operator" => true,
        _ => unreachable!("no such role"),
    }
}

#[tokio::test]
async fn a_call_without_a_key_of_this_service_is_refused_everywhere() {
    let keyed = Keyed::start().await;
    let media = keyed.ticket("acme-web").await;
    let head = keyed.head().await;
    let good = secret("acme-ops");
    let digest: String = Sha256::digest(&good).iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer wrong".to_owned()),
        Some(format!("Bearer {good}x")),
        Some(format!("Bearer {}", &good[..good.len() - 1])),
        Some(format!("Bearer {}", good.to_uppercase())),
        Some(format!("Bearer {good} {good}")),
        Some(format!("Bearer {digest}")),
        Some("Bearer schlüssel".to_owned()),
        Some(format!("Bearer: {good}")),
        Some(format!("Basic {good}")),
        Some(good.clone()),
        Some(format!("Bearer {}", "k".repeat(20_000))),
    ];
    for (method, path) in calls() {
        let target = path.replace("{id}", id(&media));
        for header in &headers {
            let mut call = keyed.app.call(method.clone(), &target);
            if let Some(body) = body_of(path, id(&media)) {
                call = call.json(&body);
            }
            if let Some(header) = header {
                call = call.header("Authorization", header);
            }
            let answer = Answer::of(call).await;
            let about: String = format!("{method} {path} {header:?}").chars().take(100).collect();
            assert_eq!(answer.status, 401, "{about}");
            assert!(answer.header("www-authenticate").starts_with("Bearer "), "{about}: {answer:?}");
            if method != Method::HEAD {
                let problem = answer.problem(401, &about);
                assert_eq!(problem["code"], "unauthorized", "{about}");
                assert!(!problem.to_string().contains("secret"), "{about}");
            }
        }
    }
    assert_eq!(keyed.head().await, head, "nothing was recorded");
}

#[tokio::test]
async fn of_two_keys_none_is_taken() {
    let keyed = Keyed::start().await;
    for names in [["acme-bi", "acme-ops"], ["acme-ops", "acme-bi"], ["acme-bi", "acme-bi"]] {
        let headers: String = names.map(|name| format!("Authorization: Bearer {}\r\n", secret(name))).concat();
        let answer = crate::edge::wire::ask(&keyed.app, "GET", "/v1/projections", &headers, b"").await;
        answer.invalid("Authorization", "given once", "two keys");
    }
}

#[tokio::test]
async fn a_key_may_be_used_under_any_name() {
    let keyed = Keyed::start().await;
    let call = keyed.call("acme-bi", Method::GET, "/v1/projections").header("Host", "media.example");
    assert_eq!(Answer::of(call).await.status, 200);
}

#[tokio::test]
async fn the_scheme_of_a_key_may_be_written_in_any_case() {
    let keyed = Keyed::start().await;
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        let header = format!("{scheme} {}", secret("acme-bi"));
        let answer = Answer::of(keyed.app.call(Method::GET, "/v1/projections").header("Authorization", header)).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn each_role_may_make_its_own_calls_and_no_others() {
    let keyed = Keyed::start().await;
    for (_, name, role) in KEYS.into_iter().filter(|(tenant, ..)| *tenant == "acme") {
        let media = keyed.uploaded("acme-web").await;
        for (method, path) in calls() {
            let before = keyed.head().await;
            let mut call = keyed.call(name, method.clone(), &path.replace("{id}", id(&media)));
            if let Some(body) = body_of(path, id(&media)) {
                call = call.json(&body);
            }
            let answer = Answer::of(call).await;
            let about = format!("{role}: {method} {path}");
            if may(role, &method, path) {
                assert!(
                    matches!(answer.status, 200..=202 | 409)
                        || (answer.status == 404 && !path.starts_with("/v1/media")),
                    "{about}: {answer:?}"
                );
                continue;
            }
            assert_eq!(answer.status, 403, "{about}");
            if method != Method::HEAD {
                let problem = answer.problem(403, &about);
                assert_eq!(problem["code"], "forbidden", "{about}");
                assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(name)), "{problem}");
            }
            assert_eq!(keyed.head().await, before, "{about}: nothing was recorded");
        }
    }
}

#[tokio::test]
async fn a_role_is_asked_for_before_anything_else_is_looked_at() {
    let keyed = Keyed::start().await;
    for (name, method, target) in [
        ("acme-bi", Method::GET, "/v1/media/7"),
        ("acme-bi", Method::POST, "/v1/media"),
        ("acme-audit", Method::POST, "/v1/media/7/confirm?x=1"),
        ("acme-web", Method::GET, "/v1/projections/pending?limit=-1"),
        ("acme-web", Method::POST, "/v1/collections?x=1"),
    ] {
        Answer::of(keyed.call(name, method, target).body("no json")).await.problem(403, target);
    }
}

#[tokio::test]
async fn what_probes_and_scrapers_read_needs_no_key() {
    let keyed = Keyed::start().await;
    for path in ["/", "/docs", "/livez", "/readyz", "/metrics", "/openapi.json"] {
        for call in [keyed.app.call(Method::GET, path), keyed.app.call(Method::GET, path).bearer_auth("wrong")] {
            assert_eq!(Answer::of(call).await.status, 200, "{path}");
        }
    }
    Answer::of(keyed.app.call(Method::GET, "/nothing")).await.problem(404, "an unknown path");
    Answer::of(keyed.app.call(Method::PUT, "/v1/media")).await.problem(405, "an unknown method");
}

#[tokio::test]
async fn another_tenants_media_are_like_those_that_never_were() {
    let keyed = Keyed::start().await;
    let pending = keyed.ticket("acme-web").await;
    let uploaded = keyed.uploaded("acme-web").await;
    let confirmed = keyed.uploaded("acme-web").await;
    assert_eq!(keyed.post("acme-web", &format!("/v1/media/{}/confirm", id(&confirmed)), json!({})).await.status, 200);
    let head = keyed.head().await;
    let routes = ROUTES.iter().filter(|(path, _)| path.starts_with("/v1/media/{id}"));
    for (path, methods) in routes {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            for media in [&pending, &uploaded, &confirmed] {
                // Whoever has not the role is told so first.
                let names =
                    if *path == "/v1/media/{id}/restore" { &["rival-ops"][..] } else { &["rival-web", "rival-ops"] };
                for name in names {
                    let ask = |id: &str| {
                        let method = method.parse().expect("a method");
                        Answer::of(keyed.call(name, method, &path.replace("{id}", id)).header("X-Request-Id", "same"))
                    };
                    let about = format!("{name}: {method} {path}");
                    let theirs = ask(id(media)).await.problem(404, &about);
                    assert_eq!(theirs, ask(STRANGER).await.problem(404, &about), "nothing tells them apart");
                }
            }
        }
    }
    let ids = json!({ "ids": [id(&pending), STRANGER, id(&uploaded), id(&confirmed)] });
    let results = keyed.post("rival-web", "/v1/media/confirm", ids).await.json();
    let results = results["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    for result in results {
        assert_eq!((&result["status"], &result["state"]), (&json!(404), &Value::Null), "{result}");
        assert_eq!(result["problem"]["code"], "not-found");
    }
    assert_eq!(keyed.head().await, head, "nothing was recorded");
}

#[tokio::test]
async fn events_and_pending_items_are_those_of_the_callers_tenant_alone() {
    let keyed = Keyed::start().await;
    let mut expected = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        expected[0].push(id(&keyed.ticket("acme-web").await).to_owned());
        expected[1].push(id(&keyed.ticket("rival-web").await).to_owned());
    }
    for (name, expected) in [("acme-ops", &expected[0]), ("acme-audit", &expected[0]), ("rival-ops", &expected[1])] {
        let events = keyed.events(name).await;
        let ids: Vec<_> = events.iter().map(|event| event["media_id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(ids, *expected, "{name}");
        let tenant = name.split('-').next();
        assert!(events.iter().all(|event| event["payload"]["tenant"].as_str() == tenant), "{events:?}");
    }
    assert_eq!(keyed.pending("acme-ops").await, expected[0]);
    assert_eq!(keyed.pending("acme-bi").await, expected[0]);
    assert_eq!(keyed.pending("rival-ops").await, expected[1]);

    // Pages of one tenant go on behind the other's events.
    let answer = keyed.get("rival-ops", "/v1/events?after=2&limit=1").await;
    let event: Value = serde_json::from_slice(&answer.body).expect("one event");
    assert_eq!((&event["position"], event["media_id"].as_str()), (&json!(4), Some(expected[1][1].as_str())));
    // The cursor of one tenant opens nothing of the other's.
    let page = keyed.get("acme-bi", "/v1/projections/pending?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().expect("more").to_owned();
    let page = keyed.get("rival-ops", &format!("/v1/projections/pending?cursor={cursor}")).await.json();
    let shown: Vec<_> = page["items"].as_array().expect("items").iter().map(id).collect();
    assert!(shown.iter().all(|id| expected[1].iter().any(|own| own == id)), "{page}");
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_tenants_names_two_items() {
    let keyed = Keyed::start().await;
    let ask = async |name: &str| {
        let call = keyed.call(name, Method::POST, "/v1/media").header("Idempotency-Key", "post-1").json(&wish(JPEG));
        let answer = Answer::of(call).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()
    };
    let (acme, rival) = (ask("acme-web").await, ask("rival-web").await);
    assert_ne!(id(&acme), id(&rival));
    assert_eq!(id(&ask("acme-web").await), id(&acme));
    assert_eq!(id(&ask("acme-ops").await), id(&acme), "it is the tenant's, not the key's");
    assert_eq!(id(&ask("rival-web").await), id(&rival));
    for (media, tenant) in [(&acme, "/acme/"), (&rival, "/rival/")] {
        assert!(media["object_key"].as_str().is_some_and(|key| key.contains(tenant)), "{media}");
    }
}

#[tokio::test]
async fn the_history_says_which_key_did_what_and_never_holds_a_key() {
    let keyed = Keyed::start().await;
    let media = keyed.uploaded("acme-web").await;
    let path = format!("/v1/media/{}", id(&media));
    assert_eq!(keyed.post("acme-ops", &format!("{path}/confirm"), json!({})).await.status, 200);
    let call = keyed.call("acme-web", Method::DELETE, &path).header("X-Request-Id", "the-release");
    assert_eq!(Answer::of(call).await.status, 202);
    let answer = keyed.get("acme-audit", &format!("{path}/events")).await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body.clone()).expect("text");
    assert!(!text.contains("secret-of"), "{text}");
    let history = answer.json();
    let said: Vec<_> = history["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            let metadata = &event["metadata"];
            [&event["type"], &metadata["caller"], &metadata["route"]].map(|value| value.as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        said,
        [
            ["MediaRequested", "acme-web", "POST /v1/media"],
            ["Uploaded", "acme-ops", "POST /v1/media/{id}/confirm"],
            ["Confirmed", "acme-ops", "POST /v1/media/{id}/confirm"],
            ["Released", "acme-web", "DELETE /v1/media/{id}"],
        ]
    );
    assert_eq!(history["events"][3]["metadata"]["request_id"], "the-release");
}

#[tokio::test]
async fn without_keys_there_is_one_tenant_that_may_do_all() {
    let app = TestApp::start().await;
    let media = app.ticket(JPEG).await;
    assert!(media["object_key"].as_str().is_some_and(|key| key.contains("/default/")), "{media}");
    let call = app.call(Method::GET, &format!("/v1/media/{}", id(&media))).bearer_auth("anything");
    assert_eq!(Answer::of(call).await.status, 200, "a key that nobody asks for does no harm");
}
