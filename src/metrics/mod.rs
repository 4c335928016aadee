//! Counters and gauges, in the OpenMetrics text format.
//!
//! Whoever does something says what came of it; what nobody counts, such as how far the journal is, a scrape finds out.

pub mod lost_lines;

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use zeroload_domain::SeenVia;
use zeroload_projections::{FindingKind, Walk};

use crate::database::LogState;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FoundBy {
    found_by: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Found {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct File {
    file: &'static str,
}

/// All metrics of the process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    answers: Family<Answer, Counter>,
    runs: Family<Outcome, Counter>,
    items: Family<Outcome, Counter>,
    freed: Counter,
    braked: Gauge<u64, AtomicU64>,
    late: Family<FoundBy, Counter>,
    rechecks: Family<Outcome, Counter>,
    notified: Family<Outcome, Counter>,
    unreviewed: Gauge<u64, AtomicU64>,
    reconciled: Counter,
    findings: Family<Found, Counter>,
    seals: Family<Outcome, Counter>,
    substituted: Gauge<u64, AtomicU64>,
    head: Gauge<u64, AtomicU64>,
    applied: Gauge<u64, AtomicU64>,
    due: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
    wal: Family<File, Gauge<u64, AtomicU64>>,
    lost_lines: Counter,
}

/// What became of the items of a collection run.
pub struct Collected {
    pub deleted: u64,
    pub trashed: u64,
    pub absent: u64,
    pub in_use: u64,
    pub failed: u64,
    pub unknown: u64,
    pub freed_bytes: u64,
    /// Whether nothing is claimed because confirms seem not to arrive.
    pub braked: bool,
}

/// What a scrape finds out; absent where it could not be read.
pub struct Levels {
    pub head: Option<u64>,
    pub applied: Option<u64>,
    pub due: Option<u64>,
    pub waiting: Option<u64>,
    pub substituted: Option<u64>,
    /// Empty on Postgres.
    pub logs: Vec<LogState>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("zeroload");
        let metrics = Self {
            registry: Arc::default(),
            answers: Family::default(),
            runs: Family::default(),
            items: Family::default(),
            freed: Counter::default(),
            braked: Gauge::default(),
            late: Family::default(),
            rechecks: Family::default(),
            notified: Family::default(),
            unreviewed: Gauge::default(),
            reconciled: Counter::default(),
            findings: Family::default(),
            seals: Family::default(),
            substituted: Gauge::default(),
            head: Gauge::default(),
            applied: Gauge::default(),
            due: Gauge::default(),
            waiting: Gauge::default(),
            wal: Family::default(),
            lost_lines: Counter::default(),
        };
        registry.register("http_requests", "Answered requests", metrics.answers.clone());
        registry.register("collection_runs", "Ended collection runs", metrics.runs.clone());
        registry.register("collection_items", "Items that collection runs handled", metrics.items.clone());
        registry.register_with_unit("collection_freed", "Bytes freed", Unit::Bytes, metrics.freed.clone());
        registry.register(
            "collection_braked",
            "1 while nothing is claimed because confirms seem not to arrive, else 0",
            metrics.braked.clone(),
        );
        registry.register("late_uploads", "Uploads found after their item was collected", metrics.late.clone());
        registry.register("rechecks", "Collected items that were to be looked at again", metrics.rechecks.clone());
        registry.register(
            "seals",
            "Confirmed objects that were compared with what was confirmed",
            metrics.seals.clone(),
        );
        registry.register(
            "substituted_objects",
            "Items in use whose object is not the confirmed one, counted up to 100000",
            metrics.substituted.clone(),
        );
        registry.register("notified_objects", "Objects that S3 said were written", metrics.notified.clone());
        registry.register(
            "collection_unreviewed",
            "1 while nothing is claimed because the backend does not say what is in use, else 0",
            metrics.unreviewed.clone(),
        );
        registry.register(
            "reconciliation_objects",
            "Objects that ended reconciliations met",
            metrics.reconciled.clone(),
        );
        registry.register("reconciliation_findings", "What they found", metrics.findings.clone());
        registry.register("journal_position", "The journal's last position", metrics.head.clone());
        registry.register("projection_position", "The last applied position", metrics.applied.clone());
        registry.register("collection_due", "Items that are due now, counted up to 100000", metrics.due.clone());
        registry.register(
            "collection_waiting",
            "Items whose last try failed and that wait for the next",
            metrics.waiting.clone(),
        );
        let wal = metrics.wal.clone();
        registry.register_with_unit("sqlite_wal", "Size of a SQLite file's write-ahead log", Unit::Bytes, wal);
        registry.register(
            "log_lines_lost",
            "Lines of the log that standard error did not take",
            metrics.lost_lines.clone(),
        );
        // What has not happened yet is shown as 0, or an alert could not see its first time.
        for seen_via in [SeenVia::Notice, SeenVia::Notification, SeenVia::Recheck, SeenVia::Reconciliation] {
            let _made = metrics.late.get_or_create(&FoundBy { found_by: seen_via.as_str() });
        }
        metrics.notified(0, 0, 0);
        for kind in FindingKind::ALL {
            let _made = metrics.findings.get_or_create(&Found { kind: kind.as_str() });
        }
        metrics.rechecked(0, 0, 0);
        metrics.compared(0, 0);
        Self { registry: Arc::new(registry), ..metrics }
    }
}

impl Metrics {
    pub fn answered(&self, method: &str, route: &str, status: u16) {
        let label = Answer { method: method.to_owned(), route: route.to_owned(), status };
        self.answers.get_or_create(&label).inc();
    }

    pub fn run_ended(&self) {
        self.runs.get_or_create(&Outcome { outcome: "ended" }).inc();
    }

    /// What a run has done, which was no dry one.
    pub fn collected(&self, collected: &Collected) {
        for (outcome, count) in [
            ("deleted", collected.deleted),
            ("trashed", collected.trashed),
            ("absent", collected.absent),
            ("in_use", collected.in_use),
            ("failed", collected.failed),
            ("unknown", collected.unknown),
        ] {
            self.items.get_or_create(&Outcome { outcome }).inc_by(count);
        }
        self.freed.inc_by(collected.freed_bytes);
        self.braked.set(u64::from(collected.braked));
        self.unreviewed.set(0);
    }

    pub fn review_failed(&self) {
        self.unreviewed.set(1);
    }

    pub fn collection_failed(&self) {
        self.runs.get_or_create(&Outcome { outcome: "failed" }).inc();
    }

    pub fn late_upload(&self, seen_via: SeenVia) {
        self.late.get_or_create(&FoundBy { found_by: seen_via.as_str() }).inc();
    }

    /// Of the collected items that were to be looked at again.
    pub fn rechecked(&self, gone: u64, late: u64, put_aside: u64) {
        for (outcome, count) in [("gone", gone), ("late", late), ("put_aside", put_aside)] {
            self.rechecks.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    /// Of the confirmed objects that were compared with what was confirmed.
    pub fn compared(&self, sealed: u64, substituted: u64) {
        for (outcome, count) in [("sealed", sealed), ("substituted", substituted)] {
            self.seals.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    pub fn notified(&self, looked: u64, ignored: u64, unreadable: u64) {
        for (outcome, count) in [("looked", looked), ("ignored", ignored), ("unreadable", unreadable)] {
            self.notified.get_or_create(&Outcome { outcome }).inc_by(count);
        }
    }

    pub fn reconciled(&self, walk: &Walk) {
        let counts = walk.counts;
        self.reconciled.inc_by(counts.objects);
        for (kind, count) in [
            (FindingKind::CameBack, counts.came_back),
            (FindingKind::Unknown, counts.unknown),
            (FindingKind::Missing, counts.missing),
            (FindingKind::Differs, counts.differs),
            (FindingKind::Unreadable, counts.unreadable),
            (FindingKind::Orphaned, counts.orphaned),
        ] {
            self.findings.get_or_create(&Found { kind: kind.as_str() }).inc_by(count);
        }
    }

    /// # Errors
    /// The formatter's own.
    pub fn text(&self, levels: Levels) -> Result<String, std::fmt::Error> {
        for (gauge, level) in [
            (&self.head, levels.head),
            (&self.applied, levels.applied),
            (&self.due, levels.due),
            (&self.waiting, levels.waiting),
            (&self.substituted, levels.substituted),
        ] {
            if let Some(level) = level {
                gauge.set(level);
            }
        }
        for log in levels.logs {
            self.wal.get_or_create(&File { file: log.name }).set(log.bytes);
        }
        self.lost_lines.inc_by(lost_lines::count().saturating_sub(self.lost_lines.get()));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
