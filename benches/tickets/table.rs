//! The results as one markdown table.

use std::{fmt, time::Duration};

use crate::{journal::Sizes, machine::Machine, memory::Memory, samples::Samples, service::Lag, usage::Measured};

#[derive(Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    /// The value is shown at once: a run takes minutes.
    fn row(&mut self, what: impl Into<String>, value: String) {
        eprintln!("  {value}");
        self.0.push((what.into(), value));
    }

    pub fn load(&mut self, what: &str, measured: &Measured) {
        let Measured { samples, client_cpu, service_cpu, other_cpu, commits } = measured;
        let each = |time: &Duration| time.as_secs_f64() * 1e6 / samples.count() as f64;
        let value = format!(
            "{:.0} tickets/s; {}; {:.0} tickets per commit; CPU for each {:.0} µs, and {:.0} µs \
             in the client; {:.1} cores were busy otherwise",
            samples.per_second(),
            percentiles(samples),
            samples.count() as f64 / *commits as f64,
            each(service_cpu),
            each(client_cpu),
            other_cpu.as_secs_f64() / samples.elapsed().as_secs_f64(),
        );
        self.row(what, value);
    }

    pub fn memory(&mut self, when: &str, memory: Memory) {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let value = format!("{:.0} MB resident, at most {:.0} MB so far", mb(memory.resident), mb(memory.peak));
        self.row(format!("memory {when}"), value);
    }

    pub fn lag(&mut self, lag: &Lag, catching_up: Duration) {
        let Lag { lag_events, lag_seconds } = lag;
        let value =
            format!("{lag_events} events, {lag_seconds:.2} s; caught up {:.2} s later", catching_up.as_secs_f64());
        self.row("projection lag when the load ends", value);
    }

    pub fn disk(&mut self, media: u64, sizes: &Sizes) {
        let each = |bytes: u64| bytes / media.max(1);
        let value = format!("journal {} bytes, projections {} bytes", each(sizes.journal), each(sizes.projections));
        self.row("disk for each media", value);
    }

    pub fn verified(&mut self, head: u64, time: Duration) {
        let value = format!("{head} events in {:.1} s: all that were acknowledged, and no more", time.as_secs_f64());
        self.row("verify", value);
    }

    pub fn restart(&mut self, media: u64, time: Duration) {
        self.row(format!("start on {media} media"), format!("{:.2} s", time.as_secs_f64()));
    }

    pub fn machine(&mut self, machine: &Machine) {
        let Machine { description, syncs, inserts } = machine;
        self.row("the machine", description.clone());
        let rate = |samples: &Samples| format!("{:.0}/s; {}", samples.per_second(), percentiles(samples));
        self.row("its disk alone: write 4 KiB and fdatasync", rate(syncs));
        self.row("the plain insert: one row per transaction, SQLite, synchronous=FULL", rate(inserts));
    }

    pub fn ratio(&mut self, main_run: &Measured, machine: &Machine) {
        let ratio = main_run.samples.per_second() / machine.inserts.per_second();
        self.row("tickets of the main run for each plain insert", format!("{ratio:.1}"));
    }
}

fn percentiles(samples: &Samples) -> String {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| samples.percentile(share));
    format!("p50 {p50:.2} ms, p99 {p99:.1} ms, max {max:.0} ms")
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measured | result |\n|---|---|")?;
        self.0.iter().try_for_each(|(what, value)| writeln!(f, "| {what} | {value} |"))
    }
}
