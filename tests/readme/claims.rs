//! The tables of the pages against the program: none says more, less or something else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use clap::{Args, Command, FromArgMatches};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use zeroload::{
    http::openapi_document,
    settings::{RawSettings, Settings},
};

use crate::{
    document::{Page, page, pages, quoted, table},
    place::{Place, Serving},
};

/// A value that each setting with bounds refuses.
const BAD: [(&str, &str); 39] = [
    ("listen", "localhost"),
    ("allow_insecure", "perhaps"),
    ("allowed_hosts", "http://zeroload"),
    ("database_url", "mysql:x"),
    ("s3_bucket", "!"),
    ("s3_endpoint", "ftp://host"),
    ("s3_public_endpoint", "ftp://host"),
    ("s3_public_style", "domain"),
    ("s3_public_keeps_host", "perhaps"),
    ("s3_path_style", "perhaps"),
    ("s3_versioning", "perhaps"),
    ("s3_prefix", "/up"),
    ("adopt_bucket", "perhaps"),
    ("s3_timeout", "6m"),
    ("embedded_s3_listen", "9000"),
    ("embedded_s3_public_endpoint", "ftp://host"),
    ("ticket_ttl", "8d"),
    ("grace", "5m"),
    ("max_pending", "40000d"),
    ("late_write_margin", "40000d"),
    ("recheck_after", "soon"),
    ("collect_every", "500ms"),
    ("trash", "3651d"),
    ("max_content_length", "6GiB"),
    ("checksum_policy", "perhaps"),
    ("delete_page", "1001"),
    ("s3_requests_per_second", "0"),
    ("s3_parallel_requests", "1001"),
    ("reconcile_every", "1m"),
    ("reconcile_rate", "0"),
    ("reconcile_unknown_age", "1h"),
    ("brake_share", "0%"),
    ("brake_above", "many"),
    ("brake_window", "10s"),
    ("brake_silence", "0s"),
    ("review_url", "http://backend.example"),
    ("review_secret", "hunter2"),
    ("review_timeout", "10m"),
    ("review_allow_private", "perhaps"),
];

fn flag(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}

/// The rows of a table, none of which begins as another one does.
fn rows<const N: usize>(name: &str) -> Vec<[String; N]> {
    let rows = table(name).into_iter();
    let rows: Vec<[String; N]> =
        rows.map(|row| row.try_into().unwrap_or_else(|row| panic!("{row:?} has not {N} cells"))).collect();
    let firsts: BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(firsts.len(), rows.len(), "the table {name} lists something twice");
    rows
}

#[test]
fn every_setting_is_listed_with_its_default() {
    let listed: BTreeMap<String, String> =
        rows("settings").into_iter().map(|[name, default, _, _]| (name, default)).collect();
    let command = RawSettings::augment_args(Command::new("zeroload"));
    let mut known = BTreeMap::new();
    for argument in command.get_arguments().filter(|argument| argument.get_id() != "config") {
        let name = argument.get_id().to_string();
        let help = argument.get_help().expect("a help").to_string();
        let default = help.split_once("[default: ").and_then(|(_, rest)| rest.strip_suffix(']')).unwrap_or_default();
        assert_eq!(argument.get_long().map(|long| format!("--{long}")), Some(flag(&name)));
        let variable = argument.get_env().map(|variable| variable.to_string_lossy().into_owned());
        assert_eq!(variable, Some(format!("ZEROLOAD_{}", name.to_uppercase())));
        known.insert(name, default.to_owned());
    }
    assert_eq!(listed, known);
}

#[test]
fn every_bound_of_a_setting_is_the_one_that_is_checked() {
    let bounds: BTreeMap<String, String> =
        rows("settings").into_iter().map(|[name, _, bound, _]| (name, bound)).collect();
    let bounded: BTreeSet<&str> = bounds.iter().filter(|(_, b)| !b.is_empty()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(bounded, BAD.iter().map(|(setting, _)| *setting).collect());
    for (setting, bad) in BAD {
        let mut arguments = vec!["zeroload".to_owned(), format!("{}={bad}", flag(setting))];
        if ["s3_endpoint", "s3_path_style", "s3_public_endpoint", "s3_versioning"].contains(&setting) {
            arguments.push("--s3-bucket=media".to_owned());
        }
        let command = RawSettings::augment_args(Command::new("zeroload"));
        let raw = RawSettings::from_arg_matches(&command.get_matches_from(arguments)).expect("all are known");
        let refused = Settings::try_from(raw).expect_err("it is a bad value");
        assert_eq!(refused.setting, setting);
        let allowed = refused.problem.split_once("must be ").map(|(_, rest)| rest.split(';').next().unwrap_or(rest));
        assert_eq!(allowed, Some(bounds[setting].as_str()), "{refused}");
    }
}

#[test]
fn every_setting_stands_below_the_heading_that_help_shows() {
    let page = page("docs/settings.md");
    let mut heading = String::new();
    let mut listed = BTreeMap::new();
    for line in page.prose() {
        if let Some(name) = line.strip_prefix("## ") {
            name.clone_into(&mut heading);
        } else if let Some((setting, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |")) {
            listed.insert(setting.to_owned(), heading.clone());
        }
    }
    let command = RawSettings::augment_args(Command::new("zeroload"));
    let shown = command.get_arguments().filter_map(|argument| {
        let heading = argument.get_help_heading()?;
        Some((argument.get_id().to_string(), heading.to_owned()))
    });
    assert_eq!(listed, shown.collect());
}

#[test]
fn every_failure_that_lasts_is_listed() {
    let listed: Vec<String> = rows("lasting").into_iter().map(|[code, _]: [String; 2]| code).collect();
    assert_eq!(listed, zeroload::storage::remove::LASTING);
}

#[test]
fn how_often_a_ticket_is_renewed_is_told() {
    let times = zeroload_domain::policy::MAX_RENEWALS;
    let http = page("docs/http.md").text;
    for told in [format!("a new one, up to {times} times."), format!("its ticket was renewed {times} times |")] {
        assert!(http.contains(&told), "{told}");
    }
}

fn document() -> Value {
    serde_json::to_value(openapi_document()).expect("JSON")
}

/// Each described call with its answers.
fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations
            .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), &operation["responses"]))
    })
}

#[test]
fn every_shape_that_is_shown_has_the_members_that_are_described() {
    let document = document();
    let mut shown = 0;
    for block in pages().iter().flat_map(Page::blocks) {
        let Some(name) = block.name.strip_prefix("shape ") else { continue };
        shown += 1;
        let example: Value = serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let members = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(members(&example), members(&document["components"]["schemas"][name]["properties"]), "{name}");
    }
    assert!(shown > 2, "only {shown} were found");
}

#[test]
fn every_call_is_listed_with_the_status_of_its_success() {
    let listed: BTreeSet<(String, String)> =
        rows("http").into_iter().map(|[call, _, status, _]| (call, status)).collect();
    let document = document();
    let described: BTreeSet<(String, String)> = operations(&document)
        .map(|(call, answers)| {
            let successes = answers.as_object().expect("answers").keys().filter(|status| status.starts_with('2'));
            (call, successes.cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(listed, described);
}

#[test]
fn every_code_of_an_error_is_listed_with_its_status() {
    let listed: BTreeSet<(String, String)> =
        rows("errors").into_iter().map(|[code, status, _]| (code, status)).collect();
    let document = document();
    let mut described = BTreeSet::from([("method-not-allowed".to_owned(), "405".to_owned())]);
    for (_, answers) in operations(&document) {
        let refusals =
            answers.as_object().expect("answers").iter().filter(|(status, _)| status.starts_with(['4', '5']));
        for (status, answer) in refusals {
            let words = quoted(answer["description"].as_str().expect("a description"));
            // The one other word that is quoted: a member of the problem.
            let codes = words.into_iter().filter(|word| !word.contains(['[', '_']) && *word != "field");
            described.extend(codes.map(|code| (code.to_owned(), status.clone())));
        }
    }
    assert_eq!(listed, described);
}

fn secret(role: &str) -> String {
    format!("secret-of-{role}")
}

const ROLES: [&str; 5] = ["backend", "auditor", "analyst", "notifier", "operator"];

/// A server with a key of each role.
fn keyed(place: &Place) -> Serving {
    let keys = ROLES.map(|role| {
        let digest: String = Sha256::digest(secret(role)).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[key]]\ntenant = \"acme\"\nname = \"{role}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n")
    });
    std::fs::write(place.work().join("keys.toml"), keys.concat()).expect("written");
    place.serve("cargo run -- --api-keys keys.toml")
}

#[tokio::test]
async fn each_call_is_for_the_roles_that_are_listed() {
    let place = Place::new();
    let serving = keyed(&place);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for [call, _, _, roles] in rows("http") {
        let (method, path) = call.split_once(' ').expect("method and path");
        let method: Method = method.parse().expect("a method");
        let path = path.replace("{id}", "019a0d2e-7b1c-7000-8000-0123456789ab");
        let roles: Vec<&str> = roles.split(", ").collect();
        let status = async |role: Option<&str>| {
            let mut request = client.request(method.clone(), format!("http://{}{path}", serving.api));
            if let Some(role) = role {
                request = request.bearer_auth(secret(role));
            }
            request.send().await.expect("an answer").status().as_u16()
        };
        assert_eq!(status(None).await != 401, roles == ["anyone"], "{call} without a key");
        for role in ROLES {
            let may = role == "operator" || roles == ["anyone"] || roles.contains(&role);
            assert_eq!(status(Some(role)).await != 403, may, "{call} by {role}");
        }
    }
}

#[tokio::test]
async fn every_check_of_readiness_and_every_metric_is_listed() {
    let place = Place::new();
    let serving = place.serve("cargo run");
    let checks = loop {
        let ready: Value = serde_json::from_str(&serving.get("/readyz").await).expect("JSON");
        let checks = ready["checks"].as_array().expect("checks").iter();
        let checks: BTreeSet<String> = checks.map(|check| check["name"].as_str().expect("a name").to_owned()).collect();
        // One of those that the probe adds, all at once, when it has ended.
        if checks.contains("s3-bucket") {
            break checks;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(rows("checks").into_iter().map(|[name, _, _]| name).collect::<BTreeSet<_>>(), checks);

    let metrics = serving.get("/metrics").await;
    // By their types, since a family without a label so far has no sample.
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let samples = types.map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    let samples: BTreeSet<String> = samples.collect();
    assert_eq!(rows("metrics").into_iter().map(|[name, _]| name).collect::<BTreeSet<_>>(), samples);
    for page in pages() {
        for named in page.quoted().into_iter().filter(|word| word.starts_with("zeroload_")) {
            assert!(samples.contains(named), "{}: {named}", page.path);
        }
    }
}

#[tokio::test]
async fn every_table_for_analysts_has_the_columns_that_are_listed() {
    let place = Place::new();
    place.serve("cargo run").stop();
    let file = place.work().join("zeroload-data/journal-projections.db");
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.expect("the read models open");
    let mut items = String::new();
    for [name, _, columns] in rows("views") {
        let found: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1) ORDER BY cid")
            .bind(&name)
            .fetch_all(&mut connection)
            .await
            .expect("its columns");
        let found = found.join(", ");
        if name == "media" {
            items = found.clone();
        }
        let listed = if columns == "as media" { &items } else { &columns };
        assert_eq!(*listed, found, "{name}");
    }
    connection.close().await.expect("closed");
}
