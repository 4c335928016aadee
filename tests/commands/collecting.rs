//! `collect` on the data of a server that is stopped.

use serde_json::Value;

use crate::{
    process::Site,
    tool::{Api, SHORT, complaint, fails, id, stdout, succeeds},
};

#[tokio::test]
async fn collect_does_what_its_dry_run_has_said() {
    let site = Site::new(&SHORT);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let kept = api.confirmed(b"kept").await;
    let (vanished, unused) = (api.uploaded(b"vanished").await, api.ticket(b"unused").await);
    api.due(2).await;
    let history = api.get("/v1/events").await;
    serving.signal("-TERM");
    assert!(serving.wait().success());

    // Its embedded S3 server needs a port too, if only for its own use.
    let collect = |arguments: &[&str]| -> Value {
        let output = succeeds(&site.run(&[&["collect", "--embedded-s3-listen", "127.0.0.1:0"], arguments].concat()));
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("one report and nothing else: {error}: {output}"))
    };
    let said = collect(&["--dry-run"]);
    assert_eq!((&said["dry_run"], &said["due"], &said["collected"]), (&true.into(), &2.into(), &0.into()), "{said}");
    assert_eq!(ids(&said), ids_of(&[&vanished, &unused]));
    assert!(
        said["items"]
            .as_array()
            .expect("items")
            .iter()
            .all(|item| item["outcome"] == "would_collect" && item["reason"] == "expired"),
        "{said}"
    );
    assert_eq!(succeeds(&site.run(&["replay", "--json"])), history, "a dry run changes nothing");

    let done = collect(&[]);
    assert_eq!(
        (&done["due"], &done["collected"], &done["absent"], &done["bytes_freed"]),
        (&2.into(), &1.into(), &1.into(), &8.into()),
        "{done}"
    );
    assert_eq!(ids(&done), ids(&said));
    assert_eq!(collect(&[])["due"], 0);

    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    for (media, state) in [(&kept, "confirmed"), (&vanished, "collected"), (&unused, "collected")] {
        let now: Value = serde_json::from_str(&api.get(&format!("/v1/media/{}", id(media))).await).expect("JSON");
        assert_eq!(now["state"], state);
    }
}

#[tokio::test]
async fn collect_stops_at_the_brake_and_goes_on_when_it_is_told_to() {
    let site = Site::new(&SHORT);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let unused = api.ticket(b"unused").await;
    api.due(1).await;
    serving.signal("-TERM");
    assert!(serving.wait().success());

    let collect = ["collect", "--embedded-s3-listen", "127.0.0.1:0", "--brake-above", "0"];
    let output = site.run(&collect);
    let error = fails(&output, 1);
    assert!(complaint(&error).starts_with("the collector is braked: 1 of 1 items"), "{error}");
    let report: Value = serde_json::from_str(&stdout(&output)).expect("a report");
    assert_eq!((&report["due"], report["braked"].is_string()), (&0.into(), true), "{report}");

    let report = succeeds(&site.run(&[&collect[..], &["--override-brake"]].concat()));
    let report: Value = serde_json::from_str(&report).expect("a report");
    assert_eq!((&report["absent"], report["braked"].is_string()), (&1.into(), true), "{report}");
    let history = succeeds(&site.run(&["replay", "--json", "--media", id(&unused)]));
    assert_eq!(history.matches(r#""caller":"zeroload collect""#).count(), 2, "{history}");
}

fn ids(report: &Value) -> Vec<String> {
    let mut ids: Vec<_> = report["items"].as_array().expect("items").iter().map(|item| id(item).to_owned()).collect();
    ids.sort();
    ids
}

fn ids_of(media: &[&Value]) -> Vec<String> {
    let mut ids: Vec<_> = media.iter().map(|media| id(media).to_owned()).collect();
    ids.sort();
    ids
}
