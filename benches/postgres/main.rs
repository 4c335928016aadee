//! What zeroload costs on Postgres, beside what it replaces: `cargo bench --profile dist --bench postgres`.
//!
//! One run measures everything on the same private server with PostgreSQL's default settings (`fsync=on`,
//! `synchronous_commit=on`; others with `--server`), load generator and all on the same cores: the real binary over HTTP
//! with its projections on, the journal within this process, pgbench with one row per transaction, and the stock crates.
//! Each round measures all of it twice: with nothing before, and with a past, a journal with events and for pgbench a
//! table with as many rows as these have items. Each figure is the median of the rounds, and each ratio that of the ratios
//! within a round, since a machine is seldom the same from one round to the next; a rebuild's is the better of two. The
//! server's log is filled first, and a checkpoint precedes each measurement: nobody pays for files that a server has only
//! to make once, or for what was written before.
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
//! | [`series`] | a figure of each round |
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
mod series;
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
/// The database of the stock crates.
const STOCK: &str = "stock";
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
    /// Events of the journal with a past; 0 leaves that out
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
    #[arg(long, conflicts_with = "only_service")]
    check: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured in each round with the same past, and what came of it.
struct Side {
    /// The databases of the service, of the appends, and of pgbench's table.
    served: &'static str,
    appends: &'static str,
    plain: &'static str,
    has_past: bool,
    figures: Figures,
    beside: Plain,
}

const EMPTY: [&str; 3] = ["served", "appends", "plain"];
const FILLED: [&str; 3] = ["filled", "filled", "plain_filled"];

impl Side {
    fn new([served, appends, plain]: [&'static str; 3], has_past: bool) -> Self {
        Self { served, appends, plain, has_past, figures: Figures::default(), beside: Plain::default() }
    }
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
        let Options { rounds, rebuild, events, check, .. } = *self.options;
        self.cluster.fill_log()?;
        let mut table = Table::new(describe::machine_name(), self.cluster.version()?, &self.options.server);
        say(&format!("{rebuild} events to rebuild from"));
        let rebuilt = self.filled("rebuilt", rebuild).await?;
        self.cluster.psql("postgres", "DROP DATABASE rebuilt")?;

        let mut empty = Side::new(EMPTY, false);
        if !self.options.only_service {
            plain::create(&self.cluster, empty.plain, 0)?;
        }
        let mut full = None;
        if events > 0 {
            say(&format!("a past of {events} events"));
            let side = Side::new(FILLED, true);
            let rebuilt = self.filled(side.served, events).await?;
            self.cluster.psql(side.served, "VACUUM ANALYZE")?;
            if !self.options.only_service {
                plain::create(&self.cluster, side.plain, history::items_of(events))?;
            }
            full = Some((side, rebuilt));
        }
        for round in 1..=rounds {
            say(&format!("round {round}"));
            for database in [empty.served, empty.appends, STOCK] {
                self.cluster.recreate_database(database)?;
            }
            self.measure(&mut empty).await?;
            self.verify(&empty).await?;
            if let Some((side, _)) = &mut full {
                say(&format!("round {round}, with {events} events before"));
                self.measure(side).await?;
            }
        }
        table.compared(&empty.figures, &empty.beside, rebuilt, rebuild);
        if let Some((full, again)) = &full {
            self.verify(full).await?;
            table.again(&full.figures, &empty.figures, *again, rebuilt, events);
            table.beside_a_past(&full.figures, &full.beside, events, history::items_of(events));
        }
        println!("{table}");
        if check { table.check() } else { Ok(()) }
    }

    /// A new journal with `events` events, and how many of them a rebuild takes per second.
    async fn filled(&self, database: &str, events: u64) -> Result<f64, Failure> {
        self.cluster.create_database(database)?;
        let url = self.cluster.url(database);
        history::fill(&url, events).await?;
        self.rebuild(&url, events).await
    }

    async fn verify(&self, side: &Side) -> Result<(), Failure> {
        say("verify");
        self.binary(&self.cluster.url(side.served), &["verify"]).await
    }

    /// One round of all figures but the rebuild.
    async fn measure(&self, side: &mut Side) -> Result<(), Failure> {
        let length = Duration::from_secs(self.options.seconds);
        if !self.options.only_service {
            self.measure_beside(side).await?;
        }
        let figures = &mut side.figures;
        self.cluster.checkpoint()?;
        figures.appended(appends::ours(&self.cluster.url(side.appends), length).await?);
        let url = self.cluster.url(side.served);
        let ids = history::uploaded(&url, 12_000 * self.options.seconds).await?;
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
        service.stop().await
    }

    /// pgbench; beside an empty journal its updates and the stock crates too.
    async fn measure_beside(&self, side: &mut Side) -> Result<(), Failure> {
        let Side { plain: database, beside, has_past, .. } = side;
        let seconds = self.options.seconds;
        let runs = plain::Runs { cluster: &self.cluster, database, folder: self.folder, seconds };
        let (mut inserted, mut updated) = (Vec::new(), Vec::new());
        for clients in CLIENTS {
            if !*has_past {
                runs.empty()?;
            }
            inserted.push(runs.insert(clients)?);
            if !*has_past {
                updated.push(runs.update(clients)?);
            }
        }
        beside.inserted(&inserted);
        beside.updated(&updated);
        if !*has_past {
            self.cluster.checkpoint()?;
            beside.stock(appends::stock(&self.cluster.url(STOCK), Duration::from_secs(seconds)).await?);
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
