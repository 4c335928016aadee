//! The one write path: load the stream, decide, append; on a conflict load and decide again. A confirm is first decided on
//! what is remembered, if it is: of that only an append counts, which is refused where the stream has moved on.
//!
//! Keeps P-3: what is answered as done is on disk. A caller that goes away leaves at worst a command that happened
//! without its answer, and every command may be repeated. Nothing else in the service appends.

use chrono::{DateTime, Utc};
use serde::Serialize;
use zeroload_clock::Ids;
use zeroload_domain::{Command, Context, DecodeError, Event, Media, MediaId, Policy, Refusal, RunEvent, Tenant, codec};
use zeroload_journal::{Append, AppendError, Appended, Journal, NewEvent, ReadError, StoredEvent, StreamKind};
use zeroload_projections::{RecordedEvent, What};

use crate::media::{Loaded, recent::Recent, remembered::Remembered};

/// How often a decision is taken again on what others wrote before the caller hears of it.
const MAX_ATTEMPTS: usize = 8;

/// Who asked, for the event's metadata: an auditor sees who did what.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The caller's `X-Request-Id`, or ours.
    pub request_id: String,
    /// The name of the API key, or of the part of the service.
    pub caller: String,
    /// What was called, such as `POST /v1/media`.
    pub route: &'static str,
}

/// Why a command did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("others changed the media {MAX_ATTEMPTS} times meanwhile; try again")]
    Contended,
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the stream of media {id} cannot be read")]
    Unreadable { id: MediaId, source: DecodeError },
}

impl CommandError {
    /// Whether it says nothing of the item: the journal is away, for all of them.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Read(ReadError::Unavailable(_)))
    }

    /// Says in the log that an item waits because of this, unless it was said where the failure was met.
    pub(crate) fn log_of(&self, id: MediaId, message: &str) {
        match self {
            Self::Append(error) if error.is_logged() => tracing::debug!(media.id = %id, error = %self, "{message}"),
            _ => tracing::warn!(media.id = %id, error = %self, "{message}"),
        }
    }
}

/// The write path. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    journal: Journal,
    recent: Recent,
    remembered: Remembered,
    policy: Policy,
    ids: Ids,
}

/// What a decision is taken on.
enum Basis {
    /// As its stream tells.
    Read(Loaded),
    /// As it once was: what this leads to counts only if it is appended.
    Remembered(Loaded),
}

impl Commands {
    /// What it records is in `recent` too, for a projector.
    pub fn new(journal: Journal, recent: Recent, policy: Policy, ids: Ids) -> Self {
        Self { journal, recent, remembered: Remembered::default(), policy, ids }
    }

    /// The same that reads each item anew: for a journal whose server may be exchanged unseen.
    #[must_use]
    pub fn reading_always(self) -> Self {
        Self { remembered: Remembered::nothing(), ..self }
    }

    /// The same whose appends give way to those of others: for work that can wait.
    #[must_use]
    pub fn giving_way(&self) -> Self {
        Self { journal: self.journal.giving_way(), ..self.clone() }
    }

    /// Whether what is claimed goes into the trash.
    pub fn keeps_trash(&self) -> bool {
        self.policy.keeps_trash()
    }

    /// The item of this id, if it belongs to `tenant`.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown id and for another tenant's alike.
    pub async fn load(&self, id: MediaId, tenant: &Tenant) -> Result<Loaded, CommandError> {
        let loaded = self.load_any(id).await?;
        owned_by(&loaded, tenant)?;
        Ok(loaded)
    }

    /// The item of this id, whichever tenant it belongs to if none is named.
    ///
    /// # Errors
    /// As [`Commands::load`].
    pub async fn load_of(&self, id: MediaId, tenant: Option<&Tenant>) -> Result<Loaded, CommandError> {
        match tenant {
            Some(tenant) => self.load(id, tenant).await,
            None => self.load_any(id).await,
        }
    }

    /// The item of this id, whichever tenant it belongs to.
    ///
    /// # Errors
    /// [`CommandError::Read`], [`CommandError::Unreadable`].
    pub async fn load_internal(&self, id: MediaId) -> Result<Loaded, CommandError> {
        self.load_any(id).await
    }

    /// Carries out a command of `tenant`.
    ///
    /// # Errors
    /// [`CommandError::Refused`] by the rules; every other error may be retried.
    pub async fn execute(
        &self,
        id: MediaId,
        tenant: &Tenant,
        command: Command,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        self.execute_of(id, Some(tenant), command, origin, now).await
    }

    /// Carries out a command of a tenant, or of the service itself where none is named.
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn execute_of(
        &self,
        id: MediaId,
        tenant: Option<&Tenant>,
        command: Command,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        let remembered = matches!(command, Command::Confirm { .. }).then(|| self.remembered.take(id)).flatten();
        let basis = match remembered {
            Some(loaded) => Basis::Remembered(loaded),
            None => Basis::Read(self.load_any(id).await?),
        };
        self.decide_and_append(basis, tenant, command, origin, now).await
    }

    /// Carries out a command on an id that was just made: nothing can be stored under it, so nothing is loaded.
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn execute_new(
        &self,
        id: MediaId,
        tenant: &Tenant,
        command: Command,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        self.execute_on(Loaded::unrequested(id), tenant, command, origin, now).await
    }

    /// Carries out a command of the service itself, whichever tenant the item belongs to.
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn execute_internal(
        &self,
        id: MediaId,
        command: Command,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        self.execute_of(id, None, command, origin, now).await
    }

    /// Carries out a command of `tenant` on what was loaded, or written, before; see [`Commands::execute_loaded`].
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn execute_on(
        &self,
        loaded: Loaded,
        tenant: &Tenant,
        command: Command,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        self.decide_and_append(Basis::Read(loaded), Some(tenant), command, origin, now).await
    }

    /// Carries out a command of the service itself on what was loaded, or written, before. If others have written since, the
    /// append is a conflict, and it is loaded and decided again.
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn execute_loaded(
        &self,
        loaded: Loaded,
        command: Command,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Loaded, CommandError> {
        self.decide_and_append(Basis::Read(loaded), None, command, origin, now).await
    }

    /// What a command would do now; nothing is recorded.
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn consider(
        &self,
        id: MediaId,
        command: Command,
        now: DateTime<Utc>,
    ) -> Result<(Loaded, Vec<Event>), CommandError> {
        let loaded = self.load_any(id).await?;
        let context = Context { now, policy: self.policy.clone(), decision_id: self.ids.new_id(now) };
        let events = loaded.media.decide(command, &context)?;
        Ok((loaded, events))
    }

    /// Records that something happened to a run of the collector, as the event of this number in the run's own stream.
    /// Nothing is decided here: a run is one task, and nobody else writes its stream.
    ///
    /// # Errors
    /// [`AppendError`]; a repeat of what was written is a conflict.
    pub async fn record_run(
        &self,
        event: &RunEvent,
        sequence: u64,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<(), AppendError> {
        let command_id = self.ids.new_id(now);
        let new = NewEvent { event_type: event.type_name(), event_version: event.version(), payload: event.encode() };
        let append = Append {
            kind: StreamKind::CollectionRun,
            stream: event.run_id(),
            expected_sequence: sequence - 1,
            events: vec![new],
            metadata: metadata(origin, command_id),
            // A run is about the items of all tenants, so it is no tenant's.
            tenant: String::new(),
            command_id,
        };
        let appended = self.journal.append(append).await?;
        self.recent.put(recorded(&appended, "", [What::Run(event.clone())]));
        Ok(())
    }

    /// No `async fn`: that would hold its arguments twice, and this is what most requests wait in.
    fn decide_and_append<'a>(
        &'a self,
        basis: Basis,
        tenant: Option<&'a Tenant>,
        command: Command,
        origin: &'a Origin,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Loaded, CommandError>> + Send + 'a {
        let (mut loaded, mut is_read) = match basis {
            Basis::Read(loaded) => (loaded, true),
            Basis::Remembered(loaded) => (loaded, false),
        };
        loaded.is_new = false;
        async move {
            let id = loaded.id;
            let command_id = self.ids.new_id(now);
            for _ in 0..MAX_ATTEMPTS {
                let context = Context { now, policy: self.policy.clone(), decision_id: command_id };
                let events = match decide(&loaded, tenant, command.clone(), &context) {
                    Ok(events) if !events.is_empty() => events,
                    answer if is_read => return Ok(answer.map(|_nothing_to_do| loaded)?),
                    _ => {
                        (loaded, is_read) = (self.load_any(id).await?, true);
                        continue;
                    }
                };
                let expected_sequence = loaded.sequence;
                for event in &events {
                    loaded.media.apply(event.clone());
                }
                let append = Append {
                    kind: StreamKind::Media,
                    stream: id.as_uuid(),
                    expected_sequence,
                    events: events.iter().map(to_new).collect(),
                    metadata: metadata(origin, command_id),
                    tenant: tenant_of(&loaded.media).to_owned(),
                    command_id,
                };
                match self.journal.append(append).await {
                    Ok(appended) => {
                        loaded.sequence = appended.last_sequence;
                        loaded.position = appended.last_position;
                        loaded.is_new = true;
                        let what = events.into_iter().map(|event| What::Media(id, event));
                        self.recent.put(recorded(&appended, tenant_of(&loaded.media), what));
                        self.remembered.note(&loaded);
                        return Ok(loaded);
                    }
                    // An old decision is never retried: what the others wrote may have changed the answer.
                    Err(AppendError::Conflict { .. }) => (loaded, is_read) = (self.load_any(id).await?, true),
                    Err(error) => return Err(CommandError::Append(error)),
                }
            }
            Err(CommandError::Contended)
        }
    }

    async fn load_any(&self, id: MediaId) -> Result<Loaded, CommandError> {
        let mut loaded = Loaded::unrequested(id);
        for fact in self.journal.facts(id.as_uuid()).await? {
            let event = codec::decode(&fact.event_type, &fact.event_version, &fact.payload);
            loaded.media.apply(event.map_err(|source| CommandError::Unreadable { id, source })?);
            loaded.sequence = fact.sequence;
            loaded.position = fact.position;
        }
        Ok(loaded)
    }
}

fn decide(
    loaded: &Loaded,
    tenant: Option<&Tenant>,
    command: Command,
    context: &Context,
) -> Result<Vec<Event>, Refusal> {
    if let (Some(tenant), Some(_)) = (tenant, loaded.media.ticketed()) {
        owned_by(loaded, tenant)?;
    }
    loaded.media.decide(command, context)
}

/// Reads a stored event.
///
/// # Errors
/// [`DecodeError`] names the type and version.
pub fn decode(stored: &StoredEvent) -> Result<Event, DecodeError> {
    codec::decode(&stored.event_type, &stored.event_version, &stored.payload)
}

/// Reads a stored event of a collection run.
///
/// # Errors
/// As [`decode`].
pub fn decode_run(stored: &StoredEvent) -> Result<RunEvent, DecodeError> {
    RunEvent::decode(&stored.event_type, &stored.event_version, &stored.payload)
}

/// What an append has recorded, as the journal will tell it.
fn recorded(
    appended: &Appended,
    tenant: &str,
    what: impl IntoIterator<Item = What>,
) -> impl Iterator<Item = RecordedEvent> {
    let count = appended.last_position - appended.first_position;
    let places = (appended.first_position..).zip(appended.last_sequence - count..);
    places.zip(what).map(move |((position, sequence), what)| RecordedEvent {
        position,
        recorded_at: appended.recorded_at,
        tenant: tenant.to_owned(),
        sequence,
        what,
    })
}

fn to_new(event: &Event) -> NewEvent {
    let new = NewEvent { event_type: event.type_name(), event_version: event.version(), payload: event.encode() };
    debug_assert!(
        codec::decode(new.event_type, new.event_version, &new.payload).is_ok_and(|decoded| decoded == *event),
        "{event:?} is another one once it is written"
    );
    new
}

fn tenant_of(media: &Media) -> &str {
    media.ticketed().map_or("", |ticketed| ticketed.request.tenant.as_str())
}

/// An id of another tenant is answered like one that does not exist, so ids cannot be probed.
fn owned_by(loaded: &Loaded, tenant: &Tenant) -> Result<(), Refusal> {
    match loaded.media.ticketed() {
        Some(ticketed) if ticketed.request.tenant == *tenant => Ok(()),
        _ => Err(Refusal::NotFound),
    }
}

fn metadata(origin: &Origin, command_id: uuid::Uuid) -> String {
    #[derive(Serialize)]
    struct Metadata<'a> {
        request_id: &'a str,
        command_id: uuid::Uuid,
        caller: &'a str,
        route: &'a str,
    }
    let metadata = Metadata { request_id: &origin.request_id, command_id, caller: &origin.caller, route: origin.route };
    let mut json = Vec::with_capacity(256);
    serde_json::to_writer(&mut json, &metadata).expect("four strings serialize");
    String::from_utf8(json).expect("JSON is text")
}

#[cfg(test)]
mod tests;
