//! A private server of PostgreSQL on a free port with its default settings but for what is asked for, so that an
//! acknowledged commit is on disk, and pgbench against it.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Failure, service::cpu_time};

/// Where Debian keeps the programs of a server, one folder for each major version.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// Makes, starts and announces the server, and ends it when its input closes, so with the benchmark at the latest.
const KEEPER: &str = r#"
set -e
trap '' INT
"$BIN/initdb" -D "$DIR/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >"$DIR/log"
printf '%s\n' "$SETTINGS" >>"$DIR/data/postgresql.conf"
"$BIN/pg_ctl" -D "$DIR/data" -w -s -l "$DIR/log" -o "-p $PORT -k $DIR -c listen_addresses=127.0.0.1" start >>"$DIR/log"
echo ready
cat >/dev/null
"$BIN/pg_ctl" -D "$DIR/data" -m immediate -s stop
"#;

/// A log as long as `max_wal_size` lets it get by default, and a little more.
const FILL_LOG: &str =
    "SELECT count(pg_logical_emit_message(false, 'fill', repeat('x', 1000000))) FROM generate_series(1, 1200)";

pub struct Cluster {
    dir: PathBuf,
    port: u16,
    programs: PathBuf,
    keeper: Child,
}

impl Cluster {
    /// Its files go to `folder`, which it may enter. `settings` are lines of its configuration.
    pub fn start(folder: &Path, settings: &[String]) -> Result<Self, Failure> {
        let programs = newest_programs()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = folder.join("postgres");
        fs::create_dir(&dir)?;
        // The server refuses to run as root.
        let mut keeper = if fs::metadata("/proc/self")?.uid() == 0 {
            let owned = Command::new("chown").arg("postgres").arg(&dir).status()?;
            let reachable = Command::new("chmod").arg("755").arg(folder).status()?;
            if !owned.success() || !reachable.success() {
                return Err("the user postgres cannot be given a folder".into());
            }
            let mut keeper = Command::new("setpriv");
            keeper.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh", "-c", KEEPER]);
            keeper
        } else {
            let mut keeper = Command::new("sh");
            keeper.args(["-c", KEEPER]);
            keeper
        };
        keeper.env("BIN", &programs).env("DIR", &dir).env("PORT", port.to_string());
        keeper.env("SETTINGS", settings.join("\n")).current_dir(&dir);
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = [0; 6];
        let output = keeper.stdout.as_mut().ok_or("it has no standard output")?;
        std::io::Read::read_exact(output, &mut said).map_err(|_| {
            format!("PostgreSQL did not start: {}", fs::read_to_string(dir.join("log")).unwrap_or_default())
        })?;
        Ok(Self { dir, port, programs, keeper })
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes the server write over old files of its log from here on, as one does that has run for a while: each new file is
    /// filled with zeros and synced before anything is written to it.
    pub fn fill_log(&self) -> Result<(), Failure> {
        self.psql("postgres", FILL_LOG)?;
        self.checkpoint()
    }

    /// Puts on disk what was done before, so that no measurement pays for it.
    pub fn checkpoint(&self) -> Result<(), Failure> {
        self.psql("postgres", "CHECKPOINT")
    }

    pub fn create_database(&self, name: &str) -> Result<(), Failure> {
        self.psql("postgres", &format!("CREATE DATABASE {name}"))
    }

    /// Makes it empty, whether it is there or not.
    pub fn recreate_database(&self, name: &str) -> Result<(), Failure> {
        self.psql("postgres", &format!("DROP DATABASE IF EXISTS {name}"))?;
        self.create_database(name)
    }

    pub fn psql(&self, database: &str, sql: &str) -> Result<(), Failure> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--output", "/dev/null"]);
        output(psql.args(["--dbname", &self.url(database), "--command", sql])).map(drop)
    }

    /// What the running processes of the server have taken so far.
    pub fn cpu_time(&self) -> Result<Duration, Failure> {
        let first = fs::read_to_string(self.dir.join("data/postmaster.pid"))?;
        let children =
            output(Command::new("ps").args(["-o", "pid=", "--ppid", first.lines().next().unwrap_or_default()]))?;
        // One that ends meanwhile is not counted.
        Ok(children.split_whitespace().filter_map(|pid| cpu_time(pid).ok()).sum())
    }

    pub fn version(&self) -> Result<String, Failure> {
        Ok(output(Command::new(self.programs.join("postgres")).arg("--version"))?.trim().to_owned())
    }

    /// Runs `script` with prepared statements, and parses what pgbench prints.
    pub fn pgbench(&self, database: &str, script: &Path, clients: u32, seconds: u64) -> Result<Pgbench, Failure> {
        let mut pgbench = Command::new(self.programs.join("pgbench"));
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=1", "--define=i=-1"]);
        pgbench.args([
            format!("--client={clients}"),
            format!("--define=clients={clients}"),
            format!("--time={seconds}"),
        ]);
        let printed = output(pgbench.arg("--file").arg(script).arg(self.url(database)))?;
        let after = |label: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(label));
            let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            figure.ok_or_else(|| format!("pgbench printed no {label:?}: {printed}"))
        };
        if after("number of failed transactions: ")? != 0.0 {
            return Err(format!("pgbench failed: {printed}").into());
        }
        Ok(Pgbench { clients, per_second: after("tps = ")?, mean_ms: after("latency average = ")? })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It may have ended by itself.
        let _ended = self.keeper.wait();
    }
}

/// What one run of pgbench came to.
#[derive(Clone, Copy)]
pub struct Pgbench {
    pub clients: u32,
    pub per_second: f64,
    pub mean_ms: f64,
}

fn newest_programs() -> Result<PathBuf, Failure> {
    let versions = fs::read_dir(PROGRAMS).map_err(|_| "PostgreSQL's server is not installed (scripts/test does it)")?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(number);
    Ok(newest.ok_or("there is no version of PostgreSQL")?.join("bin"))
}

fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
