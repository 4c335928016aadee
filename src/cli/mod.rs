//! The subcommands: each is a thin caller of what the modules do.

mod collect;
mod demo;
mod files;
mod log;
mod migrate;
mod output;
mod progress;
mod rebuild;
mod reconcile;
mod replay;
mod restore;
mod serve;
mod verify;

use std::{
    fmt::{self, Display},
    io::IsTerminal,
    process::ExitCode,
    time::Duration,
};

use chrono::Local;
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::fmt::{format::Writer, time::FormatTime};
use zeroload_clock::{Clock, Ids};

use crate::{
    outside::with_causes,
    settings::{RawSettings, Settings},
};

/// Tickets for direct uploads to S3, confirms, and collection of what nobody confirmed.
#[derive(Parser)]
#[command(name = "zeroload", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: RawSettings,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP, and the embedded S3 where no bucket is set (the default)
    Serve,
    /// Collect what is due, once, and print the report as JSON
    Collect(collect::Arguments),
    /// Bring an item back from the trash, and print it as JSON
    Restore(restore::Arguments),
    /// Compare the bucket with the journal, both ways, and print what does not fit; exits with 1 where a confirmed item has
    /// not its object
    Reconcile(reconcile::Arguments),
    /// Print the history
    Replay(replay::Arguments),
    /// Check the whole journal against its hash chain; exits with 1 where it breaks
    Verify(verify::Arguments),
    /// Create the databases or bring them up to date, and end; `serve` does the same at its start
    Migrate,
    /// Work on the read models
    Projections {
        #[command(subcommand)]
        command: ProjectionsCommand,
    },
    /// Play a small crowd of clients, and watch the collector clean up after them
    Demo(demo::Arguments),
}

#[derive(Subcommand)]
enum ProjectionsCommand {
    /// Build the read models anew beside the live ones, and swap
    Rebuild,
}

/// How long the process, when all else has ended, waits for calls into a file system that hangs: what was acknowledged is
/// on disk.
const BLOCKING_MAY_TAKE: Duration = Duration::from_secs(5);

/// What a subcommand ends with: an error is printed, and the exit code is 1.
type Ended = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    log::panics_too();
    files::raise_limit();
    let code = run(cli).unwrap_or_else(|error| {
        log::say(&format!("zeroload: {}", with_causes(&*error)));
        ExitCode::FAILURE
    });
    log::flush();
    code
}

fn run(cli: Cli) -> Ended {
    let runtime = Builder::new_multi_thread().enable_all().thread_name("zeroload").build()?;
    let ended = run_on(&runtime, cli);
    runtime.shutdown_timeout(BLOCKING_MAY_TAKE);
    ended
}

fn run_on(runtime: &Runtime, cli: Cli) -> Ended {
    let (clock, ids) = (Clock::system(), Ids::from_os());
    let settings = || -> Result<Settings, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Settings::try_from(cli.settings.clone().with_file()?.with_aws_variables())?)
    };
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&settings()?, runtime, clock, ids),
        Command::Collect(arguments) => runtime.block_on(collect::run(&settings()?, &arguments, clock, ids)),
        Command::Restore(arguments) => runtime.block_on(restore::run(&settings()?, arguments, clock, ids)),
        Command::Reconcile(arguments) => runtime.block_on(reconcile::run(&settings()?, &arguments, clock, ids)),
        Command::Replay(arguments) => runtime.block_on(replay::run(&settings()?, &arguments)),
        Command::Verify(arguments) => runtime.block_on(verify::run(&settings()?, &arguments)),
        Command::Migrate => runtime.block_on(migrate::run(&settings()?, clock, ids)),
        Command::Projections { command: ProjectionsCommand::Rebuild } => runtime.block_on(rebuild::run(&settings()?)),
        Command::Demo(arguments) => demo::run(arguments, runtime, clock, ids),
    }
}

/// Lines for people on a terminal, JSON elsewhere. Standard output belongs to results.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ZEROLOAD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("zeroload=info,warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log::Lines);
    if std::io::stderr().is_terminal() {
        lines.with_timer(TimeOfDay).with_target(false).init();
    } else {
        lines.json().init();
    }
}

/// Of the machine's time zone, to the second: who watches a terminal knows the day.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        write!(line, "{}", Clock::system().now().with_timezone(&Local).format("%H:%M:%S"))
    }
}

/// An error in the words of a subcommand.
fn fail<T>(message: impl Display) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    Err(message.to_string().into())
}
