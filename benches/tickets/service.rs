//! The process under test, and what can be seen of it from outside.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::Failure;

/// What a clock tick in /proc is, on every Linux of today.
const TICK: Duration = Duration::from_millis(10);

/// A running `zeroload serve`; killed when dropped.
pub struct Service {
    child: Child,
    pid: u32,
    pub address: SocketAddr,
    /// Reads beside the service.
    journal: SqliteConnectOptions,
}

/// Bytes of main memory, as the kernel counts them.
#[derive(Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// Of the one projection.
#[derive(Deserialize)]
pub struct Lag {
    pub lag_events: u64,
    pub lag_seconds: f64,
}

/// Bytes on disk.
pub struct Sizes {
    pub journal: u64,
    pub projections: u64,
}

impl Service {
    pub async fn start(binary: &Path, data: &Path) -> Result<Self, Failure> {
        let log = data.with_extension("log");
        let mut child = command(binary, data)
            .args(["serve", "--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or("the service ended at once")?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("it has no standard output")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(rest) = line.strip_prefix("API   http://") {
                let address = rest.split('/').next().unwrap_or_default().parse()?;
                // What it prints later must find a reader.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let journal = SqliteConnectOptions::new().filename(data.join("journal.db")).read_only(true);
                return Ok(Self { child, pid, address, journal });
            }
        }
        Err(format!("the service did not start: {}", fs::read_to_string(log)?).into())
    }

    pub fn memory(&self) -> Result<Memory, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).ok_or("no such line in /proc")
        };
        Ok(Memory { resident: kib("VmRSS:")? * 1024, peak: kib("VmHWM:")? * 1024 })
    }

    pub fn cpu_time(&self) -> Result<Duration, Failure> {
        cpu_time(&self.pid.to_string())
    }

    /// Transactions of the journal so far.
    pub async fn commits(&self) -> Result<u64, Failure> {
        let mut connection = SqliteConnection::connect_with(&self.journal).await?;
        let commits: i64 = sqlx::query_scalar("SELECT commit_id FROM journal_head").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(commits.unsigned_abs())
    }

    pub async fn lag(&self) -> Result<Lag, Failure> {
        #[derive(Deserialize)]
        struct Projections {
            projections: Vec<Lag>,
        }
        let url = format!("http://{}/v1/projections", self.address);
        let answer: Projections = reqwest::get(url).await?.error_for_status()?.json().await?;
        answer.projections.into_iter().next().ok_or_else(|| "there is no projection".into())
    }

    /// Returns once nothing is left to apply.
    pub async fn caught_up(&self) -> Result<(), Failure> {
        while self.lag().await?.lag_events > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// As an operator stops it: with SIGTERM, and waiting.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let sent = Command::new("kill").arg(self.pid.to_string()).status().await?;
        let ended = self.child.wait().await?;
        if sent.success() && ended.success() { Ok(()) } else { Err(format!("the service ended with {ended}").into()) }
    }
}

/// User and system time of a process so far.
pub fn cpu_time(process: &str) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    Ok(TICK * ticks(fields.skip(11).take(2)))
}

/// What all processes together have taken so far.
pub fn cpu_time_of_all() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    // user, nice, system; idle, iowait; irq, softirq
    let fields: Vec<&str> = stat.split_whitespace().skip(1).take(7).collect();
    Ok(TICK * ticks([0, 1, 2, 5, 6].into_iter().filter_map(|at| fields.get(at).copied())))
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> u32 {
    fields.filter_map(|field| field.parse::<u32>().ok()).sum()
}

/// The position up to which the journal is proven.
pub async fn verify(binary: &Path, data: &Path) -> Result<u64, Failure> {
    let output = command(binary, data).arg("verify").output().await?;
    if !output.status.success() {
        return Err(format!("verify: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let printed = String::from_utf8(output.stdout)?;
    Ok(printed.split(':').next().unwrap_or_default().parse()?)
}

pub fn sizes(data: &Path) -> Result<Sizes, Failure> {
    let mut sizes = Sizes { journal: 0, projections: 0 };
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        match entry.file_name().to_string_lossy() {
            name if name.starts_with("journal-projections.db") => sizes.projections += size,
            name if name.starts_with("journal.db") => sizes.journal += size,
            _ => {}
        }
    }
    Ok(sizes)
}

/// The binary with no settings but ours, in a folder without a zeroload.toml.
fn command(binary: &Path, data: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ZEROLOAD_") {
            command.env_remove(name);
        }
    }
    command.current_dir(data.parent().unwrap_or(data)).arg("--data-dir").arg(data);
    command
}
