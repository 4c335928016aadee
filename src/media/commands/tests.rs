//! Decisions on remembered items, against events that another process has appended meanwhile.

use chrono::{TimeDelta, TimeZone, Utc};
use tempfile::TempDir;
use zeroload_domain::{
    AttachedTo, Bucket, ByteSize, ContentType, ETag, Fingerprint, KeyPrefix, Media, ObjectFacts, ObjectKey, Owner,
    SeenVia, State, Store, StoredType, command::RequestMedia,
};
use zeroload_journal::{self as journal, Options, WriterTask, WriterThread, sqlite::SqliteJournal};

use super::*;
use crate::media::uploaded_cache::ROOM;

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// Two processes on one journal, each with a memory of its own.
struct World {
    journal: Journal,
    here: Commands,
    there: Commands,
    tenant: Tenant,
    ids: Ids,
    now: DateTime<Utc>,
    _writer: WriterTask,
    _folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = TempDir::new().expect("the temporary folder can be written");
        let now = Utc.with_ymd_and_hms(2026, 11, 28, 9, 0, 0).single().expect("it is a time");
        let ids = Ids::from_os();
        let opened = SqliteJournal::open_writer(&folder.path().join("journal.db"), ids.new_id(now)).await;
        let opened = opened.expect("nobody else writes");
        let thread = WriterThread::start().expect("a thread");
        let started = journal::start(opened.writer, opened.reader, Options::default(), thread).await;
        let (journal, writer) = started.expect("it can be read");
        let policy = Policy::new(MINUTE, MINUTE * 60, MINUTE * 60, MINUTE, ByteSize::new(100)).expect("it is sound");
        let process = || Commands::new(journal.clone(), Recent::default(), policy.clone(), ids.clone());
        Self {
            here: process(),
            there: process(),
            tenant: Tenant::parse("acme").expect("it is one"),
            ids,
            now,
            journal,
            _writer: writer,
            _folder: folder,
        }
    }

    async fn by(&self, process: &Commands, id: MediaId, command: Command) -> Result<Loaded, CommandError> {
        self.at(self.now, process, id, command).await
    }

    async fn at(
        &self,
        now: DateTime<Utc>,
        process: &Commands,
        id: MediaId,
        command: Command,
    ) -> Result<Loaded, CommandError> {
        let origin = Origin { request_id: "r".to_owned(), caller: "c".to_owned(), route: "a test" };
        process.execute(id, &self.tenant, command, &origin, now).await
    }

    /// An item whose upload was recorded here.
    async fn uploaded(&self) -> MediaId {
        let id = self.new_id();
        let content_type = ContentType::parse("image/png").expect("it is one");
        let request = RequestMedia {
            tenant: self.tenant.clone(),
            owner: Owner::parse("ann").expect("it is one"),
            store: Store::parse("embedded").expect("it is one"),
            bucket: Bucket::parse("media").expect("it is one"),
            object_key: ObjectKey::new(&KeyPrefix::parse("media").expect("it is one"), &self.tenant, id, &content_type),
            content_type: content_type.clone(),
            content_length: ByteSize::new(7),
            checksum_sha256: None,
            fingerprint: Fingerprint::of(&id.to_string(), &[]),
        };
        self.by(&self.here, id, Command::Request(request)).await.expect("a ticket");
        let facts = ObjectFacts {
            etag: ETag::parse("9b2cf535f27731c974343645a3985328").expect("it is one"),
            content_length: ByteSize::new(7),
            content_type: Some(StoredType::from(&content_type)),
            checksum_sha256: None,
            version_id: None,
        };
        let seen = Command::RecordUpload { facts, seen_via: SeenVia::Notice, collected: None };
        self.by(&self.here, id, seen).await.expect("it is recorded");
        id
    }

    fn new_id(&self) -> MediaId {
        self.ids.new_id(self.now).into()
    }

    async fn head(&self) -> u64 {
        self.journal.head().await.expect("a head").position
    }
}

fn confirm(attached_to: &str) -> Command {
    Command::Confirm { attached_to: Some(AttachedTo::parse(attached_to).expect("it is one")), facts: None }
}

fn refusal(answer: Result<Loaded, CommandError>) -> Refusal {
    match answer {
        Err(CommandError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whoever_recorded_an_upload_confirms_it_without_reading_it() {
    let world = World::start().await;
    let (known, unknown) = (world.uploaded().await, world.uploaded().await);
    let head = world.head().await;
    world.journal.reader().close().await;
    let confirmed = world.by(&world.here, known, confirm("post-1")).await.expect("nothing has to be read");
    assert_eq!(
        (confirmed.media.state(), confirmed.sequence, confirmed.position),
        (State::Confirmed, 3, head + 1),
        "it goes on where the upload ended"
    );
    assert!(matches!(world.by(&world.there, unknown, confirm("post-1")).await, Err(CommandError::Read(_))));
}

#[tokio::test]
async fn whoever_is_to_read_always_remembers_nothing() {
    let mut world = World::start().await;
    world.here = world.here.reading_always();
    let id = world.uploaded().await;
    world.journal.reader().close().await;
    assert!(matches!(world.by(&world.here, id, confirm("post-1")).await, Err(CommandError::Read(_))));
}

#[tokio::test]
async fn what_another_process_has_claimed_is_not_confirmed_from_memory() {
    let world = World::start().await;
    let id = world.uploaded().await;
    let due = world.now + TimeDelta::days(1);
    let claim = Command::StartCollection { run_id: world.ids.new_id(due), looked: None };
    world.at(due, &world.there, id, claim).await.expect("it is due");
    let head = world.head().await;
    assert_eq!(refusal(world.at(due, &world.here, id, confirm("post-1")).await).code(), "gone");
    assert_eq!(world.head().await, head, "nothing was recorded");
}

#[tokio::test]
async fn what_another_process_has_confirmed_is_answered_as_it_is_recorded() {
    let world = World::start().await;
    let (same, other) = (world.uploaded().await, world.uploaded().await);
    for id in [same, other] {
        world.by(&world.there, id, confirm("post-1")).await.expect("it was uploaded");
    }
    let head = world.head().await;
    let repeated = world.by(&world.here, same, confirm("post-1")).await.expect("it is confirmed just so");
    assert_eq!((repeated.media.state(), repeated.sequence), (State::Confirmed, 3));
    assert_eq!(refusal(world.by(&world.here, other, confirm("post-2")).await).code(), "attached-elsewhere");
    assert_eq!(world.head().await, head, "nothing was recorded");
}

#[tokio::test]
async fn a_refusal_is_never_given_from_memory() {
    let world = World::start().await;
    let id = world.uploaded().await;
    let stranger = Tenant::parse("rival").expect("it is one");
    let origin = Origin { request_id: "r".to_owned(), caller: "c".to_owned(), route: "a test" };
    let asked = world.here.execute(id, &stranger, confirm("post-1"), &origin, world.now).await;
    assert_eq!(refusal(asked), Refusal::NotFound);
    assert_eq!(
        world.by(&world.here, id, confirm("post-1")).await.expect("it is there").media.state(),
        State::Confirmed
    );

    // Released by the other process, of which this one does not know: the newest stream decides.
    let id = world.uploaded().await;
    world.by(&world.there, id, Command::Release).await.expect("it is pending");
    let answer = world.by(&world.here, id, confirm("post-1")).await;
    assert_eq!(refusal(answer).code(), "cancelled");
}

#[tokio::test]
async fn of_more_uploads_than_there_is_room_for_the_oldest_are_forgotten() {
    let world = World::start().await;
    let loaded = world.here.load_internal(world.uploaded().await).await.expect("it is there");
    let ids: Vec<MediaId> = (0..=ROOM).map(|_| world.new_id()).collect();
    let remembered = UploadedCache::default();
    for id in &ids {
        remembered.note(&Loaded { id: *id, ..loaded.clone() });
        remembered.note(&Loaded { id: *id, sequence: 9, ..loaded.clone() });
    }
    assert!(remembered.take(ids[0]).is_none());
    assert_eq!(remembered.take(ids[1]).expect("there is room for it").sequence, 9, "as it was recorded last");
    assert!(remembered.take(ids[1]).is_none(), "it is given away once");
    assert!(remembered.take(ids[ROOM]).is_some());

    let pending = Loaded { media: Media::default(), ..loaded };
    remembered.note(&pending);
    assert!(remembered.take(pending.id).is_none(), "it does not wait for a confirm");
}
