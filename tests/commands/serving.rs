//! `serve`: what it prints, how it starts, rereads and ends.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    process::Site,
    tool::{Api, complaint, fails, succeeds},
};

#[tokio::test]
async fn serve_says_where_everything_is_and_it_is_there() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let (api, s3, data) = (&serving.api, &serving.s3, site.data());
    assert_eq!(
        serving.lines,
        [
            format!("API   http://{api}/v1"),
            format!("Docs  http://{api}/openapi.json"),
            format!("S3    http://{s3} (embedded, bucket media)"),
            format!("Data  {}", data.display()),
        ]
    );
    let ready: Value = serde_json::from_str(&Api::of(&serving).get("/readyz").await).expect("JSON");
    assert_eq!(ready["ready"], true, "{ready}");
    let document: Value = serde_json::from_str(&Api::of(&serving).get("/openapi.json").await).expect("JSON");
    assert!(document["paths"]["/v1/media"].is_object());
    let unsigned = reqwest::get(format!("http://{s3}/media")).await.expect("an answer").status();
    assert_eq!(unsigned, StatusCode::FORBIDDEN, "the bucket is there, and asks for a signature");
}

#[test]
fn sigterm_and_sigint_end_it_well() {
    let site = Site::new(&[]);
    for signal in ["-TERM", "-INT"] {
        let serving = site.serve_anywhere();
        serving.signal(signal);
        assert_eq!(serving.wait().code(), Some(0), "{signal}: {}", site.log());
    }
}

#[test]
fn what_is_no_http_makes_no_noise_in_the_log() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    let before = site.log().lines().count();
    for sent in ["hello\r\n\r\n", "GET /livez HTTP/1.1\r\nbad header\r\n\r\n", "GET /livez HTTP/9.9\r\n\r\n"] {
        let mut connection = TcpStream::connect(&serving.api).expect("a connection");
        connection.write_all(sent.as_bytes()).expect("sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer and an end");
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("urn:zeroload:problem:invalid"), "{answer}");
    }
    serving.signal("-TERM");
    serving.wait();
    let log = site.log();
    let noise: Vec<&str> = log.lines().skip(before).filter(|line| !line.contains("\"INFO\"")).collect();
    assert!(noise.is_empty(), "{noise:?}");
}

#[test]
fn help_names_every_subcommand() {
    let help = succeeds(&Site::new(&[]).run(&["--help"]));
    for command in ["serve", "collect", "replay", "verify", "projections", "demo"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {help}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (api, s3, what) in [
        (address.as_str(), "127.0.0.1:0", "the HTTP interface"),
        ("127.0.0.1:0", address.as_str(), "the embedded S3 server"),
    ] {
        let site = Site::new(&[]);
        let refused = site.serve(api, s3).err().expect("it is refused");
        assert_eq!(refused.status.code(), Some(1));
        let complaint = complaint(&refused.stderr);
        assert!(complaint.contains(&format!("{what} cannot listen on {address}")), "{complaint}");
        drop(site.serve_anywhere());
    }
}

#[tokio::test]
async fn sighup_rereads_the_api_keys_and_keeps_them_if_the_file_is_bad() {
    let site = Site::new(&["--api-keys", "keys.toml"]);
    let file = site.path().join("keys.toml");
    std::fs::write(&file, key("the-one")).expect("written");
    let serving = site.serve_anywhere();
    let status = async |presented: &str| {
        let client = Api::of(&serving).client;
        client.get(serving.url("/v1/events")).bearer_auth(presented).send().await.expect("an answer").status()
    };
    assert_eq!((status("the-one").await, status("the-other").await), (StatusCode::OK, StatusCode::UNAUTHORIZED));

    std::fs::write(&file, key("the-other")).expect("written");
    serving.signal("-HUP");
    while !site.log().contains("API keys reread") {
        tokio::task::yield_now().await;
    }
    assert_eq!((status("the-one").await, status("the-other").await), (StatusCode::UNAUTHORIZED, StatusCode::OK));

    std::fs::write(&file, "[[key]]\n").expect("written");
    serving.signal("-HUP");
    while !site.log().contains("API keys not reread") {
        tokio::task::yield_now().await;
    }
    assert_eq!(status("the-other").await, StatusCode::OK);
    assert!(!site.log().contains("the-other"), "a key is never logged");
}

fn key(secret: &str) -> String {
    let sha256: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[key]]\ntenant = \"acme\"\nname = \"audit\"\nrole = \"auditor\"\nsha256 = \"{sha256}\"\n")
}

#[tokio::test]
async fn a_journal_with_an_event_of_an_unknown_version_is_not_served() {
    let site = Site::new(&[]);
    let serving = site.serve_anywhere();
    Api::of(&serving).ticket(b"bytes").await;
    serving.signal("-TERM");
    assert!(serving.wait().success());
    let database = crate::tool::journal(&site);
    let newer = "UPDATE events SET event_version = '2.0' WHERE position = 1";
    crate::tool::tamper(&database, "events_refuse_update", newer).await;
    crate::tool::list_version(&database, "MediaRequested", "2.0").await;
    for arguments in [["serve", "--listen=127.0.0.1:0", "--embedded-s3-listen=127.0.0.1:0"].as_slice(), &["collect"]] {
        let error = fails(&site.run(arguments), 1);
        assert!(complaint(&error).contains("MediaRequested 2.0"), "{arguments:?}: {error}");
    }
}
