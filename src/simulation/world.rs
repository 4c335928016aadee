//! One run: several processes on one journal and one bucket, backends and clients that use them, and trouble. When the
//! trouble has ended and time has passed, everything must be settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use tokio::sync::Notify;
use zeroload_domain::{ByteSize, Event, Media, MediaId, Policy, SeenVia, State};
use zeroload_journal::verify;
use zeroload_projections::{MediaRow, RecordedEvent, fold::fold, memory::MemoryTables};

use super::{
    backend,
    bucket::Bucket,
    database::Database,
    flaw::Flaw,
    network::Network,
    process::Process,
    promises::Promises,
    sim::{Group, Sim},
};
use crate::{
    background::collector::{BrakeSettings, RunReport},
    media::Loaded,
};

/// Rounds of quiet after which everything must be settled.
const ROUNDS: usize = 8;
/// Longer than any deadline, pause between tries, and slow upload of a run.
const QUIET: Duration = Duration::from_secs(7 * 3600);

/// What all parts of a run share.
#[derive(Clone)]
pub struct World {
    pub sim: Sim,
    pub flaw: Option<Flaw>,
    pub policy: Policy,
    /// What is collected is kept for a while.
    pub keeps_trash: bool,
    pub brake: BrakeSettings,
    pub database: Database,
    pub bucket: Bucket,
    pub network: Network,
    promises: Promises,
    pub tables: MemoryTables,
    /// Woken when a run of a collector begins: a good moment to get into its way.
    pub run_begins: Arc<Notify>,
    processes: Arc<Mutex<Vec<Arc<Process>>>>,
    started: Arc<AtomicU32>,
    kept: Arc<Mutex<Kept>>,
}

/// What backends rely on.
#[derive(Default)]
struct Kept {
    /// A confirm was acknowledged.
    confirmed: BTreeSet<MediaId>,
    /// A release was at least tried.
    released: BTreeSet<MediaId>,
}

/// How a run ended.
pub struct Ended {
    pub result: Result<(), String>,
    /// When what happened.
    pub trace: Vec<(DateTime<Utc>, String)>,
    /// Events in the journal.
    pub events: u64,
}

/// The run of a seed, from its begin to its end.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Ended {
    let sim = Sim::new(seed);
    let world = World::new(&sim, flaw);
    let script = world.clone();
    let result = sim.run(async move { script.script().await });
    // They hold the world, and the world holds them.
    world.processes().clear();
    Ended { result, trace: sim.trace(), events: world.database.rows().position() }
}

impl World {
    fn new(sim: &Sim, flaw: Option<Flaw>) -> Self {
        let seconds = |number: u64| TimeDelta::seconds(number.cast_signed());
        let margin = seconds([0, 10, 40][sim.below(3) as usize]);
        let (ttl, grace) = (seconds(20), seconds(25 + sim.below(40)));
        let policy = Policy::new(ttl, grace, seconds(200), margin, ByteSize::new(100)).expect("it is within bounds");
        let trash = if sim.percent(50) { seconds(20 + sim.below(200)) } else { TimeDelta::zero() };
        let policy = policy.with_trash(trash).expect("it is within bounds");
        // Runs are small: the usual limit never stops any.
        let above = [1000, 1000, 1000, 1000, 0, 1][sim.below(6) as usize];
        let window = TimeDelta::minutes([1, 5, 60][sim.below(3) as usize]);
        let brake = BrakeSettings { share: 50, above, window, silence: TimeDelta::hours(6) };
        let promises = Promises::new(sim.clone());
        let bucket = Bucket::new(sim.clone(), promises.clone());
        Self {
            sim: sim.clone(),
            flaw,
            policy,
            keeps_trash: trash > TimeDelta::zero(),
            brake,
            database: Database::new(sim.clone(), promises.clone(), flaw),
            promises,
            network: Network { sim: sim.clone(), bucket: bucket.clone(), flaw },
            bucket,
            // Half of the runs divide no work, so that two are often at one claim.
            tables: if sim.percent(50) { MemoryTables::default() } else { MemoryTables::default().forgetting_pages() },
            run_begins: Arc::default(),
            processes: Arc::default(),
            started: Arc::default(),
            kept: Arc::default(),
        }
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Arc<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the processes that are up.
    pub fn any_process(&self) -> Option<Arc<Process>> {
        let up = self.processes();
        if up.is_empty() { None } else { Some(up[self.sim.below(up.len() as u64) as usize].clone()) }
    }

    async fn script(self) {
        for _ in 0..=self.sim.below(2) {
            let world = self.clone();
            self.sim.spawn(Group::Trouble, async move { world.keep_one_up().await });
        }
        let world = self.clone();
        self.sim.spawn(Group::Trouble, async move { world.shift_database_clock().await });
        let items = 1 + self.sim.below(3);
        join_all((0..items).map(|number| backend::care_for(&self, number))).await;
        self.sim.sleep(self.sim.between(Duration::ZERO, Duration::from_secs(60))).await;
        self.settle().await;
    }

    /// A place for a process: what runs there is killed at any moment, and another one started.
    async fn keep_one_up(&self) {
        let s = Duration::from_secs;
        loop {
            let process = self.start().await;
            process.go();
            self.sim.sleep(self.sim.between(s(15), s(300))).await;
            if self.sim.percent(30) {
                process.set_skew(self.skew());
                self.sim.sleep(self.sim.between(s(1), s(40))).await;
            }
            self.processes().retain(|up| up.group != process.group);
            self.sim.kill(|group| group == process.group);
            self.sim.note(|| format!("{:?} is killed", process.group));
            self.sim.sleep(self.sim.between(s(0), s(15))).await;
        }
    }

    async fn start(&self) -> Arc<Process> {
        let process = Process::start(self, self.started.fetch_add(1, Ordering::Relaxed), self.skew()).await;
        self.sim.note(|| format!("{:?} is up", process.group));
        self.processes().push(process.clone());
        process
    }

    async fn shift_database_clock(&self) {
        loop {
            self.sim.sleep(self.sim.between(Duration::ZERO, Duration::from_secs(100))).await;
            self.database.set_skew(self.skew());
        }
    }

    /// How far a clock is off: mostly not at all, at times by up to minutes or an hour, either way.
    fn skew(&self) -> TimeDelta {
        let most = match self.sim.below(10) {
            0..=5 => return TimeDelta::zero(),
            6..=8 => 60_000,
            _ => 3_600_000,
        };
        TimeDelta::milliseconds(self.sim.below(2 * most).cast_signed() - most.cast_signed())
    }

    /// A run has ended that nobody had told to override the brake: what it says that stopped it must have stopped it.
    pub fn check_brake(&self, report: &RunReport) {
        let claimed = |recorded: &RecordedEvent| matches!(recorded.of_media(), Some((_, Event::CollectionStarted(started))) if started.run_id == report.run_id);
        if let Some(reason) = &report.braked
            && self.promises.recorded().iter().any(claimed)
        {
            self.sim.broken("the brake", || format!("run {} has claimed, although {reason}", report.run_id));
        }
    }

    /// A command was answered as done: it must be in the journal, and say the same there (P-3).
    pub fn acknowledged(&self, loaded: &Loaded) {
        let mut media = Media::default();
        let mut last = None;
        for recorded in &*self.promises.recorded() {
            if let Some((id, event)) = recorded.of_media()
                && id == loaded.id
                && recorded.sequence <= loaded.sequence
            {
                media.apply(event.clone());
                last = Some((recorded.sequence, recorded.position));
            }
        }
        if last != Some((loaded.sequence, loaded.position)) || media != loaded.media {
            self.sim.broken("P-3", || format!("answered {loaded:?}, and the journal has {last:?}, {media:?}"));
        }
        if matches!(loaded.media, Media::Confirmed(..)) {
            self.kept().confirmed.insert(loaded.id);
        }
    }

    pub fn releases(&self, id: MediaId) {
        self.kept().released.insert(id);
    }

    /// Every item, as the journal tells.
    fn items(&self) -> Vec<(MediaId, Media)> {
        let mut items = BTreeMap::<MediaId, Media>::new();
        for (id, event) in self.promises.recorded().iter().filter_map(RecordedEvent::of_media) {
            items.entry(id).or_default().apply(event.clone());
        }
        items.into_iter().collect()
    }

    /// The read models are the fold of the journal up to their checkpoint (P-4).
    pub fn check_read_models(&self) {
        let (position, rows) = self.tables.contents();
        let mut folded = BTreeMap::<MediaId, Option<MediaRow>>::new();
        for event in self.promises.recorded().iter().take_while(|event| event.position <= position) {
            if let Some((id, _)) = event.of_media() {
                fold(folded.entry(id).or_default(), event);
            }
        }
        let folded: Vec<_> = folded.into_values().flatten().collect();
        if rows != folded {
            self.sim.broken("P-4", || format!("at {position} the rows are {rows:?}, and the journal says {folded:?}"));
        }
    }

    /// Whether a run of a collector would find anything.
    pub fn has_work(&self) -> bool {
        let now = self.sim.now();
        let waits = |row: &MediaRow| match row.state {
            State::Collecting | State::Restoring => true,
            State::Pending | State::Uploaded | State::Released | State::Trashed => row.collectable_at <= now,
            State::Unrequested | State::Confirmed | State::Collected => false,
        };
        self.tables.contents().1.iter().any(waits)
    }

    /// After all trouble: everything is confirmed and there, or collected and gone (P-2, P-7, P-8).
    async fn settle(&self) {
        self.sim.calm_down();
        let up = std::mem::take(&mut *self.processes());
        self.sim.kill(|group| matches!(group, Group::Process(_) | Group::Trouble));
        drop(up);
        self.database.set_skew(TimeDelta::zero());
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let process = Process::start(self, number, TimeDelta::zero()).await;
        for _ in 0..ROUNDS {
            self.sim.sleep(QUIET).await;
            if let Err(error) = process.collect_all().await {
                return self.sim.broken("P-2", || error.to_string());
            }
            let unsettled = self.unsettled();
            if unsettled.is_empty() {
                return self.check_the_end(&process).await;
            }
            for (id, media) in unsettled {
                // Bytes that came late are collected again once somebody gives notice of them.
                if let Media::Collected(ticketed, ..) = media {
                    let (tenant, origin) = (&ticketed.request.tenant, backend::origin());
                    let allowance = process.service.allowance();
                    let notice = process.service.uploaded(id, tenant, SeenVia::Notice, &origin, &allowance).await;
                    self.sim.note(|| format!("notice of {id}: {:?}", notice.map(|loaded| loaded.sequence)));
                }
            }
        }
        self.sim.broken("P-2", || format!("never settled: {:?}", self.unsettled()));
    }

    fn unsettled(&self) -> Vec<(MediaId, Media)> {
        let open = |(_, media): &(MediaId, Media)| match media {
            Media::Confirmed(..) => false,
            Media::Collected(ticketed, ..) => {
                self.bucket.holds(&ticketed.request.object_key)
                    || self.bucket.has_in_trash(ticketed.request.object_key.media_id())
            }
            _ => true,
        };
        self.items().into_iter().filter(open).collect()
    }

    async fn check_the_end(&self, process: &Process) {
        let items = self.items();
        for (id, media) in &items {
            if let Media::Confirmed(ticketed, ..) = media
                && !self.bucket.holds(&ticketed.request.object_key)
            {
                self.sim.broken("P-1", || format!("the object of confirmed media {id} is gone"));
            }
        }
        let kept = |id: &MediaId| items.iter().any(|item| item.0 == *id && matches!(item.1, Media::Confirmed(..)));
        let relied_on: Vec<_> = {
            let noted = self.kept();
            noted.confirmed.difference(&noted.released).copied().collect()
        };
        if let Some(id) = relied_on.iter().find(|id| !kept(id)) {
            self.sim.broken("P-3", || format!("the confirm of media {id} was acknowledged and has not lasted"));
        }
        if let Err(error) = verify(process.journal.reader(), None, |_, _| ()).await {
            self.sim.broken("P-5", || error.to_string());
        }
        if let Err(error) = process.project().await {
            self.sim.broken("P-4", || error.to_string());
        }
        self.check_read_models();
        if self.tables.contents().0 != self.database.rows().position() {
            self.sim.broken("P-4", || "the read models have not caught up".to_owned());
        }
    }
}
