//! A bad network between the service and its S3 server: collection and confirms stay right, and go on when it is well.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use zeroload::{background::collector::RunError, settings::RawSettings};

use crate::{
    app::{TestApp, embedded_keys, id, is_foreign},
    proxy::{Proxy, Weather},
};

const BYTES: &[u8] = b"some bytes";

/// A service that reaches its S3 server through a proxy only.
pub struct Behind {
    pub app: TestApp,
    pub proxy: Proxy,
    /// The embedded server's own service.
    _host: Option<TestApp>,
}

impl Behind {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut RawSettings)) -> Self {
        let named = std::env::var("ZEROLOAD_TEST_S3_ENDPOINT").ok();
        let plain = named.as_deref().and_then(|endpoint| endpoint.trim_end_matches('/').strip_prefix("http://"));
        if let Some(upstream) = plain.filter(|_| is_foreign()) {
            let proxy = Proxy::before(upstream.to_owned()).await;
            let app = TestApp::start_with(|raw| {
                raw.s3_endpoint = Some(proxy.endpoint.clone());
                change(raw);
            })
            .await;
            return Self { app, proxy, _host: None };
        }
        let host = TestApp::start_embedded(|_| {}).await;
        let (endpoint, access, secret) = embedded_keys(&host);
        let proxy = Proxy::before(endpoint.trim_start_matches("http://").to_owned()).await;
        let app = TestApp::start_embedded(|raw| {
            raw.s3_endpoint = Some(proxy.endpoint.clone());
            raw.s3_bucket = Some(host.parts.gateway.bucket().to_string());
            raw.s3_prefix = Some("behind-a-proxy".to_owned());
            raw.s3_access_key = Some(access);
            raw.s3_secret_key = Some(secret);
            change(raw);
        })
        .await;
        Self { app, proxy, _host: Some(host) }
    }

    async fn confirm(&self, media: &Value) -> (StatusCode, Value) {
        self.app.post_empty(&format!("/v1/media/{}/confirm", id(media))).await
    }
}

/// What is there when the weather turns.
struct Items {
    kept: Value,
    /// Uploaded, and confirmed when the network is well again.
    wanted: Value,
    due: Vec<Value>,
}

impl Items {
    async fn of(app: &TestApp) -> Self {
        let recorded = app.uploaded(BYTES).await;
        app.post_empty(&format!("/v1/media/{}/uploaded", id(&recorded))).await;
        let due = vec![recorded, app.uploaded(BYTES).await, app.ticket(BYTES).await];
        Self { kept: app.confirmed(BYTES).await, wanted: app.uploaded(BYTES).await, due }
    }

    /// What is confirmed is there, and everything else is gone.
    async fn are_settled(&self, app: &TestApp) {
        for media in [&self.kept, &self.wanted] {
            assert_eq!((app.state(media).await.as_str(), app.in_bucket(media).await), ("confirmed", true));
        }
        for media in &self.due {
            assert_eq!((app.state(media).await.as_str(), app.in_bucket(media).await), ("collected", false));
        }
        assert_eq!(app.get("/v1/journal/verify").await.0, StatusCode::OK);
    }
}

/// A time at which everything is due, and later ones.
fn later(minutes: i64) -> chrono::DateTime<Utc> {
    Utc::now() + TimeDelta::days(30) + TimeDelta::minutes(minutes)
}

/// A network that answers with something, if only with a broken connection.
async fn breaks(weather: Weather) {
    let behind = Behind::start().await;
    let (app, proxy) = (&behind.app, &behind.proxy);
    let items = Items::of(app).await;

    proxy.turns(weather, "");
    let (status, problem) = behind.confirm(&items.wanted).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage-unavailable")));
    let run = app.run_at(later(0), false).await;
    assert!(matches!(run, Err(RunError::Bucket(_))), "{run:?}");
    assert_eq!(app.state(&items.due[0]).await, "uploaded", "nothing is claimed for a bucket that does not answer");

    proxy.turns(Weather::Fine, "");
    app.check_bucket().await;
    assert_eq!(behind.confirm(&items.wanted).await.0, StatusCode::OK);

    // Only deletes are struck, so that a run gets as far as that.
    proxy.turns(weather, "POST");
    let report = app.run_at(later(1), false).await.expect("the bucket is looked at");
    proxy.struck(1).await;
    assert_eq!((report.due, report.unknown, report.collected, report.absent), (3, 3, 0, 0), "{report:?}");
    for media in &items.due {
        assert_eq!(app.state(media).await, "collecting", "what nobody has confirmed gone is not called collected");
        assert_eq!(behind.confirm(media).await.0, StatusCode::GONE);
    }

    proxy.turns(Weather::Fine, "");
    let report = app.run_at(later(60), false).await.expect("a run");
    assert_eq!((report.due, report.unknown), (3, 0), "{report:?}");
    items.are_settled(app).await;
}

/// A network that says nothing at all until it is well again.
async fn hangs(weather: Weather) {
    let behind = Arc::new(Behind::start().await);
    let (app, proxy) = (&behind.app, &behind.proxy);
    let items = Items::of(app).await;

    proxy.turns(weather, "HEAD");
    let confirm = tokio::spawn(app.call(Method::POST, &format!("/v1/media/{}/confirm", id(&items.wanted))).send());
    proxy.struck(1).await;
    assert!(!confirm.is_finished(), "nobody says that it is uploaded, or that it is not");
    proxy.turns(Weather::Fine, "");
    let status = confirm.await.expect("joined").expect("an answer").status();
    assert_eq!(status, StatusCode::OK, "the look is repeated");

    proxy.turns(weather, "POST");
    let run = tokio::spawn({
        let behind = behind.clone();
        async move { behind.app.run_at(later(0), false).await }
    });
    proxy.struck(1).await;
    app.caught_up().await;
    for media in &items.due {
        assert_eq!(app.state(media).await, "collecting", "its delete has no answer yet");
        assert_eq!(behind.confirm(media).await.0, StatusCode::GONE);
    }
    assert!(!run.is_finished());
    proxy.turns(Weather::Fine, "");
    let report = run.await.expect("joined").expect("the bucket is looked at");
    assert_eq!((report.due, report.failed, report.in_use), (3, 0, 0), "{report:?}");
    app.run_at(later(60), false).await.expect("a run");
    items.are_settled(app).await;
}

#[tokio::test]
async fn connections_that_break_prove_nothing() {
    breaks(Weather::Resets).await;
}

#[tokio::test]
async fn answers_that_are_lost_after_the_work_was_done_prove_nothing() {
    breaks(Weather::LosesAnswers).await;
}

#[tokio::test]
async fn answers_that_are_cut_prove_nothing() {
    breaks(Weather::CutsAnswers).await;
}

#[tokio::test]
async fn a_black_hole_delays_and_decides_nothing() {
    hangs(Weather::BlackHole).await;
}

#[tokio::test]
async fn a_server_that_does_its_work_and_says_nothing_delays_and_decides_nothing() {
    hangs(Weather::Silence).await;
}

#[tokio::test]
async fn a_slow_network_is_waited_for() {
    let behind = Behind::start().await;
    let items = Items::of(&behind.app).await;
    behind.proxy.turns(Weather::Slow(Duration::from_millis(60)), "");
    assert_eq!(behind.confirm(&items.wanted).await.0, StatusCode::OK);
    let report = behind.app.run_at(later(0), false).await.expect("a run");
    assert_eq!((report.due, report.collected, report.absent), (3, 2, 1), "{report:?}");
    items.are_settled(&behind.app).await;
}
