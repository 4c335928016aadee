//! How many tickets per second this machine issues, how long one takes, and what a million media cost in memory and
//! on disk: `cargo bench --profile dist --bench tickets`.
//!
//! It runs the real binary with its defaults but for ports and data folder: SQLite journal with `synchronous=FULL`,
//! read models and embedded S3. Clients and service share the machine's cores.
//!
//! Every answer must be 201 with a ticket in it. At the end the number of answers must be the journal's head, the
//! projections must catch up with it, and `verify` must prove all of it; otherwise the benchmark fails. The table goes to
//! standard output, progress to standard error.
//!
//! | module | one reason to exist |
//! |---|---|
//! | [`load`] | the clients: raw HTTP/1.1 over kept connections |
//! | [`wish`], [`calls`] | what they ask for |
//! | [`service`] | the process under test: start, lag, stop |
//! | [`usage`], [`memory`] | what it takes |
//! | [`journal`] | what it wrote: commits, size, proof |
//! | [`machine`] | what the figures are to be compared with |
//! | [`samples`] | rates and percentiles |
//! | [`table`] | the results as one markdown table |

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod calls;
#[path = "../common/describe.rs"]
mod describe;
mod journal;
#[path = "../common/load.rs"]
mod load;
mod machine;
#[path = "../common/memory.rs"]
mod memory;
#[path = "../common/samples.rs"]
mod samples;
#[path = "../common/service.rs"]
mod service;
mod table;
mod usage;
#[path = "../common/wish.rs"]
mod wish;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Parser;

use calls::{KeyedTickets, SomeTickets};
use load::Load;
use service::Service;
use table::Table;
use usage::{Measured, measured, memory_of};
use wish::Tickets;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const MEGABYTE: u64 = 1_000_000;

/// Measures the issuing of tickets by the real binary.
#[derive(Parser)]
struct Options {
    /// Kept connections of the main run, each with one request under way
    #[arg(long, env = "ZEROLOAD_BENCH_CONNECTIONS", default_value_t = 256)]
    connections: usize,
    /// Length of the main run; the others take a fifth of it
    #[arg(long, env = "ZEROLOAD_BENCH_SECONDS", default_value_t = 20)]
    seconds: u64,
    /// Go on until so many media are in the journal
    #[arg(long, env = "ZEROLOAD_BENCH_MEDIA", default_value_t = 1_000_000)]
    media: u64,
    /// Folder for the data, removed at the end; its disk is what is measured
    #[arg(long, env = "ZEROLOAD_BENCH_DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// The zeroload to measure: another build of it, to compare
    #[arg(long, env = "ZEROLOAD_BENCH_BINARY", default_value = env!("CARGO_BIN_EXE_zeroload"))]
    binary: PathBuf,
    /// Fail if the main run issues fewer tickets per second
    #[arg(long, value_name = "TICKETS")]
    min_rate: Option<f64>,
    /// Fail if a hundredth of the main run's tickets take longer
    #[arg(long, value_name = "MILLISECONDS")]
    max_p99: Option<f64>,
    /// Fail if the service ever takes more memory
    #[arg(long, value_name = "MEGABYTES")]
    max_memory: Option<u64>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    // One thread is enough for the clients, and leaves the most to the service.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(&options.dir)?;
    let data = folder.path().join("data");
    let mut table = Table::default();
    say("the machine alone");
    let before = machine::measure(folder.path()).await?;
    let many = options.connections;

    let service = Service::start(&options.binary, &data, &[]).await?;
    table.memory("with an empty journal", memory_of(&service)?);
    let length = Duration::from_secs(options.seconds);
    let short = length.div_f64(5.0);

    say("warm-up");
    let mut issued =
        measured(&service, &data, &Load { connections: many, length: short, calls: &Tickets }).await?.calls();
    for connections in [1, 16, 64] {
        say(&format!("{connections} at once"));
        let run = measured(&service, &data, &Load { connections, length: short, calls: &Tickets }).await?;
        issued += run.calls();
        table.load(&format!("{connections} at once"), &run);
    }
    say("with Idempotency-Key");
    let run = measured(
        &service,
        &data,
        &Load { connections: many, length: short, calls: &KeyedTickets { run: uuid::Uuid::now_v7() } },
    )
    .await?;
    issued += run.calls();
    table.load(&format!("{many} at once, with Idempotency-Key"), &run);

    say(&format!("{many} at once, for {} s", options.seconds));
    let main_run = measured(&service, &data, &Load { connections: many, length, calls: &Tickets }).await?;
    issued += main_run.calls();
    table.load(&format!("**{many} at once**"), &main_run);
    table.memory(&format!("with {issued} media"), memory_of(&service)?);

    let left = options.media.saturating_sub(issued);
    if left > 0 {
        say(&format!("{many} at once, for {left} more media"));
        let run =
            measured(&service, &data, &Load { connections: many, length: Duration::MAX, calls: &SomeTickets(left) })
                .await?;
        issued += run.calls();
        table.load(&format!("{many} at once, until there are {issued} media"), &run);
    }
    let (lag, catching_up) = (service.lag().await?, Instant::now());
    service.caught_up().await?;
    table.lag(&lag, catching_up.elapsed());
    let in_the_end = memory_of(&service)?;
    table.memory(&format!("with {issued} media, projections caught up"), in_the_end);

    say("stop, verify, start again");
    service.stop().await?;
    table.disk(issued, &journal::sizes(&data)?);
    let verifying = Instant::now();
    let head = journal::verify(&options.binary, &data).await?;
    table.verified(head, verifying.elapsed());
    if head != issued {
        return Err(format!("{issued} tickets were acknowledged, but the journal's head is {head}").into());
    }
    let starting = Instant::now();
    let service = Service::start(&options.binary, &data, &[]).await?;
    table.restart(issued, starting.elapsed());
    measured(&service, &data, &Load { connections: many, length: short, calls: &Tickets }).await?;
    service.caught_up().await?;
    table.memory("started again on them, and under load", memory_of(&service)?);
    service.stop().await?;
    say("the machine alone, again");
    // Whatever else ran may have slowed one of the two down: the service is compared with the better one.
    let machine = before.or_faster(machine::measure(folder.path()).await?);
    table.machine(&machine);
    table.ratio(&main_run, &machine);
    println!("{table}");
    check_goals(options, &main_run, in_the_end.peak)
}

fn check_goals(options: &Options, main_run: &Measured, peak: u64) -> Result<(), Failure> {
    let (rate, p99) = (main_run.samples.per_second(), main_run.samples.percentile(0.99));
    if options.min_rate.is_some_and(|least| rate < least) {
        return Err(format!("{rate:.0} tickets per second are too few").into());
    }
    if options.max_p99.is_some_and(|most| p99 > most) {
        return Err(format!("a p99 of {p99:.1} ms is too long").into());
    }
    if options.max_memory.is_some_and(|most| peak > most * MEGABYTE) {
        return Err(format!("{} MB of memory are too many", peak / MEGABYTE).into());
    }
    Ok(())
}

fn say(what: &str) {
    eprintln!("- {what}");
}
