//! A server of PostgreSQL, which can be stopped, killed, copied and promoted.

use std::{ffi::OsStr, fs, path::PathBuf, process::Command, sync::OnceLock, thread};

use crate::{Keeper, POLL, free_port, keeper::is_alive};

/// Where Debian keeps the programs of a server, one folder for each major version.
const PROGRAMS: &str = "/usr/lib/postgresql";

pub struct Cluster {
    keeper: Keeper,
    data: String,
    port: u16,
    /// Such as `max_connections=20`; of two with one name the later counts.
    settings: Vec<String>,
}

/// A server for tests that need no more than a database of their own: the one that `ZEROLOAD_TEST_DATABASE_URL` names, or
/// one with these settings for all of this process. The URL of its database `postgres`, as a superuser.
pub fn shared(settings: &[&str]) -> &'static str {
    static SHARED: OnceLock<(String, Option<Cluster>)> = OnceLock::new();
    let (url, _) = SHARED.get_or_init(|| match std::env::var("ZEROLOAD_TEST_DATABASE_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let cluster = Cluster::start(settings);
            (cluster.url(), Some(cluster))
        }
    });
    // What is never dropped has a keeper that ends with this process.
    url
}

impl Cluster {
    /// With the server's own defaults, durability included, but for these settings.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_in(Keeper::start(), "data", "", settings)
    }

    /// `data` is the folder, `initdb` holds further flags.
    pub fn start_in(keeper: Keeper, data: &str, initdb: &str, settings: &[&str]) -> Self {
        let cluster = Self::new(keeper, data, settings);
        cluster.keeper.run(&format!(
            "{} --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 --no-sync {initdb} -D {data}",
            program("initdb")
        ));
        cluster.start_again();
        cluster
    }

    /// A copy of a running server that follows it.
    pub fn standby_of(primary: &Self, settings: &[&str]) -> Self {
        let cluster = Self::new(Keeper::start(), "data", settings);
        cluster.keeper.run(&format!(
            "{} --dbname='host=127.0.0.1 port={} user=postgres' --write-recovery-conf --checkpoint=fast --no-sync -D data",
            program("pg_basebackup"),
            primary.port
        ));
        cluster.start_again();
        cluster
    }

    fn new(keeper: Keeper, data: &str, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        Self { keeper, data: data.to_owned(), port: free_port(), settings }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs what is needed beside the server.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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
    pub fn psql(&self, arguments: &[&str]) -> String {
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
        let output = psql.args(["--dbname", &self.url()]).args(arguments).output().expect("psql runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// The answer to a statement, such as a count.
    pub fn ask(&self, sql: &str) -> String {
        self.psql(&["--command", sql])
    }

    /// Asks a server that may have no answer.
    pub fn try_ask(&self, sql: &str) {
        self.keeper.try_to(&format!("{} --no-psqlrc --dbname '{}' --command \"{sql}\"", program("psql"), self.url()));
    }

    /// Cuts every connection but the one that asks; how many there were.
    pub fn cut_connections(&self) -> u32 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.ask(sql).parse().expect("a count")
    }

    /// For the next start.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Returns when it accepts connections.
    pub fn start_again(&self) {
        self.launch();
        while !self.accepts() {
            assert!(self.is_running(), "{}", self.log());
            thread::sleep(POLL);
        }
    }

    /// Begins to start, whatever becomes of it.
    pub fn launch(&self) {
        let own = ["listen_addresses=127.0.0.1", "unix_socket_directories="].map(str::to_owned);
        let settings: Vec<String> = own.iter().chain(&self.settings).map(|setting| format!("-c '{setting}'")).collect();
        self.keeper.run(&format!(
            "{} -D {} -p {} {} & server=$! signal=QUIT",
            program("postgres"),
            self.data,
            self.port,
            settings.join(" ")
        ));
    }

    pub fn accepts(&self) -> bool {
        let mut ready = Command::new(program("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().expect("pg_isready runs").success()
    }

    pub fn is_running(&self) -> bool {
        self.keeper.try_to(r#"kill -0 "$server""#)
    }

    /// `kill -9` of the whole server.
    pub fn kill(&self) {
        let pids = self.pids();
        let pids: Vec<&str> = pids.iter().map(String::as_str).collect();
        // One of the children may have ended by itself.
        let _sent = Command::new("kill").arg("-9").args(&pids).output().expect("kill runs");
        self.keeper.run(r#"{ wait "$server"; server=; }"#);
        // A new server refuses to start while one of them has the shared memory.
        while pids.iter().any(|pid| is_alive(pid)) {
            thread::sleep(POLL);
        }
    }

    /// A fast stop, as at a restart for a minor update.
    pub fn stop(&self) {
        self.keeper.run(&format!(
            r#"{} stop -D {} -m fast -s && {{ wait "$server"; server=; }}"#,
            program("pg_ctl"),
            self.data
        ));
    }

    /// Makes a standby a server of its own.
    pub fn promote(&self) {
        self.keeper.run(&format!("{} promote -D {} -s", program("pg_ctl"), self.data));
    }

    /// The postmaster and its children.
    pub fn pids(&self) -> Vec<String> {
        self.keeper.run(r#"echo "$server" > server.pid"#);
        let postmaster = fs::read_to_string(self.keeper.folder().join("server.pid")).expect("it was just written");
        let postmaster = postmaster.trim_end().to_owned();
        let children = Command::new("pgrep").args(["-P", &postmaster]).output().expect("pgrep runs");
        let children = String::from_utf8(children.stdout).expect("pids");
        std::iter::once(postmaster).chain(children.lines().map(str::to_owned)).collect()
    }

    pub fn log(&self) -> String {
        self.keeper.log()
    }
}

/// The newest version of a server's program that is installed.
fn program(name: &str) -> String {
    let versions = fs::read_dir(PROGRAMS).expect("PostgreSQL's server is installed (scripts/test does it)");
    let version = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.expect("a folder").path()).max_by_key(version).expect("a version");
    newest.join("bin").join(name).display().to_string()
}
