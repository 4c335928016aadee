//! A `serve` that is killed and started again on the same data and ports, the clients that call it meanwhile, and the
//! checks after every start.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    process::ExitStatus,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    client::Client,
    history::History,
    ledger::Ledger,
    process::{Serving, Site},
};

/// Between two looks at something that nobody announces.
const POLL: Duration = Duration::from_millis(10);

/// Events up to which the whole chain is verified at every check; a longer one is verified at the end.
const OFTEN_VERIFIED: usize = 5000;

/// What the clients share.
pub struct World {
    pub url: String,
    pub ledger: Ledger,
    up: watch::Sender<bool>,
    stopping: AtomicBool,
    tally: Mutex<BTreeMap<String, u64>>,
}

impl World {
    /// Nobody calls while there is certainly nobody to answer: the system might give the free port to the caller.
    pub async fn is_up(&self) {
        self.up.subscribe().wait_for(|up| *up).await.expect("the world outlives its clients");
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn count(&self, what: impl Into<String>) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner).entry(what.into()).or_default() += 1;
    }

    pub fn tally(&self) -> BTreeMap<String, u64> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub struct Stage {
    pub site: Site,
    pub world: Arc<World>,
    pub history: History,
    pub http: reqwest::Client,
    pub seed: u64,
    pub s3: String,
    api: String,
    serving: Option<Serving>,
    clients: JoinSet<()>,
}

/// The seed of this run: that of the environment, or a new one.
pub fn seed() -> u64 {
    let seed = match std::env::var("ZEROLOAD_TEST_SEED") {
        Ok(seed) => seed.parse().expect("ZEROLOAD_TEST_SEED is a number"),
        Err(_) => StdRng::from_os_rng().random(),
    };
    println!("ZEROLOAD_TEST_SEED={seed}");
    seed
}

impl Stage {
    pub fn start(seed: u64, settings: &[&str]) -> Self {
        Self::on(Site::new(settings), seed)
    }

    /// On data that are there already.
    pub fn on(site: Site, seed: u64) -> Self {
        let serving = site.serve_anywhere();
        println!("{}", serving.lines.join("\n"));
        let (api, s3) = (serving.api.clone(), serving.s3.clone());
        let world = World {
            url: serving.url(""),
            ledger: Ledger::new(),
            up: watch::Sender::new(true),
            stopping: AtomicBool::new(false),
            tally: Mutex::default(),
        };
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let world = Arc::new(world);
        let (history, clients) = (History::default(), JoinSet::new());
        Self { site, world, history, http, seed, s3, api, serving: Some(serving), clients }
    }

    pub fn client(&self, number: usize) -> Client {
        Client::new(self.seed, number, self.http.clone(), self.world.clone())
    }

    /// Lets so many clients live one life after the other.
    pub fn crowd(&mut self, clients: usize) {
        for number in 0..clients {
            self.clients.spawn(self.client(number).live());
        }
    }

    /// Returns when so many more calls were acknowledged.
    pub async fn acknowledged(&mut self, more: u64) {
        let mut acknowledged = self.world.ledger.acknowledged();
        let until = *acknowledged.borrow() + more;
        tokio::select! {
            reached = acknowledged.wait_for(|count| *count >= until) => drop(reached.expect("a ledger")),
            ended = self.clients.join_next(), if !self.clients.is_empty() => self.fell_out(ended),
        }
    }

    fn fell_out(&self, client: Option<Result<(), tokio::task::JoinError>>) -> ! {
        let log = self.site.log();
        let tail: Vec<&str> = log.lines().rev().take(30).collect();
        println!("{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        match client {
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            other => panic!("a client ended: {other:?}"),
        }
    }

    pub fn kill(&mut self) {
        self.serving.take().expect("it serves").kill();
        self.world.up.send_replace(false);
    }

    /// SIGTERM, and how it ended. What the clients have begun by then goes on.
    pub fn terminate(&mut self) -> ExitStatus {
        let serving = self.serving.take().expect("it serves");
        serving.signal("-TERM");
        self.world.up.send_replace(false);
        serving.wait()
    }

    /// Starts it, and kills it so long after that.
    pub async fn kill_while_starting(&mut self, after: Duration) {
        let mut child = self.site.spawn(&["--listen", &self.api, "--embedded-s3-listen", &self.s3]);
        tokio::time::sleep(after).await;
        child.kill().expect("killed");
        child.wait().expect("it ended");
    }

    pub async fn start_again(&mut self) {
        loop {
            match self.site.serve(&self.api, &self.s3) {
                Ok(serving) => {
                    self.serving = Some(serving);
                    self.world.up.send_replace(true);
                    return;
                }
                // A connection of somebody else on this machine has the port for a moment.
                Err(refused) if refused.stderr.contains("cannot listen on") => {
                    assert_eq!(refused.status.code(), Some(1));
                    poll().await;
                }
                Err(refused) => panic!("it does not start again: {refused:?}"),
            }
        }
    }

    /// Ends the clients after their present lives.
    pub async fn end_clients(&mut self) {
        self.world.stopping.store(true, Ordering::Release);
        while let Some(ended) = self.clients.join_next().await {
            if ended.is_err() {
                self.fell_out(Some(ended));
            }
        }
    }

    pub async fn get(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.world.url)).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    pub async fn collect(&self, dry_run: bool) -> Value {
        let call = self.http.post(format!("{}/v1/collections", self.world.url));
        let answer = call.json(&serde_json::json!({ "dry_run": dry_run })).send().await.expect("an answer");
        let (status, report) = (answer.status(), answer.json().await.expect("JSON"));
        assert_eq!(status, StatusCode::OK, "{report}");
        report
    }

    /// Reads what was recorded since the last time.
    pub async fn read_on(&mut self) {
        let text = self.get(&format!("/v1/events?after={}", self.history.after())).await;
        self.history.extend(&text);
    }

    /// The same without a server, on what a killed one has left.
    pub fn read_the_dead(&mut self) {
        let replayed = self.site.run(&["replay", "--json", "--after", &self.history.after().to_string()]);
        assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        self.history.extend(&String::from_utf8(replayed.stdout).expect("text"));
    }

    /// Checks after a start, beside the load: all that was acknowledged before is there, nothing else has
    /// changed, and the chain holds.
    pub async fn check(&mut self) {
        let items = self.world.ledger.items();
        self.read_on().await;
        self.history.holds(&items);
        if self.history.len() < OFTEN_VERIFIED {
            self.get("/v1/journal/verify").await;
        }
        let mut rng = StdRng::seed_from_u64(self.seed ^ self.history.len() as u64);
        for _ in 0..items.len().min(30) {
            let item = &items[rng.random_range(0..items.len())];
            let media: Value = serde_json::from_str(&self.get(&format!("/v1/media/{}", item.id)).await).expect("JSON");
            let position = media["position"].as_u64().expect("a position");
            assert!(item.shown.iter().all(|shown| shown.position <= position), "{item:?} went back to {media}");
        }
    }
}

/// Waits a moment before another look.
pub async fn poll() {
    tokio::time::sleep(POLL).await;
}
