//! The results as one markdown table, with the goals that they are checked against.

use std::fmt;

use crate::{Failure, backlog::Collected, place::Kind, samples::Samples, tickets::Beside};

/// Items per second.
const LEAST_RATE: f64 = 3000.0;
/// Bytes resident.
const MOST_MEMORY: u64 = 200_000_000;
/// Of the memory for a larger backlog against that for the smallest.
const MOST_GROWTH: f64 = 1.25;
/// Milliseconds.
const MOST_TICK: f64 = 5.0;
/// Of the tickets' p99 with and without collection.
const MOST_RATIO: f64 = 1.25;

struct Row {
    what: String,
    result: String,
    goal: String,
    reached: bool,
}

pub struct Table {
    machine: String,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(machine: String) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// The result is shown at once: a run takes minutes.
    fn row(&mut self, what: String, result: String, goal: String, reached: bool) {
        eprintln!("  {what}: {result}");
        self.rows.push(Row { what, result, goal, reached });
    }

    /// Backlogs of one database, in the order in which they were collected.
    pub fn collected(&mut self, kind: Kind, all: &[Collected]) {
        let mut first = None;
        for collected in all {
            let Collected { items, elapsed, cpu, resident, peak } = collected;
            let rate = collected.per_second();
            self.row(
                format!("{}: {items} due items collected", kind.name()),
                format!(
                    "{rate:.0} items/s ({:.1} s; CPU of the service for each: {:.0} µs)",
                    elapsed.as_secs_f64(),
                    cpu.as_secs_f64() * 1e6 / *items as f64
                ),
                format!("at least {LEAST_RATE:.0}/s"),
                rate >= LEAST_RATE,
            );
            let growth = *peak as f64 / *first.get_or_insert(*peak) as f64;
            self.row(
                format!("{}: memory for it", kind.name()),
                format!("{:.0} MB resident at most, {:.0} MB at its peak", *resident as f64 / 1e6, *peak as f64 / 1e6),
                format!("below {} MB, whatever the backlog", MOST_MEMORY / 1_000_000),
                *peak < MOST_MEMORY && growth <= MOST_GROWTH,
            );
        }
    }

    pub fn ticks(&mut self, kind: Kind, media: u64, index: &str, samples: &Samples) {
        let [median, p99, max] = [0.5, 0.99, 1.0].map(|share| samples.percentile(share));
        self.row(
            format!("{}: a run with nothing due, {media} media in the journal", kind.name()),
            format!("{median:.2} ms, p99 {p99:.2} ms, at most {max:.1} ms, over HTTP; by the index `{index}`"),
            format!("below {MOST_TICK} ms"),
            median < MOST_TICK,
        );
    }

    /// Pairs of loads: while a backlog was collected, and while the brake held it.
    pub fn tickets(&mut self, kind: Kind, per_second: u32, rounds: &[[Beside; 2]]) {
        let load = if per_second > 0 { format!("{per_second} a second") } else { "as many as they can".to_owned() };
        let connections = crate::tickets::CONNECTIONS;
        let median = |of: &dyn Fn(&[Beside; 2]) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        let [beside, alone] = [0, 1].map(|which| {
            [0.5, 0.99].map(|share| median(&|round: &[Beside; 2]| round[which].samples.percentile(share)))
        });
        let ratio = median(&|[beside, alone]| beside.samples.percentile(0.99) / alone.samples.percentile(0.99));
        let rates = [0, 1].map(|which| median(&|round: &[Beside; 2]| round[which].samples.per_second()));
        self.row(
            format!("{}: tickets while due items are collected, {connections} connections, {load}", kind.name()),
            format!(
                "p99 {:.2} ms beside {:.2} ms without ({ratio:.2} times); median {:.2} and {:.2} ms; {:.0}/s and {:.0}/s; \
                 {:.0} items/s collected meanwhile",
                beside[1],
                alone[1],
                beside[0],
                alone[0],
                rates[0],
                rates[1],
                median(&|round: &[Beside; 2]| round[0].others / 2.0),
            ),
            format!("at most {MOST_RATIO} times"),
            ratio <= MOST_RATIO,
        );
    }

    /// # Errors
    /// Names what misses its goal.
    pub fn check(&self) -> Result<(), Failure> {
        let missed = self.rows.iter().filter(|row| !row.reached);
        let missed: Vec<_> = missed.map(|row| format!("{}: {}, not {}", row.what, row.result, row.goal)).collect();
        if missed.is_empty() { Ok(()) } else { Err(missed.join("; ").into()) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; settings: the defaults, but for `{}`\n", self.machine, crate::backlog::SETTINGS.join(" "))?;
        writeln!(f, "| what | result | goal |\n|---|---|---|")?;
        self.rows.iter().try_for_each(|Row { what, result, goal, reached }| {
            let missed = if *reached { "" } else { " (missed)" };
            writeln!(f, "| {what} | {result} | {goal}{missed} |")
        })
    }
}
