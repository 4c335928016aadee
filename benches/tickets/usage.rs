//! What the process under test takes, and what runs beside it.

use std::{fs, time::Duration};

use crate::{
    Failure, journal,
    load::Load,
    memory,
    samples::Samples,
    service::{self, Service},
};
use std::path::Path;

/// What a clock tick in /proc is, on every Linux of today.
const TICK: Duration = Duration::from_millis(10);

/// What a run came to.
pub struct Measured {
    /// One for each call.
    pub samples: Samples,
    pub client_cpu: Duration,
    pub service_cpu: Duration,
    /// What ran beside them, and slowed them down.
    pub other_cpu: Duration,
    /// Transactions that the journal took for it.
    pub commits: u64,
}

impl Measured {
    pub fn calls(&self) -> u64 {
        self.samples.count()
    }
}

/// Runs the clients, and measures what it took.
pub async fn measured(service: &Service, data: &Path, load: &Load<'_>) -> Result<Measured, Failure> {
    let before = (service::cpu_time("self")?, service.cpu_time()?, cpu_time_of_all()?);
    let commits = journal::commits(data).await?;
    let samples = load.run(service.address).await?;
    let commits = journal::commits(data).await? - commits;
    let client_cpu = service::cpu_time("self")? - before.0;
    let service_cpu = service.cpu_time()? - before.1;
    let other_cpu = (cpu_time_of_all()? - before.2).saturating_sub(client_cpu + service_cpu);
    Ok(Measured { samples, client_cpu, service_cpu, other_cpu, commits })
}

pub fn memory_of(service: &Service) -> Result<memory::Memory, Failure> {
    memory::of(&service.pid.to_string())
}

/// What all processes together have taken so far.
fn cpu_time_of_all() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    // user, nice, system; idle, iowait; irq, softirq
    let fields: Vec<&str> = stat.split_whitespace().skip(1).take(7).collect();
    Ok(TICK * ticks([0, 1, 2, 5, 6].into_iter().filter_map(|at| fields.get(at).copied())))
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> u32 {
    fields.filter_map(|field| field.parse::<u32>().ok()).sum()
}
