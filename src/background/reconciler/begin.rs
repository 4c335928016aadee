//! How a walk begins: anew, or where an earlier walk was cut off; one walk at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::OwnedMutexGuard;
use zeroload_projections::{Counts, Walk, WalkStatus};

use super::{Begun, Estimate, LEAST_AGE, ReconcileError, Reconciler, WalkRequest};
use crate::storage::LISTED_AT_ONCE;

/// How old the last save of another process's walk must be before the walk is taken over: a hundred HEADs and their
/// repeats, at the lowest rate or to a server that answers slowly, take a while.
const STALE: TimeDelta = TimeDelta::hours(1);

/// How long a walk waits for its turn: about as long as the timer takes to see that there is no walk to take over.
const TURN: Duration = Duration::from_secs(1);

/// What AWS asks for 1000 LIST requests, in US dollars (S3 pricing, us-east-1, standard storage).
const USD_PER_1000_LISTS: f64 = 0.005;

impl Reconciler {
    /// # Errors
    /// [`ReconcileError::ReadModels`].
    pub async fn estimate(&self) -> Result<Estimate, ReconcileError> {
        let objects = self.handles.read_models.walks().expected().await?;
        let requests = objects / LISTED_AT_ONCE + 1;
        let usd = requests as f64 * USD_PER_1000_LISTS / 1000.0;
        Ok(Estimate { objects, requests, seconds: requests.div_ceil(self.options.rate.into()), usd })
    }

    /// Takes up the walk that was cut off, if that deletes by the same age as `wanted`, or begins a new walk in its
    /// place.
    ///
    /// # Errors
    /// [`ReconcileError::Running`] while another walk is under way; [`ReconcileError::ReadModels`].
    pub async fn begin(&self, wanted: &WalkRequest) -> Result<Begun, ReconcileError> {
        let turn = self.turn().await.ok_or(ReconcileError::Running)?;
        Ok(Begun { walk: self.begin_in_turn(wanted).await?, turn })
    }

    async fn begin_in_turn(&self, wanted: &WalkRequest) -> Result<Walk, ReconcileError> {
        let delete_older_than = wanted.delete_older_than.map(|age| age.max(LEAST_AGE).num_seconds().unsigned_abs());
        let walks = self.handles.read_models.walks();
        if let Some(left) = walks.running().await? {
            if left.delete_older_than == delete_older_than {
                return self.take_over_in_turn().await?.ok_or(ReconcileError::Running);
            }
            let now = self.handles.clock.now();
            walks.abandon(now, self.stale(now)).await?;
        }
        let now = self.handles.clock.now();
        let walk = Walk {
            id: self.handles.ids.new_id(now),
            caller: wanted.caller.clone(),
            status: WalkStatus::Running,
            started_at: now,
            saved_at: now,
            ended_at: None,
            after_key: String::new(),
            delete_older_than,
            report_only: None,
            expected: walks.expected().await?,
            counts: Counts::default(),
            broken_off: None,
        };
        match walks.begin(&walk, self.me).await? {
            true => Ok(walk),
            false => Err(ReconcileError::Running),
        }
    }

    /// Takes up the walk that was cut off; `None` if there is none, or a process works on it.
    ///
    /// # Errors
    /// [`ReconcileError::ReadModels`].
    pub async fn take_over(&self) -> Result<Option<Begun>, ReconcileError> {
        let Some(turn) = self.turn().await else { return Ok(None) };
        Ok(self.take_over_in_turn().await?.map(|walk| Begun { walk, turn }))
    }

    async fn take_over_in_turn(&self) -> Result<Option<Walk>, ReconcileError> {
        let now = self.handles.clock.now();
        Ok(self.handles.read_models.walks().take_over(self.me, now, self.stale(now)).await?)
    }

    /// The turn to walk in this process; `None` while a walk is under way here.
    async fn turn(&self) -> Option<OwnedMutexGuard<()>> {
        tokio::time::timeout(TURN, self.turn.clone().lock_owned()).await.ok()
    }

    /// A walk that was last saved before this time may be taken over. If no other process can be at work, every earlier
    /// holder of a walk is gone.
    fn stale(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.options.shared { now - STALE } else { DateTime::<Utc>::MAX_UTC }
    }

    /// Whether the next walk is due: `every` after the last walk began, or without one after the journal began.
    ///
    /// # Errors
    /// [`ReconcileError::ReadModels`], [`ReconcileError::Journal`].
    pub async fn is_due(&self, every: Duration) -> Result<bool, ReconcileError> {
        let last = self.handles.read_models.walks().list(None, 1).await?.items.pop().map(|walk| walk.started_at);
        let since = match last {
            Some(last) => Some(last),
            None => self.handles.journal.read(0, 1).await?.first().map(|event| event.recorded_at),
        };
        let waited = since.and_then(|since| (self.handles.clock.now() - since).to_std().ok());
        Ok(waited.is_some_and(|waited| waited >= every))
    }
}
