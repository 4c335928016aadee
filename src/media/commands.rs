//! The one write path: load the stream, decide, append; on a conflict load and decide again. A confirm is first decided
//! on the remembered item, if there is one: then only an append counts, and the journal refuses it if the stream has
//! moved on.
//!
//! Keeps P-3: a command that is answered as done is on disk. If the caller goes away, the command may have happened
//! without an answer, and every command may be repeated. Nothing else in the service appends.

mod attempts;
mod stored;

use chrono::{DateTime, Utc};
use zeroload_clock::Ids;
use zeroload_domain::{Command, Context, DecodeError, Event, MediaId, Policy, Refusal, Tenant};
use zeroload_journal::{AppendError, Journal, ReadError};

use self::attempts::{Basis, MAX_ATTEMPTS, owned_by};
pub use self::stored::{decode, decode_run};
use crate::media::{Loaded, recent::Recent, uploaded_cache::UploadedCache};

/// The caller of a command, for the event's metadata: an auditor sees who did what.
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
    /// Whether the journal is away for all items, so that the error says nothing about this one.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Read(ReadError::Unavailable(_)))
    }

    /// Logs that an item waits because of this error: as a warning, unless the journal's writer has logged the failure
    /// already.
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
    remembered: UploadedCache,
    policy: Policy,
    ids: Ids,
}

impl Commands {
    /// Recorded events are put into `recent` too, for the projector.
    pub fn new(journal: Journal, recent: Recent, policy: Policy, ids: Ids) -> Self {
        Self { journal, recent, remembered: UploadedCache::default(), policy, ids }
    }

    /// The same write path that remembers no items and loads each one anew: for a journal whose server may be exchanged
    /// unseen.
    #[must_use]
    pub fn reading_always(self) -> Self {
        Self { remembered: UploadedCache::nothing(), ..self }
    }

    /// The same write path whose appends give way to all others: for work that can wait.
    #[must_use]
    pub fn low_priority(&self) -> Self {
        Self { journal: self.journal.low_priority(), ..self.clone() }
    }

    /// Whether claimed items go into the trash.
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

    /// The item of this id, if it belongs to `tenant`, or the item of any tenant if none is named.
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
            Some(loaded) => Basis::UploadedCache(loaded),
            None => Basis::Read(self.load_any(id).await?),
        };
        self.decide_and_append(basis, tenant, command, origin, now).await
    }

    /// Carries out a command on an id that was just made: the id can have no events, so none are loaded.
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

    /// Carries out a command of `tenant` on an item that was loaded, or appended to, before; see
    /// [`Commands::execute_loaded`].
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

    /// Carries out a command of the service itself on an item that was loaded, or appended to, before. If the stream
    /// has moved on since, the append is a conflict, and the item is loaded and decided again.
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

    /// The events that a command would append now; nothing is appended.
    ///
    /// # Errors
    /// As [`Commands::execute`].
    pub async fn decide_only(
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
}

#[cfg(test)]
mod tests;
