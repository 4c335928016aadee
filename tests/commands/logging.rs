//! The log: a failure is in it once; and where standard error takes nothing the log is lost, and nothing else.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    process::{Serving, Site},
    tool::{Api, stderr},
};

/// `serve` with its standard error redirected as a shell does it, logging all that it can.
fn serve_redirected(site: &Site, redirection: &str) -> Serving {
    let plain = site.command(&["serve", "--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(site.path()).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("ZEROLOAD_LOG", "trace");
    site.serve_by(&mut command).unwrap_or_else(|refused| panic!("{refused:?}"))
}

fn make_pipe(site: &Site) {
    let made = Command::new("mkfifo").arg(site.path().join("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
}

async fn lost_lines(api: &Api<'_>) -> u64 {
    let metrics = api.get("/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix("zeroload_log_lines_lost_total "));
    line.expect("the metric").parse().expect("a number")
}

/// A full disk; a pipe whose reader has ended; a pipe that nobody reads.
const REDIRECTIONS: [&str; 3] = ["2>/dev/full", "3<>pipe 2>pipe 3>&-", "2<>pipe"];

#[tokio::test]
async fn the_work_goes_on_where_the_log_cannot_be_written() {
    for redirection in REDIRECTIONS {
        let site = Site::new(&[]);
        make_pipe(&site);
        let serving = serve_redirected(&site, redirection);
        let api = Api::of(&serving);
        let mut confirmed = 0;
        while confirmed < 20 || lost_lines(&api).await == 0 {
            api.confirmed(b"bytes").await;
            confirmed += 1;
        }
        let ready: Value = serde_json::from_str(&api.get("/readyz").await).expect("JSON");
        assert_eq!(ready["ready"], true, "{redirection}: {ready}");
        serving.signal("-TERM");
        assert_eq!(serving.wait().code(), Some(0), "{redirection}");
        let verified = site.run(&["verify"]);
        assert!(verified.status.success(), "{redirection}: {}", stderr(&verified));
    }
}

#[tokio::test]
async fn a_log_that_can_be_written_again_says_how_much_of_it_was_lost() {
    let site = Site::new(&[]);
    make_pipe(&site);
    let serving = serve_redirected(&site, "2<>pipe");
    let api = Api::of(&serving);
    while lost_lines(&api).await == 0 {
        api.confirmed(b"bytes").await;
    }
    let pipe = File::open(site.path().join("pipe")).expect("the pipe");
    let told = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(pipe).lines();
        lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("lines of the log were lost"))).is_some()
    });
    assert!(told.await.expect("read"));
}

#[tokio::test]
async fn no_level_of_the_log_holds_a_url_or_a_key_that_could_be_used() {
    let site = Site::new(&[]);
    let mut command = site.command(&["serve", "--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"]);
    let serving = site.serve_by(command.env("ZEROLOAD_LOG", "trace")).unwrap_or_else(|refused| panic!("{refused:?}"));
    let api = Api::of(&serving);
    api.confirmed(b"bytes").await;
    let ticket = api.ticket(b"bytes").await;
    let url = ticket["upload"]["url"].as_str().expect("a URL");
    let (_, signature) = url.split_once("X-Amz-Signature=").expect("it is signed");
    serving.signal("-TERM");
    assert!(serving.wait().success());
    let log = site.log();
    assert!(log.contains("\"TRACE\""), "libraries say what they do");
    assert!(!log.contains(&signature[..64]), "the ticket's signature is in the log");
    let keys = std::fs::read_to_string(site.data().join("s3/credentials.json")).expect("the keys");
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    assert!(!log.contains(keys["secret_key"].as_str().expect("a key")), "the secret key is in the log");
    // The probe's own tickets too, however they are written.
    for (at, name) in log.match_indices("ignature=") {
        let value: String = log[at + name.len()..].chars().take_while(char::is_ascii_hexdigit).collect();
        assert!(value.len() < 16, "{}", &log[at..at + 60]);
    }
}

/// The lines of warnings and errors that have this in them.
fn alarms(site: &Site, word: &str) -> Vec<String> {
    let is_alarm = |line: &&str| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    site.log().lines().filter(is_alarm).filter(|line| line.contains(word)).map(str::to_owned).collect()
}

/// Returns once so many runs were asked for and have failed.
async fn fail_runs(api: &Api<'_>, runs: usize) {
    for _ in 0..runs {
        let (status, problem) = api.call(reqwest::Method::POST, "/v1/collections", None).await;
        assert_eq!(status, reqwest::StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    }
}

#[tokio::test]
async fn that_the_bucket_does_not_answer_is_said_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}", taken.local_addr().expect("an address"));
    drop(taken);
    let site = Site::new(&["--collect-every", "1s"]);
    let flags = ["--listen", "127.0.0.1:0", "--s3-endpoint", &nobody, "--s3-bucket", "media"];
    let mut command = site.command(&["serve"]);
    command.args(flags).env("ZEROLOAD_S3_ACCESS_KEY", "key").env("ZEROLOAD_S3_SECRET_KEY", "secret");
    let serving = site.serve_by(&mut command).unwrap_or_else(|refused| panic!("{refused:?}"));
    fail_runs(&Api::of(&serving), 3).await;
    serving.signal("-TERM");
    assert!(serving.wait().success());
    let said = alarms(&site, "cannot be reached");
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[tokio::test]
async fn that_the_read_models_cannot_be_written_is_said_once_by_the_projector() {
    let site = Site::new(&["--collect-every", "1h"]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    api.confirmed(b"bytes").await;
    let file = site.data().join("journal-projections.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("they open");
    let hide = "ALTER TABLE projection_checkpoints RENAME TO hidden";
    sqlx::Executor::execute(&mut connection, hide).await.expect("hidden");
    sqlx::Connection::close(connection).await.expect("closed");
    while alarms(&site, "the projector stands still").is_empty() {
        tokio::task::yield_now().await;
    }
    // Each brings the read models up to date first, as far as it can.
    for _ in 0..3 {
        api.call(reqwest::Method::POST, "/v1/collections", None).await;
    }
    serving.signal("-TERM");
    serving.wait();
    let said = alarms(&site, "the projector stands still");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(alarms(&site, "behind").is_empty() && alarms(&site, "collection run failed").len() <= 1, "{}", site.log());
}
