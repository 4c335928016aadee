//! A `serve` that is killed and started again on the same data and ports, the clients that call it meanwhile, and the
//! checks after every start.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    process::ExitStatus,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::{StreamExt, stream};
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

/// Calls of a check under way at once.
pub const AT_ONCE: usize = 16;

/// What the clients share.
pub struct World {
    pub ledger: Ledger,
    urls: Vec<String>,
    /// Which of the processes serve.
    up: watch::Sender<Vec<bool>>,
    calls: AtomicUsize,
    stopping: AtomicBool,
    tally: Mutex<BTreeMap<String, u64>>,
}

impl World {
    /// Nobody calls while there is certainly nobody to answer: the system might give the free port to the caller.
    pub async fn is_up(&self) {
        self.up.subscribe().wait_for(|up| up.contains(&true)).await.expect("the world outlives its clients");
    }

    /// A process that serves: each in its turn, as a load balancer would choose.
    pub async fn url(&self) -> &str {
        self.is_up().await;
        let up = self.up.borrow();
        let serving: Vec<&String> = self.urls.iter().zip(&*up).filter(|(_, up)| **up).map(|(url, _)| url).collect();
        match serving.len() {
            0 => &self.urls[0],
            count => serving[self.calls.fetch_add(1, Ordering::Relaxed) % count],
        }
    }

    /// Of every process.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    fn is_now(&self, process: usize, up: bool) {
        self.up.send_modify(|all| all[process] = up);
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
    apis: Vec<String>,
    serving: Vec<Option<Serving>>,
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
        Self::several(site, seed, 1)
    }

    /// So many processes on the same data, started at once.
    pub fn several(site: Site, seed: u64, processes: usize) -> Self {
        let serving: Vec<Serving> = thread::scope(|scope| {
            let starting: Vec<_> = (0..processes).map(|_| scope.spawn(|| site.serve_anywhere())).collect();
            starting.into_iter().map(|start| start.join().expect("it serves")).collect()
        });
        for process in &serving {
            println!("{}", process.lines.join("\n"));
        }
        let s3 = serving[0].s3.clone();
        let apis = serving.iter().map(|process| process.api.clone()).collect();
        let world = World {
            urls: serving.iter().map(|process| process.url("")).collect(),
            ledger: Ledger::new(),
            up: watch::Sender::new(vec![true; processes]),
            calls: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            tally: Mutex::default(),
        };
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let world = Arc::new(world);
        let (history, clients) = (History::default(), JoinSet::new());
        let serving = serving.into_iter().map(Some).collect();
        Self { site, world, history, http, seed, s3, apis, serving, clients }
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
        self.kill_one(0);
    }

    pub fn kill_one(&mut self, process: usize) {
        self.serving[process].take().expect("it serves").kill();
        self.world.is_now(process, false);
    }

    /// SIGTERM, and how it ended. What the clients have begun by then goes on.
    pub fn terminate(&mut self) -> ExitStatus {
        let serving = self.serving[0].take().expect("it serves");
        serving.signal("-TERM");
        self.world.is_now(0, false);
        serving.wait()
    }

    /// As one of several is replaced: nobody new is sent to it, then SIGTERM, then it is started again.
    pub async fn replace(&mut self, process: usize) {
        self.world.is_now(process, false);
        let serving = self.serving[process].take().expect("it serves");
        serving.signal("-TERM");
        let ended = tokio::task::spawn_blocking(|| serving.wait()).await.expect("joined");
        assert_eq!(ended.code(), Some(0), "{}", self.site.log());
        self.start_one_again(process).await;
    }

    /// Starts it, and kills it so long after that.
    pub async fn kill_while_starting(&mut self, after: Duration) {
        let mut command = self.site.command(&["serve"]);
        let mut child = self.site.spawn(command.args(["--listen", &self.apis[0], "--embedded-s3-listen", &self.s3]));
        tokio::time::sleep(after).await;
        child.kill().expect("killed");
        child.wait().expect("it ended");
    }

    pub async fn start_again(&mut self) {
        self.start_one_again(0).await;
    }

    pub async fn start_one_again(&mut self, process: usize) {
        loop {
            match self.site.serve(&self.apis[process], &self.s3) {
                Ok(serving) => {
                    self.serving[process] = Some(serving);
                    self.world.is_now(process, true);
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
        let answer = loop {
            // An idle connection may be closed just when it is used again.
            match self.http.get(format!("{}{path}", self.world.url().await)).send().await {
                Ok(answer) => break answer,
                Err(_) => poll().await,
            }
        };
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    pub async fn collect(&self, dry_run: bool) -> Value {
        let call = self.http.post(format!("{}/v1/collections", self.world.url().await));
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
        let mut items = self.world.ledger.items();
        self.read_on().await;
        // What was sent while it was read may be in it.
        items.iter_mut().for_each(|item| item.released = self.world.ledger.item(&item.id).released);
        self.history.holds(&items);
        if self.history.len() < OFTEN_VERIFIED {
            self.get("/v1/journal/verify").await;
        }
        let mut rng = StdRng::seed_from_u64(self.seed ^ self.history.len() as u64);
        let picked: Vec<_> = (0..items.len().min(30)).map(|_| rng.random_range(0..items.len())).collect();
        let (stage, items) = (&*self, &items);
        let look = |at: usize| async move { (&items[at], stage.get(&format!("/v1/media/{}", items[at].id)).await) };
        let mut looked = stream::iter(picked).map(look).buffer_unordered(AT_ONCE);
        while let Some((item, media)) = looked.next().await {
            let media: Value = serde_json::from_str(&media).expect("JSON");
            let position = media["position"].as_u64().expect("a position");
            assert!(item.shown.iter().all(|shown| shown.position <= position), "{item:?} went back to {media}");
        }
    }
}

/// Waits a moment before another look.
pub async fn poll() {
    tokio::time::sleep(POLL).await;
}
