//! Standard output that takes nothing: a full disk, and a pipe whose reader has ended.

use std::process::{Command, Stdio};

use reqwest::StatusCode;

use crate::{
    process::Site,
    tool::{Api, complaint, fails, id, stderr, succeeds},
};

const FULL: &str = ">/dev/full";
const CLOSED: &str = "3<>pipe >pipe 3>&-";

/// A site with a pipe beside its data.
fn site() -> Site {
    let site = Site::new(&["--embedded-s3-listen", "127.0.0.1:0"]);
    assert!(Command::new("mkfifo").arg(site.path().join("pipe")).status().expect("mkfifo runs").success());
    site
}

/// A command whose standard output is redirected as a shell does it.
fn redirected(site: &Site, arguments: &[&str], redirection: &str) -> Command {
    let plain = site.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(site.path()).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[tokio::test]
async fn serve_goes_on_where_nobody_can_read_where_it_is() {
    for redirection in [FULL, CLOSED] {
        let site = site();
        let mut serving = site.spawn(&mut redirected(&site, &["serve", "--listen", "127.0.0.1:0"], redirection));
        let note = site.data().join("journal.db.address");
        let told = || std::fs::read_to_string(&note).unwrap_or_default();
        while told().is_empty() || !site.log().contains("standard output could not be written") {
            assert!(serving.try_wait().expect("a child").is_none(), "{redirection}: {}", site.log());
            tokio::task::yield_now().await;
        }
        let answer = reqwest::get(format!("http://{}/readyz", told())).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{redirection}");
        let sent = Command::new("kill").args(["-TERM", &serving.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        assert_eq!(serving.wait().expect("it ends").code(), Some(0), "{redirection}: {}", site.log());
        assert_eq!(site.log().matches("standard output could not be written").count(), 1, "{}", site.log());
        assert!(!site.log().contains("panicked"), "{}", site.log());
    }
}

#[tokio::test]
async fn a_command_ends_well_where_nobody_reads_its_result_and_says_so_where_it_is_lost() {
    let site = site();
    let serving = site.serve_with(&["--listen", "127.0.0.1:0"]).unwrap_or_else(|refused| panic!("{refused:?}"));
    let confirmed = Api::of(&serving).confirmed(b"bytes").await;
    serving.signal("-TERM");
    assert!(serving.wait().success());
    for arguments in [
        ["verify"].as_slice(),
        &["migrate"],
        &["replay"],
        &["replay", "--json"],
        &["replay", "--state"],
        &["projections", "rebuild"],
        &["collect"],
        &["reconcile"],
        &["reconcile", "--json"],
        &["restore", id(&confirmed)],
        &["demo", "--clients", "4"],
        &["--help"],
        &["--version"],
    ] {
        let closed = redirected(&site, arguments, CLOSED).output().expect("it runs");
        succeeds(&closed);
        let said = stderr(&closed);
        assert!(!said.contains("panicked") && !said.contains("zeroload: "), "{arguments:?}: {said}");
        let full = redirected(&site, arguments, FULL).output().expect("it runs");
        if arguments[0].starts_with("--") {
            continue;
        }
        let said = fails(&full, 1);
        assert!(complaint(&said).contains("standard output cannot be written"), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}
