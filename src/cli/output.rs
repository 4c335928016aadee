//! Standard output, which may be a full disk, or a pipe whose reader has ended.
//!
//! A reader that has ended wants nothing more: what was to be printed is left out, and the command ends as it would have. Any
//! other failure is one of the command, as its result is lost.

use std::{
    fmt::Display,
    io::{self, BufWriter, ErrorKind, StdoutLock, Write, stdout},
};

/// Prints a line of the result.
///
/// # Errors
/// Standard output does not take it.
pub(super) fn print(line: impl Display) -> io::Result<()> {
    let mut out = Output::lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What [`print`] does to one line, for many.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn lock() -> Self {
        Self(BufWriter::new(stdout().lock()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).or_else(|error| wanted(error).map(|()| bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or_else(wanted)
    }
}

/// An error in words, unless it says that nobody reads any more.
pub(super) fn wanted(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        kind => Err(io::Error::new(kind, format!("standard output cannot be written: {error}"))),
    }
}
