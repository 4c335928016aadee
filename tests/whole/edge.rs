//! The edge of the interface: whatever arrives is answered, what is wrong is named, and nothing of it is recorded.

mod bodies;
mod fuzz;
mod headers;
pub mod paths;
mod shapes;
mod transport;
pub mod wire;

use reqwest::Method;

use crate::app::{TestApp, id};

/// A well-formed id that nothing was ever requested under.
pub const STRANGER: &str = "019a0d2e-7b1c-7000-8000-0123456789ab";

/// A service with one pending item, and where its journal stood then.
pub struct Untouched {
    pub app: TestApp,
    pub item: String,
    head: u64,
}

impl Untouched {
    pub async fn start() -> Self {
        let app = TestApp::start().await;
        let item = id(&app.ticket(b"bytes").await).to_owned();
        let head = app.head().await.position;
        Self { app, item, head }
    }

    /// Nothing that was refused may have left a trace.
    pub async fn check(self) {
        assert_eq!(self.app.head().await.position, self.head);
    }

    /// Every call that changes something, with a body that it understands (none: it takes none).
    pub fn writes(&self) -> Vec<(Method, String, Option<&'static str>)> {
        let item = format!("/v1/media/{}", self.item);
        vec![
            (
                Method::POST,
                "/v1/media".to_owned(),
                Some(r#"{"owner":"ann","content_type":"image/jpeg","content_length":5,"filename":"a.jpg"}"#),
            ),
            (
                Method::POST,
                "/v1/media/confirm".to_owned(),
                Some(r#"{"ids":["019a0d2e-7b1c-7000-8000-0123456789ab"],"attached_to":"post-1"}"#),
            ),
            (Method::POST, format!("{item}/confirm"), Some(r#"{"attached_to":"post-1"}"#)),
            (Method::POST, format!("{item}/ticket"), Some(r#"{"filename":"a.jpg"}"#)),
            (Method::POST, "/v1/collections".to_owned(), Some(r#"{"dry_run":true}"#)),
            (Method::POST, format!("{item}/uploaded"), None),
            (Method::DELETE, item, None),
        ]
    }
}
