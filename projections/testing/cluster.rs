//! A private cluster of Postgres that ends with the test binary, or the one that `ZEROLOAD_TEST_DATABASE_URL` names; one
//! database per test.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};

use crate::PostgresSettings;

/// Prepares and starts the server, waits for it, says so, and ends it once the pipe to the test binary closes, however
/// that ended.
const KEEPER: &str = r#"
set -e
trap '' INT
BIN=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
"$BIN/initdb" -D "$DIR/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null
"$BIN/pg_ctl" -D "$DIR/data" -w -s -l "$DIR/log" -o "-k $DIR -c listen_addresses= -c max_connections=300 -c fsync=off" start >/dev/null
echo ready
cat >/dev/null
"$BIN/pg_ctl" -D "$DIR/data" -m immediate -s stop >/dev/null
rm -rf "$DIR"
"#;

struct Cluster {
    options: PgConnectOptions,
    _keeper: Option<Child>,
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| match std::env::var("ZEROLOAD_TEST_DATABASE_URL") {
    Ok(url) => Cluster { options: url.parse().unwrap(), _keeper: None },
    Err(_) => start(),
});

fn start() -> Cluster {
    let folder = tempfile::tempdir().unwrap().keep();
    // The server refuses to run as root.
    let mut keeper = if is_root() {
        assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh", "-c", KEEPER]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]);
        command
    };
    keeper.env("DIR", &folder).current_dir(&folder);
    let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 6];
    keeper.stdout.as_mut().unwrap().read_exact(&mut said).expect("the cluster starts");
    let options = PgConnectOptions::new_without_pgpass().socket(&folder).username("postgres").database("postgres");
    Cluster { options, _keeper: Some(keeper) }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}

/// A new, empty database.
pub async fn database() -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let options = tokio::task::spawn_blocking(|| CLUSTER.options.clone()).await.unwrap();
    let name = format!("models_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(&format!("CREATE DATABASE {name}")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    options.database(&name)
}

/// On the runtime of the test.
pub fn settings() -> PostgresSettings {
    PostgresSettings::new(tokio::runtime::Handle::current())
}
