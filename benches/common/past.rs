//! A past: items that were requested, and what became of some, decided by the real rules and appended through the journal.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use zeroload::database::Database;
use zeroload_clock::Ids;
use zeroload_domain::{
    Bucket, ByteSize, Command, ContentType, Context, ETag, Fingerprint, Found, KeyPrefix, Media, MediaId, ObjectFacts,
    ObjectKey, Owner, Policy, SeenVia, Store, StoredType, Tenant, command::RequestMedia,
};
use zeroload_journal::{
    self as journal, Append, Journal, NewEvent, Options, StreamKind, WriterTask, WriterThread,
    postgres::PostgresJournal, sqlite::SqliteJournal,
};

use crate::Failure;

/// Bytes of each object.
pub const LENGTH: u64 = 1024;

/// The ETag that each object has: the MD5 of [`LENGTH`] zeros.
pub const ETAG: &str = "0f343b0931126a20f133d67c2b018a3b";

/// Items of which the appends are under way at once.
const GROUP: u64 = 4000;

/// What became of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Requested,
    Uploaded,
    /// Confirmed, and looked at when no ticket could write it any more.
    Sealed,
}

impl Ending {
    fn commands(self) -> usize {
        match self {
            Self::Requested => 1,
            Self::Uploaded => 2,
            Self::Sealed => 4,
        }
    }
}

/// Appends `count` items, the first of which was requested at `begin` and each other a millisecond after the one before.
/// `each` gets the keys of their objects, group by group.
///
/// # Errors
/// What cannot be appended, and whatever `each` answers with.
pub async fn fill(
    database: &Database,
    count: u64,
    begin: DateTime<Utc>,
    ending: fn(u64) -> Ending,
    mut each: impl AsyncFnMut(Vec<ObjectKey>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (journal, writer) = open(database).await?;
    let (ids, policy) = (Ids::from_os(), policy());
    let mut next = 0;
    while next < count {
        let group = next..count.min(next + GROUP);
        next = group.end;
        let appends = stream::iter(group).map(|number| {
            let at = begin + TimeDelta::milliseconds(number.cast_signed());
            let item = Item { id: ids.new_id(at).into(), number, at };
            append(&journal, item, ending(number), &policy, &ids)
        });
        let keys: Vec<_> = appends.buffered(GROUP as usize).try_collect().await?;
        each(keys).await?;
    }
    writer.stop().await;
    journal.reader().close().await;
    Ok(())
}

async fn open(database: &Database) -> Result<(Journal, WriterTask), Failure> {
    let (batch_events, queue) = (4000.try_into()?, (GROUP as usize).try_into()?);
    let options = Options { batch_events, queue, ..Options::default() };
    let (thread, new_id) = (WriterThread::start()?, Ids::from_os().new_id(Utc::now()));
    Ok(match database {
        Database::Sqlite(path) => {
            let opened = SqliteJournal::open_writer(path, new_id).await?;
            journal::start(opened.writer, opened.reader, options, thread).await?
        }
        Database::Postgres(settings) => {
            PostgresJournal::migrate(settings, new_id).await?;
            let opened = PostgresJournal::open_writer(settings, thread.runtime(), &Handle::current()).await?;
            journal::start(opened.writer, opened.reader, options, thread).await?
        }
    })
}

fn policy() -> Policy {
    let seconds = TimeDelta::seconds;
    Policy::new(seconds(300), seconds(86_400), seconds(604_800), seconds(900), ByteSize::new(5_000_000))
        .expect("the default settings are right")
}

struct Item {
    id: MediaId,
    number: u64,
    at: DateTime<Utc>,
}

/// All events of one item in one append: a past needs no answers in between.
async fn append(
    journal: &Journal,
    item: Item,
    ending: Ending,
    policy: &Policy,
    ids: &Ids,
) -> Result<ObjectKey, Failure> {
    let command_id = ids.new_id(item.at);
    let context = |after| Context { now: item.at + after, policy: policy.clone(), decision_id: command_id };
    let facts = ObjectFacts {
        etag: ETag::parse(ETAG)?,
        content_length: ByteSize::new(LENGTH),
        content_type: Some(StoredType::from(&content_type()?)),
        checksum_sha256: None,
        version_id: None,
    };
    let wish = request(&item)?;
    let (key, tenant) = (wish.object_key.clone(), wish.tenant.to_string());
    let commands = [
        Command::Request(wish),
        Command::RecordUpload { facts: facts.clone(), seen_via: SeenVia::Notice, collected: None },
        Command::Confirm { attached_to: None, facts: None },
        Command::Seal { found: Found::Present(facts) },
    ];
    let (mut media, mut events) = (Media::default(), Vec::new());
    for command in commands.into_iter().take(ending.commands()) {
        let after = if matches!(command, Command::Seal { .. }) { TimeDelta::days(1) } else { TimeDelta::zero() };
        for event in media.decide(command, &context(after))? {
            events.push(NewEvent {
                event_type: event.type_name(),
                event_version: event.version(),
                payload: event.encode(),
            });
            media.apply(event);
        }
    }
    let metadata = format!(
        r#"{{"request_id":"{command_id}","command_id":"{command_id}","caller":"anonymous","route":"POST /v1/media"}}"#
    );
    let (kind, stream) = (StreamKind::Media, item.id.as_uuid());
    let append = Append { kind, stream, expected_sequence: 0, events, metadata, tenant, command_id };
    journal.append(append).await?;
    Ok(key)
}

fn content_type() -> Result<ContentType, Failure> {
    Ok(ContentType::parse("image/jpeg")?)
}

fn request(item: &Item) -> Result<RequestMedia, Failure> {
    let (tenant, content_type) = (Tenant::parse("default")?, content_type()?);
    let owner = format!("user-{}", item.number * 7919 % 100_000);
    Ok(RequestMedia {
        store: Store::parse("embedded")?,
        bucket: Bucket::parse("media")?,
        object_key: ObjectKey::new(&KeyPrefix::parse("media")?, &tenant, item.id, &content_type),
        content_type,
        content_length: ByteSize::new(LENGTH),
        checksum_sha256: None,
        fingerprint: Fingerprint::of(&item.id.to_string(), &[&owner, "image/jpeg", "1024", "", ""]),
        owner: Owner::parse(owner)?,
        tenant,
    })
}
