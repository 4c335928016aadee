//! A folder to work in, and the servers that are started in it.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

const BINARY: &str = env!("CARGO_BIN_EXE_zeroload");

/// Takes the place of cargo: all up to `--` is cargo's own.
const CARGO: &str = r#"#!/bin/sh
while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
[ $# -eq 0 ] || shift
exec "$README_BINARY" "$@"
"#;

/// A folder as a reader has it who has just cloned the repository.
pub struct Place(tempfile::TempDir);

/// A running server; it is killed when this is dropped.
pub struct Serving {
    child: Child,
    /// Such as `127.0.0.1:41234`.
    pub api: String,
    pub s3: String,
    /// What it has printed.
    pub lines: Vec<String>,
    _stdout: BufReader<ChildStdout>,
}

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::create_dir(place.work()).expect("made");
        fs::create_dir(place.0.path().join("bin")).expect("made");
        let cargo = place.0.path().join("bin/cargo");
        fs::write(&cargo, CARGO).expect("written");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("executable");
        place
    }

    /// Where the commands are run.
    pub fn work(&self) -> PathBuf {
        self.0.path().join("work")
    }

    /// Beside it, for what a reader would not see.
    pub fn aside(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// bash in the folder, with nothing set that would change what the commands do.
    pub fn bash(&self) -> Command {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ZEROLOAD_")) {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").expect("a search path");
        let bin = self.0.path().join("bin");
        command.env("PATH", format!("{}:{path}", bin.display())).env("README_BINARY", BINARY).env("NO_PROXY", "*");
        command.current_dir(self.work()).stdin(Stdio::null());
        command
    }

    /// Starts a server with this command, and returns once it has said where it is and is ready: on a busy machine the first
    /// look at the bucket may take longer than the start waits for it.
    pub fn serve(&self, command: &str) -> Serving {
        let mut bash = self.bash();
        bash.args(["-c", &format!("exec {command}")]).stdout(Stdio::piped());
        bash.envs([("ZEROLOAD_LISTEN", "127.0.0.1:0"), ("ZEROLOAD_EMBEDDED_S3_LISTEN", "127.0.0.1:0")]);
        // Into a file: a test's output is not the place for it unless it fails.
        let log = fs::File::options().create(true).append(true).open(self.aside().join("serve.log")).expect("a log");
        let mut child = bash.stderr(log).spawn().expect("bash starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| !line.starts_with("Data ")) {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).expect("its output is text");
            assert!(read > 0, "{command} has ended: {}", self.log("serve.log"));
            lines.push(line.trim_end().to_owned());
        }
        let address = |label: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("{lines:?}"));
            let rest = line.trim_start().trim_start_matches("http://");
            rest[..rest.find(['/', ' ']).unwrap_or(rest.len())].to_owned()
        };
        let serving = Serving { api: address("API "), s3: address("S3 "), lines, child, _stdout: stdout };
        while !serving.is_ready() {
            std::thread::sleep(Duration::from_millis(50));
        }
        serving
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.aside().join(name)).unwrap_or_default()
    }
}

impl Serving {
    /// The text with this server's addresses in place of the default ones.
    pub fn addressed(&self, text: &str) -> String {
        text.replace("127.0.0.1:8080", &self.api).replace("127.0.0.1:9000", &self.s3)
    }

    fn is_ready(&self) -> bool {
        let url = format!("http://{}/readyz", self.api);
        let asked = Command::new("curl").args(["-sf", "--noproxy", "*", "-o", "/dev/null", &url]).status();
        asked.expect("curl runs").success()
    }

    pub async fn get(&self, path: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("http://{}{path}", self.api)).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// Ctrl-C.
    pub fn stop(mut self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        assert!(self.child.wait().expect("it ends").success(), "it did not end well");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
