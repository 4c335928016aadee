//! `demo`, with a server of its own and against a running one.

use crate::{
    process::Site,
    tool::{Api, SHORT, succeeds},
};

#[test]
fn demo_ends_well_and_says_what_is_left() {
    let site = Site::new(&[]);
    let said = succeeds(&site.run(&["demo", "--clients", "8"]));
    let (_, left) = said.split_once("What is left:").unwrap_or_else(|| panic!("{said}"));
    let left: Vec<Vec<&str>> = left.trim().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        left,
        [
            vec!["uploads", "and", "confirms", "2", "confirmed"],
            vec!["uploads,", "then", "cancels", "2", "collected"],
            vec!["vanishes", "after", "the", "upload", "2", "collected"],
            vec!["never", "uploads", "2", "collected"],
        ]
    );
    assert!(!site.data().exists(), "it leaves nothing of its own");
}

#[tokio::test]
async fn demo_plays_with_a_running_server() {
    let mut settings = SHORT;
    settings[7] = "1s";
    let site = Site::new(&settings);
    let serving = site.serve_anywhere();
    let said = succeeds(&site.run(&["demo", "--clients", "4", "--url", &serving.url("")]));
    assert!(said.contains("What is left:"), "{said}");
    let events = Api::of(&serving).get("/v1/events").await;
    assert_eq!(events.matches("\"type\":\"Confirmed\",\"version\"").count(), 1, "{events}");
}
