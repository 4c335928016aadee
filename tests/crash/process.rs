//! The real binary as a process of its own, on ports that the system chose and data in a folder of its own.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
};

use zeroload_test_postgres::Keeper;

const BINARY: &str = env!("CARGO_BIN_EXE_zeroload");

/// A folder with data, and the settings that every process on it gets.
pub struct Site {
    /// Ends the processes and removes the folder when the tests end, however they do.
    keeper: Keeper,
    /// Flags of every command.
    pub settings: Vec<String>,
}

/// A running `serve`; it is killed when this is dropped.
pub struct Serving {
    child: Child,
    pub pid: u32,
    /// What it has printed on standard output up to and with the line `Data`.
    pub lines: Vec<String>,
    /// Such as `127.0.0.1:41234`.
    pub api: String,
    pub s3: String,
    _stdout: BufReader<ChildStdout>,
}

/// A process that ended before it served.
#[derive(Debug)]
pub struct Refused {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Site {
    /// `settings` are flags of every command, such as `--grace 2s`.
    pub fn new(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|&flag| flag.to_owned()).collect();
        Self { keeper: Keeper::as_this_user(), settings }
    }

    pub fn path(&self) -> &Path {
        self.keeper.folder()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The command with its settings, in an environment and a folder without others.
    pub fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(BINARY);
        for (name, _) in std::env::vars_os() {
            if ["ZEROLOAD_", "AWS_"].iter().any(|others| name.to_string_lossy().starts_with(others)) {
                command.env_remove(name);
            }
        }
        command.current_dir(self.path()).stdin(Stdio::null()).args(arguments);
        command.arg("--data-dir").arg(self.data()).args(&self.settings);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Output {
        self.command(arguments).output().expect("the command runs")
    }

    /// Starts `serve` on these addresses, and returns once it has said where it is.
    pub fn serve(&self, api: &str, s3: &str) -> Result<Serving, Refused> {
        self.serve_with(&["--listen", api, "--embedded-s3-listen", s3])
    }

    /// As [`Site::serve`], with just these flags.
    pub fn serve_with(&self, flags: &[&str]) -> Result<Serving, Refused> {
        self.serve_by(self.command(&["serve"]).args(flags))
    }

    /// As [`Site::serve`], by just this command.
    pub fn serve_by(&self, command: &mut Command) -> Result<Serving, Refused> {
        let logged = self.log().len();
        let mut child = self.spawn(command);
        let stdout = child.stdout.take().expect("its output is piped");
        let mut stdout = BufReader::new(stdout);
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with("Data ")) {
            let mut line = String::new();
            if stdout.read_line(&mut line).expect("its output is text") == 0 {
                let status = child.wait().expect("it ended");
                return Err(Refused { status, stderr: self.log().split_off(logged) });
            }
            lines.push(line.trim_end().to_owned());
        }
        let after = |label: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("{lines:?}"));
            let address = line.trim_start().trim_start_matches("http://");
            address[..address.find(['/', ' ']).unwrap_or(address.len())].to_owned()
        };
        let (api, s3) = (after("API "), after("S3 "));
        Ok(Serving { pid: child.id(), child, api, s3, lines, _stdout: stdout })
    }

    /// Starts `serve` and waits for nothing.
    pub fn spawn(&self, command: &mut Command) -> Child {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary starts")
    }

    /// Starts `serve` wherever there is room.
    pub fn serve_anywhere(&self) -> Serving {
        self.serve("127.0.0.1:0", "127.0.0.1:0").unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// What every `serve` of this site has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("serve.log")
    }
}

impl Serving {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.end();
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.pid.to_string()]).status().expect("kill runs");
        assert!(sent.success(), "{name} was not sent");
    }

    /// How it ends by itself, after a signal.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    fn end(&mut self) {
        // It may have ended by itself already.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}
