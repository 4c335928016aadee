//! A past: items that were requested, uploaded, confirmed and collected, decided by the real rules.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use uuid::Uuid;
use zeroload_domain::{
    Bucket, ByteSize, Claim, Command, ContentType, Context, ETag, Fingerprint, KeyPrefix, Media, ObjectFacts,
    ObjectKey, Owner, Policy, SeenVia, Store, Tenant, command::RequestMedia,
};
use zeroload_journal::{
    self as journal, Append, Journal, NewEvent, Options, StreamKind, WriterThread,
    postgres::{PostgresJournal, Settings},
};

use crate::Failure;

/// Of each 8 items all are requested, 6 uploaded, 4 of these confirmed and 1 collected: 20 events, of which 40 % are
/// requests, 30 % uploads, 20 % confirms and 10 % collection.
const KINDS: u64 = 8;
const EVENTS_OF_KINDS: u64 = 20;

/// Items that so many events of a past are about.
pub const fn items_of(events: u64) -> u64 {
    events * KINDS / EVENTS_OF_KINDS
}

/// Items whose steps are taken side by side.
const GROUP: u64 = 8000;

/// Appends under way at once.
const APPENDS: usize = 4000;

struct Item {
    id: Uuid,
    kind: u64,
    media: Media,
    sequence: u64,
}

pub fn policy() -> Policy {
    let seconds = TimeDelta::seconds;
    Policy::new(seconds(300), seconds(86_400), seconds(604_800), seconds(900), ByteSize::new(5_000_000))
        .expect("the default settings are right")
}

pub fn tenant() -> Tenant {
    Tenant::parse("default").expect("it is one")
}

/// The wish of a backend; the `number`th.
pub fn request(id: Uuid, number: u64) -> Command {
    let content_type = ContentType::parse("image/jpeg").expect("it is one");
    let (owner, length) = (format!("user-{}", number * 7919 % 100_000), 1 + number * 104_729 % 5_000_000);
    let prefix = KeyPrefix::parse("media").expect("it is one");
    Command::Request(RequestMedia {
        tenant: tenant(),
        store: Store::parse("embedded").expect("it is one"),
        bucket: Bucket::parse("media").expect("it is one"),
        object_key: ObjectKey::new(&prefix, &tenant(), id.into(), &content_type),
        content_type,
        content_length: ByteSize::new(length),
        checksum_sha256: None,
        fingerprint: Fingerprint::of(&id.to_string(), &[&owner, "image/jpeg", &length.to_string(), "", ""]),
        owner: Owner::parse(owner).expect("it is one"),
    })
}

/// What the service notes beside an event.
pub fn metadata(route: &str, command_id: Uuid) -> [(String, String); 4] {
    [
        ("request_id", command_id.to_string()),
        ("command_id", command_id.to_string()),
        ("caller", "anonymous".to_owned()),
        ("route", route.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Appends so many events of the mix to the journal of `url`, or some more to end with a whole group of kinds.
pub async fn fill(url: &str, events: u64) -> Result<(), Failure> {
    with_journal(url, async |journal| {
        let mut left = events.div_ceil(EVENTS_OF_KINDS) * KINDS;
        while left > 0 {
            let mut items: Vec<_> = (0..left.min(GROUP)).map(|number| Item::new(number % KINDS)).collect();
            left -= items.len() as u64;
            for step in Step::ALL {
                items = take(journal, step, items).await?;
            }
        }
        Ok(())
    })
    .await
}

/// Appends items whose upload is recorded; their ids.
pub async fn uploaded(url: &str, count: u64) -> Result<Vec<Uuid>, Failure> {
    let mut ids = Vec::new();
    with_journal(url, async |journal| {
        let mut left = count;
        while left > 0 {
            let mut items: Vec<_> = (0..left.min(GROUP)).map(|_| Item::new(2)).collect();
            left -= items.len() as u64;
            for step in [Step::Request, Step::Upload] {
                items = take(journal, step, items).await?;
            }
            ids.extend(items.iter().map(|item| item.id));
        }
        Ok(())
    })
    .await?;
    Ok(ids)
}

async fn with_journal(url: &str, work: impl AsyncFnOnce(&Journal) -> Result<(), Failure>) -> Result<(), Failure> {
    let settings = Settings::parse(url)?;
    PostgresJournal::migrate(&settings, Uuid::now_v7()).await?;
    let thread = WriterThread::start()?;
    let opened = PostgresJournal::open_writer(&settings, thread.runtime(), &Handle::current()).await?;
    let batch_events = 2000.try_into()?;
    let options = Options { batch_events, queue: APPENDS.try_into()?, ..Options::default() };
    let (journal, writer) = journal::start(opened.writer, opened.reader, options, thread).await?;
    let result = work(&journal).await;
    writer.stop().await;
    result
}

#[derive(Clone, Copy)]
enum Step {
    Request,
    Upload,
    Confirm,
    Claim,
    Collect,
}

impl Step {
    const ALL: [Self; 5] = [Self::Request, Self::Upload, Self::Confirm, Self::Claim, Self::Collect];

    /// The command for an item, if its kind takes this step.
    fn command(self, item: &Item) -> Option<Command> {
        let applies = match self {
            Self::Request => true,
            Self::Upload => item.kind >= 2,
            Self::Confirm => item.kind >= 4,
            Self::Claim | Self::Collect => item.kind == 0,
        };
        applies.then(|| match self {
            Self::Request => request(item.id, item.id.as_u64_pair().1 % 1_000_000),
            Self::Upload => Command::RecordUpload { facts: facts(item), seen_via: SeenVia::Notice, collected: None },
            Self::Confirm => Command::Confirm { attached_to: None, facts: None },
            Self::Claim => Command::StartCollection { run_id: item.id, looked: None },
            Self::Collect => Command::FinishCollection { claim: Claim::FIRST, freed: None },
        })
    }

    /// Collection comes when everything is due.
    fn now(self) -> DateTime<Utc> {
        match self {
            Self::Request | Self::Upload | Self::Confirm => Utc::now(),
            Self::Claim | Self::Collect => Utc::now() + TimeDelta::days(10),
        }
    }

    fn route(self) -> &'static str {
        match self {
            Self::Request => "POST /v1/media",
            Self::Upload => "POST /v1/media/{id}/uploaded",
            Self::Confirm => "POST /v1/media/{id}/confirm",
            Self::Claim | Self::Collect => "collector run",
        }
    }
}

impl Item {
    fn new(kind: u64) -> Self {
        Self { id: Uuid::now_v7(), kind, media: Media::default(), sequence: 0 }
    }
}

/// As the item was requested.
fn facts(item: &Item) -> ObjectFacts {
    let request = &item.media.ticketed().expect("it was requested").request;
    ObjectFacts {
        etag: ETag::parse("9b2cf535f27731c974343645a3985328").expect("it is one"),
        content_length: request.content_length,
        content_type: Some((&request.content_type).into()),
        checksum_sha256: None,
        version_id: None,
    }
}

/// One step of all items that take it, many appends at once.
async fn take(journal: &Journal, step: Step, items: Vec<Item>) -> Result<Vec<Item>, Failure> {
    stream::iter(items).map(|item| advance(journal, step, item)).buffered(APPENDS).try_collect().await
}

async fn advance(journal: &Journal, step: Step, mut item: Item) -> Result<Item, Failure> {
    let Some(command) = step.command(&item) else { return Ok(item) };
    let command_id = Uuid::now_v7();
    let context = Context { now: step.now(), policy: policy(), decision_id: command_id };
    let events = item.media.decide(command, &context)?;
    let fields: serde_json::Map<_, _> =
        metadata(step.route(), command_id).into_iter().map(|(name, value)| (name, value.into())).collect();
    let appended = journal
        .append(Append {
            kind: StreamKind::Media,
            stream: item.id,
            expected_sequence: item.sequence,
            events: events
                .iter()
                .map(|event| NewEvent {
                    event_type: event.type_name(),
                    event_version: event.version(),
                    payload: event.encode(),
                })
                .collect(),
            metadata: serde_json::to_string(&fields)?,
            tenant: tenant().to_string(),
            command_id,
        })
        .await?;
    item.sequence = appended.last_sequence;
    events.into_iter().for_each(|event| item.media.apply(event));
    Ok(item)
}
