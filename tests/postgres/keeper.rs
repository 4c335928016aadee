//! A shell that runs what a test needs beside itself, and cleans up after it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// Makes a folder, says where it is, and carries out one command after the other. When its input ends, as it does when the
/// test's process does, however it ends, it ends the server that a command has started and what else runs in the folder,
/// and removes it.
///
/// The signal must be one that the server takes: the shell lets it ignore some.
const SCRIPT: &str = r#"
server= signal=TERM
folder=$(mktemp -d /tmp/zeroload-test.XXXXXX) || exit 1
cd "$folder" && echo "$folder"
while IFS= read -r command; do
  eval "$command" >>log 2>&1 </dev/null
  echo $?
done
if [ -n "$server" ]; then
  kill -$signal "$server"
  wait "$server"
fi 2>/dev/null
cd /
for at in /proc/[0-9]*/cwd; do
  pid=${at%/cwd}
  if [ "$at" -ef "$folder" ]; then kill -KILL "${pid#/proc/}"; fi
done
rm -rf "$folder"
"#;

/// The shell, as the user `postgres` where this process is root, since PostgreSQL refuses to run as root.
pub struct Keeper {
    child: Child,
    folder: PathBuf,
    /// Closed to end it.
    commands: Option<ChildStdin>,
    answers: Mutex<BufReader<ChildStdout>>,
}

impl Keeper {
    pub fn start() -> Self {
        Self::of(shell())
    }

    /// As the user of this process.
    pub fn as_this_user() -> Self {
        Self::of(Command::new("sh"))
    }

    /// With small disks of its own, empty folders that nobody else sees: `(place, size)`, such as `("/mnt/data", "96m")`.
    /// Nothing where this machine refuses that, even to root.
    pub fn with_disks(disks: &[(&str, &str)]) -> Option<Self> {
        let mount =
            |at: &str, size: &str| format!("mkdir -p {at} && mount -t tmpfs -o size={size},mode=1777 tmpfs {at}");
        // The first one hides a folder that is there, so that others can be made in it and nothing is left behind.
        let mounts: Vec<String> =
            std::iter::once(&("/mnt", "1m")).chain(disks).map(|(at, size)| mount(at, size)).collect();
        let mounts = mounts.join(" && ");
        let mut trial = Command::new("unshare");
        let tried = trial.args(["--mount", "sh", "-c", &mounts]).output().ok()?;
        if !tried.status.success() {
            eprintln!("no disk can be mounted here: {}", String::from_utf8_lossy(&tried.stderr));
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &format!("{mounts} && exec \"$@\""), "sh"]);
        let shell = shell();
        command.arg(shell.get_program()).args(shell.get_args());
        Some(Self::of(command))
    }

    fn of(mut shell: Command) -> Self {
        // In a group of its own, a Ctrl-C for the tests does not reach it.
        let mut child = shell
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut folder = String::new();
        answers.read_line(&mut folder).expect("it is text");
        assert!(!folder.is_empty(), "the shell made no folder");
        Self { child, folder: folder.trim_end().into(), commands, answers: Mutex::new(answers) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the commands and the server have said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Carries out a command of the shell, in the folder. One line.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, command: &str) {
        assert!(self.try_to(command), "{command}\n{}", self.log());
    }

    /// As [`Keeper::run`]; whether it ended well.
    pub fn try_to(&self, command: &str) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut commands = self.commands.as_ref().expect("it takes commands until it is dropped");
        writeln!(commands, "{command}").expect("the shell reads");
        let mut status = String::new();
        answers.read_line(&mut status).expect("it is text");
        status == "0\n"
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.commands.take());
        // It may have been killed; then there is nothing to wait for.
        let _ended = self.child.wait();
    }
}

fn shell() -> Command {
    if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        return Command::new("sh");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "sh"]);
    command
}

/// A zombie is not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::POLL;

    /// Set in the process that is to be killed.
    const VICTIM: &str = "ZEROLOAD_TEST_VICTIM";

    #[test]
    fn a_test_that_is_killed_leaves_neither_processes_nor_folders() {
        if std::env::var_os(VICTIM).is_some() {
            let keepers = [Keeper::start(), Keeper::as_this_user()];
            keepers[0].run("sleep 1000 & server=$!; echo $server > pid");
            let mut sleep = Command::new("sleep");
            let mut sleep = sleep.arg("1000").current_dir(keepers[1].folder()).spawn().expect("it starts");
            fs::write(keepers[1].folder().join("pid"), sleep.id().to_string()).expect("written");
            println!("\n{}\n{}", keepers[0].folder().display(), keepers[1].folder().display());
            sleep.wait().expect("it ended");
            return;
        }
        let own = std::env::current_exe().expect("a path");
        let name = "keeper::tests::a_test_that_is_killed_leaves_neither_processes_nor_folders";
        let mut victim = Command::new(own)
            .args(["--exact", name, "--nocapture"])
            .env(VICTIM, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(victim.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let folders: Vec<PathBuf> = lines.filter(|line| line.starts_with("/tmp/")).take(2).map(Into::into).collect();
        let pids: Vec<String> =
            folders.iter().map(|folder| fs::read_to_string(folder.join("pid")).expect("a pid")).collect();
        victim.kill().expect("it runs");
        victim.wait().expect("it ended");
        assert_eq!(folders.len(), 2);
        while folders.iter().any(|folder| folder.exists()) || pids.iter().any(|pid| is_alive(pid.trim_end())) {
            thread::sleep(POLL);
        }
    }
}
