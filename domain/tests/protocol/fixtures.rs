//! Real values of the domain for the few that the model tells apart: a second of time and the number of a PUT.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroload_domain::{
    Bucket, ByteSize, Command, ContentType, Context, ETag, Fingerprint, KeyPrefix, MediaId, ObjectFacts, ObjectKey,
    Owner, Policy, Store, Tenant, command::RequestMedia,
};

/// Ticket, margin for late writes: one second each; grace and the time for renewals: two.
pub const MARGIN: i64 = 1;

pub fn at(second: u8) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + i64::from(second), 0).expect("the date is in range")
}

pub fn context(second: u8) -> Context {
    let s = TimeDelta::seconds;
    let policy = Policy::new(s(1), s(2), s(2), s(MARGIN), ByteSize::new(100)).expect("the durations are in bounds");
    Context { now: at(second), policy, decision_id: Uuid::from_u128(9) }
}

pub fn request() -> Command {
    let tenant = Tenant::parse("default").expect("valid");
    let content_type = ContentType::parse("image/jpeg").expect("valid");
    let id = MediaId::from(Uuid::from_u128(7));
    Command::Request(RequestMedia {
        owner: Owner::parse("o").expect("valid"),
        store: Store::parse("embedded").expect("valid"),
        bucket: Bucket::parse("media").expect("valid"),
        object_key: ObjectKey::new(&KeyPrefix::parse("media").expect("valid"), &tenant, id, &content_type),
        tenant,
        content_type,
        content_length: ByteSize::new(10),
        checksum_sha256: None,
        fingerprint: Fingerprint::of("key", &[]),
    })
}

/// What a HEAD shows of the object that a PUT left.
pub fn facts(put: u8) -> ObjectFacts {
    ObjectFacts {
        etag: ETag::parse(format!("put-{put}")).expect("valid"),
        content_length: ByteSize::new(10),
        content_type: None,
        checksum_sha256: None,
        version_id: None,
    }
}
