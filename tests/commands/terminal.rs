//! What a person sees at a terminal: `script` gives each command one of its own.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::process::Site;

/// A command on a terminal; `script` ends it when this is dropped.
struct Terminal {
    script: Child,
    shown: BufReader<ChildStdout>,
}

impl Terminal {
    fn of(site: &Site, arguments: &str) -> Self {
        let command = site.command(&[] as &[&str]);
        let flags: Vec<_> = command.get_args().map(|flag| flag.to_string_lossy()).collect();
        let line = format!("echo $$; exec '{}' {arguments} {}", command.get_program().display(), flags.join(" "));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
        for (name, _) in command.get_envs() {
            script.env_remove(name);
        }
        script.env("TERM", "xterm").env("COLUMNS", "120").current_dir(site.path());
        // The end of its input would be the end of the terminal.
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().expect("script runs");
        let shown = BufReader::new(script.stdout.take().expect("its output is piped"));
        Self { script, shown }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.shown.read_line(&mut line).expect("text");
        assert!(read > 0, "the command has ended");
        plain(&line)
    }

    /// All that is shown until the command has ended, and whether it ended well.
    fn rest(&mut self) -> (String, bool) {
        let mut rest = String::new();
        self.shown.read_to_string(&mut rest).expect("text");
        (rest, self.script.wait().expect("it ended").success())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = self.script.kill();
        let _ended = self.script.wait();
    }
}

/// What remains of a line that was partly overwritten, without its colours.
fn plain(line: &str) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    let line = line.rsplit(['\r', '\n']).next().unwrap_or_default();
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |mut seen, piece| {
        let end = piece.find(|letter: char| letter.is_ascii_alphabetic()).map_or(piece.len(), |at| at + 1);
        // 2K erases the line.
        if &piece[..end] == "2K" {
            seen.clear();
        }
        seen + &piece[end..]
    })
}

/// Such as `17:04:05  INFO `.
fn begins_with_time_of_day(line: &str) -> bool {
    let shape: String = line.chars().take(9).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "00:00:00 "
}

#[test]
fn a_server_shows_where_it_is_and_nothing_that_is_right() {
    let site = Site::new(&[]);
    let mut terminal = Terminal::of(&site, "serve --listen 127.0.0.1:0 --embedded-s3-listen 127.0.0.1:0");
    let pid = terminal.line();
    let labels: Vec<String> = (0..4).map(|_| terminal.line().chars().take(6).collect()).collect();
    assert_eq!(labels, ["API   ", "Docs  ", "S3    ", "Data  "]);
    let hangup = Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs");
    assert!(hangup.success());
    let line = terminal.line();
    assert!(begins_with_time_of_day(&line) && line.ends_with("INFO no file of API keys is set"), "{line:?}");
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    let (rest, ended_well) = terminal.rest();
    assert!(ended_well && rest.lines().all(|line| begins_with_time_of_day(&plain(line))), "{rest:?}");
}

#[test]
fn lines_of_the_log_stand_above_a_progress_bar() {
    let site = Site::new(&[]);
    let (shown, ended_well) = Terminal::of(&site, "demo --clients 4").rest();
    assert!(ended_well, "{shown}");
    assert!(shown.contains("items collected"), "a bar is drawn: {shown:?}");
    let logged: Vec<String> = shown.split('\n').map(plain).filter(|line| line.contains(" INFO ")).collect();
    assert!(!logged.is_empty(), "{shown:?}");
    assert!(logged.iter().all(|line| begins_with_time_of_day(line)), "{logged:?}");
}
