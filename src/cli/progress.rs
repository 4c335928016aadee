//! Progress bars for long work, on a terminal only, and lines above them.

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars that are on the terminal. indicatif draws on standard error, and nothing at all where that is no terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Work that is measured against a whole.
pub struct Progress(ProgressBar);

impl Progress {
    /// `total` may be 0 as long as the whole is not known.
    pub fn start(what: &'static str, total: u64) -> Self {
        let bar = BARS.add(ProgressBar::new(total).with_message(what));
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg} {per_sec} {eta}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    pub fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
        BARS.remove(&self.0);
    }
}

/// Standard error above the bars, which are drawn anew below each line that is written.
pub struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
