//! One byte is changed behind the service's back: `verify` names the position.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    process::{Serving, Site},
    tool::{Api, fails, journal, succeeds, tamper},
};

const EVENT: &str = "UPDATE events SET payload = replace(payload, '\"ann\"', '\"amn\"') WHERE position = 4";
const COMMIT: &str = "UPDATE commits SET recorded_at = recorded_at + 1 WHERE first_position = 4";

/// Positions 1 to 3 are one item's; each of the next two is a ticket of its own.
async fn with_history(site: &Site) -> (Serving, String) {
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    api.confirmed(b"first").await;
    api.ticket(b"second").await;
    api.ticket(b"third").await;
    let head = succeeds(&site.run(&["verify"]));
    assert!(head.starts_with("5:"), "{head}");
    (serving, head)
}

fn finds_position_four(site: &Site) {
    let error = fails(&site.run(&["verify"]), 1);
    assert!(error.contains("the journal is broken at position 4"), "{error}");
}

#[tokio::test]
async fn a_changed_event_of_a_stopped_server_is_found() {
    let site = Site::new(&[]);
    let (serving, _) = with_history(&site).await;
    serving.signal("-TERM");
    assert!(serving.wait().success());
    tamper(&journal(&site), "events_refuse_update", EVENT).await;
    finds_position_four(&site);
}

#[tokio::test]
async fn a_changed_commit_of_a_stopped_server_is_found() {
    let site = Site::new(&[]);
    let (serving, _) = with_history(&site).await;
    serving.signal("-TERM");
    assert!(serving.wait().success());
    tamper(&journal(&site), "commits_refuse_update", COMMIT).await;
    finds_position_four(&site);
}

#[tokio::test]
async fn a_change_under_a_running_server_is_found_by_both_ways_to_verify() {
    for (trigger, change) in [("events_refuse_update", EVENT), ("commits_refuse_update", COMMIT)] {
        let site = Site::new(&[]);
        let (serving, _) = with_history(&site).await;
        tamper(&journal(&site), trigger, change).await;
        finds_position_four(&site);
        let (status, problem) = Api::of(&serving).call(Method::GET, "/v1/journal/verify", None).await;
        let problem: Value = serde_json::from_str(&problem).expect("JSON");
        assert_eq!((status, &problem["position"]), (StatusCode::CONFLICT, &4.into()), "{problem}");
    }
}

#[tokio::test]
async fn a_journal_that_was_cut_together_with_its_head_is_found_by_a_head_that_was_kept() {
    let site = Site::new(&[]);
    let (serving, kept) = with_history(&site).await;
    let earlier = Site::new(&[]);
    serving.kill();
    // The folder as it was before: whole in itself, and not what was kept.
    earlier.serve_anywhere().kill();
    std::fs::copy(journal(&earlier), journal(&site)).expect("copied");
    for suffix in ["-wal", "-shm"] {
        let (from, to) =
            (format!("{}{suffix}", journal(&earlier).display()), format!("{}{suffix}", journal(&site).display()));
        // A database that was closed well has neither.
        let _gone = std::fs::remove_file(&to);
        let _none = std::fs::copy(from, to);
    }
    succeeds(&site.run(&["verify"]));
    let error = fails(&site.run(&["verify", "--expect", kept.trim_end()]), 1);
    assert!(error.contains("not the expected one"), "{error}");
}
