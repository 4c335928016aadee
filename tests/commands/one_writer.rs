//! One process writes: a second one is refused, and told how to ask the first.

use crate::{
    process::Site,
    tool::{Api, complaint, fails, succeeds},
};

#[tokio::test]
async fn a_second_serve_is_refused_and_says_who_serves() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let refused = site.serve(&serving.api, &serving.s3).err().expect("it is refused");
    assert_eq!(refused.status.code(), Some(1));
    let complaint = complaint(&refused.stderr);
    assert!(complaint.contains(&format!("another process ({}) writes to", serving.pid)), "{complaint}");
    assert!(complaint.contains(&format!("http://{}", serving.api)), "how to ask the running one: {complaint}");
    Api::of(&serving).get("/readyz").await;
}

#[tokio::test]
async fn collect_beside_a_running_serve_is_refused_with_the_call_that_does_it() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let url = format!("http://{}/v1/collections", serving.api);
    for (arguments, call) in [
        (vec!["collect", "--listen", &serving.api], format!("curl -X POST {url}")),
        (
            vec!["collect", "--dry-run", "--listen", &serving.api],
            format!("curl -X POST -H 'Content-Type: application/json' -d '{{\"dry_run\":true}}' {url}"),
        ),
    ] {
        let error = fails(&site.run(&arguments), 1);
        let complaint = complaint(&error);
        assert!(complaint.contains(&format!("another process ({}) writes to", serving.pid)), "{complaint}");
        assert!(complaint.contains(&call), "{complaint}");
        assert!(Api::of(&serving).get("/v1/events").await.is_empty(), "nothing was changed");
    }
}

#[tokio::test]
async fn readers_work_beside_a_running_serve() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    Api::of(&serving).ticket(b"bytes").await;
    assert_eq!(succeeds(&site.run(&["replay", "--json"])), Api::of(&serving).get("/v1/events").await);
    succeeds(&site.run(&["verify"]));
    succeeds(&site.run(&["projections", "rebuild"]));
}

#[test]
fn a_reader_of_a_folder_without_a_journal_says_so_and_makes_none() {
    let site = Site::new(&[]);
    for arguments in [["replay"].as_slice(), &["verify"], &["projections", "rebuild"]] {
        let error = fails(&site.run(arguments), 1);
        let complaint = complaint(&error);
        assert!(complaint.contains("journal.db") && complaint.contains("unable to open"), "{arguments:?}: {error}");
        assert!(!site.data().exists(), "{arguments:?}");
    }
}
