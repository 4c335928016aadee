//! The process under test, and what can be seen of it from outside.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::Duration,
};

use reqwest::Client;
use serde::Deserialize;
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
    pub pid: u32,
    pub address: SocketAddr,
    /// One for all questions: to make one takes as long as dozens of them.
    pub client: Client,
}

/// Of the one projection.
#[derive(Deserialize)]
pub struct Lag {
    pub lag_events: u64,
    pub lag_seconds: f64,
}

impl Service {
    /// With the defaults, but for ports, data folder and `settings`.
    pub async fn start(binary: &Path, data: &Path, settings: &[&str]) -> Result<Self, Failure> {
        let log = data.with_extension("log");
        let mut child = command(binary, data)
            .args(["serve", "--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"])
            .args(settings)
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
                return Ok(Self { child, pid, address, client: Client::new() });
            }
        }
        Err(format!("the service did not start: {}", fs::read_to_string(log)?).into())
    }

    pub fn cpu_time(&self) -> Result<Duration, Failure> {
        cpu_time(&self.pid.to_string())
    }

    pub async fn lag(&self) -> Result<Lag, Failure> {
        #[derive(Deserialize)]
        struct Projections {
            projections: Vec<Lag>,
        }
        let url = format!("http://{}/v1/projections", self.address);
        let answer: Projections = self.client.get(url).send().await?.error_for_status()?.json().await?;
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
    Ok(TICK * fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum())
}

/// The binary with no settings but ours, in a folder without a zeroload.toml.
pub fn command(binary: &Path, data: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ZEROLOAD_") {
            command.env_remove(name);
        }
    }
    command.current_dir(data.parent().unwrap_or(data)).arg("--data-dir").arg(data);
    command
}
