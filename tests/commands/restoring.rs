//! `restore` on the data of a server that is stopped, and beside one that runs.

use serde_json::Value;

use crate::{
    process::Site,
    tool::{Api, SHORT, complaint, fails, id, succeeds},
};

#[tokio::test]
async fn restore_brings_an_item_back_from_the_trash() {
    let site = Site::new(&[&SHORT[..], &["--trash", "7d"]].concat());
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let vanished = api.uploaded(b"vanished").await;
    let refused = fails(&site.run(&["restore", id(&vanished), "--attached-to", "post-1", "--listen", &serving.api]), 1);
    let call = format!(
        "curl -X POST -H 'Content-Type: application/json' -d '{{\"attached_to\":\"post-1\"}}' http://{}/v1/media/{}/restore",
        serving.api,
        id(&vanished)
    );
    assert!(refused.contains(&call), "{refused}");
    api.due(1).await;
    serving.signal("-TERM");
    assert!(serving.wait().success());

    let run = |arguments: &[&str]| site.run(&[arguments, &["--embedded-s3-listen", "127.0.0.1:0"]].concat());
    let error = fails(&run(&["restore", id(&vanished)]), 1);
    assert!(complaint(&error).contains("not in the trash"), "{error}");
    let report: Value = serde_json::from_str(&succeeds(&run(&["collect"]))).expect("a report");
    assert_eq!(report["trashed"], 1, "{report}");
    let shown: Value = serde_json::from_str(&succeeds(&run(&["restore", id(&vanished)]))).expect("one item");
    assert_eq!((&shown["state"], &shown["id"]), (&"confirmed".into(), &vanished["id"]));
    assert_ne!(shown["object_key"], vanished["object_key"]);
    let history = succeeds(&site.run(&["replay", "--json", "--media", id(&vanished)]));
    assert_eq!(history.matches(r#""caller":"zeroload restore""#).count(), 2, "{history}");
    let bad = fails(&run(&["restore", "7"]), 2);
    assert!(bad.contains("a UUID such as"), "{bad}");
}
