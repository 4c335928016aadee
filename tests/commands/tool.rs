//! What these tests do to a server and its data.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, Executor, sqlite::SqliteConnectOptions};

use crate::process::{Serving, Site};

/// Everything is due three seconds after its request, and nothing is collected by the timer.
pub const SHORT: [&str; 8] =
    ["--ticket-ttl", "1s", "--grace", "2s", "--late-write-margin", "0s", "--collect-every", "1h"];

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Standard output of a command that must end well.
pub fn succeeds(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    stdout(output)
}

/// Standard error of a command that must end with this code, and must say why in one line of its own.
pub fn fails(output: &Output, code: i32) -> String {
    let error = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{error}\n{}", stdout(output));
    error
}

/// What the program itself says last, below its log.
pub fn complaint(log: &str) -> &str {
    log.split_once("zeroload: ").map_or_else(|| panic!("no complaint in {log}"), |(_, complaint)| complaint)
}

pub fn journal(site: &Site) -> PathBuf {
    site.data().join("journal.db")
}

/// Talks to a running server.
pub struct Api<'a> {
    pub serving: &'a Serving,
    pub client: Client,
}

impl<'a> Api<'a> {
    pub fn of(serving: &'a Serving) -> Self {
        Self { serving, client: Client::builder().no_proxy().build().expect("a client") }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let mut request = self.client.request(method, self.serving.url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a body"))
    }

    pub async fn get(&self, path: &str) -> String {
        let (status, text) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    pub async fn ticket(&self, bytes: &[u8]) -> Value {
        let wish = json!({ "owner": "ann", "content_type": "image/png", "content_length": bytes.len() });
        let (status, text) = self.call(Method::POST, "/v1/media", Some(wish)).await;
        assert_eq!(status, StatusCode::CREATED, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    pub async fn uploaded(&self, bytes: &[u8]) -> Value {
        let media = self.ticket(bytes).await;
        let mut put = self.client.put(media["upload"]["url"].as_str().expect("a URL")).body(bytes.to_vec());
        for (name, value) in media["upload"]["headers"].as_object().expect("headers") {
            put = put.header(name, value.as_str().expect("a value"));
        }
        assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
        media
    }

    pub async fn confirmed(&self, bytes: &[u8]) -> Value {
        let media = self.uploaded(bytes).await;
        let (status, text) = self.call(Method::POST, &format!("/v1/media/{}/confirm", id(&media)), None).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Returns once so many items are due.
    pub async fn due(&self, items: u64) {
        loop {
            let body = Some(json!({ "dry_run": true }));
            let (_, report) = self.call(Method::POST, "/v1/collections", body).await;
            let report: Value = serde_json::from_str(&report).expect("JSON");
            if report["due"].as_u64() >= Some(items) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

pub fn id(media: &Value) -> &str {
    media["id"].as_str().expect("an id")
}

/// Changes the database past the triggers that forbid it, as somebody with the file in his hands can.
pub async fn tamper(database: &Path, trigger: &str, change: &str) {
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(std::time::Duration::from_secs(30));
    let mut connection = options.connect().await.expect("the database opens");
    let refused = connection.execute(change).await.expect_err("the trigger forbids it");
    assert!(refused.to_string().contains("append-only"), "{refused}");
    let sql: String = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1")
        .bind(trigger)
        .fetch_one(&mut connection)
        .await
        .expect("the trigger");
    let mut transaction = connection.begin().await.expect("a transaction");
    transaction.execute(format!("DROP TRIGGER {trigger}").as_str()).await.expect("dropped");
    let changed = transaction.execute(change).await.expect("changed");
    assert_eq!(changed.rows_affected(), 1, "{change}");
    transaction.execute(sql.as_str()).await.expect("created again");
    transaction.commit().await.expect("committed");
    connection.close().await.expect("closed");
}

/// Lists an event version as stored, as a newer binary's append would.
pub async fn list_version(database: &Path, event_type: &str, version: &str) {
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await.expect("the database opens");
    sqlx::query("INSERT INTO event_versions (event_type, event_version) VALUES (?1, ?2)")
        .bind(event_type)
        .bind(version)
        .execute(&mut connection)
        .await
        .expect("listed");
    connection.close().await.expect("closed");
}
