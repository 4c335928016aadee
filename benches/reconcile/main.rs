//! How fast a bucket is compared with the journal: `cargo bench --profile dist --bench reconcile`.
//!
//! The real reconciliation runs within this process, on the real journal and read models of SQLite and of Postgres; only the
//! listing is made up ([`listing`]), since it is not the speed of a server's LIST that is measured. Eight of ten objects are
//! confirmed items', the others of items that wait. One confirmed item's object is left out and one of no item is added: both
//! must be found, and nothing else, or the benchmark fails.
//!
//! Its requests are limited to 1000 per second in place of the default of 20, which would make it 20,000 objects a second
//! whatever the machine. The table goes to standard output, progress to standard error.
//!
//! | module | one reason to exist |
//! |---|---|
//! | [`place`], [`cluster`], [`service`] | the databases and folders |
//! | [`past`] | what is in the journal |
//! | [`listing`] | what the bucket is said to hold |
//! | [`memory`], [`describe`] | what it takes, and of which machine |

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

#[path = "../postgres/cluster.rs"]
#[expect(dead_code, reason = "nothing is compared with pgbench here")]
mod cluster;
#[path = "../common/describe.rs"]
mod describe;
mod listing;
#[path = "../common/memory.rs"]
#[expect(dead_code, reason = "the peak of this process was before the walk")]
mod memory;
#[path = "../common/past.rs"]
mod past;
#[path = "../common/place.rs"]
mod place;
#[path = "../common/service.rs"]
#[expect(dead_code, reason = "only what makes a bucket is served here")]
mod service;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use chrono::{TimeDelta, Utc};
use clap::Parser;
use zeroload::{
    app::Core,
    background::{
        Handles,
        reconciler::{self, Reconciler, WalkRequest},
    },
    media::{commands::Commands, recent::Recent},
    settings::{RawSettings, Settings},
};
use zeroload_clock::{Clock, Ids};
use zeroload_projections::{Counts, WalkStatus};

use cluster::Cluster;
use listing::MadeUp;
use past::Ending;
use place::{Kind, Place};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Objects per second.
const LEAST_RATE: f64 = 20_000.0;
/// Bytes that a walk may take in memory, however large the bucket.
const MOST_MEMORY: u64 = 50_000_000;
/// Requests per second.
const RATE: u32 = 1000;

/// Measures reconciliation against a listing that is made up.
#[derive(Parser)]
struct Options {
    /// Objects of each walk; several with commas between
    #[arg(long, env = "ZEROLOAD_BENCH_ITEMS", value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    items: Vec<u64>,
    /// On which databases
    #[arg(long, env = "ZEROLOAD_BENCH_DATABASES", value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    databases: Vec<Kind>,
    /// Folder for the data, removed at the end; its disk is what is measured
    #[arg(long, env = "ZEROLOAD_BENCH_DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// The zeroload that makes the folder and the read models
    #[arg(long, env = "ZEROLOAD_BENCH_BINARY", default_value = env!("CARGO_BIN_EXE_zeroload"))]
    binary: PathBuf,
    /// Fail if a figure misses its goal
    #[arg(long)]
    check: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a walk came to.
struct Walked {
    per_second: f64,
    /// Bytes resident before the walk, and at most during it.
    memory: [u64; 2],
}

impl Walked {
    fn is_good(&self) -> bool {
        self.per_second >= LEAST_RATE && self.memory[1].saturating_sub(self.memory[0]) <= MOST_MEMORY
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = format!("{}\n\n| what | result | memory |\n|---|---|---|\n", describe::machine_name());
    let mut good = true;
    for &kind in &options.databases {
        let folder = tempfile::tempdir_in(&options.dir)?;
        let cluster = (kind == Kind::Postgres).then(|| Cluster::start(folder.path(), &[])).transpose()?;
        for &items in &options.items {
            eprintln!("- {}: {items} objects", kind.name());
            let walked = runtime.block_on(walk(&options, folder.path(), kind, cluster.as_ref(), items))?;
            let [before, most] = walked.memory.map(|bytes| bytes as f64 / 1e6);
            let row = format!(
                "| {}: {items} objects compared | {:.0} objects/s | {before:.0} MB before, {most:.0} MB at most |",
                kind.name(),
                walked.per_second
            );
            eprintln!("  {row}");
            writeln!(table, "{row}")?;
            good &= walked.is_good();
        }
    }
    println!("{table}");
    if options.check && !good { Err("a figure misses its goal".into()) } else { Ok(()) }
}

async fn walk(
    options: &Options,
    folder: &Path,
    kind: Kind,
    cluster: Option<&Cluster>,
    items: u64,
) -> Result<Walked, Failure> {
    let name = format!("walk_{items}");
    let place = Place::make(&options.binary, &folder.join(&name), kind, cluster, &name).await?;
    let (mut listing, begin) = (MadeUp::default(), Utc::now() - TimeDelta::hours(1));
    let ending = |number| match number % 10 {
        0..8 => Ending::Sealed,
        8 => Ending::Uploaded,
        _ => Ending::Requested,
    };
    past::fill(&place.database, items, begin, ending, async |keys| {
        listing.add(&keys);
        Ok(())
    })
    .await?;
    listing.finish();
    place.rebuild().await?;

    let (clock, ids) = (Clock::system(), Ids::from_os());
    let settings = settings(&place)?;
    let core = Core::open(&settings, clock.clone(), ids.clone()).await?;
    let handles = Handles {
        commands: Commands::new(core.journal.clone(), Recent::default(), settings.policy.clone(), ids.clone()),
        late_uploads: core.late_uploads.clone(),
        journal: core.journal.clone(),
        gateway: core.gateway.clone(),
        guard: core.guard.clone(),
        read_models: core.read_models.clone(),
        projector: core.projector.clone(),
        clock,
        ids,
    };
    let shared = settings.database.is_shared();
    let reconciler = Reconciler::new(handles, reconciler::Options { listing: Arc::new(listing), rate: RATE, shared });
    let wanted = WalkRequest { caller: "benchmark".to_owned(), delete_older_than: None };
    let begun = reconciler.begin(&wanted).await?;
    let before = memory::of("self")?.resident;
    let (mut most, since) = (before, Instant::now());
    let progress = |_: &_| {
        if let Ok(memory) = memory::of("self") {
            most = most.max(memory.resident);
        }
    };
    let walk = reconciler.run(begun, progress).await?;
    let per_second = walk.counts.objects as f64 / since.elapsed().as_secs_f64();
    core.close().await;
    // One is missing and one is unknown.
    let counts = Counts { requests: 0, bytes: 0, ..walk.counts };
    if walk.status != WalkStatus::Ended
        || counts != (Counts { objects: items, missing: 1, unknown: 1, ..Counts::default() })
    {
        return Err(format!("the walk found something else: {counts:?}, {:?}", walk.broken_off).into());
    }
    place.clear(cluster)?;
    Ok(Walked { per_second, memory: [before, most] })
}

fn settings(place: &Place<'_>) -> Result<Settings, Failure> {
    Ok(Settings::try_from(RawSettings {
        data_dir: Some(place.data.display().to_string()),
        database_url: place.url().nth(1).map(str::to_owned),
        listen: Some("127.0.0.1:0".to_owned()),
        embedded_s3_listen: Some("127.0.0.1:0".to_owned()),
        ..RawSettings::default()
    })?)
}
