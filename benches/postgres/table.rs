//! The results as one markdown table, with the goals that they are checked against.

use std::fmt;

use crate::{Failure, cluster::Pgbench, samples::Samples, series::Series, service::Lag};

/// Projections may be so far behind when the load ends, in seconds.
const MOST_LAG: f64 = 5.0;

/// Events of a rebuild per second.
const LEAST_REBUILT: f64 = 60_000.0;

/// What zeroload reached in each round.
#[derive(Default)]
pub struct Figures {
    /// Tickets per second over many connections.
    many: Series,
    /// The most that the projections were behind when that load ended, in seconds.
    lag: f64,
    /// Median latency over few connections, in milliseconds.
    few: Series,
    /// Appends per second.
    appended: Series,
    /// Confirms per second over many connections, of uploads that the process itself has recorded.
    confirmed: Series,
    /// Of uploads that another process has recorded.
    confirmed_later: Series,
}

impl Figures {
    pub fn many(&mut self, samples: &Samples, lag: Lag) {
        self.many.push(samples.per_second());
        self.lag = self.lag.max(lag.lag_seconds);
    }

    pub fn few(&mut self, samples: &Samples) {
        self.few.push(samples.percentile(0.5));
    }

    pub fn appended(&mut self, per_second: f64) {
        eprintln!("  journal: {per_second:.0} appends/s");
        self.appended.push(per_second);
    }

    pub fn confirmed(&mut self, per_second: f64) {
        self.confirmed.push(per_second);
    }

    pub fn confirmed_later(&mut self, samples: &Samples) {
        self.confirmed_later.push(samples.per_second());
    }
}

/// What that is compared with.
#[derive(Default)]
pub struct Plain {
    /// The better one of each round's runs, per second.
    insert: Series,
    /// Mean latency of the inserts of the fewest clients, in milliseconds.
    insert_latency: Series,
    /// The better one of each round's runs, per second.
    update: Series,
    stock: Series,
}

impl Plain {
    /// One round of them, the fewest clients first.
    pub fn inserted(&mut self, runs: &[Pgbench]) {
        for run in runs {
            eprintln!("  pgbench INSERT, {} clients: {:.0}/s, {:.2} ms", run.clients, run.per_second, run.mean_ms);
        }
        runs.first().into_iter().for_each(|run| self.insert_latency.push(run.mean_ms));
        better(runs).into_iter().for_each(|run| self.insert.push(run));
    }

    pub fn updated(&mut self, runs: &[Pgbench]) {
        for run in runs {
            eprintln!("  pgbench UPDATE, {} clients: {:.0}/s", run.clients, run.per_second);
        }
        better(runs).into_iter().for_each(|run| self.update.push(run));
    }

    pub fn stock(&mut self, per_second: f64) {
        eprintln!("  stock crates: {per_second:.0} appends/s");
        self.stock.push(per_second);
    }
}

fn better(runs: &[Pgbench]) -> Option<f64> {
    runs.iter().map(|run| run.per_second).reduce(f64::max)
}

struct Row {
    what: String,
    zeroload: String,
    against: String,
    ratio: Series,
    goal: Goal,
}

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It is shown for comparison.
    Any,
}

impl Goal {
    fn is_reached(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
            Self::Any => true,
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

    fn row(&mut self, what: &str, zeroload: String, against: String, ratio: Series, goal: Goal) {
        // Of what was not measured there is no ratio.
        let against = if ratio.median().is_some() { against } else { String::new() };
        self.rows.push(Row { what: what.to_owned(), zeroload, against, ratio, goal });
    }

    pub fn compared(&mut self, figures: &Figures, plain: &Plain, rebuilt: f64, events: u64) {
        self.row(
            "tickets over HTTP, 256 connections",
            format!("{}/s, projections at most {:.1} s behind at the end", figures.many, figures.lag),
            format!("pgbench `INSERT`, the better of 16 and 64 clients: {}/s", plain.insert),
            figures.many.over(&plain.insert),
            Goal::AtLeast(2.0),
        );
        self.row(
            "tickets over HTTP, 16 connections, median",
            format!("{} ms", figures.few),
            format!("pgbench `INSERT`, 16 clients, mean: {} ms", plain.insert_latency),
            figures.few.over(&plain.insert_latency),
            Goal::AtMost(1.25),
        );
        self.row(
            "decide and append, 64 callers",
            format!("{}/s", figures.appended),
            format!("cqrs-es with postgres-es, 64 callers, 16 connections: {}/s", plain.stock),
            figures.appended.over(&plain.stock),
            Goal::AtLeast(10.0),
        );
        for (whose, confirmed, goal) in
            [("this", &figures.confirmed, Goal::AtLeast(1.2)), ("another", &figures.confirmed_later, Goal::Any)]
        {
            self.row(
                &format!("confirms over HTTP of items whose upload {whose} process recorded, 256 connections"),
                format!("{confirmed}/s"),
                format!("pgbench `UPDATE` by key, the better of 16 and 64 clients: {}/s", plain.update),
                confirmed.over(&plain.update),
                goal,
            );
        }
        self.row(
            &format!("rebuild of the read models from {events} events"),
            format!("{rebuilt:.0} events/s"),
            String::new(),
            Series::default(),
            Goal::Any,
        );
        if rebuilt < LEAST_REBUILT {
            self.broken.push(format!("a rebuild of {rebuilt:.0} events/s is too slow"));
        }
        self.caught_up(figures);
    }

    /// The same with `events` in the journal, against the empty one.
    pub fn again(&mut self, full: &Figures, empty: &Figures, rebuilt: f64, rebuilt_before: f64, events: u64) {
        let mut row = |what: &str, unit: &str, full: &Series, empty: &Series, ratio: Series| {
            self.row(
                &format!("{what}, with {events} events before"),
                format!("{full}{unit}"),
                format!("without: {empty}{unit}"),
                ratio,
                Goal::AtLeast(0.9),
            );
        };
        for (what, full, empty) in [
            ("tickets, 256 connections", &full.many, &empty.many),
            ("decide and append, 64 callers", &full.appended, &empty.appended),
            ("confirms after an upload, 256 connections", &full.confirmed, &empty.confirmed),
            ("confirms after another process, 256 connections", &full.confirmed_later, &empty.confirmed_later),
        ] {
            row(what, "/s", full, empty, full.over(empty));
        }
        let speed = empty.few.over(&full.few);
        row("tickets, 16 connections, speed at the median", " ms", &full.few, &empty.few, speed);
        let (rebuilt, before) = (Series::one(rebuilt), Series::one(rebuilt_before));
        row("rebuild", " events/s", &rebuilt, &before, rebuilt.over(&before));
        self.caught_up(full);
    }

    /// Tickets with `events` in the journal beside inserts into a table of `rows` rows.
    pub fn beside_a_past(&mut self, full: &Figures, plain: &Plain, events: u64, rows: u64) {
        if plain.insert.median().is_none() {
            return;
        }
        self.row(
            &format!("tickets over HTTP, 256 connections, with {events} events before"),
            format!("{}/s", full.many),
            format!(
                "pgbench `INSERT` into a table of {rows} rows, the better of 16 and 64 clients: {}/s",
                plain.insert
            ),
            full.many.over(&plain.insert),
            Goal::Any,
        );
    }

    fn caught_up(&mut self, figures: &Figures) {
        if figures.lag > MOST_LAG {
            self.broken.push(format!("the projections were {:.1} s behind", figures.lag));
        }
    }

    /// # Errors
    /// Names what is below its goal.
    pub fn check(&self) -> Result<(), Failure> {
        let missed = |row: &&Row| row.ratio.median().is_some_and(|ratio| !row.goal.is_reached(ratio));
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
            writeln!(f, "| {what} | {zeroload} | {against} | {ratio:.2} |")?;
        }
        Ok(())
    }
}
