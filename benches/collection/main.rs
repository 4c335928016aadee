//! How fast collection is, and what it costs others: `cargo bench --profile dist --bench collection`.
//!
//! It runs the real binary with its embedded S3 server, on SQLite and on Postgres (a private server with its default
//! settings), client, service and database on the same cores:
//!
//! - a backlog of due items with their objects is collected end to end, two durable events for each;
//! - runs with nothing due are asked for, with millions of media in the journal;
//! - tickets are asked for while the brake holds a backlog, and while it is collected.
//!
//! Afterwards the runs' own records must name every item, and the bucket must hold none of the objects; otherwise the
//! benchmark fails. The table goes to standard output, progress to standard error.
//!
//! | module | one reason to exist |
//! |---|---|
//! | [`place`], [`cluster`] | the databases and folders |
//! | [`past`], [`bucket`] | what is in the journal and in the bucket before |
//! | [`backlog`] | due items, collected |
//! | [`tick`] | runs with nothing due |
//! | [`tickets`], [`load`], [`wish`] | what others notice of it |
//! | [`service`], [`asked`], [`memory`] | the process under test |
//! | [`samples`], [`describe`], [`table`] | the results |

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod asked;
mod backlog;
mod bucket;
#[path = "../postgres/cluster.rs"]
#[expect(dead_code, reason = "nothing is compared with pgbench here")]
mod cluster;
#[path = "../common/describe.rs"]
mod describe;
#[path = "../common/load.rs"]
mod load;
#[path = "../common/memory.rs"]
mod memory;
#[path = "../common/past.rs"]
mod past;
#[path = "../common/place.rs"]
mod place;
#[path = "../common/samples.rs"]
#[expect(dead_code, reason = "how long a load took is given to it")]
mod samples;
#[path = "../common/service.rs"]
#[expect(dead_code, reason = "how far projections are behind is not measured here")]
mod service;
mod table;
mod tick;
mod tickets;
#[path = "../common/wish.rs"]
mod wish;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Parser, ValueEnum};

use cluster::Cluster;
use place::{Kind, Place};
use table::Table;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Backlog,
    Tick,
    Tickets,
}

/// Measures the collector of the real binary.
#[derive(Parser)]
struct Options {
    /// Due items of each backlog; several with commas between
    #[arg(long, env = "ZEROLOAD_BENCH_ITEMS", value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    items: Vec<u64>,
    /// Media in the journal while nothing is due
    #[arg(long, env = "ZEROLOAD_BENCH_MEDIA", default_value_t = 5_000_000)]
    media: u64,
    /// Due items that are collected while tickets are asked for
    #[arg(long, env = "ZEROLOAD_BENCH_BESIDE", default_value_t = 100_000)]
    beside: u64,
    /// Tickets per second meanwhile; 0 is as many as the connections can
    #[arg(long, env = "ZEROLOAD_BENCH_TICKETS", default_value_t = 1000)]
    tickets: u32,
    /// How long they are asked for
    #[arg(long, env = "ZEROLOAD_BENCH_SECONDS", default_value_t = 10)]
    seconds: u64,
    /// How often, with and without collection in turn; the median counts
    #[arg(long, env = "ZEROLOAD_BENCH_ROUNDS", default_value_t = 7)]
    rounds: u32,
    /// What is measured
    #[arg(long, env = "ZEROLOAD_BENCH_PARTS", value_delimiter = ',', default_values = ["backlog", "tick", "tickets"])]
    parts: Vec<Part>,
    /// On which databases
    #[arg(long, env = "ZEROLOAD_BENCH_DATABASES", value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    databases: Vec<Kind>,
    /// Folder for the data, removed at the end; its disk is what is measured
    #[arg(long, env = "ZEROLOAD_BENCH_DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// The zeroload to measure: another build of it, to compare
    #[arg(long, env = "ZEROLOAD_BENCH_BINARY", default_value = env!("CARGO_BIN_EXE_zeroload"))]
    binary: PathBuf,
    /// Fail if a figure misses its goal
    #[arg(long)]
    check: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What all measurements share.
struct Bench<'a> {
    options: &'a Options,
    folder: &'a Path,
    kind: Kind,
    cluster: Option<&'a Cluster>,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = Table::new(describe::machine_name());
    for &kind in &options.databases {
        let folder = tempfile::tempdir_in(&options.dir)?;
        let cluster = (kind == Kind::Postgres).then(|| Cluster::start(folder.path(), &[])).transpose()?;
        let bench = Bench { options: &options, folder: folder.path(), kind, cluster: cluster.as_ref() };
        runtime.block_on(bench.run(&mut table))?;
    }
    println!("{table}");
    if options.check { table.check() } else { Ok(()) }
}

impl Bench<'_> {
    async fn run(&self, table: &mut Table) -> Result<(), Failure> {
        let wants = |part| self.options.parts.contains(&part);
        if wants(Part::Backlog) {
            let mut all = Vec::new();
            for &items in &self.options.items {
                all.push(self.backlog(items).await?);
            }
            table.collected(self.kind, &all);
        }
        if wants(Part::Tickets) {
            let rounds = self.tickets().await?;
            table.tickets(self.kind, self.options.tickets, &rounds);
        }
        if wants(Part::Tick) {
            self.tick(table).await?;
        }
        Ok(())
    }

    async fn backlog(&self, items: u64) -> Result<backlog::Collected, Failure> {
        let place = self.place(&format!("backlog_{items}")).await?;
        self.say(&format!("{items} due items and their objects are made"));
        backlog::make(&place, items).await?;
        self.say("they are collected");
        let service = place.serve(&backlog::SETTINGS).await?;
        let collected = backlog::collect(&service, items).await?;
        self.say(&format!("{:.0} items/s, {:.0} MB", collected.per_second(), collected.peak as f64 / 1e6));
        service.stop().await?;
        backlog::is_empty(&place).await?;
        place.clear(self.cluster)?;
        Ok(collected)
    }

    async fn tick(&self, table: &mut Table) -> Result<(), Failure> {
        let (place, media) = (self.place("tick").await?, self.options.media);
        self.say(&format!("{media} media are made, of which none is due"));
        tick::make(&place, media).await?;
        let service = place.serve(&backlog::SETTINGS).await?;
        let samples = tick::ticks(&service).await?;
        table.ticks(self.kind, media, &tick::index(&place).await?, &samples);
        service.stop().await?;
        place.clear(self.cluster)
    }

    /// Pairs, in turn: while a backlog is collected, and while the brake holds it. So little of it is collected beside tickets
    /// that one backlog is enough for all.
    async fn tickets(&self) -> Result<Vec<[tickets::Beside; 2]>, Failure> {
        let Options { beside, .. } = *self.options;
        let place = self.place("tickets").await?;
        self.say(&format!("{beside} due items and their objects are made"));
        backlog::make(&place, beside).await?;
        let mut rounds = Vec::new();
        for round in 1..=self.options.rounds {
            self.say(&format!("round {round}: tickets while the brake holds them, and while they are collected"));
            // Nobody has confirmed anything, so with the default settings none of it is collected.
            let (alone, _) = self.beside(&place, &[]).await?;
            let (busy, collected) = self.beside(&place, &backlog::SETTINGS).await?;
            // What was measured is collection only if it was still going on, and the other only without.
            if alone.others > 1.0 || busy.others < 1.0 || collected >= beside {
                let others = format!("{:.1} and {:.1} events/s of others", alone.others, busy.others);
                return Err(format!("round {round}: {others}, {collected} of {beside} items were collected").into());
            }
            eprintln!("  p99 {:.2} ms beside {:.2} ms", busy.samples.percentile(0.99), alone.samples.percentile(0.99));
            rounds.push([busy, alone]);
        }
        place.clear(self.cluster)?;
        Ok(rounds)
    }

    /// Tickets of a service that runs for them alone, and what all runs have collected in the end.
    async fn beside(&self, place: &Place<'_>, settings: &[&str]) -> Result<(tickets::Beside, u64), Failure> {
        let service = place.serve(settings).await?;
        let length = Duration::from_secs(self.options.seconds);
        let beside = tickets::load(&service, length, self.options.tickets).await?;
        let collected = asked::collected(&service).await?;
        service.stop().await?;
        Ok((beside, collected))
    }

    async fn place(&self, name: &str) -> Result<Place<'_>, Failure> {
        Place::make(&self.options.binary, &self.folder.join(name), self.kind, self.cluster, name).await
    }

    fn say(&self, what: &str) {
        eprintln!("- {}: {what}", self.kind.name());
    }
}
