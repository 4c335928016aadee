//! Decides and appends, and after a conflict decides again on the events of the other writer.

use chrono::{DateTime, Utc};
use zeroload_domain::{Command, Context, Event, Media, MediaId, Refusal, RunEvent, Tenant, codec};
use zeroload_journal::{Append, AppendError, NewEvent, StreamKind};
use zeroload_projections::RecordedBody;

use super::{
    CommandError, Commands, Origin,
    stored::{metadata, recorded, to_new},
};
use crate::media::Loaded;

/// How often a command is decided, each time on the newest stream, before its caller is told of the conflicts.
pub(super) const MAX_ATTEMPTS: usize = 8;

/// The item that a decision is taken on.
pub(super) enum Basis {
    /// The item as the journal's stream tells.
    Read(Loaded),
    /// The item as this process remembers it: a decision on it counts only if its events are appended.
    UploadedCache(Loaded),
}

impl Commands {
    /// Appends an event of a collection run to the run's own stream, as the event with this sequence. Nothing is
    /// decided here: a run is one task, and nothing else writes its stream.
    ///
    /// # Errors
    /// [`AppendError`]; a repeated event is a conflict.
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
            // A run collects items of all tenants, so its events belong to none.
            tenant: String::new(),
            command_id,
        };
        let appended = self.journal.append(append).await?;
        self.recent.put(recorded(&appended, "", [RecordedBody::Run(event.clone())]));
        Ok(())
    }

    /// No `async fn`: its future would hold the arguments twice, and most requests wait in this future.
    pub(super) fn decide_and_append<'a>(
        &'a self,
        basis: Basis,
        tenant: Option<&'a Tenant>,
        command: Command,
        origin: &'a Origin,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Loaded, CommandError>> + Send + 'a {
        let (mut loaded, mut is_read) = match basis {
            Basis::Read(loaded) => (loaded, true),
            Basis::UploadedCache(loaded) => (loaded, false),
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
                        let what = events.into_iter().map(|event| RecordedBody::Media(id, event));
                        self.recent.put(recorded(&appended, tenant_of(&loaded.media), what));
                        self.remembered.note(&loaded);
                        return Ok(loaded);
                    }
                    // An old decision is never retried: the events of the other writer may have changed the answer.
                    Err(AppendError::Conflict { .. }) => (loaded, is_read) = (self.load_any(id).await?, true),
                    Err(error) => return Err(CommandError::Append(error)),
                }
            }
            Err(CommandError::Contended)
        }
    }

    pub(super) async fn load_any(&self, id: MediaId) -> Result<Loaded, CommandError> {
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

fn tenant_of(media: &Media) -> &str {
    media.ticketed().map_or("", |ticketed| ticketed.request.tenant.as_str())
}

/// Refuses the id of another tenant like an id that does not exist, so that ids cannot be probed.
pub(super) fn owned_by(loaded: &Loaded, tenant: &Tenant) -> Result<(), Refusal> {
    match loaded.media.ticketed() {
        Some(ticketed) if ticketed.request.tenant == *tenant => Ok(()),
        _ => Err(Refusal::NotFound),
    }
}
