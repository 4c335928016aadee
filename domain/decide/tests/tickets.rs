use super::*;

/// An item whose ticket was renewed so often, each time when it was about to end.
fn renewed(times: u32) -> (Media, i64) {
    let mut media = in_state("pending");
    for turn in 1..=i64::from(times) {
        let events = media.decide(Command::RenewTicket, &tolerant(turn * 99)).expect("it may be renewed");
        assert_eq!(events.len(), 1, "turn {turn}");
        events.into_iter().for_each(|event| media.apply(event));
    }
    (media, i64::from(times) * 99)
}

/// As [`context`], and renewable for long.
fn tolerant(seconds: i64) -> Context {
    let s = TimeDelta::seconds;
    Context {
        policy: Policy::new(s(100), s(1000), s(10_000_000), s(50), ByteSize::new(1 << 20)).unwrap(),
        ..context(seconds)
    }
}

#[test]
fn a_ticket_that_is_asked_for_in_the_first_half_of_its_life_is_the_one_that_is_out() {
    let media = in_state("pending");
    for seconds in [0, 1, 50] {
        assert_eq!(media.decide(Command::RenewTicket, &context(seconds)), Ok(vec![]), "{seconds}");
    }
    assert_eq!(media.decide(Command::RenewTicket, &context(51)).map(|events| events.len()), Ok(1));
}

#[test]
fn a_ticket_is_renewed_so_often_and_no_more() {
    let (media, last) = renewed(MAX_RENEWALS);
    assert_eq!(
        media.decide(Command::RenewTicket, &tolerant(last + 50)),
        Ok(vec![]),
        "the one that is out still serves"
    );
    assert_eq!(media.decide(Command::RenewTicket, &tolerant(last + 51)), Err(Refusal::TooManyTickets));
    let repeated = media.decide(Command::Request(request("ann")), &tolerant(last + 51));
    assert_eq!(repeated, Ok(vec![]), "a repeated request hands over what is out");
    assert!(media.decide(confirm(None), &tolerant(last + 51)) == Err(Refusal::NotUploaded));
    assert!(media.decide(record(facts("e1")), &tolerant(last + 51)).is_ok());
}

#[test]
fn objects_that_take_each_others_place_are_recorded_so_often_and_no_more() {
    let mut media = in_state("pending");
    for turn in 0..MAX_UPLOADS {
        let events = media.decide(record(facts(&format!("e{turn}"))), &context(1)).expect("it is recorded");
        assert_eq!(events.len(), 1);
        events.into_iter().for_each(|event| media.apply(event));
    }
    let once_more = media.decide(record(facts("another")), &context(1));
    assert_eq!(once_more.map_err(|refusal| refusal.code()), Err("content-changed"));
    let same = record(facts(&format!("e{}", MAX_UPLOADS - 1)));
    assert_eq!(media.decide(same, &context(1)), Ok(vec![]), "what is recorded is still told");
    assert_eq!(media.decide(confirm(None), &context(1)).map(|events| events.len()), Ok(1), "and can be confirmed");
}

#[test]
fn a_header_that_no_ticket_signs_keeps_an_object_from_being_recorded_and_nothing_else() {
    let header = UnsignedHeader { name: "Cache-Control", value: "public".to_owned() };
    for state in STATES {
        let media = in_state(state);
        let refused = media.admits(Some(&header));
        match state {
            "pending" | "uploaded" => {
                let Err(Refusal::UploadMismatch { field, found, .. }) = refused else { panic!("{state}: {refused:?}") };
                assert_eq!((field, found.as_str()), ("Cache-Control", "public"));
            }
            _ => assert_eq!(refused, Ok(()), "{state}"),
        }
        assert_eq!(media.admits(None), Ok(()), "{state}");
    }
}
