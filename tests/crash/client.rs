//! One client and its backend: random lives of items, seeded. Every answer is judged by what the client knows.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use zeroload_clock::Clock;
use zeroload_domain::Sha256Digest;

use crate::{
    ledger::{text, time},
    world::{World, poll},
};

/// S3 dates a ticket in whole seconds, rounded down.
const WHOLE_SECONDS: TimeDelta = TimeDelta::seconds(1);

/// In the tally: a call that a client which repeats it once would have seen fail.
pub const REPEATED: &str = "call repeated more than once";

pub struct Client {
    seed: u64,
    number: usize,
    lives: u32,
    rng: StdRng,
    http: reqwest::Client,
    world: Arc<World>,
    clock: Clock,
}

/// What became of a call in the end.
struct Reply {
    status: StatusCode,
    json: Value,
    /// Tries before it that were not answered: they may have happened.
    unanswered: u32,
}

/// A ticket that was handed out.
struct Ticket {
    id: String,
    upload: Value,
    bytes: Bytes,
}

impl Client {
    pub fn new(seed: u64, number: usize, http: reqwest::Client, world: Arc<World>) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        Self { seed, number, lives: 0, rng, http, world, clock: Clock::system() }
    }

    pub async fn live(mut self) {
        while !self.world.is_stopping() {
            self.one_life().await;
        }
    }

    async fn one_life(&mut self) {
        self.lives += 1;
        let Some(ticket) = self.request().await else { return };
        let id = ticket.id.as_str();
        match self.rng.random_range(0..100) {
            0..8 => {}
            8..14 => {
                self.release(id).await;
                if self.often(50) {
                    self.put(&ticket).await;
                }
            }
            14..26 => {
                self.put(&ticket).await;
            }
            26..34 => {
                self.put(&ticket).await;
                self.notice(id).await;
            }
            34..42 => {
                if self.put(&ticket).await && self.often(50) {
                    self.notice(id).await;
                }
                self.release(id).await;
            }
            42..72 => {
                if self.put(&ticket).await && self.often(40) {
                    self.notice(id).await;
                }
                self.confirm(id).await;
            }
            72..84 => {
                self.put(&ticket).await;
                if self.confirm(id).await {
                    self.release(id).await;
                    if self.often(40) {
                        self.confirm(id).await;
                    }
                }
            }
            84..92 => {
                if let Some(renewed) = self.renew(&ticket).await {
                    self.put(&renewed).await;
                    self.confirm(id).await;
                }
            }
            92..97 => self.confirm_when_due(&ticket).await,
            _ => self.upload_slowly(&ticket).await,
        }
        if self.often(30) {
            self.show(id).await;
        }
    }

    /// An upload, and a confirm at about the time at which it may be collected.
    pub async fn raced(&mut self) {
        let ticket = self.request().await.expect("a ticket");
        self.confirm_when_due(&ticket).await;
    }

    /// An upload and a confirm without detours.
    pub async fn confirmed(&mut self) -> String {
        let ticket = self.request().await.expect("a ticket");
        assert!(self.put(&ticket).await && self.confirm(&ticket.id).await, "{} is not confirmed", ticket.id);
        ticket.id
    }

    /// An upload, of which the service hears nothing.
    pub async fn uploaded(&mut self) {
        let ticket = self.request().await.expect("a ticket");
        assert!(self.put(&ticket).await, "{} is not uploaded", ticket.id);
    }

    /// A ticket and no more.
    pub async fn requested(&mut self) -> String {
        self.request().await.expect("a ticket").id
    }

    async fn request(&mut self) -> Option<Ticket> {
        let most = 1_usize << self.rng.random_range(0..=16);
        let mut bytes = vec![0; self.rng.random_range(1..=most)];
        self.rng.fill_bytes(&mut bytes);
        let bytes = Bytes::from(bytes);
        let mut wish = json!({
            "owner": format!("client-{}", self.number), "content_type": "image/png", "content_length": bytes.len(),
        });
        if self.often(50) {
            wish["checksum_sha256"] = Sha256Digest::of(&bytes).to_string().into();
        }
        let key = self.often(40).then(|| format!("{}-{}-{}", self.seed, self.number, self.lives));
        let mut reply = self.call(Method::POST, "/v1/media", Some(&wish), key.as_deref()).await;
        if key.is_none() {
            (0..reply.unanswered).for_each(|_| self.world.ledger.lost_request());
        } else if reply.status == StatusCode::GONE && reply.unanswered > 0 {
            // It happened, and has been collected before the repeat came through.
            self.world.ledger.lost_request();
            return None;
        }
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json);
        let id = self.world.ledger.requested(&reply.json, &bytes);
        if key.is_some() && self.often(20) {
            let again = self.call(Method::POST, "/v1/media", Some(&wish), key.as_deref()).await;
            if again.status == StatusCode::GONE {
                self.must_be_due(&id, &again);
                return None;
            }
            assert_eq!((again.status, text(&again.json, "id")), (StatusCode::CREATED, id.clone()), "{}", again.json);
            self.world.ledger.shown(&again.json);
            reply = again;
        }
        let upload = reply.json["upload"].clone();
        if upload.is_null() {
            assert!(reply.unanswered > 0, "no ticket in {}", reply.json);
            return None;
        }
        Some(Ticket { id, upload, bytes })
    }

    async fn renew(&mut self, ticket: &Ticket) -> Option<Ticket> {
        let reply = self.item_call(Method::POST, &ticket.id, "/ticket", None).await;
        if reply.status == StatusCode::GONE {
            self.must_be_due(&ticket.id, &reply);
            return None;
        }
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.json);
        self.world.ledger.shown(&reply.json);
        let upload = reply.json["upload"].clone();
        Some(Ticket { id: ticket.id.clone(), upload, bytes: ticket.bytes.clone() })
    }

    /// Sends the bytes; whether the bucket has answered that it holds them.
    async fn put(&mut self, ticket: &Ticket) -> bool {
        for unanswered in 0.. {
            self.world.is_up().await;
            let sent = self.put_request(ticket).body(ticket.bytes.clone()).send().await;
            if let Some(stored) = self.put_ended(ticket, sent, unanswered > 0).await {
                return stored;
            }
            poll().await;
        }
        unreachable!("it ends with an answer")
    }

    fn put_request(&self, ticket: &Ticket) -> reqwest::RequestBuilder {
        let mut request = self.http.put(text(&ticket.upload, "url"));
        for (name, value) in ticket.upload["headers"].as_object().expect("headers") {
            request = request.header(name, value.as_str().expect("a value"));
        }
        request
    }

    /// Whether the bucket holds the bytes; nothing if it did not answer.
    async fn put_ended(
        &self,
        ticket: &Ticket,
        sent: reqwest::Result<reqwest::Response>,
        repeated: bool,
    ) -> Option<bool> {
        let (status, body) = match sent {
            Ok(answer) => (answer.status(), answer.text().await),
            Err(_) => {
                self.world.count("PUT without an answer");
                return None;
            }
        };
        self.world.count(format!("PUT {}", status.as_u16()));
        let known = self.world.ledger.item(&ticket.id);
        match status {
            StatusCode::OK => {}
            // The object is there, by an earlier ticket or an earlier try.
            StatusCode::PRECONDITION_FAILED if repeated || known.stored => {}
            // An earlier try has not ended yet.
            StatusCode::CONFLICT if repeated => return None,
            StatusCode::FORBIDDEN => {
                let expires = time(&text(&ticket.upload, "expires_at"));
                assert!(self.clock.now() >= expires - WHOLE_SECONDS, "a ticket until {expires} was refused: {body:?}");
                return Some(false);
            }
            other => panic!("PUT of {} was answered {other}: {body:?}", ticket.id),
        }
        self.world.ledger.stored(&ticket.id);
        Some(true)
    }

    async fn notice(&mut self, id: &str) {
        let reply = self.item_call(Method::POST, id, "/uploaded", None).await;
        self.judge(id, &reply, StatusCode::OK);
    }

    async fn confirm(&mut self, id: &str) -> bool {
        let attached = self.often(50).then(|| json!({ "attached_to": format!("post-{id}") }));
        let reply = self.item_call(Method::POST, id, "/confirm", attached.as_ref()).await;
        self.judge(id, &reply, StatusCode::OK)
    }

    async fn release(&mut self, id: &str) {
        self.world.ledger.will_release(id);
        let reply = self.item_call(Method::DELETE, id, "", None).await;
        assert!(self.judge(id, &reply, StatusCode::ACCEPTED), "a release is never refused: {}", reply.json);
    }

    async fn show(&mut self, id: &str) {
        let reply = self.item_call(Method::GET, id, "", None).await;
        assert!(self.judge(id, &reply, StatusCode::OK), "an item is always there: {}", reply.json);
    }

    /// Enters a success into the ledger, and checks that a refusal is due to what the client has done.
    fn judge(&self, id: &str, reply: &Reply, success: StatusCode) -> bool {
        if reply.status == success {
            self.world.ledger.shown(&reply.json);
            return true;
        }
        let known = self.world.ledger.item(id);
        match (reply.status.as_u16(), reply.json["code"].as_str().unwrap_or_default()) {
            (409, "not-uploaded") => assert!(!known.stored, "the bytes of {id} are lost: {}", reply.json),
            (409, "cancelled" | "attached-elsewhere") => assert!(known.released, "{id}: {}", reply.json),
            (410, "gone") => self.must_be_due(id, reply),
            _ => panic!("{id} was answered {}: {}", reply.status, reply.json),
        }
        false
    }

    fn must_be_due(&self, id: &str, reply: &Reply) {
        let due = self.world.ledger.item(id).collectable_at;
        assert!(self.clock.now() >= due, "{id} is gone before {due}: {}", reply.json);
    }

    /// Races the collector for an item that nobody has confirmed in time.
    async fn confirm_when_due(&mut self, ticket: &Ticket) {
        if !self.put(ticket).await {
            return;
        }
        let due = self.world.ledger.item(&ticket.id).collectable_at;
        let offset = TimeDelta::milliseconds(self.rng.random_range(-100..900));
        self.sleep_until(due + offset).await;
        self.confirm(&ticket.id).await;
    }

    /// Begins an upload while the ticket lives and ends it when the item may be collected already; then says so.
    async fn upload_slowly(&mut self, ticket: &Ticket) {
        let due = self.world.ledger.item(&ticket.id).collectable_at;
        let offset = TimeDelta::milliseconds(self.rng.random_range(-500..1500));
        let wait = (due + offset - self.clock.now()).to_std().unwrap_or_default();
        let (first, rest) =
            (ticket.bytes.slice(..ticket.bytes.len() / 2), ticket.bytes.slice(ticket.bytes.len() / 2..));
        let parts = stream::iter([(Duration::ZERO, first), (wait, rest)]).then(|(wait, part)| async move {
            tokio::time::sleep(wait).await;
            Ok::<_, std::io::Error>(part)
        });
        self.world.is_up().await;
        let sent = self.put_request(ticket).body(reqwest::Body::wrap_stream(parts)).send().await;
        if self.put_ended(ticket, sent, false).await == Some(true) {
            self.world.count("slow PUT that ended well");
            self.notice(&ticket.id).await;
        }
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        tokio::time::sleep((at - self.clock.now()).to_std().unwrap_or_default()).await;
    }

    async fn item_call(&self, method: Method, id: &str, call: &str, body: Option<&Value>) -> Reply {
        self.call(method, &format!("/v1/media/{id}{call}"), body, None).await
    }

    /// Repeats a call until it is answered: every command may be repeated.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Reply {
        let mut unanswered = 0;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.world.url().await));
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            let answer = match request.send().await {
                Ok(answer) => (answer.status(), answer.json().await),
                Err(error) => (StatusCode::IM_A_TEAPOT, Err(error)),
            };
            match answer {
                (StatusCode::SERVICE_UNAVAILABLE, Ok::<Value, _>(json)) => {
                    self.world.count(format!("503 {}", json["code"]));
                    unanswered += 1;
                }
                (status, Ok(json)) => {
                    assert!(!status.is_server_error(), "{method} {path} was answered {status}: {json}");
                    let code = json["code"].as_str().unwrap_or_default();
                    self.world.count(format!("{} {code}", status.as_u16()));
                    return Reply { status, json, unanswered };
                }
                (_, Err(_)) => {
                    self.world.count("call without an answer");
                    unanswered += 1;
                }
            }
            if unanswered == 2 {
                self.world.count(REPEATED);
            }
            poll().await;
        }
    }

    fn often(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}
