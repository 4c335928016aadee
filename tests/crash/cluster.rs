//! A private Postgres cluster on a free port, with full durability, that can be killed and started again.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use sqlx::{Connection, PgConnection};

/// Where Debian keeps the programs of a server, one folder for each major version.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// Between two looks at something that nobody announces.
const POLL: Duration = Duration::from_millis(20);

pub struct Cluster {
    dir: tempfile::TempDir,
    port: u16,
    /// A shell that ends the server when its standard input closes, so with this process at the latest.
    keeper: Option<Child>,
}

impl Cluster {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut cluster = Self { dir, port, keeper: None };
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(cluster.dir.path()));
        }
        let initdb = program("initdb");
        run(as_postgres(&initdb)
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "-D"])
            .arg(cluster.data()));
        cluster.start_again();
        cluster
    }

    /// Such as `postgres://postgres@127.0.0.1:41234/postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same for another role.
    pub fn url_of(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// As the owner of everything.
    pub fn psql(&self, arguments: &[&str]) {
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", &self.url()]).args(arguments);
        run(&mut psql);
    }

    /// Returns when it accepts connections.
    pub fn start_again(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let mut keeper = kept(&program("postgres"), "QUIT");
        keeper.arg("-D").arg(self.data());
        keeper.args([
            "-p",
            &self.port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ]);
        keeper.stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.keeper = Some(keeper.spawn().expect("the server starts"));
        let mut ready = Command::new(program("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        while !ready.status().expect("pg_isready runs").success() {
            let keeper = self.keeper.as_mut().expect("just started");
            assert!(keeper.try_wait().expect("a state").is_none(), "{}", self.log());
            thread::sleep(POLL);
        }
    }

    /// `kill -9` of the whole server.
    pub fn kill(&mut self) {
        let postmaster = self.postmaster().expect("a running server");
        let children = Command::new("pgrep").args(["-P", &postmaster]).output().expect("pgrep runs");
        let children = String::from_utf8(children.stdout).expect("pids");
        let pids: Vec<&str> = std::iter::once(postmaster.as_str()).chain(children.split_whitespace()).collect();
        // One of the children may have ended by itself.
        let _sent = Command::new("kill").arg("-9").args(&pids).output().expect("kill runs");
        self.ended();
        // A new server refuses to start while one of them has the shared memory.
        while pids.iter().any(|pid| is_alive(pid)) {
            thread::sleep(POLL);
        }
    }

    /// A fast stop, as at a restart for a minor update.
    pub fn stop(&mut self) {
        let pid = self.postmaster().expect("a running server");
        run(Command::new("kill").args(["-INT", &pid]));
        while self.data().join("postmaster.pid").exists() {
            thread::sleep(POLL);
        }
        self.ended();
    }

    /// Cuts every connection but the one that asks; how many there were.
    pub async fn cut_connections(&self) -> i64 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.expect("a count")
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("a connection")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn postmaster(&self) -> Option<String> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next().map(str::to_owned)
    }

    fn ended(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().expect("the keeper ends");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.ended();
    }
}

/// PgBouncer in transaction mode before a cluster, ended with this value.
pub struct Pooler {
    _dir: tempfile::TempDir,
    port: u16,
    keeper: Child,
}

impl Pooler {
    /// With fewer connections to the server than its clients have to it.
    pub fn start(cluster: &Cluster) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = format!(
            "[databases]\npostgres = host=127.0.0.1 user=postgres port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 6\n",
            cluster.port
        );
        // With `any` nobody is asked for a password, and the server is met as one role.
        let path = dir.path().join("pgbouncer.ini");
        fs::write(&path, config).expect("a configuration");
        if is_root() {
            run(Command::new("chown").arg("-R").arg("postgres").arg(dir.path()));
        }
        let log = File::create(dir.path().join("log")).expect("a log");
        let mut keeper = kept(Path::new("/usr/sbin/pgbouncer"), "TERM");
        keeper.arg(&path).stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log);
        let pooler = Self { _dir: dir, port, keeper: keeper.spawn().expect("the pooler starts") };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(POLL);
        }
        pooler
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?pgbouncer=true", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It may have ended by itself already.
        let _ended = self.keeper.wait();
    }
}

/// A server under a shell that ends it when its standard input closes, so with this process at the latest. The signal must
/// be one that the server takes, since the shell lets it ignore some.
fn kept(program: &Path, signal: &str) -> Command {
    let script = format!(r#""$@" & server=$!; cat >/dev/null; kill -{signal} $server; wait $server"#);
    let mut keeper = as_postgres(Path::new("sh"));
    keeper.args(["-c", &script, "keeper"]).arg(program);
    keeper
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

/// The newest version of a server's program that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir(PROGRAMS).expect("PostgreSQL's server is installed (scripts/test does it)");
    let version = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.expect("a folder").path()).max_by_key(version).expect("a version");
    newest.join("bin").join(name)
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
    command.current_dir("/");
    command
}

/// A zombie is not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.starts_with(b"0\n")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
