//! One process of zeroload: the real write path, projector and collector, on a clock of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use tokio::sync::watch;
use zeroload_clock::{Clock, Ids, Sleeper};
use zeroload_domain::{Bucket as BucketName, KeyPrefix, Store};
use zeroload_journal::{self as journal, Journal, ReadError, Reader};
use zeroload_projections::{Error, ReadModels, memory::Gate};

use super::{
    flaw::Flaw,
    network::{BUCKET, ENDPOINT},
    sabotage,
    sim::{Group, Sim},
    world::World,
};
use crate::{
    background::{
        Handles,
        collector::{CollectOptions, Collector, Options, RunError, RunReport},
        projector::{Projector, ProjectorError},
    },
    media::{
        bucket::BucketGuard,
        commands::{Commands, Origin},
        late_uploads::LateUploads,
        recent::Recent,
        service::{Service, Waits},
    },
    metrics::Metrics,
    storage::{Gateway, GatewaySettings, KeepsVersions, NotFoundLook, StaticKeys},
};

/// Keys per delete: small, so that a run has several pages.
const PAGE: usize = 2;

pub struct Process {
    pub group: Group,
    pub service: Service,
    pub journal: Journal,
    pub commands: Commands,
    pub gateway: Gateway,
    pub read_models: ReadModels,
    pub clock: Clock,
    collector: Collector,
    projector: Arc<Projector>,
    pub world: World,
    skew: Arc<AtomicI64>,
    /// Dropped, it would say no more than that nobody will ever stop the writer.
    _stop: watch::Sender<bool>,
}

impl Process {
    /// Starts one, and tries again until the database answers.
    /// `skew` is how far its clock is from the true time.
    pub async fn start(world: &World, number: u32, skew: TimeDelta) -> Arc<Self> {
        loop {
            match Self::open(world, number, skew).await {
                Ok(process) => return process,
                Err(_) => world.sim.sleep(Duration::from_secs(1)).await,
            }
        }
    }

    async fn open(world: &World, number: u32, skew: TimeDelta) -> Result<Arc<Self>, ReadError> {
        let sim = &world.sim;
        let group = Group::Process(number);
        let ids = Ids::seeded(sim.below(u64::MAX));
        let skew = Arc::new(AtomicI64::new(skew.num_milliseconds()));
        let begin = sim.now();
        let (clock, steady, shift) = (sim.clone(), sim.clone(), skew.clone());
        let clock = Clock::driven_beside(
            move || clock.now() + TimeDelta::milliseconds(shift.load(Ordering::Relaxed)),
            move || (steady.now() - begin).to_std().unwrap_or_default(),
        );
        let gateway = Gateway::connect_with(settings(), |config| world.network.carry(config)).await;
        let gateway = gateway.expect("the settings are complete");
        gateway.expect_not_found(NotFoundLook::of_s3());

        let sleeper = Sleeper::driven({
            let sim = sim.clone();
            move |pause| Box::pin(sim.sleep(pause))
        });
        let options = journal::Options { sleeper: sleeper.clone(), ..journal::Options::default() };
        let database = &world.database;
        let (journal, stop, writer) =
            journal::assemble(database.writing(), Reader::new(database.reading()), options).await?;
        let journal_id = journal.head().await?.journal_id;
        sim.spawn(group, writer);

        let read_models = ReadModels::in_memory(world.tables.clone(), gate(sim));
        let guard = BucketGuard::new(gateway.clone(), journal.clone(), journal_id, false, clock.clone());
        let guard = Arc::new(guard.without_probe());
        let recent = Recent::default();
        let projector = Projector::new(journal.clone(), recent.clone(), read_models.clone());
        let commands = Commands::new(journal.clone(), recent, world.policy.clone(), ids.clone());
        let late_uploads = LateUploads::new(commands.clone(), gateway.clone(), guard.clone(), Metrics::default());
        let handles = Handles {
            commands: commands.low_priority(),
            late_uploads: late_uploads.clone(),
            journal: journal.clone(),
            gateway: gateway.clone(),
            guard: guard.clone(),
            read_models: read_models.clone(),
            projector: projector.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let options = Options { sleeper: sleeper.clone(), page: PAGE, looks: 4, brake: world.brake, reviewer: None };
        let collector = Collector::new(handles, options);
        let service = Service::new(
            commands.clone(),
            late_uploads,
            gateway.clone(),
            guard,
            clock.clone(),
            ids,
            Waits { s3: Duration::from_secs(10), sleeper },
        );
        let world = world.clone();
        Ok(Arc::new(Self {
            group,
            service,
            journal,
            commands,
            gateway,
            read_models,
            clock,
            collector,
            projector,
            world,
            skew,
            _stop: stop,
        }))
    }

    /// Sets anew how far its clock is from the true time.
    pub fn set_skew(&self, skew: TimeDelta) {
        self.skew.store(skew.num_milliseconds(), Ordering::Relaxed);
    }

    /// Begins its timers: they end with its group.
    pub fn go(self: &Arc<Self>) {
        let (process, sim) = (self.clone(), self.world.sim.clone());
        sim.clone().spawn(self.group, async move {
            loop {
                sim.sleep(sim.between(Duration::from_secs(1), Duration::from_secs(12))).await;
                // A run that finds nothing shows nothing, so few of them are enough.
                if sim.percent(if process.world.has_work() { 40 } else { 98 }) {
                    continue;
                }
                process.world.run_begins.notify_waiters();
                let ended = process.collect().await;
                sim.note(|| format!("{:?} collected: {}", process.group, summary(&ended)));
            }
        });
        let (process, sim) = (self.clone(), self.world.sim.clone());
        sim.clone().spawn(self.group, async move {
            loop {
                sim.sleep(sim.between(Duration::from_millis(1), Duration::from_secs(12))).await;
                // What stopped it is tried again.
                let _ended = process.project().await;
                process.world.check_read_models();
            }
        });
    }

    pub async fn collect(&self) -> Result<RunReport, RunError> {
        match self.world.flaw {
            Some(Flaw::DeletesBeforeClaim) => sabotage::delete_before_the_claim(self).await,
            Some(Flaw::BelievesAnyAnswer) => sabotage::believe_any_answer(self).await,
            Some(Flaw::EmptiesTrashOnRestore) => sabotage::empty_the_trash(self).await,
            Some(Flaw::KeepsWhatIsThere) => sabotage::keep_what_is_there(self).await,
            _ => {}
        }
        let wanted = match self.world.flaw {
            Some(Flaw::OverridesBrake) => overriding(),
            _ => CollectOptions::plain(false),
        };
        let ended = self.collector.run(wanted).await;
        if let Ok(report) = &ended {
            self.world.check_brake(report);
        }
        ended
    }

    /// One run in which the brake stops nothing, as an operator asks for it.
    pub async fn collect_all(&self) -> Result<RunReport, RunError> {
        self.collector.run(overriding()).await
    }

    pub async fn project(&self) -> Result<(), ProjectorError> {
        if self.world.flaw == Some(Flaw::MisreadsEvents) {
            sabotage::misread(self).await;
        }
        self.projector.run_once().await.map(drop)
    }
}

fn overriding() -> CollectOptions {
    let origin = Origin { request_id: "r".to_owned(), caller: "operator".to_owned(), route: "simulated" };
    CollectOptions { override_brake: Some(origin), ..CollectOptions::plain(false) }
}

fn summary(run: &Result<RunReport, RunError>) -> String {
    match run {
        Ok(report) => {
            let outcomes = report.items.iter().map(|item| format!("{:?}", item.outcome));
            format!("due {} {}", report.due, outcomes.collect::<Vec<_>>().join(" "))
        }
        Err(error) => error.to_string(),
    }
}

fn settings() -> GatewaySettings {
    GatewaySettings {
        bucket: BucketName::parse(BUCKET).expect("a name"),
        store: Store::parse("test").expect("a name"),
        endpoint: Some(ENDPOINT.to_owned()),
        region: Some("eu-central-1".to_owned()),
        path_style: true,
        public: None,
        fips: false,
        dual_stack: false,
        prefix: KeyPrefix::parse("media").expect("a prefix"),
        keys: Some(StaticKeys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "hush".to_owned(),
            session_token: None,
        }),
        ticket_keys: None,
        keeps_versions: KeepsVersions::AsAsked,
    }
}

/// A call of the read models takes its time, and fails at times.
fn gate(sim: &Sim) -> Gate {
    let sim = sim.clone();
    Arc::new(move || {
        let sim = sim.clone();
        Box::pin(async move {
            sim.sleep(sim.latency()).await;
            if sim.trouble(2) { Err(Error::Unreachable(sqlx::Error::PoolClosed)) } else { Ok(()) }
        })
    })
}
