//! The results as one markdown table, with the goals that they are checked against.

use std::fmt;

use crate::{Failure, cluster::Pgbench, samples::Samples, service::Lag};

/// Projections may be so far behind when the load ends, in seconds.
const MOST_LAG: f64 = 5.0;

/// Of a row that is shown for comparison.
const NO_GOAL: f64 = 0.0;

/// The best of zeroload's rounds.
#[derive(Default)]
pub struct Figures {
    /// Tickets per second over many connections.
    many: f64,
    /// The most that the projections were behind when that load ended, in seconds.
    lag: f64,
    /// Median latency over few connections, in milliseconds; 0 before the first round.
    few: f64,
    /// Appends per second.
    appended: f64,
    /// Confirms per second over many connections, of uploads that the process itself has recorded.
    confirmed: f64,
    /// Of uploads that another process has recorded.
    confirmed_later: f64,
}

impl Figures {
    pub fn many(&mut self, samples: &Samples, lag: Lag) {
        self.many = self.many.max(samples.per_second());
        self.lag = self.lag.max(lag.lag_seconds);
    }

    pub fn few(&mut self, samples: &Samples) {
        self.few = least(self.few, samples.percentile(0.5));
    }

    pub fn appended(&mut self, per_second: f64) {
        eprintln!("  journal: {per_second:.0} appends/s");
        self.appended = self.appended.max(per_second);
    }

    pub fn confirmed(&mut self, per_second: f64) {
        self.confirmed = self.confirmed.max(per_second);
    }

    pub fn confirmed_later(&mut self, samples: &Samples) {
        self.confirmed_later = self.confirmed_later.max(samples.per_second());
    }
}

/// The best of what zeroload is compared with.
#[derive(Default)]
pub struct Plain {
    insert: Option<Pgbench>,
    /// Mean latency of the inserts of the fewest clients, in milliseconds.
    insert_latency: f64,
    update: Option<Pgbench>,
    stock: f64,
}

impl Plain {
    pub fn inserted(&mut self, run: Pgbench) {
        eprintln!("  pgbench INSERT, {} clients: {:.0}/s, {:.2} ms", run.clients, run.per_second, run.mean_ms);
        if run.clients == crate::CLIENTS[0] {
            self.insert_latency = least(self.insert_latency, run.mean_ms);
        }
        self.insert = faster(self.insert, run);
    }

    pub fn updated(&mut self, run: Pgbench) {
        eprintln!("  pgbench UPDATE, {} clients: {:.0}/s", run.clients, run.per_second);
        self.update = faster(self.update, run);
    }

    pub fn stock(&mut self, per_second: f64) {
        eprintln!("  stock crates: {per_second:.0} appends/s");
        self.stock = self.stock.max(per_second);
    }
}

fn faster(a: Option<Pgbench>, b: Pgbench) -> Option<Pgbench> {
    Some(a.filter(|a| a.per_second >= b.per_second).unwrap_or(b))
}

fn least(a: f64, b: f64) -> f64 {
    if a == 0.0 { b } else { a.min(b) }
}

struct Row {
    what: String,
    zeroload: String,
    against: String,
    ratio: Option<f64>,
    goal: Goal,
}

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_reached(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

pub struct Table {
    machine: String,
    server: String,
    rows: Vec<Row>,
    /// What is no ratio and must hold all the same.
    broken: Vec<String>,
}

impl Table {
    /// `settings` are those of the server that are not its defaults.
    pub fn new(machine: String, server: String, settings: &[String]) -> Self {
        let server = [vec![server], settings.to_vec()].concat().join(", ");
        Self { machine, server, rows: Vec::new(), broken: Vec::new() }
    }

    fn row(&mut self, what: &str, zeroload: String, against: String, ratio: f64, goal: Goal) {
        self.rows.push(Row { what: what.to_owned(), zeroload, against, ratio: Some(ratio), goal });
    }

    pub fn compared(&mut self, figures: &Figures, plain: &Plain, rebuilt: f64, events: u64) {
        let rate = |run: &Option<Pgbench>| run.map_or((0.0, 0), |run| (run.per_second, run.clients));
        let ((insert, insert_clients), (update, update_clients)) = (rate(&plain.insert), rate(&plain.update));
        self.row(
            "tickets over HTTP, 256 connections",
            format!("{:.0}/s, projections {:.1} s behind at the end", figures.many, figures.lag),
            format!("pgbench `INSERT`, {insert_clients} clients: {insert:.0}/s"),
            figures.many / insert,
            Goal::AtLeast(2.0),
        );
        self.row(
            "tickets over HTTP, 16 connections, median",
            format!("{:.2} ms", figures.few),
            format!("pgbench `INSERT`, 16 clients, mean: {:.2} ms", plain.insert_latency),
            figures.few / plain.insert_latency,
            Goal::AtMost(1.25),
        );
        self.row(
            "decide and append, 64 callers",
            format!("{:.0}/s", figures.appended),
            format!("cqrs-es with postgres-es, 64 callers, 16 connections: {:.0}/s", plain.stock),
            figures.appended / plain.stock,
            Goal::AtLeast(10.0),
        );
        for (whose, confirmed, goal) in
            [("this", figures.confirmed, 1.2), ("another", figures.confirmed_later, NO_GOAL)]
        {
            self.row(
                &format!("confirms over HTTP of items whose upload {whose} process recorded, 256 connections"),
                format!("{confirmed:.0}/s"),
                format!("pgbench `UPDATE` by key, {update_clients} clients: {update:.0}/s"),
                confirmed / update,
                Goal::AtLeast(goal),
            );
        }
        self.rows.push(Row {
            what: format!("rebuild of the read models from {events} events"),
            zeroload: format!("{rebuilt:.0} events/s"),
            against: String::new(),
            ratio: None,
            goal: Goal::AtLeast(NO_GOAL),
        });
        if rebuilt < 60_000.0 {
            self.broken.push(format!("a rebuild of {rebuilt:.0} events/s is too slow"));
        }
        if figures.lag > MOST_LAG {
            self.broken.push(format!("the projections were {:.1} s behind", figures.lag));
        }
    }

    /// The same with `events` in the journal, against the empty one.
    pub fn again(&mut self, full: &Figures, empty: &Figures, rebuilt: f64, rebuilt_before: f64, events: u64) {
        let mut row = |what: &str, unit: &str, full: f64, empty: f64, ratio: f64| {
            self.rows.push(Row {
                what: format!("{what}, with {events} events before"),
                zeroload: format!("{full:.*}{unit}", if full < 100.0 { 2 } else { 0 }),
                against: format!("without: {empty:.*}{unit}", if empty < 100.0 { 2 } else { 0 }),
                ratio: Some(ratio),
                goal: Goal::AtLeast(0.9),
            });
        };
        row("tickets, 256 connections", "/s", full.many, empty.many, full.many / empty.many);
        row("tickets, 16 connections, speed at the median", " ms", full.few, empty.few, empty.few / full.few);
        row("decide and append, 64 callers", "/s", full.appended, empty.appended, full.appended / empty.appended);
        let (later, later_empty) = (full.confirmed_later, empty.confirmed_later);
        row(
            "confirms after an upload, 256 connections",
            "/s",
            full.confirmed,
            empty.confirmed,
            full.confirmed / empty.confirmed,
        );
        row("confirms after another process, 256 connections", "/s", later, later_empty, later / later_empty);
        row("rebuild", " events/s", rebuilt, rebuilt_before, rebuilt / rebuilt_before);
        if full.lag > MOST_LAG {
            self.broken.push(format!("the projections were {:.1} s behind", full.lag));
        }
    }

    /// Tickets with `events` in the journal beside inserts into a table of `rows` rows.
    pub fn beside_a_past(&mut self, full: &Figures, plain: &Plain, events: u64, rows: u64) {
        let Some(insert) = plain.insert else { return };
        self.row(
            &format!("tickets over HTTP, 256 connections, with {events} events before"),
            format!("{:.0}/s", full.many),
            format!(
                "pgbench `INSERT` into a table of {rows} rows, {} clients: {:.0}/s",
                insert.clients, insert.per_second
            ),
            full.many / insert.per_second,
            Goal::AtLeast(NO_GOAL),
        );
    }

    /// # Errors
    /// Names what is below its goal.
    pub fn check(&self) -> Result<(), Failure> {
        let missed = |row: &&Row| row.ratio.is_some_and(|ratio| !row.goal.is_reached(ratio));
        let rows = self.rows.iter().filter(missed).map(|row| format!("{} is below its goal", row.what));
        let broken: Vec<_> = rows.chain(self.broken.iter().cloned()).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ").into()) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {}\n", self.machine, self.server)?;
        writeln!(f, "| what | zeroload | against | ratio |\n|---|---|---|---|")?;
        for Row { what, zeroload, against, ratio, .. } in &self.rows {
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            writeln!(f, "| {what} | {zeroload} | {against} | {ratio} |")?;
        }
        Ok(())
    }
}
