//! The log's way to standard error: it never holds up the work, and never fails it.
//!
//! A thread of its own writes the lines. Where standard error takes none (a full disk, a pipe that nobody reads), lines wait up
//! to a bound, and are lost beyond it; where it refuses one (a pipe whose reader has ended), that one is lost. Lost lines are
//! counted, and said once there is somebody to say it to.
//!
//! Each line passes [`scrubbed`] first: libraries log what they send, and a presigned URL is as good as a password (P-12).

use std::{
    borrow::Cow,
    io,
    panic::PanicHookInfo,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use super::progress::AboveBars;
use crate::metrics::lost_lines;

/// Bytes of lines that wait at most.
const WAITING: usize = 1 << 20;
/// How long the end of the process waits for the lines that are on their way.
const LAST_LINES_MAY_TAKE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

/// What [`Lines`] and [`say`] hand their lines to.
static QUEUE: OnceLock<Option<Sender<Message>>> = OnceLock::new();
/// Bytes in it.
static WAITS: AtomicUsize = AtomicUsize::new(0);

/// Takes the lines of the log.
#[derive(Clone, Copy)]
pub(super) struct Lines;

/// Takes one line.
pub(super) struct Line;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line
    }
}

impl io::Write for Line {
    /// The formatter hands over whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        hand_over(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line of the program's own to standard error, after the log's lines so far.
pub(super) fn say(text: &str) {
    hand_over(format!("{text}\n").as_bytes());
}

/// Waits a moment for the lines that are on their way.
pub(super) fn flush() {
    let (done, flushed) = channel();
    if let Some(queue) = queue()
        && queue.send(Message::Flush(done)).is_ok()
    {
        // A line that is not taken by now is lost.
        let _late = flushed.recv_timeout(LAST_LINES_MAY_TAKE);
    }
}

/// Sends what a panic says the way of all lines: the usual hook would wait for standard error.
pub(super) fn panics_too() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace =
            (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
        let thread = thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(thread, backtrace, "{panic}");
    }));
}

fn hand_over(line: &[u8]) {
    let line = scrubbed(line).into_owned();
    let size = line.len();
    let taken = WAITS.fetch_add(size, Ordering::AcqRel) + size <= WAITING
        && queue().is_some_and(|queue| queue.send(Message::Line(line)).is_ok());
    if !taken {
        WAITS.fetch_sub(size, Ordering::AcqRel);
        lost_lines::one_more();
    }
}

/// `None` where the system had no thread to spare.
fn queue() -> Option<&'static Sender<Message>> {
    let start = || {
        let (queue, lines) = channel();
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&lines, &mut AboveBars));
        started.ok().map(|_detached| queue)
    };
    QUEUE.get_or_init(start).as_ref()
}

fn write_all(lines: &Receiver<Message>, out: &mut impl io::Write) {
    let mut told = lost_lines::count();
    while let Ok(message) = lines.recv() {
        match message {
            Message::Line(line) => {
                let written = out.write_all(&line);
                WAITS.fetch_sub(line.len(), Ordering::AcqRel);
                let lost = lost_lines::count();
                if written.is_err() {
                    lost_lines::one_more();
                } else if lost > told {
                    tracing::warn!(lines = lost - told, "lines of the log were lost: standard error did not take them");
                    told = lost;
                }
            }
            // Who has stopped waiting need not know.
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

/// The line without what is secret in URLs and headers.
fn scrubbed(line: &[u8]) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(line) else { return Cow::Borrowed(line) };
    let (mut clean, mut kept) = (String::new(), 0);
    let mut names: Vec<(usize, &str)> = SECRETS.iter().flat_map(|name| text.match_indices(name)).collect();
    names.sort_unstable();
    for (at, name) in names {
        let from = at + name.len() + sign_length(&text[at + name.len()..]);
        let length = text[from..].find(|character| !is_of_value(character)).unwrap_or(text.len() - from);
        // What is shorter is a word in a sentence.
        if from >= kept && length >= SHORTEST {
            clean.push_str(&text[kept..from]);
            clean.push_str("...");
            kept = from + length;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(line);
    }
    clean.push_str(&text[kept..]);
    Cow::Owned(clean.into_bytes())
}

/// Ends of the names before secrets: `X-Amz-Signature=`, `Signature=`, `x-amz-security-token: `, `Bearer `.
const SECRETS: [&str; 6] = ["ignature", "IGNATURE", "ecurity-Token", "ecurity-token", "earer", "EARER"];
/// Characters of the shortest secret.
const SHORTEST: usize = 16;

/// Bytes between a name and its value, as URLs, headers and the debug output of both write them.
fn sign_length(rest: &str) -> usize {
    let sign = rest.strip_prefix("%3D").or_else(|| rest.strip_prefix("%3d")).unwrap_or(rest);
    let value = sign.trim_start_matches(['=', ':', ' ', '"', '\\', '(']);
    rest.len() - value.len()
}

fn is_of_value(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '%' | '-' | '_' | '.' | '~' | '+' | '/' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592";

    fn clean(line: &str) -> String {
        String::from_utf8(scrubbed(line.as_bytes()).into_owned()).expect("text")
    }

    #[test]
    fn signatures_and_tokens_are_left_out_however_a_library_writes_them() {
        for (line, left) in [
            (
                format!("PUT /k?X-Amz-Signature={HEX}&x-id=PutObject sent"),
                "PUT /k?X-Amz-Signature=...&x-id=PutObject sent",
            ),
            (format!("u=%2Fk%3FX-Amz-Signature%3D{HEX}"), "u=%2Fk%3FX-Amz-Signature%3D..."),
            (format!("SignedHeaders=host, Signature={HEX}\", \"a\""), "SignedHeaders=host, Signature=...\", \"a\""),
            (format!("{{\"x-amz-signature\": \"{HEX}\"}}"), "{\"x-amz-signature\": \"...\"}"),
            (format!("{{\\\"signature\\\":\\\"{HEX}\\\"}}"), "{\\\"signature\\\":\\\"...\\\"}"),
            (format!("a?X-Amz-Security-Token=Fwo%2F{HEX}%3D&b={HEX}"), &format!("a?X-Amz-Security-Token=...&b={HEX}")),
            (format!("authorization: Bearer {HEX}\r\n"), "authorization: Bearer ...\r\n"),
            (format!("Signature={HEX} and Signature={HEX}"), "Signature=... and Signature=..."),
        ] {
            assert_eq!(clean(&line), left);
        }
    }

    #[test]
    fn other_lines_are_written_as_they_are() {
        for line in [
            "the signature of a chunk did not match",
            "Signature=",
            "a bearer",
            &format!("hash {HEX}"),
            "\u{e4}ignature \u{e4}",
        ] {
            assert_eq!(clean(line), line);
        }
        assert_eq!(&*scrubbed(b"no text: \xff"), b"no text: \xff");
    }
}
