//! `projections rebuild` beside a running server.

use serde_json::Value;

use crate::{
    process::Site,
    tool::{Api, succeeds},
};

#[tokio::test]
async fn a_rebuild_goes_live_beside_a_running_server_which_then_feeds_it() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    api.confirmed(b"first").await;
    let pending = api.ticket(b"second").await;
    let before = api.get("/v1/projections/pending?min_position=4").await;

    assert_eq!(succeeds(&site.run(&["projections", "rebuild"])), "version 2 is live at position 4\n");
    assert_eq!(api.get("/v1/projections/pending").await, before);

    let third = api.ticket(b"third").await;
    let after: Value = serde_json::from_str(&api.get("/v1/projections/pending?min_position=5").await).expect("JSON");
    let ids: Vec<_> = after["items"].as_array().expect("items").iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&pending["id"], &third["id"]]);
    let status: Value = serde_json::from_str(&api.get("/v1/projections").await).expect("JSON");
    let (head, live) = (&status["head"], &status["projections"][0]);
    assert_eq!(
        (head, &live["version"], &live["status"], &live["position"]),
        (&5.into(), &2.into(), &"live".into(), &5.into())
    );
}

#[tokio::test]
async fn a_rebuild_makes_the_read_models_of_a_stopped_server_anew_after_their_file_was_lost() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    Api::of(&serving).confirmed(b"first").await;
    serving.signal("-TERM");
    assert!(serving.wait().success());
    std::fs::remove_file(site.data().join("journal-projections.db")).expect("removed");
    assert_eq!(succeeds(&site.run(&["projections", "rebuild"])), "version 2 is live at position 3\n");
}
