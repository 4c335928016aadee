//! Given/when/then per command, through the stock `cqrs-es` test kit.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use crate::{
    Command, Context, Event, KeyPrefix, Media, ObjectKey, Policy, Refusal,
    command::RequestMedia,
    event::{
        Collected, CollectionStarted, Confirmed, ContentSubstituted, Deadlines, MediaRequested, Released, Sealed,
        TicketRenewed, Uploaded,
    },
    values::*,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// Ticket 100 s, grace 1000 s, renewable for 5000 s, late writes for 50 s.
fn media_at(seconds: i64) -> TestFramework<Media> {
    let s = TimeDelta::seconds;
    TestFramework::with(Context {
        now: at(seconds),
        policy: Policy::new(s(100), s(1000), s(5000), s(50), ByteSize::new(1 << 20)).unwrap(),
        decision_id: Uuid::from_u128(99),
    })
}

fn request() -> RequestMedia {
    let tenant = Tenant::parse("default").unwrap();
    let content_type = ContentType::parse("image/png").unwrap();
    RequestMedia {
        owner: Owner::parse("ann").unwrap(),
        store: Store::parse("embedded").unwrap(),
        bucket: Bucket::parse("media").unwrap(),
        object_key: ObjectKey::new(&KeyPrefix::parse("media").unwrap(), &tenant, Uuid::nil().into(), &content_type),
        tenant,
        content_type,
        content_length: ByteSize::new(3),
        checksum_sha256: None,
        fingerprint: Fingerprint::of("k", &[]),
    }
}

fn deadlines(ticket_expires_at: i64, confirm_by: i64) -> Deadlines {
    Deadlines { ticket_expires_at: at(ticket_expires_at), confirm_by: at(confirm_by), collectable_at: at(confirm_by) }
}

fn requested() -> Event {
    let r = request();
    Event::MediaRequested(Box::new(MediaRequested {
        tenant: r.tenant,
        owner: r.owner,
        store: r.store,
        bucket: r.bucket,
        object_key: r.object_key,
        content_type: r.content_type,
        content_length: r.content_length,
        checksum_sha256: None,
        fingerprint: r.fingerprint,
        requested_at: at(0),
        deadlines: deadlines(100, 1000),
    }))
}

fn facts() -> ObjectFacts {
    ObjectFacts {
        etag: ETag::parse("e").unwrap(),
        content_length: ByteSize::new(3),
        content_type: None,
        checksum_sha256: None,
        version_id: None,
    }
}

fn uploaded() -> Event {
    Event::Uploaded(Uploaded { facts: facts(), seen_via: SeenVia::Notice })
}

fn confirmed() -> Event {
    Event::Confirmed(Confirmed { attached_to: None, etag: facts().etag })
}

fn started(claim: Claim, reason: CollectReason, run: u128, seen: Seen) -> Event {
    Event::CollectionStarted(CollectionStarted { claim, reason, run_id: Uuid::from_u128(run), seen, trash_until: None })
}

fn present() -> Seen {
    Seen::present(facts().etag, facts().content_length)
}

#[test]
fn a_request_issues_a_ticket() {
    media_at(0).given_no_previous_events().when(Command::Request(request())).then_expect_events(vec![requested()]);
}

#[test]
fn a_renewal_moves_all_three_deadlines() {
    media_at(80).given(vec![requested()]).when(Command::RenewTicket).then_expect_events(vec![Event::TicketRenewed(
        TicketRenewed { renewed_at: at(80), deadlines: deadlines(180, 1080) },
    )]);
}

#[test]
fn an_upload_that_was_seen_is_recorded() {
    let command = Command::RecordUpload { facts: facts(), seen_via: SeenVia::Notice, collected: None };
    media_at(5).given(vec![requested()]).when(command).then_expect_events(vec![uploaded()]);
}

#[test]
fn a_confirm_of_a_recorded_upload_needs_no_facts() {
    let command = Command::Confirm { attached_to: None, facts: None };
    media_at(5).given(vec![requested(), uploaded()]).when(command).then_expect_events(vec![confirmed()]);
}

#[test]
fn a_confirm_of_a_pending_item_without_facts_is_refused() {
    let command = Command::Confirm { attached_to: None, facts: None };
    media_at(5).given(vec![requested()]).when(command).then_expect_error(Refusal::NotUploaded);
}

#[test]
fn a_release_after_a_confirm_detaches() {
    let released = Released { reason: ReleaseReason::Detached, collectable_at: at(1005) };
    media_at(5)
        .given(vec![requested(), uploaded(), confirmed()])
        .when(Command::Release)
        .then_expect_events(vec![Event::Released(released)]);
}

#[test]
fn a_confirmed_item_is_never_claimed() {
    let command = Command::StartCollection { run_id: Uuid::nil(), looked: None };
    media_at(1_000_000)
        .given(vec![requested(), uploaded(), confirmed()])
        .when(command)
        .then_expect_error(Refusal::InUse);
}

#[test]
fn a_claim_says_what_was_seen() {
    let command = Command::StartCollection { run_id: Uuid::from_u128(1), looked: None };
    media_at(1000).given(vec![requested(), uploaded()]).when(command).then_expect_events(vec![started(
        Claim::FIRST,
        CollectReason::Expired,
        1,
        present(),
    )]);
}

#[test]
fn after_a_claim_a_confirm_is_refused() {
    let command = Command::Confirm { attached_to: None, facts: Some(facts()) };
    media_at(1001)
        .given(vec![requested(), started(Claim::FIRST, CollectReason::Expired, 1, Seen::Absent)])
        .when(command)
        .then_expect_error(Refusal::Gone);
}

#[test]
fn a_finished_collection_says_what_it_freed() {
    let collected = Collected { claim: Claim::FIRST, outcome: CollectOutcome::Deleted, bytes_freed: ByteSize::new(3) };
    media_at(1001)
        .given(vec![requested(), started(Claim::FIRST, CollectReason::Expired, 1, present())])
        .when(Command::FinishCollection { claim: Claim::FIRST, freed: None })
        .then_expect_events(vec![Event::Collected(collected)]);
}

#[test]
fn a_confirmed_object_that_is_still_there_is_sealed_once_no_ticket_can_write_it() {
    let history = vec![requested(), uploaded(), confirmed()];
    let command = Command::Seal { found: Found::Present(facts()) };
    let early = Refusal::NotSealable { sealable_at: at(150) };
    media_at(149).given(history.clone()).when(command.clone()).then_expect_error(early);
    let sealed = Event::Sealed(Sealed { facts: facts() });
    media_at(150).given(history.clone()).when(command.clone()).then_expect_events(vec![sealed.clone()]);
    media_at(151).given([history, vec![sealed]].concat()).when(command).then_expect_events(vec![]);
}

#[test]
fn a_confirmed_object_that_is_another_or_gone_is_told_and_never_collected() {
    let history = vec![requested(), uploaded(), confirmed()];
    for found in [Found::Absent, Found::Present(ObjectFacts { etag: ETag::parse("f").unwrap(), ..facts() })] {
        let substituted = Event::ContentSubstituted(ContentSubstituted { recorded: facts(), found: found.clone() });
        let command = Command::Seal { found };
        media_at(150).given(history.clone()).when(command.clone()).then_expect_events(vec![substituted.clone()]);
        let broken = [history.clone(), vec![substituted]].concat();
        media_at(151).given(broken.clone()).when(command).then_expect_events(vec![]);
        let collect = Command::StartCollection { run_id: Uuid::nil(), looked: Some(Seen::Absent) };
        media_at(1_000_000).given(broken.clone()).when(collect).then_expect_error(Refusal::InUse);
        let back = Command::Seal { found: Found::Present(facts()) };
        media_at(152).given(broken).when(back).then_expect_events(vec![Event::Sealed(Sealed { facts: facts() })]);
    }
}

#[test]
fn a_late_upload_opens_the_next_claim() {
    let collected =
        Collected { claim: Claim::FIRST, outcome: CollectOutcome::Absent, bytes_freed: ByteSize::default() };
    media_at(2000)
        .given(vec![
            requested(),
            started(Claim::FIRST, CollectReason::Expired, 1, Seen::Absent),
            Event::Collected(collected),
        ])
        .when(Command::RecordUpload { facts: facts(), seen_via: SeenVia::Notice, collected: Some(Claim::FIRST) })
        .then_expect_events(vec![started(Claim::FIRST.next(), CollectReason::LateUpload, 99, present())]);
}
