//! A journal whose files are removed, replaced or cut while a process has them open.

use std::{fs, path::PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, Executor, sqlite::SqliteConnectOptions};

use crate::{
    process::Site,
    tool::{Api, id, journal, succeeds},
};

fn beside(site: &Site, end: &str) -> PathBuf {
    let mut name = journal(site).into_os_string();
    name.push(end);
    name.into()
}

/// It takes nothing and says why, with a word that names the case.
async fn refuses(api: &Api<'_>, word: &str) {
    let wish = json!({ "owner": "ann", "content_type": "image/png", "content_length": 5 });
    let (status, problem) = api.call(Method::POST, "/v1/media", Some(wish)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{word}: {problem}");
    let (status, ready) = api.call(Method::GET, "/readyz", None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{word}: {ready}");
    assert!(ready.contains("journal.db") && ready.contains(word), "{ready}");
}

#[tokio::test]
async fn nothing_is_taken_into_a_journal_whose_file_has_gone_until_it_is_back() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let mut kept = vec![api.confirmed(b"bytes").await];
    let aside = site.path().join("aside");
    for end in ["", "-wal", "-shm"] {
        let file = beside(&site, end);
        fs::rename(&file, &aside).expect("moved");
        refuses(&api, "was removed").await;
        fs::copy(&aside, &file).expect("copied");
        refuses(&api, "was replaced").await;
        fs::rename(&aside, &file).expect("moved back");
        kept.push(api.confirmed(b"bytes").await);
    }
    serving.signal("-TERM");
    assert!(serving.wait().success());
    succeeds(&site.run(&["verify"]));
    let history = succeeds(&site.run(&["replay", "--json"]));
    for media in kept {
        assert!(history.contains(id(&media)), "what was acknowledged is there");
    }
}

#[tokio::test]
async fn nothing_is_taken_into_a_journal_that_was_cut() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    api.confirmed(b"bytes").await;
    let whole = fs::read(journal(&site)).expect("the journal");
    fs::OpenOptions::new().write(true).open(journal(&site)).expect("opened").set_len(4096).expect("cut");
    refuses(&api, "was cut").await;
    fs::write(journal(&site), whole).expect("written");
    api.confirmed(b"bytes").await;
}

#[tokio::test]
async fn a_vacuum_by_another_process_cuts_nothing() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let mut kept = vec![api.confirmed(b"bytes").await];
    let length = || fs::metadata(journal(&site)).expect("the journal").len();
    for round in 0..2 {
        let options =
            SqliteConnectOptions::new().filename(journal(&site)).busy_timeout(std::time::Duration::from_secs(30));
        let mut shell = options.connect().await.expect("the journal opens");
        shell.execute("CREATE TABLE much (bytes); INSERT INTO much VALUES (zeroblob(1000000))").await.expect("grown");
        shell.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("folded");
        kept.push(api.confirmed(b"bytes").await);
        let long = length();
        shell.execute("DROP TABLE much; VACUUM").await.expect("it is vacuumed");
        shell.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("folded");
        assert!(length() < long - 900_000, "{round}: {} of {long}", length());
        shell.close().await.expect("closed");
        kept.push(api.confirmed(b"bytes").await);
        api.get("/readyz").await;
    }
    let whole = fs::read(journal(&site)).expect("the journal");
    fs::OpenOptions::new().write(true).open(journal(&site)).expect("opened").set_len(4096).expect("cut");
    refuses(&api, "was cut").await;
    fs::write(journal(&site), whole).expect("written");
    serving.signal("-TERM");
    assert!(serving.wait().success());
    succeeds(&site.run(&["verify"]));
    let history = succeeds(&site.run(&["replay", "--json"]));
    assert!(kept.iter().all(|media| history.contains(id(media))), "what was acknowledged is there");
}
