//! One bash that runs block after block and keeps variables and functions, as a terminal does; the first command that
//! fails ends it, and the test.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use crate::place::Place;

pub struct Shell<'a> {
    place: &'a Place,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    blocks: usize,
}

impl<'a> Shell<'a> {
    pub fn start(place: &'a Place) -> Self {
        let log = fs::File::create(place.aside().join("shell.log")).expect("a log");
        let mut bash = place.bash();
        bash.arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = bash.spawn().expect("bash starts");
        let input = child.stdin.take().expect("its input is piped");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut shell = Self { place, child, input, output, blocks: 0 };
        shell.run("set -euo pipefail");
        shell
    }

    /// What the commands print on standard output.
    pub fn run(&mut self, commands: &str) -> String {
        self.blocks += 1;
        let (file, end) = (self.place.aside().join(format!("{}.sh", self.blocks)), format!("end of {}", self.blocks));
        fs::write(&file, commands).expect("written");
        let line = format!(". {} < /dev/null; echo; echo '{end}'", file.display());
        writeln!(self.input, "{line}").expect("bash reads");
        let mut printed = String::new();
        loop {
            let before = printed.len();
            let read = self.output.read_line(&mut printed).expect("text");
            assert!(read > 0, "a command has failed\n{commands}\n{printed}\n{}", self.place.log("shell.log"));
            if printed[before..].trim_end() == end {
                printed.truncate(before);
                return printed.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Shell<'_> {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
