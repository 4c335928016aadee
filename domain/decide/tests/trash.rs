use super::*;
use crate::trash::{TrashLocation, TrashedObject};

const DAY: i64 = 86_400;

/// A day in the trash.
fn keeping(seconds: i64) -> Context {
    let context = context(seconds);
    Context { policy: context.policy.with_trash(TimeDelta::seconds(DAY)).unwrap(), ..context }
}

fn kept() -> TrashedObject {
    let trash_key = request("ann").object_key.in_trash(Claim::FIRST);
    TrashedObject {
        place: TrashLocation::Copy { trash_key },
        etag: ETag::parse("e1").unwrap(),
        content_length: ByteSize::new(10),
    }
}

fn trash(claim: Claim) -> Command {
    Command::FinishTrashing { claim, kept: kept() }
}

fn restore(attached_to: Option<AttachedTo>) -> Command {
    Command::Restore { attached_to }
}

fn finish_restore() -> Command {
    Command::FinishRestore { facts: facts("e1") }
}

fn follow(media: &mut Media, command: Command, seconds: i64) {
    for event in media.decide(command, &keeping(seconds)).expect("the history is valid") {
        media.apply(event);
    }
}

fn kept_in(name: &str) -> Media {
    let mut media = in_state("uploaded");
    follow(&mut media, start(), 2000);
    let further =
        [("claimed", trash(Claim::FIRST)), ("trashed", restore(post("post-1"))), ("restoring", finish_restore())];
    for (state, command) in further {
        if state == name {
            return media;
        }
        follow(&mut media, command, 2001);
    }
    media
}

fn told(media: &Media, command: Command, seconds: i64) -> String {
    match media.decide(command, &keeping(seconds)) {
        Ok(events) if events.is_empty() => "-".to_owned(),
        Ok(events) => events.iter().map(Event::type_name).collect::<Vec<_>>().join("+"),
        Err(refusal) => refusal.code().to_owned(),
    }
}

#[test]
fn what_is_in_the_trash_or_comes_back_answers_every_command_as_the_table_says() {
    let second = Claim::FIRST.next();
    let table: Vec<(Command, i64, [&str; 2])> = vec![
        (Command::Request(request("ann")), 3000, ["gone", "-"]),
        (Command::Request(request("bob")), 3000, ["request-mismatch", "request-mismatch"]),
        (Command::RenewTicket, 3000, ["gone", "already-confirmed"]),
        (record(facts("e2")), 3000, ["-", "-"]),
        (record(misfit()), 3000, ["-", "-"]),
        (confirm(post("post-1")), 3000, ["gone", "restoring"]),
        (Command::Release, 3000, ["-", "restoring"]),
        (start(), 3000, ["not-due", "in-use"]),
        (start(), 2001 + DAY, ["CollectionStarted", "in-use"]),
        (finish(Claim::FIRST), 3000, ["-", "-"]),
        (finish(second), 3000, ["-", "-"]),
        (trash(Claim::FIRST), 3000, ["-", "-"]),
        (restore(None), 3000, ["RestoreStarted", "-"]),
        (restore(post("post-1")), 3000, ["RestoreStarted", "-"]),
        (restore(post("post-2")), 3000, ["RestoreStarted", "attached-elsewhere"]),
        (finish_restore(), 3000, ["not-trashed", "Restored"]),
        (seal(Found::Present(facts("e1"))), 3000, ["-", "-"]),
        (seal(Found::Absent), 3000, ["-", "-"]),
    ];
    for (command, seconds, expected) in table {
        for (state, expected) in ["trashed", "restoring"].into_iter().zip(expected) {
            assert_eq!(told(&kept_in(state), command.clone(), seconds), expected, "{command:?} in {state}");
        }
    }
}

#[test]
fn every_other_state_answers_what_concerns_the_trash_as_the_table_says() {
    // Columns in the order of STATES.
    let busy = "not-collecting";
    let none = "not-trashed";
    let table: Vec<(Command, [&str; 10])> = vec![
        // Collecting without a place in the trash: the item is deleted.
        (trash(Claim::FIRST), ["not-found", busy, busy, busy, busy, busy, busy, busy, "-", "-"]),
        (restore(post("post-1")), ["not-found", none, none, "-", "-", "-", none, none, none, "gone"]),
        (
            restore(post("post-2")),
            [
                "not-found",
                none,
                none,
                "attached-elsewhere",
                "attached-elsewhere",
                "attached-elsewhere",
                none,
                none,
                none,
                "gone",
            ],
        ),
        (finish_restore(), ["not-found", none, none, "-", "-", "-", none, none, none, none]),
    ];
    for (command, expected) in table {
        for (state, expected) in STATES.iter().zip(expected) {
            assert_eq!(told(&in_state(state), command.clone(), 3000), expected, "{command:?} in {state}");
        }
    }
    assert_eq!(told(&kept_in("claimed"), trash(Claim::FIRST), 3000), "Trashed");
    assert_eq!(told(&kept_in("claimed"), trash(Claim::FIRST.next()), 3000), "-");
    assert_eq!(told(&kept_in("claimed"), finish(Claim::FIRST), 3000), "Collected", "there was nothing to keep");
}

#[test]
fn the_time_in_the_trash_begins_when_the_item_is_in_it() {
    let mut media = kept_in("claimed");
    follow(&mut media, trash(Claim::FIRST), 50_000);
    let until = media.ticketed().unwrap().deadlines.collectable_at;
    assert_eq!(until, at(50_000 + DAY));
    assert_eq!(media.decide(start(), &keeping(50_000 + DAY - 1)), Err(Refusal::NotDue { collectable_at: until }));
    // A shorter time, or none any more, takes nothing away from what was promised at the claim.
    let mut media = kept_in("claimed");
    for event in media.decide(trash(Claim::FIRST), &context(2001)).unwrap() {
        media.apply(event);
    }
    assert_eq!(media.ticketed().unwrap().deadlines.collectable_at, at(2000 + DAY));
}

#[test]
fn what_was_in_the_trash_for_its_time_goes_for_good_and_says_what_it_held() {
    let mut media = kept_in("trashed");
    follow(&mut media, Command::StartCollection { run_id: Uuid::nil(), looked: None }, 2001 + DAY);
    let Media::Collecting(_, claimed) = &media else { panic!("{media:?}") };
    assert_eq!((claimed.claim, claimed.reason), (Claim::FIRST.next(), CollectReason::Expired));
    assert_eq!((claimed.trash_until, claimed.trashed.as_ref()), (None, Some(&kept())));
    assert_eq!(told(&media, restore(None), 2002 + DAY), "not-trashed", "the point of no return");
    assert_eq!(told(&media, trash(Claim::FIRST.next()), 2002 + DAY), "-");
    let events = media.decide(finish(Claim::FIRST.next()), &keeping(2002 + DAY)).unwrap();
    let (claim, outcome) = (Claim::FIRST.next(), CollectOutcome::Deleted);
    assert_eq!(events, [Event::Collected(Collected { claim, outcome, bytes_freed: ByteSize::new(10) })]);
}

#[test]
fn a_restored_item_is_in_use_under_a_new_key_and_its_next_collection_has_a_new_number() {
    let mut media = kept_in("restored");
    let old = request("ann").object_key;
    assert_eq!((media.state(), media.attached_to()), (State::Confirmed, post("post-1").as_ref()));
    assert_eq!(media.ticketed().unwrap().request.object_key, old.restored(Claim::FIRST));
    assert_eq!(media.decide(start(), &keeping(9 * DAY)), Err(Refusal::InUse));
    follow(&mut media, Command::Release, 3000);
    follow(&mut media, start(), 9000);
    let Media::Collecting(t, claimed) = &media else { panic!("{media:?}") };
    assert_eq!((claimed.claim, &claimed.trashed), (Claim::FIRST.next(), &None), "a stale finisher is told apart");
    assert_eq!(t.request.object_key.in_trash(claimed.claim), old.in_trash(Claim::FIRST.next()));
}

#[test]
fn a_copy_of_another_length_is_not_what_was_kept() {
    let refused = kept_in("restoring").decide(Command::FinishRestore { facts: misfit() }, &keeping(3000));
    assert!(matches!(refused, Err(Refusal::UploadMismatch { .. })), "{refused:?}");
}

#[test]
fn a_time_in_the_trash_has_bounds() {
    let policy = || context(0).policy;
    assert!(policy().with_trash(TimeDelta::zero()).is_ok_and(|policy| policy.trash_until(at(0)).is_none()));
    for bad in [TimeDelta::seconds(-1), TimeDelta::days(3651)] {
        assert_eq!(policy().with_trash(bad).unwrap_err().setting, "trash");
    }
}
