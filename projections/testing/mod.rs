//! Events for tests: made by hand, or by the thousand from a seed.

pub mod cluster;
pub mod contract;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroload_domain::{
    AttachedTo, Bucket, ByteSize, Claim, CollectOutcome, CollectReason, Command, ContentType, Context, ETag, Event,
    Fingerprint, Found, KeyPrefix, Media, MediaId, ObjectFacts, ObjectKey, Owner, Policy, ReleaseReason, RunEvent,
    Seen, SeenVia, Sha256Digest, Store, Tenant, TrashLocation, TrashedObject,
    command::RequestMedia,
    event::{
        Collected, CollectionStarted, Confirmed, ContentSubstituted, Deadlines, MediaRequested, Released,
        RestoreStarted, Restored, Sealed, TicketRenewed, Trashed, Uploaded,
    },
};

use crate::{MediaRow, RecordedBody, RecordedEvent, fold::fold};

pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 123_456_000).unwrap()
}

pub fn id(number: u128) -> MediaId {
    MediaId::from(Uuid::from_u128(0x019a_0d2e_7b1c_7000_8000_0000_0000_0000 + number))
}

pub fn sealed(tag: &str) -> Event {
    Event::Sealed(Sealed { facts: facts(tag) })
}

pub fn substituted(found: Found) -> Event {
    Event::ContentSubstituted(ContentSubstituted { recorded: facts("one"), found })
}

pub fn run_id() -> Uuid {
    Uuid::from_u128(7)
}

pub fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}

pub fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

pub fn etag(name: &str) -> ETag {
    ETag::parse(name).unwrap()
}

pub fn claim(number: u32) -> Claim {
    (1..number).fold(Claim::FIRST, |claim, _| claim.next())
}

pub fn deadlines(from: i64) -> Deadlines {
    Deadlines { ticket_expires_at: at(from + 300), confirm_by: at(from + 3600), collectable_at: at(from + 7200) }
}

pub fn request_of(id: MediaId, tenant_name: &str, owner_name: &str, deadlines: Deadlines) -> Event {
    let content_type = ContentType::parse("image/jpeg").unwrap();
    let tenant = tenant(tenant_name);
    Event::MediaRequested(Box::new(MediaRequested {
        object_key: ObjectKey::new(&KeyPrefix::parse("media").unwrap(), &tenant, id, &content_type),
        tenant,
        owner: owner(owner_name),
        store: Store::parse("embedded").unwrap(),
        bucket: Bucket::parse("zeroload").unwrap(),
        content_type,
        content_length: ByteSize::new(1000),
        checksum_sha256: Some(Sha256Digest::of(b"bytes")),
        fingerprint: Fingerprint::of("key", &["body"]),
        requested_at: at(0),
        deadlines,
    }))
}

pub fn requested(id: MediaId) -> Event {
    request_of(id, "default", "owner-1", deadlines(0))
}

pub fn renewed(from: i64) -> Event {
    Event::TicketRenewed(TicketRenewed { renewed_at: at(from), deadlines: deadlines(from) })
}

pub fn facts(tag: &str) -> ObjectFacts {
    ObjectFacts {
        etag: etag(tag),
        content_length: ByteSize::new(1000),
        content_type: None,
        checksum_sha256: None,
        version_id: None,
    }
}

pub fn uploaded(tag: &str) -> Event {
    Event::Uploaded(Uploaded { facts: facts(tag), seen_via: SeenVia::Notice })
}

pub fn confirmed(place: Option<&str>) -> Event {
    let attached_to = place.map(|place| AttachedTo::parse(place).unwrap());
    Event::Confirmed(Confirmed { attached_to, etag: etag("confirmed") })
}

pub fn released(reason: ReleaseReason, collectable: i64) -> Event {
    Event::Released(Released { reason, collectable_at: at(collectable) })
}

pub fn started(number: u32, reason: CollectReason, seen: Seen) -> Event {
    Event::CollectionStarted(CollectionStarted {
        claim: claim(number),
        reason,
        run_id: run_id(),
        seen,
        trash_until: None,
    })
}

pub fn present(tag: &str) -> Seen {
    Seen::present(etag(tag), ByteSize::new(1000))
}

/// Stored so many seconds after the requests' own time.
pub fn dated(tag: &str, seconds: i64) -> Seen {
    Seen::Present { etag: etag(tag), content_length: ByteSize::new(1000), last_modified: Some(at(seconds)) }
}

pub fn collected(number: u32, outcome: CollectOutcome, bytes: u64) -> Event {
    Event::Collected(Collected { claim: claim(number), outcome, bytes_freed: ByteSize::new(bytes) })
}

fn key_of(id: MediaId) -> zeroload_domain::ObjectKey {
    let Event::MediaRequested(request) = requested(id) else { unreachable!("it is a request") };
    request.object_key
}

pub fn kept(id: MediaId, number: u32) -> TrashedObject {
    let trash_key = key_of(id).in_trash(claim(number));
    TrashedObject { place: TrashLocation::Copy { trash_key }, etag: etag("kept"), content_length: ByteSize::new(1000) }
}

pub fn trashed(id: MediaId, number: u32, until: i64) -> Event {
    Event::Trashed(Box::new(Trashed { claim: claim(number), kept: kept(id, number), trash_until: at(until) }))
}

pub fn restore_started(id: MediaId, number: u32, place: Option<&str>) -> Event {
    let attached_to = place.map(|place| AttachedTo::parse(place).unwrap());
    let object_key = key_of(id).restored(claim(number));
    Event::RestoreStarted(RestoreStarted { claim: claim(number), object_key, attached_to })
}

pub fn restored(id: MediaId, number: u32, place: Option<&str>) -> Event {
    let attached_to = place.map(|place| AttachedTo::parse(place).unwrap());
    let object_key = key_of(id).restored(claim(number));
    Event::Restored(Box::new(Restored { object_key, facts: facts("kept"), attached_to }))
}

/// A journal in memory: gives positions and sequences, one second per event.
#[derive(Default)]
pub struct Journal {
    pub events: Vec<RecordedEvent>,
}

impl Journal {
    pub fn record(&mut self, media_id: MediaId, event: Event) -> &RecordedEvent {
        let position = self.events.len() as u64 + 1;
        let of_item = |event: &&RecordedEvent| event.of_media().is_some_and(|(id, _)| id == media_id);
        let sequence = self.events.iter().filter(of_item).count() as u64 + 1;
        self.push(position, sequence, RecordedBody::Media(media_id, event))
    }

    pub fn record_run(&mut self, event: RunEvent) -> &RecordedEvent {
        let of_run = |recorded: &&RecordedEvent| matches!(&recorded.what, RecordedBody::Run(run) if run.run_id() == event.run_id());
        let sequence = self.events.iter().filter(of_run).count() as u64 + 1;
        self.push(self.events.len() as u64 + 1, sequence, RecordedBody::Run(event))
    }

    fn push(&mut self, position: u64, sequence: u64, what: RecordedBody) -> &RecordedEvent {
        let recorded_at = at(i64::try_from(position).unwrap());
        self.events.push(RecordedEvent { position, recorded_at, tenant: "default".into(), sequence, what });
        self.events.last().unwrap()
    }

    pub fn of(events: impl IntoIterator<Item = (MediaId, Event)>) -> Self {
        let mut journal = Self::default();
        for (id, event) in events {
            journal.record(id, event);
        }
        journal
    }

    /// So many fresh requests, quick to make.
    pub fn requests(count: u128) -> Self {
        let mut journal = Self::default();
        for number in 0..count {
            let seconds = i64::try_from(number / 10).unwrap();
            let owner = format!("owner-{}", number % 97);
            let event = request_of(id(number), "default", &owner, deadlines(seconds));
            journal.push(u64::try_from(number).unwrap() + 1, 1, RecordedBody::Media(id(number), event));
        }
        journal
    }

    /// The rows that the journal folds to, in order of id, without any table.
    pub fn rows(&self) -> Vec<MediaRow> {
        let mut rows = std::collections::BTreeMap::new();
        for event in &self.events {
            let Some((id, _)) = event.of_media() else { continue };
            fold(rows.entry(id).or_insert(None), event);
        }
        rows.into_values().flatten().collect()
    }
}

/// Rows of tables that were not told since when objects are there.
pub fn without_arrivals(rows: Vec<MediaRow>) -> Vec<MediaRow> {
    rows.into_iter().map(|row| MediaRow { arrived_at: None, ..row }).collect()
}

/// Splitmix64: the same seed gives the same numbers on every machine.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }

    /// Any event at all, whether it can follow or not.
    pub fn event(&mut self, id: MediaId) -> Event {
        let from = i64::try_from(self.below(100_000)).unwrap();
        let number = u32::try_from(1 + self.below(3)).unwrap();
        let dated = dated("late", i64::try_from(self.below(1000)).unwrap());
        let seen = self.one_of(&[present("late"), dated, Seen::Absent, Seen::Unknown]);
        match self.below(12) {
            0 => {
                let owner = self.one_of(&["owner-1", "owner-2", "owner-3"]);
                request_of(id, "default", owner, deadlines(from))
            }
            1 => renewed(from),
            2 => uploaded(self.one_of(&["one", "two"])),
            3 => confirmed(self.one_of(&[None, Some("post-1"), Some("post-2")])),
            4 => released(self.one_of(&[ReleaseReason::Cancelled, ReleaseReason::Detached]), from),
            5 => {
                use CollectReason::{Cancelled, Detached, Expired, LateUpload};
                started(number, self.one_of(&[Expired, Cancelled, Detached, LateUpload]), seen)
            }
            6 => collected(number, self.one_of(&[CollectOutcome::Deleted, CollectOutcome::Absent]), self.below(5000)),
            7 => trashed(id, number, from),
            9 => restore_started(id, number, self.one_of(&[None, Some("post-3")])),
            8 => restored(id, number, self.one_of(&[None, Some("post-3")])),
            10 => sealed(self.one_of(&["one", "two"])),
            _ => substituted(self.one_of(&[Found::Absent, Found::Present(facts("two"))])),
        }
    }

    /// A command that the rules may or may not refuse.
    fn command(&mut self, id: MediaId) -> Command {
        let Event::MediaRequested(request) = requested(id) else { unreachable!("it is a request") };
        let place = self.one_of(&[None, AttachedTo::parse("post-1").ok()]);
        match self.below(11) {
            0 => Command::Request(RequestMedia {
                tenant: request.tenant,
                owner: request.owner,
                store: request.store,
                bucket: request.bucket,
                object_key: request.object_key,
                content_type: request.content_type,
                content_length: request.content_length,
                checksum_sha256: request.checksum_sha256,
                fingerprint: request.fingerprint,
            }),
            1 => Command::RenewTicket,
            2 => Command::RecordUpload {
                facts: facts(self.one_of(&["one", "two"])),
                seen_via: SeenVia::Notice,
                collected: self.one_of(&[None, Some(claim(1)), Some(claim(2))]),
            },
            3 => Command::Confirm { attached_to: place, facts: self.one_of(&[None, Some(facts("one"))]) },
            4 => Command::Release,
            5 => Command::StartCollection { run_id: run_id(), looked: self.one_of(&[None, Some(Seen::Absent)]) },
            6 => Command::FinishCollection { claim: claim(u32::try_from(1 + self.below(2)).unwrap()), freed: None },
            7 => Command::FinishTrashing { claim: claim(u32::try_from(1 + self.below(2)).unwrap()), kept: kept(id, 1) },
            8 => Command::Restore { attached_to: place },
            9 => Command::FinishRestore { facts: facts("kept") },
            _ => Command::Seal { found: self.one_of(&[Found::Absent, Found::Present(facts("one"))]) },
        }
    }

    /// A journal of so many events on so many items: half of it decided by the domain's rules, half of it anything.
    pub fn journal(&mut self, events: usize, items: u64) -> Journal {
        let minutes = TimeDelta::minutes;
        let limit = ByteSize::new(1_000_000);
        let policy = Policy::new(minutes(5), minutes(60), minutes(10_000), minutes(15), limit).unwrap();
        let policy = policy.with_trash(minutes(30)).unwrap();
        let mut media = std::collections::HashMap::<MediaId, Media>::new();
        let mut journal = Journal::default();
        let mut clock = 0;
        while journal.events.len() < events {
            let id = id(u128::from(self.below(items)));
            let state = media.entry(id).or_default();
            clock += i64::try_from(self.below(60)).unwrap();
            let decided = if self.below(2) == 0 {
                vec![self.event(id)]
            } else {
                let context = Context { now: at(clock), policy: policy.clone(), decision_id: run_id() };
                state.decide(self.command(id), &context).unwrap_or_default()
            };
            for event in decided {
                state.apply(event.clone());
                journal.record(id, event);
            }
        }
        journal
    }
}

/// Items 1 to 8: pending, uploaded, confirmed, cancelled, detached, collecting, collected, and pending for longer.
pub fn one_of_each() -> Journal {
    let mut journal = Journal::default();
    for number in 1..=7 {
        journal.record(id(number), requested(id(number)));
    }
    journal.record(id(8), request_of(id(8), "default", "owner-1", deadlines(5000)));
    for number in [2, 3, 5] {
        journal.record(id(number), uploaded("one"));
    }
    for number in [3, 5] {
        journal.record(id(number), confirmed(None));
    }
    journal.record(id(4), released(ReleaseReason::Cancelled, 100));
    journal.record(id(5), released(ReleaseReason::Detached, 100));
    journal.record(id(6), started(1, CollectReason::Expired, Seen::Unknown));
    journal.record(id(7), started(1, CollectReason::Expired, present("one")));
    journal.record(id(7), collected(1, CollectOutcome::Deleted, 1000));
    journal
}
