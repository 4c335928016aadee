//! Asking first: what the backend says is in use stays, and without its answer nothing goes.

use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use zeroload::{
    background::collector::{ItemOutcome, RunError},
    settings::RawSettings,
};

use crate::app::{TestApp, id, put_directly};

const BYTES: &[u8] = b"some bytes";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A backend that answers as it was told last, and remembers what it was asked.
struct Backend {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/review", listener.local_addr().expect("its address"));
        let answer = Arc::new(Mutex::new((200, json!({ "in_use": {} }).to_string())));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, questions) = (answer.clone(), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"]}") && connection.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                let text = String::from_utf8_lossy(&request);
                let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                questions.lock().expect("no panic").push(serde_json::from_str(body).expect("JSON"));
                let (status, body) = answers.lock().expect("no panic").clone();
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                let _client_has_gone = connection.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, answer, asked, task }
    }

    fn says(&self, status: u16, body: &Value) {
        *self.answer.lock().expect("no panic") = (status, body.to_string());
    }

    /// The ids of each question so far.
    fn questions(&self) -> Vec<Vec<String>> {
        let ids = |question: &Value| {
            let ids = question["ids"].as_array().expect("ids").iter();
            ids.map(|id| id.as_str().expect("an id").to_owned()).collect()
        };
        self.asked.lock().expect("no panic").iter().map(ids).collect()
    }

    async fn app(&self, change: impl FnOnce(&mut RawSettings)) -> TestApp {
        TestApp::start_with(|raw| {
            raw.review_url = Some(self.url.clone());
            raw.review_secret = Some(SECRET.to_owned());
            change(raw);
        })
        .await
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn seen(app: &TestApp, media: &Value) {
    assert_eq!(app.post_empty(&format!("/v1/media/{}/uploaded", id(media))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_the_backend_says_is_in_use_is_confirmed_and_the_rest_goes() {
    let backend = Backend::start().await;
    let app = backend.app(|_| {}).await;
    let (unseen, recorded, vanished) =
        (app.uploaded(BYTES).await, app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    seen(&app, &recorded).await;
    backend.says(200, &json!({ "in_use": { id(&unseen): "post-9", id(&recorded): null } }));
    let report = app.collect_later().await;
    assert_eq!((report.due, report.in_use, report.collected), (3, 2, 1), "{report:?}");
    let stays = report.items.iter().filter(|item| item.outcome == ItemOutcome::InUse);
    assert!(stays.into_iter().all(|item| item.code.as_deref() == Some("reviewed")));
    assert_eq!(backend.questions().concat().len(), 3);
    for media in [&unseen, &recorded] {
        assert_eq!(app.state(media).await, "confirmed");
        assert!(app.in_bucket(media).await);
    }
    assert_eq!(app.state(&vanished).await, "collected");
    assert_eq!(app.history(&unseen).await, ["MediaRequested", "Uploaded", "Confirmed"]);
    let (_, history) = app.get(&format!("/v1/media/{}/events", id(&unseen))).await;
    let confirmed = &history["events"][2];
    assert_eq!(confirmed["payload"]["attached_to"], "post-9");
    assert_eq!(
        (&confirmed["metadata"]["caller"], &confirmed["metadata"]["route"]),
        (&json!("review"), &json!("POST review_url"))
    );
    assert!(confirmed["metadata"]["request_id"].as_str().is_some_and(|message| message.starts_with("msg_")));
}

#[tokio::test]
async fn an_object_in_use_with_a_header_that_no_ticket_signs_is_neither_confirmed_nor_claimed() {
    let backend = Backend::start().await;
    let app = backend.app(|_| {}).await;
    let media = app.ticket(BYTES).await;
    let put = put_directly(&app, &media, |put| {
        put.content_type("image/jpeg").cache_control("public").body(BYTES.to_vec().into())
    });
    put.await;
    backend.says(200, &json!({ "in_use": { id(&media): "post-9" } }));
    let report = app.collect_later().await;
    assert_eq!((report.due, report.failed, report.items[0].code.as_deref()), (1, 1, Some("upload-mismatch")));
    assert_eq!((app.state(&media).await.as_str(), app.in_bucket(&media).await), ("pending", true));
}

#[tokio::test]
async fn an_item_in_use_that_cannot_be_confirmed_stays_and_says_why() {
    let backend = Backend::start().await;
    let app = backend.app(|_| {}).await;
    let media = app.ticket(BYTES).await;
    backend.says(200, &json!({ "in_use": { id(&media): "post-1" } }));
    let now = Utc::now() + TimeDelta::days(30);
    let report = app.run_at(now, false).await.expect("a run");
    assert_eq!((report.due, report.failed), (1, 1), "{report:?}");
    assert_eq!(report.items[0].code.as_deref(), Some("not-uploaded"));
    assert_eq!(app.state(&media).await, "pending", "it is not claimed");
    assert_eq!(app.run_at(now, false).await.expect("a run").due, 0, "it waits for its own time");
    backend.says(200, &json!({ "in_use": {} }));
    assert_eq!(app.run_at(now + TimeDelta::minutes(1), false).await.expect("a run").absent, 1);
}

#[tokio::test]
async fn without_an_answer_nothing_is_claimed_and_everybody_can_see_it() {
    let backend = Backend::start().await;
    let app = backend
        .app(|raw| {
            raw.ticket_ttl = Some("1s".to_owned());
            raw.grace = Some("2s".to_owned());
            raw.late_write_margin = Some("0s".to_owned());
        })
        .await;
    let media = app.uploaded(BYTES).await;
    let stranger = json!({ "in_use": { "019a0d2e-7b1c-7000-8000-0123456789ab": null } });
    let later = Utc::now() + TimeDelta::days(30);
    for (status, body) in [(500, json!({ "in_use": {} })), (204, json!({})), (200, json!({})), (200, stranger)] {
        backend.says(status, &body);
        let run = app.run_at(later, false).await;
        assert!(matches!(run, Err(RunError::Review(_))), "{status} {body}: {run:?}");
        assert_eq!(app.state(&media).await, "pending");
    }
    backend.says(500, &json!({}));
    let problem = loop {
        let (status, answer) = app.post_empty("/v1/collections").await;
        if status != StatusCode::OK {
            break (status, answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!((problem.0, &problem.1["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("review-unavailable")));
    let (status, ready) = app.get("/readyz").await;
    let collector = ready["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "collector");
    let collector = collector.expect("the check");
    assert_eq!((status, &collector["status"]), (StatusCode::OK, &json!("degraded")), "{ready}");
    assert!(collector["detail"].as_str().is_some_and(|detail| detail.contains("status 500")), "{collector}");
    let metrics =
        async || app.call(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("text");
    assert!(metrics().await.contains("zeroload_collection_unreviewed 1\n"));

    backend.says(200, &json!("s3cr3t ".repeat(500_000)));
    let (status, problem) = app.post_empty("/v1/collections").await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("review-unavailable")));
    let shown = format!("{problem} {}", app.get("/readyz").await.1);
    assert!(shown.contains("it is no JSON object") && !shown.contains("s3cr3t"), "{}", shown.len());

    backend.says(200, &json!({ "in_use": {} }));
    let (_, report) = app.post_empty("/v1/collections").await;
    assert_eq!(report["collected"], 1, "{report}");
    assert!(metrics().await.contains("zeroload_collection_unreviewed 0\n"));
}

#[tokio::test]
async fn that_the_backend_stops_answering_is_recorded_once_and_nothing_of_what_it_sent() {
    let backend = Backend::start().await;
    let app = backend.app(|_| {}).await;
    app.uploaded(BYTES).await;
    let mut later = Utc::now() + TimeDelta::days(30);
    let secret = json!("s3cr3t ".repeat(500_000));
    let failures = [(200, secret), (500, json!({})), (200, json!([{}])), (200, json!({ "in_use": [] }))];
    let before = app.head().await.position;
    for (status, body) in failures.iter().cycle().take(12) {
        backend.says(*status, body);
        later += TimeDelta::minutes(1);
        let run = app.run_at(later, false).await;
        assert!(matches!(run, Err(RunError::Review(_))), "{run:?}");
        assert_eq!(app.head().await.position, before + 2, "the change is recorded, not each run");
    }
    let events = app.call(Method::GET, "/v1/events").send().await.expect("an answer").text().await.expect("text");
    assert!(!events.contains("s3cr3t") && events.len() < 10_000, "{}", events.len());
    let last: Value = serde_json::from_str(events.lines().last().expect("an event")).expect("JSON");
    let reason = last["payload"]["broken_off"].as_str().expect("a reason");
    assert!(reason.contains("it is no JSON object, at line 1"), "{reason}");
    assert_eq!(last["payload"]["due"], 1);

    backend.says(200, &json!({ "in_use": {} }));
    assert_eq!(app.run_at(later + TimeDelta::minutes(1), false).await.expect("a run").collected, 1);
    app.uploaded(BYTES).await;
    backend.says(500, &json!({}));
    let again = app.head().await.position;
    for minutes in [2, 3] {
        let run = app.run_at(later + TimeDelta::minutes(minutes), false).await;
        assert!(matches!(run, Err(RunError::Review(_))), "{run:?}");
    }
    assert_eq!(app.head().await.position, again + 2, "after a run that worked it is a change again");
}

#[tokio::test]
async fn an_answer_that_is_an_array_claims_nothing() {
    let backend = Backend::start().await;
    let app = backend.app(|_| {}).await;
    let media = app.uploaded(BYTES).await;
    for body in [json!([{}]), json!([{ "in_use": {} }]), json!([[]]), json!([])] {
        backend.says(200, &body);
        let run = app.run_at(Utc::now() + TimeDelta::days(30), false).await;
        assert!(matches!(run, Err(RunError::Review(_))), "{body}: {run:?}");
        assert_eq!(app.state(&media).await, "pending");
    }
}

#[tokio::test]
async fn what_was_released_needs_no_question_and_questions_are_pages() {
    let backend = Backend::start().await;
    let app = backend.app(|raw| raw.delete_page = Some("2".to_owned())).await;
    let released = app.ticket(BYTES).await;
    app.delete(&format!("/v1/media/{}", id(&released))).await;
    for _ in 0..4 {
        app.ticket(BYTES).await;
    }
    assert_eq!(app.collect_later().await.absent, 5);
    let questions = backend.questions();
    assert_eq!(questions.concat().len(), 4);
    assert!(questions.iter().all(|ids| ids.len() <= 2) && !questions.concat().contains(&id(&released).to_owned()));
}

#[tokio::test]
async fn a_dry_run_asks_and_confirms_nothing() {
    let backend = Backend::start().await;
    let app = backend.app(|_| {}).await;
    let (used, free) = (app.uploaded(BYTES).await, app.uploaded(BYTES).await);
    backend.says(200, &json!({ "in_use": { id(&used): "post-1" } }));
    let report = app.run_at(Utc::now() + TimeDelta::days(30), true).await.expect("a run");
    let outcome = |media: &Value| report.items.iter().find(|item| item.id.to_string() == id(media)).map(|i| i.outcome);
    assert_eq!((outcome(&used), outcome(&free)), (Some(ItemOutcome::InUse), Some(ItemOutcome::WouldCollect)));
    assert_eq!(app.state(&used).await, "pending");
}

#[tokio::test]
async fn what_is_in_use_and_in_the_trash_is_asked_about_again_after_a_while_and_not_in_each_run() {
    let backend = Backend::start().await;
    let app = backend.app(|raw| raw.trash = Some("1d".to_owned())).await;
    let media = app.uploaded(BYTES).await;
    assert_eq!(app.collect_later().await.trashed, 1);
    backend.says(200, &json!({ "in_use": { id(&media): null } }));
    let ended = Utc::now() + TimeDelta::days(40);
    for (seconds, questions) in [(0, 2), (10, 2), (29, 2), (31, 3)] {
        let report = app.run_at(ended + TimeDelta::seconds(seconds), false).await.expect("a run");
        assert_eq!((report.collected, backend.questions().len()), (0, questions), "{seconds}: {report:?}");
    }
    assert_eq!(app.state(&media).await, "trashed", "it stays, for an operator to restore");
}
