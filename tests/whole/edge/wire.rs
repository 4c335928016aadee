//! HTTP by hand, for what a client library would not send, and the checks that every answer must pass.

use std::collections::BTreeMap;

use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::app::TestApp;

/// An answer, however it was asked for. Header names are lower-case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer, not a reset");
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        Self { status, headers, body: response.bytes().await.expect("the whole body").to_vec() }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Checks that this is a problem of `status` with all its members, and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16, about: &str) -> Value {
        assert_eq!(self.status, status, "{about}: {}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/problem+json", "{about}");
        let problem = self.json();
        check_problem(&problem, about);
        assert_eq!(problem["status"], status, "{about}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{about}");
        let code = problem["code"].as_str().expect("a code");
        match status {
            401 => assert!(self.header("www-authenticate").starts_with("Bearer"), "{about}"),
            404 => assert_eq!(code, "not-found", "{about}"),
            405 => assert!(!self.header("allow").is_empty() && code == "method-not-allowed", "{about}"),
            413 => assert_eq!(code, "too-large", "{about}"),
            415 => assert_eq!(code, "unsupported-media-type", "{about}"),
            503 => assert!(!self.header("retry-after").is_empty(), "{about}"),
            _ => {}
        }
        problem
    }

    /// Checks that a value was refused, that `field` is the one that is named, and that the detail says why.
    #[track_caller]
    pub fn invalid(&self, field: &str, detail: &str, about: &str) {
        let problem = self.problem(400, about);
        assert_eq!(
            (problem["code"].as_str(), problem["field"].as_str()),
            (Some("invalid"), Some(field)),
            "{about}: {problem}"
        );
        assert!(
            problem["detail"].as_str().expect("a detail").contains(detail),
            "{about}: {detail:?} is not in {problem}"
        );
    }
}

/// The members that every problem has, with the values that follow from each other.
#[track_caller]
pub fn check_problem(problem: &Value, about: &str) {
    let text = |name: &str| {
        let value = problem[name].as_str().unwrap_or_else(|| panic!("{about}: {name} in {problem}"));
        assert!(!value.is_empty(), "{about}: {name} in {problem}");
        value
    };
    assert_eq!(text("type"), format!("urn:zeroload:problem:{}", text("code")), "{about}");
    assert_eq!(text("message"), text("detail"), "{about}");
    assert!(text("detail").len() < 5000 && text("title").len() < 100, "{about}: {problem}");
    text("request_id");
    assert!(problem["status"].is_u64(), "{about}: {problem}");
    let known = ["type", "title", "status", "detail", "code", "message", "request_id", "field", "position"];
    for name in problem.as_object().expect("an object").keys() {
        assert!(known.contains(&name.as_str()), "{about}: {name} in {problem}");
    }
}

/// One connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub async fn to(app: &TestApp) -> Self {
        let address = app.url.strip_prefix("http://").expect("an http address");
        Self(BufReader::new(TcpStream::connect(address).await.expect("a connection")))
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the service takes it");
    }

    /// Ends our half of the connection; answers still come.
    pub async fn finish(&mut self) {
        self.0.get_mut().shutdown().await.expect("ended");
    }

    /// The next answer, `100 Continue` included. `has_body` is false for an answer to HEAD.
    pub async fn answer(&mut self, has_body: bool) -> Answer {
        let line = self.line().await;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = Vec::new();
        if has_body && headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            loop {
                let size = usize::from_str_radix(&self.line().await, 16).expect("a chunk's size");
                body.extend(self.bytes(size).await);
                self.line().await;
                if size == 0 {
                    break;
                }
            }
        } else if has_body && let Some(length) = headers.get("content-length") {
            body = self.bytes(length.parse().expect("a length")).await;
        }
        Answer { status, headers, body }
    }

    /// The service ends its side, with nothing more to say.
    pub async fn ended(&mut self) {
        assert_eq!(self.0.fill_buf().await.expect("an end, not a reset"), b"");
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await.expect("the connection is not reset");
        assert!(line.ends_with(b"\r\n"), "the connection ended: {:?}", String::from_utf8_lossy(&line));
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("text")
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.expect("the whole body");
        bytes
    }
}

/// One request on a connection of its own, its target and headers exactly as given.
pub async fn ask(app: &TestApp, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
    let mut wire = Wire::to(app).await;
    wire.send(request(method, target, headers, body)).await;
    wire.answer(method != "HEAD").await
}

/// A request as bytes. `headers` are whole lines.
pub fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}").into_bytes();
    if !body.is_empty() {
        request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    request
}
