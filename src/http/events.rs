//! The members of each event, for the description of the interface: one schema per type, told apart by `type`.
//!
//! The domain writes the events and knows nothing of OpenAPI, so their members are listed here once more, and a test
//! compares both lists. Members that came with a later version of an event are not required, since older events lack
//! them.

mod members;

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Discriminator, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat, Type,
        extensions::ExtensionsBuilder, schema::AdditionalProperties,
    },
};

use self::members::{ENVELOPE, EVENTS, Kind, Member, PARTS, Shape};
use super::shapes::EventShape;

impl PartialSchema for EventShape<'_> {
    fn schema() -> RefOr<Schema> {
        let mapping = EVENTS.iter().map(|event| (event.name, location(&with_envelope(event.name))));
        let one_of = EVENTS
            .iter()
            .fold(OneOfBuilder::new(), |one_of, event| one_of.item(Ref::from_schema_name(with_envelope(event.name))));
        one_of
            .description(Some("One event of the journal, its payload and metadata exactly as stored."))
            .discriminator(Some(Discriminator::with_mapping("type", mapping)))
            .into()
    }
}

impl ToSchema for EventShape<'_> {
    fn name() -> Cow<'static, str> {
        "Event".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for part in &PARTS {
            schemas.push((part.name.to_owned(), described(part).into()));
        }
        for event in &EVENTS {
            let payload = is(described(event), event.name);
            schemas.push((event.name.to_owned(), payload.into()));
            schemas.push((with_envelope(event.name), envelope(event).into()));
        }
    }
}

/// A text of which each line is an object. OpenAPI describes one value per answer, so the answer is a text, and the
/// extension `x-line` names the schema of a line.
pub fn lines_of(schema: &str) -> Object {
    let line = ExtensionsBuilder::new().add("x-line", json!({ "$ref": location(schema) }));
    ObjectBuilder::new()
        .schema_type(Type::String)
        .content_media_type("application/x-ndjson")
        .description(Some(format!("JSON objects, each with a line of its own: see {schema}")))
        .extensions(Some(line.build()))
        .build()
}

fn with_envelope(event: &str) -> String {
    format!("{event}Event")
}

fn location(schema: &str) -> String {
    format!("#/components/schemas/{schema}")
}

fn envelope(event: &Shape) -> ObjectBuilder {
    let envelope = ENVELOPE.iter().fold(ObjectBuilder::new().schema_type(Type::Object), member);
    let id = ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .description(Some("Null where the event is about no item, as those of collection runs."));
    let hash =
        ObjectBuilder::new().schema_type(Type::String).description(Some("The event's leaf in the hash chain, hex."));
    is(envelope, event.name)
        .description(Some(event.about))
        .property("media_id", id)
        .required("media_id")
        .property("payload", Ref::from_schema_name(event.name))
        .required("payload")
        .property("hash", hash)
        .required("hash")
}

/// Adds the member `type` with the name of the event's type.
fn is(shape: ObjectBuilder, event: &str) -> ObjectBuilder {
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([event]));
    shape.property("type", name).required("type")
}

fn described(shape: &Shape) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(shape.about));
    shape.members.iter().fold(object, member)
}

fn member(object: ObjectBuilder, &(name, kind, always): &Member) -> ObjectBuilder {
    let object = object.property(name, schema_of(kind));
    if always { object.required(name) } else { object }
}

fn schema_of(kind: Kind) -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let format = |format| text().format(Some(SchemaFormat::KnownFormat(format)));
    let number = || {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_u64));
        number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
    };
    match kind {
        Kind::Text => text().into(),
        Kind::Time => format(KnownFormat::DateTime).into(),
        Kind::Uuid => format(KnownFormat::Uuid).into(),
        Kind::Count => number().into(),
        Kind::Bytes => number().description(Some("Bytes.")).into(),
        Kind::Truth => ObjectBuilder::new().schema_type(Type::Boolean).into(),
        Kind::Sha256 => text().description(Some("Base64.")).into(),
        Kind::OneOf(words) => text().enum_values(Some(words.iter().copied())).into(),
        Kind::Is(schema) => Ref::from_schema_name(schema).into(),
        Kind::Counts => {
            let counts = AdditionalProperties::RefOr(number().into());
            ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(counts)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use zeroload_domain::{RunEvent, codec, run};

    use super::*;

    /// An event of each type with all members that it may have, as the journal stores it.
    const WHOLE: [&str; 16] = [
        r#"{"type":"MediaRequested","tenant":"default","owner":"ann","store":"embedded","bucket":"media","object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg","content_type":"image/jpeg","content_length":10,"checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","fingerprint":"00ff","requested_at":"2026-01-02T03:04:05Z","ticket_expires_at":"2026-01-02T03:09:06Z","confirm_by":"2026-01-03T03:04:05Z","collectable_at":"2026-01-03T03:04:05Z"}"#,
        r#"{"type":"TicketRenewed","renewed_at":"2026-01-02T03:04:05Z","ticket_expires_at":"2026-01-02T03:09:06Z","confirm_by":"2026-01-03T03:04:05Z","collectable_at":"2026-01-03T03:04:05Z"}"#,
        r#"{"type":"Uploaded","etag":"e1","content_length":10,"content_type":"image/jpeg","checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","version_id":"v1","seen_via":"notice"}"#,
        r#"{"type":"Confirmed","attached_to":"post-1","etag":"e1"}"#,
        r#"{"type":"Released","reason":"cancelled","collectable_at":"2026-01-02T03:09:06Z"}"#,
        r#"{"type":"CollectionStarted","claim":1,"reason":"expired","run_id":"00000000-0000-0000-0000-000000000001","seen":{"state":"present","etag":"e1","content_length":10},"trash_until":"2026-01-09T03:04:05Z"}"#,
        r#"{"type":"Collected","claim":1,"outcome":"deleted","bytes_freed":10}"#,
        r#"{"type":"Trashed","claim":1,"kept_as":"copy","trash_key":"media/.trash/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","etag":"e1","content_length":10,"trash_until":"2026-01-09T03:04:05Z"}"#,
        r#"{"type":"Trashed","claim":1,"kept_as":"version","version_id":"v1","etag":"e1","content_length":10,"trash_until":"2026-01-09T03:04:05Z"}"#,
        r#"{"type":"RestoreStarted","claim":1,"object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","attached_to":"post-1"}"#,
        r#"{"type":"Restored","object_key":"media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.1.jpg","etag":"e1","content_length":10,"content_type":"image/jpeg","checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","version_id":"v1","attached_to":"post-1"}"#,
        r#"{"type":"Sealed","etag":"e1","content_length":10,"content_type":"image/jpeg","checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","version_id":"v1"}"#,
        r#"{"type":"ContentSubstituted","recorded":{"etag":"e1","content_length":10},"found":{"state":"present","etag":"e2","content_length":11,"content_type":"image/jpeg","checksum_sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","version_id":"v2"}}"#,
        r#"{"type":"ContentSubstituted","recorded":{"etag":"e1","content_length":10},"found":{"state":"absent"}}"#,
        r#"{"type":"CollectionRunStarted","run_id":"00000000-0000-0000-0000-000000000001","caller":"timer","started_at":"2026-01-02T03:04:05Z"}"#,
        r#"{"type":"CollectionRunEnded","run_id":"00000000-0000-0000-0000-000000000001","caller":"timer","started_at":"2026-01-02T03:04:05Z","ended_at":"2026-01-02T03:04:06Z","due":6,"collected":2,"trashed":1,"absent":1,"in_use":1,"failed":1,"unknown":1,"bytes_freed":20,"more":true,"reasons":{"expired":2},"failures":{"AccessDenied":1},"broken_off":"the bucket stopped answering"}"#,
    ];

    #[test]
    fn every_type_that_the_journal_may_hold_is_described() {
        let described: BTreeSet<&str> = EVENTS.iter().map(|event| event.name).collect();
        let readable: BTreeSet<&str> = codec::READABLE.iter().chain(&run::READABLE).map(|(name, _)| *name).collect();
        assert_eq!(described, readable);
    }

    #[test]
    fn an_event_has_the_members_that_are_described_and_no_others() {
        let mut met = BTreeSet::new();
        for stored in WHOLE {
            let value: Value = serde_json::from_str(stored).unwrap();
            let name = value["type"].as_str().unwrap();
            let (_, version) = *codec::READABLE.iter().chain(&run::READABLE).rfind(|(of, _)| *of == name).unwrap();
            // The domain reads this text and writes it back to the letter.
            let read_back = match RunEvent::decode(name, version, stored) {
                Ok(run) => run.encode(),
                Err(_) => codec::decode(name, version, stored).unwrap().encode(),
            };
            assert_eq!(read_back, stored);
            let event = EVENTS.iter().find(|event| event.name == name).unwrap();
            let held: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
            let known: BTreeSet<&str> = event.members.iter().map(|(name, ..)| *name).chain(["type"]).collect();
            let always = event.members.iter().filter(|(.., always)| *always).map(|(name, ..)| *name);
            assert!(held.is_subset(&known), "{name}: {:?}", held.difference(&known));
            assert!(always.into_iter().all(|member| held.contains(member)), "{name}");
            met.extend(held.into_iter().map(|member| format!("{name}.{member}")));
        }
        for event in &EVENTS {
            for (member, ..) in event.members {
                assert!(met.contains(&format!("{}.{member}", event.name)), "{}.{member} is never written", event.name);
            }
        }
    }
}
