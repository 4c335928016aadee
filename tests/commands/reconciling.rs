//! `reconcile` on the data of a server that is stopped, and beside one that runs.

use serde_json::Value;
use sqlx::{ConnectOptions, Connection};

use crate::{
    process::Site,
    tool::{Api, complaint, fails, id, stdout, succeeds},
};

/// Its embedded S3 server needs a port, if only for its own use.
const RECONCILE: [&str; 3] = ["reconcile", "--embedded-s3-listen", "127.0.0.1:0"];

#[tokio::test]
async fn reconcile_prints_what_does_not_fit_and_ends_with_one_if_a_confirmed_item_has_not_its_object() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let (lost, _kept) = (api.confirmed(b"lost").await, api.confirmed(b"kept").await);
    let shown: Value = serde_json::from_str(&api.get(&format!("/v1/media/{}", id(&lost))).await).expect("JSON");
    let key = shown["object_key"].as_str().expect("a key");
    serving.signal("-TERM");
    assert!(serving.wait().success());
    let estimate = site.run(&[&RECONCILE[..], &["--estimate"]].concat());
    assert_eq!(succeeds(&estimate), "");
    let said = String::from_utf8_lossy(&estimate.stderr).into_owned();
    assert!(said.contains("about 2 objects: 1 LIST requests, 1 s") && said.contains("0.0000 USD"), "{said}");
    let report = succeeds(&site.run(&RECONCILE));
    assert!(report.starts_with("3 objects, ") && report.ends_with("0 missing, 0 differ\n"), "{report}");

    let index = sqlx::sqlite::SqliteConnectOptions::new().filename(site.data().join("s3/index.sqlite"));
    let mut connection = index.connect().await.expect("the index opens");
    sqlx::query("DELETE FROM objects WHERE key = ?1")
        .bind(key.as_bytes())
        .execute(&mut connection)
        .await
        .expect("deleted");
    connection.close().await.expect("closed");

    let output = site.run(&RECONCILE);
    fails(&output, 1);
    let report = stdout(&output);
    assert!(report.starts_with(&format!("missing     reported          {key}\n")), "{report}");
    assert!(
        last_line(&report)
            .ends_with("0 came back, 0 unknown, 0 orphaned (0 deleted), 0 unreadable, 1 missing, 0 differ"),
        "{report}"
    );

    let output = site.run(&[&RECONCILE[..], &["--json"]].concat());
    fails(&output, 1);
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON and nothing else")).collect();
    assert_eq!((lines.len(), &lines[0]["kind"], &lines[0]["object_key"]), (2, &"missing".into(), &key.into()));
    assert_eq!((&lines[1]["status"], &lines[1]["missing"]), (&"ended".into(), &1.into()));
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn reconcile_beside_a_running_serve_is_refused_with_the_call_that_does_it() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let url = format!("http://{}/v1/reconciliations", serving.api);
    let body = r#"-H 'Content-Type: application/json' -d '{"delete_unknown_older_than":"30days"}'"#;
    for (arguments, call) in [
        (vec!["reconcile", "--listen", &serving.api], format!("curl -X POST {url}")),
        (
            vec!["reconcile", "--delete-unknown", "--older-than", "30d", "--listen", &serving.api],
            format!("curl -X POST {body} {url}"),
        ),
    ] {
        let error = fails(&site.run(&arguments), 1);
        assert!(complaint(&error).contains(&call), "{error}");
    }
    let error = fails(&site.run(&["reconcile", "--delete-unknown", "--older-than", "1h"]), 2);
    assert!(error.contains("must be 24h to 36500d"), "{error}");
}
