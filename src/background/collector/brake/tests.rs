use super::*;

const SETTINGS: BrakeSettings =
    BrakeSettings { share: 50, above: 1000, window: TimeDelta::hours(1), silence: TimeDelta::hours(6) };

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_040 + minute * 60, 0).unwrap()
}

/// Items whose time ended in a minute: open, expired, kept.
fn minute(number: i64, open: u64, expired: u64, kept: u64) -> Minute {
    Minute { starts_at: at(number), requested: 0, confirmed: 0, open, kept, expired }
}

fn judge(minutes: &[Minute], due_from: i64) -> Option<(u64, u64)> {
    match SETTINGS.judge_share(minutes, at(due_from)) {
        None => None,
        Some(Braked::Share { unconfirmed, of, .. }) => Some((unconfirmed, of)),
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn more_than_half_of_more_than_a_thousand_stops_and_no_fewer() {
    assert_eq!(judge(&[minute(0, 1000, 0, 0)], 0), None);
    assert_eq!(judge(&[minute(0, 1001, 0, 0)], 0), Some((1001, 1001)));
    assert_eq!(judge(&[minute(0, 1001, 0, 1001)], 0), None);
    assert_eq!(judge(&[minute(0, 1001, 0, 1000)], 0), Some((1001, 2001)));
    assert_eq!(judge(&[], 0), None);
}

#[test]
fn what_went_before_counts_so_many_small_runs_are_no_way_round() {
    // Fifty a minute become due and are collected at once, in runs of fifty.
    let mut minutes: Vec<_> = (0..19).map(|number| minute(number, 0, 50, 0)).collect();
    minutes.push(minute(19, 50, 0, 0));
    assert_eq!(judge(&minutes, 19), None);
    minutes[19] = minute(19, 0, 50, 0);
    minutes.push(minute(20, 50, 0, 0));
    assert_eq!(judge(&minutes, 20), Some((1050, 1050)));
}

#[test]
fn a_share_that_is_usual_lets_a_crowd_go() {
    let minutes: Vec<_> = (0..600).map(|number| minute(number, 0, 40, 60)).chain([minute(600, 40, 0, 60)]).collect();
    assert_eq!(judge(&minutes, 600), None);
    let sixty: Vec<_> = (0..600).map(|number| minute(number, 0, 60, 40)).chain([minute(600, 60, 0, 40)]).collect();
    assert!(judge(&sixty, 600).is_some());
    let known = BrakeSettings { share: 70, ..SETTINGS };
    assert_eq!(known.judge_share(&sixty, at(600)), None);
    let never = BrakeSettings { share: 100, above: 0, ..SETTINGS };
    assert_eq!(never.judge_share(&[minute(0, 9999, 0, 0)], at(0)), None);
}

#[test]
fn a_break_shows_within_the_window_whatever_went_well_before() {
    let mut minutes: Vec<_> = (0..600).map(|number| minute(number, 0, 20, 80)).collect();
    let stopped = (600..700).find(|number| {
        minutes.push(minute(*number, 100, 0, 0));
        let stopped = judge(&minutes, *number).is_some();
        *minutes.last_mut().unwrap() = minute(*number, 0, 100, 0);
        stopped
    });
    // 23 minutes of 100, 37 of 20 and 80: more than half.
    assert_eq!(stopped, Some(622));
}

#[test]
fn a_quiet_service_is_judged_by_as_many_minutes_as_hold_enough_and_by_a_day_at_most() {
    let each = |step: i64| -> Vec<_> {
        let mut minutes: Vec<_> = (0..2000).map(|number| minute(number * step, 0, 1, 0)).collect();
        minutes.push(minute(2000 * step, 1, 0, 0));
        minutes
    };
    assert_eq!(judge(&each(1), 2000), Some((1001, 1001)));
    assert_eq!(judge(&each(2), 4000), None, "720 in a day");
}

#[test]
fn a_backlog_is_judged_by_the_time_in_which_it_grew() {
    // Confirms were broken for an hour two days ago, while the collector was down. All has been well since.
    let mut minutes: Vec<_> = (0..60).map(|number| minute(number, 100, 0, 0)).collect();
    minutes.extend((60..2940).map(|number| minute(number, 20, 0, 80)));
    assert_eq!(judge(&minutes, 0), Some((1100, 1100)), "at the eleventh minute");
    assert!(judge(&minutes, 90).is_some(), "while it is within the window of what is due");
    assert_eq!(judge(&minutes, 600), None);
}

#[test]
fn minutes_before_the_first_due_item_are_no_reason_by_themselves() {
    let minutes = [minute(0, 5000, 0, 0), minute(1500, 1, 0, 100)];
    assert_eq!(judge(&minutes, 1500), None, "what is open there waits to be tried again");
}

#[test]
fn requests_without_a_confirm_stop_after_a_while_and_a_quiet_night_does_not() {
    let silent = |requested, since: i64, now| {
        SETTINGS.judge_silence(Unanswered { requested, since: Some(at(since)) }, at(now)).is_some()
    };
    assert!(silent(100, 0, 360));
    assert!(!silent(100, 0, 359));
    assert!(!silent(99, 0, 10_000));
    // The last confirm was in the evening; the first requests of the morning are not answered yet.
    assert!(!silent(5000, 600, 610));
    assert_eq!(SETTINGS.judge_silence(Unanswered::default(), at(10_000)), None);
}

#[test]
fn the_reason_names_numbers_times_and_the_way_on() {
    let said = SETTINGS.judge_share(&[minute(0, 1001, 0, 9)], at(0)).unwrap().to_string();
    assert!(said.starts_with("1001 of 1010 items whose time ended from 2026-09-21T14:14:00Z to 2026-09-21T14:15:00Z"));
    assert!(said.contains("50 %") && said.contains("{\"override_brake\": true}"), "{said}");
    let said = Braked::Silence { requested: 100, since: at(0) }.to_string();
    assert!(
        said.starts_with("nothing was confirmed since 2026-09-21T14:14:00Z, and 100 items were requested"),
        "{said}"
    );
}
