//! A progress bar for long work, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress(ProgressBar);

impl Progress {
    pub fn start(what: &'static str) -> Self {
        // indicatif draws on standard error, and nothing at all where that is no terminal.
        let bar = ProgressBar::new(0).with_message(what);
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg} {per_sec} {eta}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    pub fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
