//! A real process that is killed with SIGKILL in the middle of its work.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use aws_sdk_s3::config::RequestChecksumCalculation;

use super::*;

const DIR: &str = "ZEROLOAD_TEST_EMBEDDED_DIR";

/// Not a test of its own: the process that [`spawn`] starts.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_serves_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let server = Server::start(Path::new(&dir)).await;
    eprintln!("serving {}", server.url);
    server.task.await.expect("serve");
}

/// A server in a process of its own.
pub(super) struct Spawned {
    pub child: Child,
    pub url: String,
    /// Held, so that the child can go on writing to its output.
    _stderr: Lines<BufReader<ChildStderr>>,
}

/// Serves the store below `dir`. `program` is a command that runs this test binary with the arguments that are added
/// here.
pub(super) async fn spawn(mut program: Command, dir: &Path) -> Spawned {
    let module = module_path!().split_once("::").expect("a crate name").1;
    let mut child = program
        .args(["--exact", &format!("{module}::child_that_serves_until_it_is_killed"), "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a child");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let url = loop {
        let line = stderr.next_line().await.expect("a line").expect("the child serves");
        if let Some((_, url)) = line.split_once("serving ") {
            break url.to_owned();
        }
    };
    Spawned { child, url, _stderr: stderr }
}

/// Makes the credentials before the child starts, so that this process can sign.
pub(super) async fn credentials(dir: &Path) -> (String, String) {
    let server = Server::start(dir).await;
    let keys = (server.store.access_key().to_owned(), server.store.secret_key().to_owned());
    server.stop().await;
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_has_whole_objects() {
    let dir = tempfile::tempdir().expect("a directory");
    let (access_key, secret_key) = credentials(dir.path()).await;
    let body = |key: usize, round: usize| {
        vec![u8::try_from((key * 7 + round) % 251).expect("a byte"); 20_000 + key * 100 + round]
    };
    let mut acknowledged = [None; 4];
    for round in 1..=3 {
        let program = Command::new(std::env::current_exe().expect("this program"));
        let Spawned { mut child, url, _stderr } = spawn(program, dir.path()).await;
        let client = client(&url, &access_key, &secret_key, RequestChecksumCalculation::WhenRequired);
        let (done, mut count) = tokio::sync::mpsc::unbounded_channel();
        let writers: Vec<_> = (0..4)
            .map(|key| {
                let (client, done) = (client.clone(), done.clone());
                tokio::spawn(async move {
                    let mut last = None;
                    for step in 0.. {
                        let call = client.put_object().bucket(BUCKET).key(format!("k{key}"));
                        let version = round * 1000 + step;
                        if call.body(body(key, version).into()).send().await.is_err() {
                            break;
                        }
                        last = Some(version);
                        let _ = done.send(());
                    }
                    last
                })
            })
            .collect();
        for _ in 0..20 {
            count.recv().await.expect("puts are acknowledged");
        }
        child.kill().await.expect("kill");
        for (key, writer) in writers.into_iter().enumerate() {
            acknowledged[key] = writer.await.expect("a task").or(acknowledged[key]);
        }

        let server = Server::start(dir.path()).await;
        let mut present = 0;
        for (key, version) in acknowledged.into_iter().enumerate() {
            let Some(found) = get(&server.client(), &format!("k{key}")).await else {
                assert_eq!(version, None, "an acknowledged object is gone");
                continue;
            };
            present += 1;
            // The object is the version that was acknowledged last, or the one that was under way.
            let allowed = version.map_or(vec![round * 1000], |version| vec![version, version + 1, round * 1000]);
            assert!(allowed.iter().any(|version| body(key, *version) == found), "key {key} is torn or old");
        }
        assert_eq!(server.files().await, present, "files without a row are swept");
        server.stop().await;
    }
}
