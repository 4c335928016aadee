//! What zeroload costs on Postgres, beside what it replaces: `cargo bench --bench postgres`.
//!
//! One run measures everything on the same private server with PostgreSQL's default settings (`fsync=on`,
//! `synchronous_commit=on`), load generator and all on the same cores: the real binary over HTTP with its projections on,
//! the journal within this process, pgbench with one row per transaction, and the stock crates. Then it fills a journal
//! with events, and pgbench's table with as many rows as these have items, and measures both again. Each figure is the
//! better one of the rounds, on both sides. The server's log is filled first, and a checkpoint precedes each measurement:
//! nobody pays for files that a server has only to make once, or for what was written before.
//!
//! Every answer is checked, the projections must catch up, and `verify` must prove the whole journal; otherwise the
//! benchmark fails. The table goes to standard output, progress to standard error.
//!
//! | module | one reason to exist |
//! |---|---|
//! | [`cluster`] | the server, and pgbench against it |
//! | [`plain`] | a backend's own table |
//! | [`appends`] | the same decision through the journal and through the stock crates |
//! | [`history`] | a past to start from |
//! | [`uploads`] | what was uploaded a moment ago |
//! | [`load`], [`wish`], [`confirms`] | the clients, and what they call |
//! | [`service`], [`samples`], [`describe`] | the process under test, percentiles, the machine |
//! | [`table`] | the results as one markdown table |

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod appends;
mod cluster;
mod confirms;
#[path = "../common/describe.rs"]
mod describe;
mod history;
#[path = "../common/load.rs"]
mod load;
mod plain;
#[path = "../common/samples.rs"]
mod samples;
#[path = "../common/service.rs"]
mod service;
mod table;
mod uploads;
#[path = "../common/wish.rs"]
mod wish;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;

use cluster::Cluster;
use confirms::Confirms;
use load::{Calls, Load};
use samples::Samples;
use service::Service;
use table::{Figures, Plain, Table};
use wish::Tickets;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Kept connections of the runs for throughput, each with one request under way.
const MANY: usize = 256;
/// Of the runs for latency.
const FEW: usize = 16;
/// Items that are uploaded before they are confirmed: fewer than a process remembers.
const UPLOADS: usize = 16_000;
/// What pgbench is run with; the better one counts.
const CLIENTS: [u32; 2] = [16, 64];

/// Measures zeroload on Postgres beside what it replaces.
#[derive(Parser)]
struct Options {
    /// Length of each measurement
    #[arg(long, env = "ZEROLOAD_BENCH_SECONDS", default_value_t = 8)]
    seconds: u64,
    /// How often each is taken
    #[arg(long, env = "ZEROLOAD_BENCH_ROUNDS", default_value_t = 3)]
    rounds: u32,
    /// Events that a rebuild is measured with
    #[arg(long, env = "ZEROLOAD_BENCH_REBUILD", default_value_t = 1_000_000)]
    rebuild: u64,
    /// Events that are in the journal before everything is measured again; 0 leaves that out
    #[arg(long, env = "ZEROLOAD_BENCH_EVENTS", default_value_t = 5_000_000)]
    events: u64,
    /// Folder for the data, removed at the end; its disk is what is measured
    #[arg(long, env = "ZEROLOAD_BENCH_DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// The zeroload to measure: another build of it, to compare
    #[arg(long, env = "ZEROLOAD_BENCH_BINARY", default_value = env!("CARGO_BIN_EXE_zeroload"))]
    binary: PathBuf,
    /// A setting of the server, NAME=VALUE, in place of its default, for all that is measured; may be repeated
    #[arg(long = "server", value_name = "NAME=VALUE")]
    server: Vec<String>,
    /// Measure the service alone, without what it is compared with
    #[arg(long)]
    only_service: bool,
    /// Fail if a figure is below its goal
    #[arg(long)]
    check: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured beside zeroload in each round.
enum Beside {
    /// pgbench on an empty table, and the stock crates.
    Empty,
    /// pgbench's inserts into a table with a past.
    Past,
}

/// What all measurements share.
struct Bench<'a> {
    options: &'a Options,
    cluster: Cluster,
    folder: &'a Path,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(&options.dir)?;
    let cluster = Cluster::start(folder.path(), &options.server)?;
    let bench = Bench { options: &options, cluster, folder: folder.path() };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(bench.run())
}

impl Bench<'_> {
    async fn run(&self) -> Result<(), Failure> {
        self.cluster.fill_log()?;
        let mut table = Table::new(describe::machine_name(), self.cluster.version()?, &self.options.server);
        plain::create(&self.cluster)?;
        self.cluster.create_database("stock")?;
        self.cluster.create_database("appends")?;
        self.cluster.create_database("rebuilt")?;
        let mut plain = Plain::default();
        let empty = self.measure("served", "appends", &mut plain, Beside::Empty).await?;
        say(&format!("{} events to rebuild from", self.options.rebuild));
        let url = self.cluster.url("rebuilt");
        history::fill(&url, self.options.rebuild).await?;
        let rebuilt = self.rebuild(&url, self.options.rebuild).await?;
        table.compared(&empty, &plain, rebuilt, self.options.rebuild);
        if self.options.events > 0 {
            say(&format!("{} events, and everything again", self.options.events));
            self.cluster.create_database("filled")?;
            let url = self.cluster.url("filled");
            history::fill(&url, self.options.events).await?;
            let again = self.rebuild(&url, self.options.events).await?;
            self.cluster.psql("filled", "VACUUM ANALYZE")?;
            let (mut plain, items) = (Plain::default(), history::items_of(self.options.events));
            if !self.options.only_service {
                plain::fill_with_past(&self.cluster, items)?;
            }
            let full = self.measure("filled", "filled", &mut plain, Beside::Past).await?;
            table.again(&full, &empty, again, rebuilt, self.options.events);
            table.beside_a_past(&full, &plain, self.options.events, items);
        }
        println!("{table}");
        if self.options.check { table.check() } else { Ok(()) }
    }

    /// All figures but the rebuild: HTTP on one database, appends on another or the same.
    async fn measure(
        &self,
        served: &str,
        appends: &str,
        plain: &mut Plain,
        beside: Beside,
    ) -> Result<Figures, Failure> {
        let seconds = self.options.seconds;
        let length = Duration::from_secs(seconds);
        if served != appends {
            self.cluster.create_database(served)?;
        }
        let url = self.cluster.url(served);
        let mut figures = Figures::default();
        for round in 1..=self.options.rounds {
            say(&format!("round {round} on {served}"));
            if !self.options.only_service {
                self.measure_beside(plain, &beside).await?;
            }
            self.cluster.checkpoint()?;
            figures.appended(appends::ours(&self.cluster.url(appends), length).await?);
            let ids = history::uploaded(&url, 12_000 * seconds).await?;
            let service = self.serve(&url).await?;
            service.caught_up().await?;
            self.load(&service, FEW, length / 4, Tickets).await?;
            self.cluster.checkpoint()?;
            figures.few(&self.load(&service, FEW, length, Tickets).await?);
            self.cluster.checkpoint()?;
            let many = self.load(&service, MANY, length, Tickets).await?;
            figures.many(&many, service.lag().await?);
            service.caught_up().await?;
            self.cluster.checkpoint()?;
            figures.confirmed_later(&self.load(&service, MANY, length, Confirms(ids)).await?);
            service.caught_up().await?;
            // Until the projections have caught up: waves are so short that they could leave their work behind.
            let (mut confirmed, mut elapsed) = (0, Duration::ZERO);
            while elapsed < length / 4 {
                let ids = uploads::recorded(&service, UPLOADS).await?;
                service.caught_up().await?;
                self.cluster.checkpoint()?;
                let begun = Instant::now();
                confirmed += self.load(&service, MANY, length, Confirms(ids)).await?.count();
                service.caught_up().await?;
                elapsed += begun.elapsed();
            }
            figures.confirmed(confirmed as f64 / elapsed.as_secs_f64());
            service.stop().await?;
        }
        say("verify");
        self.binary(&url, &["verify"]).await?;
        Ok(figures)
    }

    async fn measure_beside(&self, plain: &mut Plain, beside: &Beside) -> Result<(), Failure> {
        let seconds = self.options.seconds;
        for clients in CLIENTS {
            match beside {
                Beside::Empty => {
                    plain.inserted(plain::insert(&self.cluster, self.folder, clients, seconds)?);
                    plain.updated(plain::update(&self.cluster, self.folder, clients, seconds)?);
                }
                Beside::Past => plain.inserted(plain::insert_more(&self.cluster, self.folder, clients, seconds)?),
            }
        }
        if let Beside::Empty = beside {
            self.cluster.checkpoint()?;
            plain.stock(appends::stock(&self.cluster.url("stock"), Duration::from_secs(seconds)).await?);
        }
        Ok(())
    }

    /// Events per second of the subcommand, from its start to its end.
    async fn rebuild(&self, url: &str, events: u64) -> Result<f64, Failure> {
        say("rebuild");
        let mut best = 0.0_f64;
        for _ in 0..self.options.rounds.min(2) {
            self.cluster.checkpoint()?;
            let begun = Instant::now();
            self.binary(url, &["projections", "rebuild"]).await?;
            best = best.max(events as f64 / begun.elapsed().as_secs_f64());
            eprintln!("  {best:.0} events/s");
        }
        Ok(best)
    }

    /// The clients have one thread and one runtime of their own, which leaves the most to the service.
    async fn load(
        &self,
        service: &Service,
        connections: usize,
        length: Duration,
        calls: impl Calls + 'static,
    ) -> Result<Samples, Failure> {
        let address = service.address;
        let cpu = || Ok::<_, Failure>([service::cpu_time("self")?, service.cpu_time()?, self.cluster.cpu_time()?]);
        let before = cpu()?;
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(Load { connections, length, calls: &calls }.run(address))
        };
        let samples = tokio::task::spawn_blocking(run).await??;
        let after = cpu()?;
        // What a process of the server had taken is not counted any more when it has ended.
        let [clients, service, server] =
            std::array::from_fn(|at| after[at].saturating_sub(before[at]).as_secs_f64() * 1e6 / samples.count() as f64);
        let [median, p99] = [0.5, 0.99].map(|share| samples.percentile(share));
        let rate = samples.per_second();
        eprintln!(
            "  {connections} connections: {} in {:.1} s, {rate:.0}/s, p50 {median:.2} ms, p99 {p99:.1} ms; CPU for each: clients {clients:.0} µs, zeroload \
             {service:.0} µs, Postgres {server:.0} µs",
            samples.count(),
            samples.elapsed().as_secs_f64()
        );
        Ok(samples)
    }

    async fn serve(&self, url: &str) -> Result<Service, Failure> {
        let data = self.folder.join("data");
        std::fs::create_dir_all(&data)?;
        // Each database is a journal of its own, so none may find the bucket of another.
        std::fs::remove_dir_all(&data)?;
        Service::start(&self.options.binary, &data, &["--database-url", url, "--adopt-bucket"]).await
    }

    async fn binary(&self, url: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = service::command(&self.options.binary, &self.folder.join("data"));
        let output = command.args(arguments).args(["--database-url", url]).output().await?;
        if !output.status.success() {
            return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(())
    }
}

fn say(what: &str) {
    eprintln!("- {what}");
}
