//! Events as they are stored: written for an append, and read back.

use serde::Serialize;
use zeroload_domain::{DecodeError, Event, RunEvent, codec};
use zeroload_journal::{Appended, NewEvent, StoredEvent};
use zeroload_projections::{RecordedBody, RecordedEvent};

use super::Origin;

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

/// The events of an append, as the journal will return them.
pub(super) fn recorded(
    appended: &Appended,
    tenant: &str,
    what: impl IntoIterator<Item = RecordedBody>,
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

pub(super) fn to_new(event: &Event) -> NewEvent {
    let new = NewEvent { event_type: event.type_name(), event_version: event.version(), payload: event.encode() };
    debug_assert!(
        codec::decode(new.event_type, new.event_version, &new.payload).is_ok_and(|decoded| decoded == *event),
        "{event:?} is another one once it is written"
    );
    new
}

pub(super) fn metadata(origin: &Origin, command_id: uuid::Uuid) -> String {
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
