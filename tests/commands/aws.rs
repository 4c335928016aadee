//! What the variables and profiles of AWS's own tools do, in a process that has them.

use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    process::{Serving, Site},
    tool::{Api, complaint, fails},
};

/// `serve` with a bucket of its own, whose credentials a profile has.
fn command(site: &Site, profile: &str, flags: &[String]) -> Command {
    let file = site.path().join("aws-config");
    std::fs::write(&file, profile).expect("written");
    let mut command = site.command(&["serve", "--listen", "127.0.0.1:0", "--s3-bucket", "media"]);
    command.args(flags).env("AWS_CONFIG_FILE", file).env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn refused(profile: &str, flags: &[&str]) -> String {
    let site = Site::new(&[]);
    let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    let error = fails(&command(&site, profile, &flags).output().expect("it runs"), 1);
    complaint(&error).to_owned()
}

async fn credentials_check(serving: &Serving) -> (StatusCode, Value) {
    let (status, ready) = Api::of(serving).call(Method::GET, "/readyz", None).await;
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    let checks = ready["checks"].as_array().expect("checks");
    (status, checks.iter().find(|check| check["name"] == "s3-credentials").expect("the check").clone())
}

const LOCAL: [&str; 2] = ["--s3-endpoint", "http://127.0.0.1:1"];

#[test]
fn what_cannot_work_is_named_at_the_start() {
    let sso = "[default]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n\
               [sso-session s]\nsso_region = eu-central-1\nsso_start_url = https://sso.example\n";
    let said = refused(sso, &LOCAL);
    assert!(said.contains("SSO (IAM Identity Center)") && said.contains("credential_process"), "{said}");

    let said = refused("", &LOCAL);
    assert!(said.contains("no credentials were given") && said.contains("s3_access_key"), "{said}");

    let keys = "[default]\nregion = eu-central-1\naws_access_key_id = A\naws_secret_access_key = S\n";
    for section in [
        "endpoint_url = http://127.0.0.1:1\n",
        "services = s\n[services s]\ns3 =\n  endpoint_url = http://127.0.0.1:1\n",
    ] {
        let said = refused(&format!("{keys}{section}"), &[]);
        assert!(said.contains("endpoint_url") && said.contains("s3_endpoint"), "{said}");
    }

    let said = refused(&keys.replace("eu-central-1", "aws-global"), &[]);
    assert!(said.contains("aws-global") && said.contains("names no region"), "{said}");
}

#[test]
fn variables_of_aws_are_named_as_they_are_set() {
    let site = Site::new(&[]);
    for (name, value) in
        [("AWS_ENDPOINT_URL_S3", "minio:9000"), ("AWS_USE_FIPS_ENDPOINT", "1"), ("AWS_REGION", "aws-global")]
    {
        let mut command = site.command(&["serve", "--s3-bucket", "media"]);
        let error = fails(&command.env(name, value).output().expect("it runs"), 1);
        assert!(complaint(&error).starts_with(&format!("setting {name}: ")), "{error}");
        assert!(!site.data().exists());
    }
}

#[tokio::test]
async fn a_source_that_is_down_at_the_start_does_not_end_the_process() {
    let site = Site::new(&[]);
    let there = site.path().join("there");
    let profile = format!("[default]\ncredential_process = test -e {0} && cat {0}\n", there.display());
    let flags: Vec<String> = LOCAL.iter().map(|&flag| flag.to_owned()).collect();
    let serving = site.serve_by(&mut command(&site, &profile, &flags)).unwrap_or_else(|refused| panic!("{refused:?}"));
    let (status, check) = credentials_check(&serving).await;
    assert_eq!((status, &check["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("failed")), "{check}");
    assert!(check["detail"].as_str().expect("text").contains("their source failed"), "{check}");
}

#[expect(clippy::disallowed_methods, reason = "a real process compares the end of credentials with its own clock")]
#[tokio::test]
async fn temporary_credentials_shorten_tickets_and_the_answer_the_log_and_readiness_say_so() {
    let host = Site::new(&[]);
    let server = host.serve_anywhere();
    let keys = std::fs::read_to_string(host.data().join("s3/credentials.json")).expect("credentials");
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    let ends = Utc::now() + TimeDelta::seconds(200);
    let process = json!({
        "Version": 1,
        "AccessKeyId": keys["access_key"],
        "SecretAccessKey": keys["secret_key"],
        "Expiration": ends.to_rfc3339(),
    });
    let site = Site::new(&["--ticket-ttl", "5m"]);
    let file = site.path().join("keys.json");
    std::fs::write(&file, process.to_string()).expect("written");
    let profile = format!("[default]\ncredential_process = cat {}\n", file.display());
    let flags = ["--s3-endpoint".to_owned(), format!("http://{}", server.s3), "--s3-prefix".to_owned(), "b".to_owned()];
    let serving = site.serve_by(&mut command(&site, &profile, &flags)).unwrap_or_else(|refused| panic!("{refused:?}"));

    let api = Api::of(&serving);
    let media = api.uploaded(b"some bytes").await;
    let upload = &media["upload"];
    let expires_at: DateTime<Utc> = upload["expires_at"].as_str().expect("a time").parse().expect("a time");
    assert_eq!(upload["shortened"], true, "{media}");
    assert_eq!(expires_at.timestamp(), ends.timestamp());
    let (status, check) = credentials_check(&serving).await;
    assert_eq!((status, &check["status"]), (StatusCode::OK, &json!("degraded")), "{check}");
    assert!(check["detail"].as_str().expect("text").starts_with("tickets end before ticket_ttl is over"), "{check}");
    api.ticket(b"others").await;
    assert_eq!(site.log().matches("tickets end before ticket_ttl is over").count(), 1, "{}", site.log());

    let media = Api::of(&server).ticket(b"some bytes").await;
    assert_eq!(media["upload"]["shortened"], false);
}
