//! A PostgreSQL server of this test binary's own, and a database per test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};

use super::super::Settings;

/// Starts a cluster in a new folder, says where it is, and ends it when its input ends, as it does when this process
/// does, however it ends.
const KEEPER: &str = r#"
trap '' INT
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
PATH="${bin:+$bin:}$PATH"
folder=$(mktemp -d /tmp/zeroload-postgres.XXXXXX) || exit 1
cd "$folder"
initdb --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C >log 2>&1 &&
  pg_ctl --pgdata=data --log=log --wait --options="-c listen_addresses='' -c max_connections=200 -k $folder" start \
    >/dev/null 2>&1 </dev/null && echo "$folder" || { cat log >&2; echo; }
read _
pg_ctl --pgdata=data --mode=immediate stop >/dev/null 2>&1
rm -rf "$folder"
"#;

struct Cluster {
    /// Of the database `postgres`.
    url: String,
    /// Its input closes with this process.
    _keeper: Option<Child>,
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| match std::env::var("ZEROLOAD_TEST_DATABASE_URL") {
        Ok(url) => Cluster { url, _keeper: None },
        Err(_) => start(),
    })
}

fn start() -> Cluster {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", KEEPER]).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut keeper = command.spawn().expect("a shell can be started");
    let mut folder = String::new();
    let output = keeper.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut folder).expect("it is text");
    let folder = folder.trim_end();
    assert!(!folder.is_empty(), "PostgreSQL did not start: install it, or set ZEROLOAD_TEST_DATABASE_URL");
    Cluster { url: format!("postgres://postgres@localhost/postgres?host={folder}"), _keeper: Some(keeper) }
}

/// A new database, empty.
pub(super) struct Database {
    pub name: String,
    url: String,
}

impl Database {
    pub async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let url = &cluster().url;
        let name = format!("zeroload_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(url).await;
        connection.execute(format!("DROP DATABASE IF EXISTS {name}").as_str()).await.expect("it is not in use");
        connection.execute(format!("CREATE DATABASE {name}").as_str()).await.expect("the role may");
        connection.close().await.expect("it was open");
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let base = base.rsplit_once('/').expect("the URL names a database").0;
        Self { url: format!("{base}/{name}?{query}"), name }
    }

    pub fn settings(&self) -> Settings {
        Settings::parse(&self.url).expect("the URL is right")
    }

    pub fn settings_with(&self, parameter: &str) -> Settings {
        Settings::parse(&format!("{}&{parameter}", self.url)).expect("the URL is right")
    }

    /// The same database for another role, which needs no password here.
    pub fn settings_of(&self, role: &str) -> Settings {
        let settings = self.settings();
        Settings { options: settings.options.username(role), ..settings }
    }

    /// A connection that anyone with the owner's password could open.
    pub async fn outsider(&self) -> PgConnection {
        connect(&self.url).await
    }
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("the URL is right");
    options.connect().await.expect("the server runs")
}
