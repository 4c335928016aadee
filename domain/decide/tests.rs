use super::*;
use crate::{
    media::State,
    object_key::{KeyPrefix, ObjectKey},
    values::*,
};
use uuid::Uuid;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// Ticket 100 s, grace 1000 s, renewable for 5000 s, late writes for 50 s.
fn context(seconds: i64) -> Context {
    let s = TimeDelta::seconds;
    Context {
        now: at(seconds),
        policy: Policy::new(s(100), s(1000), s(5000), s(50), ByteSize::new(1 << 20)).unwrap(),
        decision_id: Uuid::from_u128(99),
    }
}

fn request(owner: &str) -> RequestMedia {
    let tenant = Tenant::parse("default").unwrap();
    let content_type = ContentType::parse("image/jpeg").unwrap();
    let id = MediaId::from(Uuid::from_u128(7));
    RequestMedia {
        owner: Owner::parse(owner).unwrap(),
        store: Store::parse("embedded").unwrap(),
        bucket: Bucket::parse("media").unwrap(),
        object_key: ObjectKey::new(&KeyPrefix::parse("media").unwrap(), &tenant, id, &content_type),
        tenant,
        content_type,
        content_length: ByteSize::new(10),
        checksum_sha256: Some(Sha256Digest::of(b"0123456789")),
        fingerprint: Fingerprint::of("key", &[owner]),
    }
}

fn facts(etag: &str) -> ObjectFacts {
    ObjectFacts {
        etag: ETag::parse(etag).unwrap(),
        content_length: ByteSize::new(10),
        content_type: Some(StoredType::of("image/jpeg")),
        checksum_sha256: Some(Sha256Digest::of(b"0123456789")),
        version_id: None,
    }
}

fn misfit() -> ObjectFacts {
    ObjectFacts { content_length: ByteSize::new(11), ..facts("other") }
}

fn post(name: &str) -> Option<AttachedTo> {
    Some(AttachedTo::parse(name).unwrap())
}

fn record(facts: ObjectFacts) -> Command {
    Command::RecordUpload { facts, seen_via: SeenVia::Notice, collected: Some(Claim::FIRST) }
}

fn confirm(attached_to: Option<AttachedTo>) -> Command {
    Command::Confirm { attached_to, facts: None }
}

fn start() -> Command {
    Command::StartCollection { run_id: Uuid::from_u128(1), looked: Some(Seen::Absent) }
}

fn seal(found: Found) -> Command {
    Command::Seal { found }
}

fn finish(claim: Claim) -> Command {
    Command::FinishCollection { claim, freed: None }
}

/// Runs commands at their seconds; each must be accepted.
fn given(history: Vec<(i64, Command)>) -> Media {
    let mut media = Media::default();
    for (seconds, command) in history {
        for event in media.decide(command, &context(seconds)).expect("the history is valid") {
            media.apply(event);
        }
    }
    media
}

fn in_state(name: &str) -> Media {
    let requested = (0, Command::Request(request("ann")));
    let uploaded = (1, record(facts("e1")));
    let confirmed = (2, confirm(post("post-1")));
    let history = match name {
        "unrequested" => vec![],
        "pending" => vec![requested],
        "uploaded" => vec![requested, uploaded],
        "confirmed" => vec![requested, uploaded, confirmed],
        "sealed" => vec![requested, uploaded, confirmed, (2000, seal(Found::Present(facts("e1"))))],
        "substituted" => vec![requested, uploaded, confirmed, (2000, seal(Found::Absent))],
        "cancelled" => vec![requested, uploaded, (2, Command::Release)],
        "detached" => vec![requested, uploaded, confirmed, (3, Command::Release)],
        "collecting" => vec![requested, (2000, start())],
        "collected" => vec![requested, (2000, start()), (2001, finish(Claim::FIRST))],
        other => panic!("no state is named {other}"),
    };
    given(history)
}

/// Sealed and substituted items are confirmed ones.
const STATES: [&str; 10] = [
    "unrequested",
    "pending",
    "uploaded",
    "confirmed",
    "sealed",
    "substituted",
    "cancelled",
    "detached",
    "collecting",
    "collected",
];

/// The names of the new events, `-` for none, or the refusal's code.
fn answer(state: &str, command: Command, seconds: i64) -> String {
    match in_state(state).decide(command, &context(seconds)) {
        Ok(events) if events.is_empty() => "-".to_owned(),
        Ok(events) => events.iter().map(Event::type_name).collect::<Vec<_>>().join("+"),
        Err(refusal) => refusal.code().to_owned(),
    }
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    // Columns in the order of STATES.
    let table: Vec<(&str, Command, i64, [&str; 10])> = vec![
        (
            "request, same, early",
            Command::Request(request("ann")),
            10,
            ["MediaRequested", "-", "-", "-", "-", "-", "gone", "gone", "gone", "gone"],
        ),
        (
            "request, same, late",
            Command::Request(request("ann")),
            60,
            ["MediaRequested", "TicketRenewed", "-", "-", "-", "-", "gone", "gone", "gone", "gone"],
        ),
        (
            "request, other",
            Command::Request(request("bob")),
            10,
            [
                "MediaRequested",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
                "request-mismatch",
            ],
        ),
        (
            "renew, early",
            Command::RenewTicket,
            10,
            [
                "not-found",
                "-",
                "already-uploaded",
                "already-confirmed",
                "already-confirmed",
                "already-confirmed",
                "gone",
                "gone",
                "gone",
                "gone",
            ],
        ),
        (
            "renew, late",
            Command::RenewTicket,
            60,
            [
                "not-found",
                "TicketRenewed",
                "already-uploaded",
                "already-confirmed",
                "already-confirmed",
                "already-confirmed",
                "gone",
                "gone",
                "gone",
                "gone",
            ],
        ),
        (
            "renew past max_pending",
            Command::RenewTicket,
            5001,
            [
                "not-found",
                "too-old",
                "already-uploaded",
                "already-confirmed",
                "already-confirmed",
                "already-confirmed",
                "gone",
                "gone",
                "gone",
                "gone",
            ],
        ),
        (
            "record, fits, same etag",
            record(facts("e1")),
            10,
            ["not-found", "Uploaded", "-", "-", "-", "-", "-", "-", "-", "CollectionStarted"],
        ),
        (
            "record, fits, other etag",
            record(facts("e2")),
            10,
            [
                "not-found",
                "Uploaded",
                "Uploaded",
                "content-changed",
                "content-changed",
                "content-changed",
                "-",
                "-",
                "-",
                "CollectionStarted",
            ],
        ),
        (
            "record, misfit",
            record(misfit()),
            10,
            [
                "not-found",
                "upload-mismatch",
                "upload-mismatch",
                "content-changed",
                "content-changed",
                "content-changed",
                "-",
                "-",
                "-",
                "CollectionStarted",
            ],
        ),
        (
            "confirm, same place",
            confirm(post("post-1")),
            10,
            ["not-found", "not-uploaded", "Confirmed", "-", "-", "-", "cancelled", "Confirmed", "gone", "gone"],
        ),
        (
            "confirm, no place",
            confirm(None),
            10,
            ["not-found", "not-uploaded", "Confirmed", "-", "-", "-", "cancelled", "Confirmed", "gone", "gone"],
        ),
        (
            "confirm, other place",
            confirm(post("post-2")),
            10,
            [
                "not-found",
                "not-uploaded",
                "Confirmed",
                "attached-elsewhere",
                "attached-elsewhere",
                "attached-elsewhere",
                "cancelled",
                "Confirmed",
                "gone",
                "gone",
            ],
        ),
        (
            "confirm with facts",
            Command::Confirm { attached_to: None, facts: Some(facts("e1")) },
            10,
            ["not-found", "Uploaded+Confirmed", "Confirmed", "-", "-", "-", "cancelled", "Confirmed", "gone", "gone"],
        ),
        (
            "confirm with misfit",
            Command::Confirm { attached_to: None, facts: Some(misfit()) },
            10,
            ["not-found", "upload-mismatch", "Confirmed", "-", "-", "-", "cancelled", "Confirmed", "gone", "gone"],
        ),
        (
            "release",
            Command::Release,
            10,
            ["not-found", "Released", "Released", "Released", "Released", "Released", "-", "-", "-", "-"],
        ),
        (
            "start, not due",
            start(),
            10,
            ["not-found", "not-due", "not-due", "in-use", "in-use", "in-use", "not-due", "not-due", "-", "-"],
        ),
        (
            "start, due",
            start(),
            9000,
            [
                "not-found",
                "CollectionStarted",
                "CollectionStarted",
                "in-use",
                "in-use",
                "in-use",
                "CollectionStarted",
                "CollectionStarted",
                "-",
                "-",
            ],
        ),
        (
            "finish, this claim",
            finish(Claim::FIRST),
            9000,
            [
                "not-found",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "Collected",
                "-",
            ],
        ),
        (
            "finish, another claim",
            finish(Claim::FIRST.next()),
            9000,
            [
                "not-found",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "not-collecting",
                "-",
                "-",
            ],
        ),
        (
            "seal, while a ticket may write",
            seal(Found::Present(facts("e1"))),
            149,
            [
                "not-found",
                "not-confirmed",
                "not-confirmed",
                "not-sealable",
                "not-sealable",
                "not-sealable",
                "-",
                "-",
                "-",
                "-",
            ],
        ),
        (
            "seal, the confirmed object",
            seal(Found::Present(facts("e1"))),
            9000,
            ["not-found", "not-confirmed", "not-confirmed", "Sealed", "-", "Sealed", "-", "-", "-", "-"],
        ),
        (
            "seal, another object",
            seal(Found::Present(facts("e2"))),
            9000,
            [
                "not-found",
                "not-confirmed",
                "not-confirmed",
                "ContentSubstituted",
                "ContentSubstituted",
                "ContentSubstituted",
                "-",
                "-",
                "-",
                "-",
            ],
        ),
        (
            "seal, no object",
            seal(Found::Absent),
            9000,
            [
                "not-found",
                "not-confirmed",
                "not-confirmed",
                "ContentSubstituted",
                "ContentSubstituted",
                "-",
                "-",
                "-",
                "-",
                "-",
            ],
        ),
    ];
    for (name, command, seconds, expected) in table {
        for (state, expected) in STATES.iter().zip(expected) {
            assert_eq!(answer(state, command.clone(), seconds), expected, "{name} in {state}");
        }
    }
}

#[test]
fn a_first_ticket_carries_the_deadlines_of_its_policy() {
    let Media::Pending(t) = in_state("pending") else { panic!("pending") };
    assert_eq!(t.deadlines, Deadlines { ticket_expires_at: at(100), confirm_by: at(1000), collectable_at: at(1000) });
}

#[test]
fn nothing_is_collectable_while_a_ticket_may_still_write() {
    let mut short = context(0);
    let s = TimeDelta::seconds;
    short.policy = Policy::new(s(100), s(101), s(5000), s(50), ByteSize::new(100)).unwrap();
    let events = Media::default().decide(Command::Request(request("ann")), &short).unwrap();
    let Event::MediaRequested(requested) = &events[0] else { panic!("requested") };
    assert_eq!(requested.deadlines.collectable_at, at(150));
}

#[test]
fn a_renewal_never_moves_a_deadline_back() {
    let media = given(vec![(0, Command::Request(request("ann")))]);
    let mut shorter = context(60);
    let s = TimeDelta::seconds;
    shorter.policy = Policy::new(s(1), s(2), s(5000), s(0), ByteSize::new(100)).unwrap();
    let mut renewed = media.clone();
    for event in media.decide(Command::RenewTicket, &shorter).unwrap() {
        renewed.apply(event);
    }
    let t = renewed.ticketed().unwrap();
    assert_eq!(t.deadlines.ticket_expires_at, at(61));
    assert_eq!(t.latest_expiry, at(100));
    assert_eq!(t.deadlines.confirm_by, at(1000));
    assert_eq!(t.deadlines.collectable_at, at(1000));
}

#[test]
fn a_cancelled_item_waits_for_its_ticket_and_a_detached_one_for_the_grace_too() {
    let collectable = |media: Media| media.ticketed().unwrap().deadlines.collectable_at;
    assert_eq!(collectable(in_state("cancelled")), at(150));
    assert_eq!(collectable(given(vec![(0, Command::Request(request("ann"))), (400, Command::Release)])), at(400));
    assert_eq!(collectable(in_state("detached")), at(1003));
}

#[test]
fn a_repeated_request_gets_the_ticket_that_is_out_even_when_it_is_too_old_for_a_new_one() {
    let renewed_last = given(vec![(0, Command::Request(request("ann"))), (4990, Command::RenewTicket)]);
    let again = |seconds| renewed_last.decide(Command::Request(request("ann")), &context(seconds));
    assert_eq!(again(5060), Ok(vec![]));
    assert_eq!(again(5090), Ok(vec![]), "and after it has ended there is none to hand over");
}

#[test]
fn a_look_from_before_a_collection_ended_shows_no_late_upload() {
    let before = Command::RecordUpload { facts: facts("e1"), seen_via: SeenVia::Notice, collected: None };
    assert_eq!(in_state("collected").decide(before, &context(3000)), Err(Refusal::Gone));
    let mut again = in_state("collected");
    for event in again.decide(record(facts("late")), &context(3000)).unwrap() {
        again.apply(event);
    }
    for event in again.decide(finish(Claim::FIRST.next()), &context(3001)).unwrap() {
        again.apply(event);
    }
    assert_eq!(again.decide(record(facts("late")), &context(3002)), Err(Refusal::Gone), "an older claim's look");
}

#[test]
fn a_detached_item_can_be_confirmed_again_and_is_then_in_use() {
    let mut media = in_state("detached");
    for event in media.decide(confirm(post("post-2")), &context(10)).unwrap() {
        media.apply(event);
    }
    assert_eq!(media.state(), State::Confirmed);
    assert_eq!(media.attached_to(), post("post-2").as_ref());
    assert_eq!(media.decide(start(), &context(9000)), Err(Refusal::InUse));
}

#[test]
fn a_first_place_can_be_named_after_a_confirm_without_one() {
    let media = given(vec![
        (0, Command::Request(request("ann"))),
        (1, record(facts("e1"))),
        (2, confirm(None)),
        (3, confirm(post("post-1"))),
    ]);
    assert_eq!(media.attached_to(), post("post-1").as_ref());
}

#[test]
fn what_was_seen_decides_how_a_collection_ended() {
    for (looked, outcome, freed) in [
        (Some(Seen::Absent), CollectOutcome::Absent, 0),
        (Some(Seen::Unknown), CollectOutcome::Deleted, 0),
        (None, CollectOutcome::Deleted, 0),
        (Some(Seen::present(ETag::parse("e").unwrap(), ByteSize::new(10))), CollectOutcome::Deleted, 10),
    ] {
        let media = given(vec![
            (0, Command::Request(request("ann"))),
            (2000, Command::StartCollection { run_id: Uuid::nil(), looked }),
        ]);
        let events = media.decide(finish(Claim::FIRST), &context(2001)).unwrap();
        assert_eq!(
            events,
            vec![Event::Collected(Collected { claim: Claim::FIRST, outcome, bytes_freed: ByteSize::new(freed) })]
        );
    }
}

#[test]
fn versions_that_were_counted_as_they_went_say_more_than_the_look() {
    let present = Seen::present(ETag::parse("e").unwrap(), ByteSize::new(10));
    for looked in [Seen::Absent, Seen::Unknown, present] {
        let media = given(vec![
            (0, Command::Request(request("ann"))),
            (2000, Command::StartCollection { run_id: Uuid::nil(), looked: Some(looked) }),
        ]);
        let finish = Command::FinishCollection { claim: Claim::FIRST, freed: Some(ByteSize::new(25)) };
        let (claim, outcome) = (Claim::FIRST, CollectOutcome::Deleted);
        let collected = Event::Collected(Collected { claim, outcome, bytes_freed: ByteSize::new(25) });
        assert_eq!(media.decide(finish, &context(2001)), Ok(vec![collected]));
    }
}

#[test]
fn an_upload_recorded_before_needs_no_second_look() {
    let media = in_state("uploaded");
    let command = Command::StartCollection { run_id: Uuid::nil(), looked: None };
    let events = media.decide(command, &context(9000)).unwrap();
    let Event::CollectionStarted(started) = &events[0] else { panic!("started") };
    assert_eq!(started.seen, Seen::present(ETag::parse("e1").unwrap(), ByteSize::new(10)));
}

#[test]
fn bytes_that_arrive_after_a_collection_are_claimed_again() {
    let mut media = in_state("collected");
    for event in media.decide(record(facts("late")), &context(3000)).unwrap() {
        media.apply(event);
    }
    assert_eq!(media.state(), State::Collecting);
    assert_eq!(media.decide(finish(Claim::FIRST), &context(3001)), Ok(vec![]), "a stale finisher changes nothing");
    let events = media.decide(finish(Claim::FIRST.next()), &context(3001)).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn each_way_in_which_an_upload_can_misfit_is_named() {
    let media = in_state("pending");
    let field = |facts: ObjectFacts| match media.decide(record(facts), &context(1)) {
        Err(Refusal::UploadMismatch { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(misfit()), "content_length");
    assert_eq!(field(ObjectFacts { content_type: Some(StoredType::of("a/b")), ..facts("e") }), "content_type");
    assert_eq!(field(ObjectFacts { checksum_sha256: Some(Sha256Digest::of(b"x")), ..facts("e") }), "checksum_sha256");
    let no_checksum = ObjectFacts { checksum_sha256: None, content_type: None, ..facts("e") };
    assert!(media.decide(record(no_checksum), &context(1)).is_ok());
}

#[test]
fn a_renewed_ticket_puts_the_seal_off() {
    let media = given(vec![
        (0, Command::Request(request("ann"))),
        (80, Command::RenewTicket),
        (90, record(facts("e1"))),
        (91, confirm(None)),
    ]);
    let seal_at = |seconds| media.decide(seal(Found::Present(facts("e1"))), &context(seconds));
    assert_eq!(seal_at(229), Err(Refusal::NotSealable { sealable_at: at(230) }));
    assert_eq!(seal_at(230).map(|events| events.len()), Ok(1));
}

#[test]
fn a_seal_is_kept_while_an_item_is_detached_and_confirmed_again() {
    for state in ["sealed", "substituted"] {
        let mut media = in_state(state);
        let before = media.seal().cloned();
        for command in [Command::Release, confirm(post("post-2"))] {
            for event in media.decide(command, &context(3000)).unwrap() {
                media.apply(event);
            }
        }
        assert_eq!((media.state(), media.seal().cloned()), (State::Confirmed, before), "{state}");
    }
}

#[test]
fn what_makes_an_object_another_one() {
    let version = |id: &str| ObjectFacts { version_id: Some(VersionId::parse(id).unwrap()), ..facts("e1") };
    let unsummed = |facts: ObjectFacts| ObjectFacts { checksum_sha256: None, ..facts };
    let recorded = facts("e1");
    assert!(recorded.is_still(&facts("e1")) && recorded.is_still(&unsummed(facts("e1"))));
    assert!(recorded.is_still(&ObjectFacts { content_type: None, ..facts("e1") }));
    assert!(!recorded.is_still(&facts("e2")));
    assert!(!recorded.is_still(&ObjectFacts { content_length: ByteSize::new(11), ..facts("e1") }));
    assert!(!recorded.is_still(&ObjectFacts { checksum_sha256: Some(Sha256Digest::of(b"x")), ..facts("e1") }));
    assert!(!recorded.is_still(&ObjectFacts { content_type: Some(StoredType::of("a/b")), ..facts("e1") }));
    assert!(recorded.is_still(&version("v1")), "a bucket that began to keep versions");
    assert!(version("v1").is_still(&version("v2")), "the same bytes, proven by their SHA-256");
    assert!(!unsummed(version("v1")).is_still(&unsummed(version("v2"))), "an ETag alone proves nothing");
}

#[test]
fn an_event_that_cannot_follow_changes_nothing() {
    let foreign = Event::Collected(Collected {
        claim: Claim::FIRST,
        outcome: CollectOutcome::Absent,
        bytes_freed: ByteSize::default(),
    });
    for state in STATES.iter().filter(|s| **s != "collecting") {
        let mut media = in_state(state);
        media.apply(foreign.clone());
        assert_eq!(media, in_state(state), "{state}");
    }
}

mod tickets;
mod trash;
