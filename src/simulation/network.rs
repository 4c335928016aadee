//! The network between a process and the bucket, as the HTTP client of the SDK: the real gateway, signing, parsing and
//! mapping of errors stay in the run.
//!
//! A request under way belongs to nobody: it arrives, late or twice, whether or not its sender still waits or lives.

use std::{fmt, time::Duration};

use aws_sdk_s3::{
    config::{AsyncSleep, HttpClient, SharedAsyncSleep, SharedHttpClient, Sleep},
    primitives::SdkBody,
};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use tokio::sync::oneshot;

use super::{
    bucket::{Answer, Asked, Bucket},
    flaw::Flaw,
    sim::{Group, Sim},
};

/// Path and host of the bucket's address, as [`Gateway`](crate::storage::Gateway) is told.
pub const ENDPOINT: &str = "http://s3.test";
pub const BUCKET: &str = "photos";

#[derive(Clone)]
pub struct Network {
    pub sim: Sim,
    pub bucket: Bucket,
    pub flaw: Option<Flaw>,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// The connection breaks before anything has arrived.
    NeverArrives,
    /// The server says no, and has done nothing.
    Refused(u16, &'static str),
    /// The work is done, and the connection breaks.
    AnswerLost,
    /// The work is done, and the server says that it failed.
    Slandered,
    /// The answer breaks off in its middle.
    AnswerCut,
    /// Nobody ever hears of it; it may arrive long after.
    BlackHole,
    /// It takes place again, at some later time.
    Twice,
    /// A proxy answers in the server's place.
    Proxy,
}

const TROUBLES: [Fate; 11] = [
    Fate::NeverArrives,
    Fate::Refused(503, "SlowDown"),
    Fate::Refused(500, "InternalError"),
    Fate::Refused(403, "AccessDenied"),
    Fate::AnswerLost,
    Fate::AnswerLost,
    Fate::Slandered,
    Fate::AnswerCut,
    Fate::BlackHole,
    Fate::Twice,
    Fate::Proxy,
];

impl Network {
    fn fate(&self) -> Fate {
        if self.sim.trouble(12) { TROUBLES[self.sim.below(TROUBLES.len() as u64) as usize] } else { Fate::Fine }
    }

    /// Sends a request; the answer comes, or the sender is dropped when the connection breaks.
    pub fn send(&self, mut asked: Asked) -> oneshot::Receiver<Answer> {
        if self.flaw == Some(Flaw::MarksBlindly) {
            asked.only_over = None;
        }
        self.bucket.sent(&asked);
        let (answer, answered) = oneshot::channel();
        let (network, fate) = (self.clone(), self.fate());
        self.sim.spawn(Group::Network, async move { network.deliver(asked, fate, answer).await });
        answered
    }

    async fn deliver(&self, asked: Asked, fate: Fate, answer: oneshot::Sender<Answer>) {
        let Self { sim, bucket, .. } = self;
        sim.sleep(sim.latency()).await;
        let answer_with = match fate {
            Fate::NeverArrives => return,
            Fate::BlackHole => {
                sim.sleep(sim.between(Duration::ZERO, Duration::from_secs(90))).await;
                if sim.percent(50) {
                    bucket.carry_out(&asked);
                }
                // Held until everybody has lost patience.
                sim.sleep(Duration::from_secs(600)).await;
                return drop(answer);
            }
            Fate::Refused(status, code) => Answer::refusal(status, code),
            Fate::Proxy => {
                let page = ["text/html", "text/plain"][sim.below(2) as usize];
                let headers = vec![("content-type", page.to_owned())];
                Answer { headers, ..Answer::with(404, "<html>no such host</html>") }
            }
            Fate::Slandered => {
                bucket.carry_out(&asked);
                Answer::refusal(500, "InternalError")
            }
            Fate::AnswerLost => return drop(bucket.carry_out(&asked)),
            Fate::AnswerCut => {
                let mut whole = bucket.carry_out(&asked);
                whole.body.truncate(sim.below(whole.body.len() as u64 + 1) as usize);
                whole
            }
            Fate::Fine | Fate::Twice => bucket.carry_out(&asked),
        };
        sim.sleep(sim.latency()).await;
        // Who asked may have lost patience, or have died.
        let _gone = answer.send(answer_with);
        if fate == Fate::Twice {
            sim.sleep(sim.between(Duration::ZERO, Duration::from_secs(90))).await;
            bucket.carry_out(&asked);
        }
    }

    /// What the SDK must be told so that all it does passes here, in the run's time.
    pub fn carry(&self, config: &mut aws_sdk_s3::config::Builder) {
        config.set_http_client(Some(SharedHttpClient::new(self.clone())));
        config.set_sleep_impl(Some(SharedAsyncSleep::new(self.clone())));
        config.set_time_source(Some(SharedTimeSource::new(self.clone())));
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answered = self.send(asked(&request));
        HttpConnectorFuture::new(async move {
            match answered.await {
                Ok(answer) => Ok(response(answer)),
                Err(_) => Err(ConnectorError::io("the connection was reset".into())),
            }
        })
    }
}

impl AsyncSleep for Network {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.sim.sleep(duration))
    }
}

impl TimeSource for Network {
    fn now(&self) -> std::time::SystemTime {
        self.sim.now().into()
    }
}

fn asked(request: &HttpRequest) -> Asked {
    let path = request.uri().strip_prefix(ENDPOINT).expect("the gateway asks its own endpoint");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let key = path.trim_start_matches('/').strip_prefix(BUCKET).expect("and its own bucket");
    let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
    Asked {
        method: request.method().to_owned(),
        key: key.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        only_if_absent: header("if-none-match") == "*",
        only_over: request.headers().get("if-match").map(|etag| etag.trim_matches('"').to_owned()),
        content_type: header("content-type"),
        copied: request.headers().get("x-amz-copy-source").map(|source| {
            let key = source.strip_prefix(BUCKET).unwrap_or(source).trim_start_matches('/');
            (key.to_owned(), header("x-amz-copy-source-if-match").trim_matches('"').to_owned())
        }),
        body: request.body().bytes().unwrap_or_default().to_vec(),
    }
}

fn response(answer: Answer) -> HttpResponse {
    let status = answer.status.try_into().expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value);
    }
    response
}
