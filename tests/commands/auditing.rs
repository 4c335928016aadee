//! `replay` and `verify` beside a running server.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    process::Site,
    tool::{Api, fails, id, succeeds},
};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn replay_prints_the_history_in_every_cut() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let first = api.confirmed(b"first").await;
    let second = api.ticket(b"second").await;
    api.call(Method::DELETE, &format!("/v1/media/{}", id(&second)), None).await;
    let replay = |arguments: &[&str]| succeeds(&site.run(&[&["replay"], arguments].concat()));

    let all = replay(&["--json"]);
    assert_eq!(all, api.get("/v1/events").await, "events and nothing else");
    let events = lines(&all);
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(types, ["MediaRequested", "Uploaded", "Confirmed", "MediaRequested", "Released"]);

    let cut =
        |after: usize, until: usize| -> String { all.split_inclusive('\n').skip(after).take(until - after).collect() };
    assert_eq!(replay(&["--json", "--after", "2"]), cut(2, 5));
    assert_eq!(replay(&["--json", "--until", "3"]), cut(0, 3));
    assert_eq!(replay(&["--json", "--after", "1", "--until", "4"]), cut(1, 4));
    assert_eq!(replay(&["--json", "--after", "5"]), "");
    assert_eq!(replay(&["--json", "--media", id(&first)]), cut(0, 3));
    assert_eq!(replay(&["--json", "--media", id(&second), "--until", "4"]), cut(3, 4));
    let fourth = events[3]["recorded_at"].as_str().expect("a time");
    let until_fourth = replay(&["--json", "--until", fourth]);
    assert!(until_fourth.starts_with(&cut(0, 4)), "a time includes what was recorded at it: {until_fourth}");
    assert_eq!(replay(&["--json", "--until", "2001-02-03T04:05:06Z"]), "");

    let readable = replay(&[]);
    assert_eq!(readable.lines().count(), 5);
    for (line, event) in readable.lines().zip(&events) {
        for member in ["recorded_at", "media_id", "type"] {
            assert!(line.contains(event[member].as_str().expect("text")), "{line}");
        }
    }
}

#[tokio::test]
async fn replay_shows_what_was_true_at_a_moment() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    let first = api.confirmed(b"first").await;
    let second = api.ticket(b"second").await;
    let states = |arguments: &[&str]| -> Vec<Value> {
        lines(&succeeds(&site.run(&[&["replay", "--state"], arguments].concat())))
    };
    let now: Value = serde_json::from_str(&api.get(&format!("/v1/media/{}", id(&first))).await).expect("JSON");
    assert_eq!(states(&["--media", id(&first)]), [now]);
    let seen = |arguments: &[&str]| -> Vec<(Value, Value)> {
        states(arguments).into_iter().map(|media| (media["id"].clone(), media["state"].clone())).collect()
    };
    let (first, second) = (json!(id(&first)), json!(id(&second)));
    assert_eq!(seen(&["--until", "1"]), [(first.clone(), json!("pending"))]);
    assert_eq!(seen(&["--until", "2"]), [(first.clone(), json!("uploaded"))]);
    assert_eq!(seen(&[]), [(first, json!("confirmed")), (second, json!("pending"))]);
}

#[test]
fn replay_refuses_what_makes_no_sense() {
    let site = Site::new(&[]);
    for (arguments, named) in [
        (["--until", "yesterday"], "--until"),
        (["--media", "42"], "--media"),
        (["--after", "-1"], "-1"),
        (["--state", "--json"], "--json"),
    ] {
        let error = fails(&site.run(&[&["replay"], arguments.as_slice()].concat()), 2);
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test]
async fn verify_prints_a_head_that_can_be_kept_elsewhere() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let api = Api::of(&serving);
    api.confirmed(b"first").await;
    let kept = succeeds(&site.run(&["verify"]));
    let kept = kept.trim_end();
    let head: Value = serde_json::from_str(&api.get("/v1/journal/verify").await).expect("JSON");
    assert_eq!(kept, format!("{}:{}", head["position"], head["hash"].as_str().expect("a hash")));

    api.ticket(b"second").await;
    let later = succeeds(&site.run(&["verify", "--expect", kept]));
    assert_ne!(later.trim_end(), kept);

    let (position, hash) = kept.split_once(':').expect("position and hash");
    let flipped = if hash.starts_with('0') { "1" } else { "0" };
    for wrong in
        [format!("{position}:{flipped}{}", &hash[1..]), format!("4:{hash}"), format!("2:{hash}"), format!("9:{hash}")]
    {
        let error = fails(&site.run(&["verify", "--expect", &wrong]), 1);
        assert!(error.contains("not the expected one"), "{wrong}: {error}");
    }
    for malformed in ["3", "3:", "3:xyz", ":"] {
        let error = fails(&site.run(&["verify", "--expect", malformed]), 2);
        assert!(error.contains("--expect"), "{malformed}: {error}");
    }
}
