//! A Postgres that asks for TLS and a password: what is believed, what is refused, and that a password is nowhere repeated.

use std::process::{Command, Output};

use reqwest::{Method, StatusCode, header::HeaderValue};
use serde_json::{Value, json};
use zeroload_test_postgres::Cluster;

use crate::{
    process::Site,
    tool::{Api, SHORT, complaint, fails, id, stderr, stdout, succeeds},
};

const PASSWORD: &str = "Tr0ub4dor/3@ü";
const IN_A_URL: &str = "Tr0ub4dor%2F3%40%C3%BC";

/// A certificate authority, a certificate of it for `localhost`, and another authority.
const CERTIFICATES: [&str; 4] = [
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -keyout ca.key -out ca.pem",
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=theirs -keyout other.key -out other.pem",
    "openssl req -newkey rsa:2048 -nodes -subj /CN=server -addext subjectAltName=DNS:localhost -keyout server.key \
     -out server.csr",
    "openssl x509 -req -in server.csr -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy \
     -out server.pem",
];

/// A server that lets the role `app` in by TLS and SCRAM alone, whose settings endanger what it acknowledges.
fn strict_server() -> Cluster {
    let mut cluster = Cluster::start(&["fsync=off"]);
    for command in CERTIFICATES {
        cluster.keeper().run(command);
    }
    cluster.ask(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"));
    cluster.ask("CREATE DATABASE app OWNER app");
    let rules = "hostssl all app 127.0.0.1/32 scram-sha-256\\nhost all postgres 127.0.0.1/32 trust\\n";
    cluster.keeper().run(&format!("printf '{rules}' > data/pg_hba.conf"));
    for (setting, file) in [("ssl_ca_file", "ca.pem"), ("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")]
    {
        cluster.set(&format!("{setting}={}", cluster.keeper().folder().join(file).display()));
    }
    cluster.set("ssl=on");
    cluster.stop();
    cluster.start_again();
    cluster
}

fn url(cluster: &Cluster, host: &str, user: &str, parameters: &str) -> String {
    let port = cluster.address().rsplit(':').next().expect("a port").to_owned();
    let folder = cluster.keeper().folder().display();
    format!("postgres://{user}@{host}:{port}/app?{}", parameters.replace("ca=", &format!("sslrootcert={folder}/")))
}

/// In an environment without passwords.
fn command(site: &Site, arguments: &[&str], url: &str) -> Command {
    let mut command = site.command(arguments);
    for variable in ["PGPASSWORD", "PGPASSFILE", "PGSSLROOTCERT", "PGSSLMODE", "PGHOST", "PGUSER"] {
        command.env_remove(variable);
    }
    command.env("HOME", site.path()).env("ZEROLOAD_LOG", "trace").args(["--database-url", url]);
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it runs");
    for text in [stdout(&output), stderr(&output)] {
        assert!(!text.contains(PASSWORD) && !text.contains(IN_A_URL), "the password is shown: {text}");
    }
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_postgres_is_believed_by_its_certificate_and_a_password_is_never_shown() {
    let cluster = strict_server();
    let site = Site::new(&SHORT);
    let with_password = format!("app:{IN_A_URL}");
    let migrate = |host: &str, parameters: &str| {
        run(&mut command(&site, &["migrate"], &url(&cluster, host, &with_password, parameters)))
    };
    for (host, parameters) in [
        ("localhost", "sslmode=verify-full&ca=ca.pem"),
        ("localhost", "sslmode=verify-ca&ca=ca.pem"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", ""),
    ] {
        succeeds(&migrate(host, parameters));
    }
    for (host, parameters, why) in [
        ("localhost", "sslmode=verify-full&ca=other.pem", "UnknownIssuer"),
        ("localhost", "sslmode=verify-full", "UnknownIssuer"),
        ("127.0.0.1", "sslmode=verify-ca&ca=other.pem", "UnknownIssuer"),
        ("127.0.0.1", "sslmode=verify-full&ca=ca.pem", "not valid for name \"127.0.0.1\""),
        ("localhost", "sslmode=disable", "no encryption"),
    ] {
        let error = fails(&migrate(host, parameters), 1);
        let complaint = complaint(&error);
        assert!(complaint.contains(why) && complaint.contains(host), "{parameters}: {complaint}");
        println!("{complaint}");
    }

    let missing = complaint(&fails(&migrate("localhost", "sslmode=verify-full&ca=none.pem"), 1)).to_owned();
    assert!(
        missing.starts_with("setting database_url: parameter sslrootcert") && missing.contains("none.pem"),
        "{missing}"
    );

    // Each other way to give it.
    let place = url(&cluster, "localhost", "app", "sslmode=verify-full&ca=ca.pem");
    let none = fails(&run(&mut command(&site, &["migrate"], &place)), 1);
    println!("{}", complaint(&none));
    let wrong = run(command(&site, &["migrate"], &place).env("ZEROLOAD_DATABASE_PASSWORD", "Tr0ub4dor"));
    assert!(complaint(&fails(&wrong, 1)).contains("password authentication failed for user \"app\""));
    succeeds(&run(command(&site, &["migrate"], &place).env("ZEROLOAD_DATABASE_PASSWORD", PASSWORD)));
    succeeds(&run(command(&site, &["migrate"], &place).env("PGPASSWORD", PASSWORD)));
    let file = site.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    succeeds(&run(command(&site, &["migrate"], &place).arg("--database-password-file").arg(&file)));
    let file = site.path().join(".pgpass");
    std::fs::write(&file, format!("localhost:*:app:app:{PASSWORD}\n")).expect("written");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode is set");
    succeeds(&run(&mut command(&site, &["migrate"], &place)));

    serves_without_a_word(
        &site,
        &cluster,
        &url(&cluster, "localhost", &with_password, "sslmode=verify-full&ca=ca.pem"),
    )
    .await;
}

/// A whole life, with the server gone in the middle of it.
async fn serves_without_a_word(site: &Site, cluster: &Cluster, url: &str) {
    let mut command = command(site, &["serve"], url);
    let serving = site.serve_by(command.args(["--listen", "127.0.0.1:0", "--embedded-s3-listen", "127.0.0.1:0"]));
    let serving = serving.unwrap_or_else(|refused| panic!("{refused:?}"));
    let api = Api::of(&serving);
    api.confirmed(b"bytes").await;
    takes_or_refuses_every_text(&api).await;
    let mut shown = vec![api.get("/readyz").await, api.get("/metrics").await];
    assert!(site.log().contains("fsync"), "a server that may forget what it has acknowledged is warned of");
    cluster.stop();
    let wish = json!({ "owner": "ann", "content_type": "image/png", "content_length": 1 });
    for (method, path, body) in [
        (Method::POST, "/v1/media", Some(wish)),
        (Method::GET, "/v1/projections/pending", None),
        (Method::GET, "/v1/events", None),
        (Method::GET, "/readyz", None),
    ] {
        let (status, text) = api.call(method, path, body).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {text}");
        shown.push(text);
    }
    shown.extend(serving.lines.iter().cloned());
    drop(serving);
    shown.push(site.log());
    for text in shown {
        assert!(!text.contains(PASSWORD) && !text.contains(IN_A_URL), "the password is shown: {text}");
    }
}

/// No text of a client reaches a statement that the server refuses, which would fail whoever shares its batch, nor a row that
/// cannot be written, at which the read models would stop.
async fn takes_or_refuses_every_text(api: &Api<'_>) {
    let long = "é".repeat(127);
    let texts =
        ["\0", "a\0b", "\u{1}", "\u{7f}", "\u{85}", "\u{feff}", "\u{ffff}", "\u{10ffff}", "\\u0000", "'; --", &long];
    let mut taken = 0;
    let mut wishes = Vec::new();
    for text in texts {
        for field in ["owner", "content_type", "filename", "checksum_sha256"] {
            let mut wish = json!({ "owner": "ann", "content_type": "image/png", "content_length": 1 });
            wish[field] = text.into();
            wishes.push((wish, None));
        }
        for header in ["X-Request-Id", "Idempotency-Key"] {
            let wish = json!({ "owner": "ann", "content_type": "image/png", "content_length": 1 });
            // What no client can send as a header is left out.
            wishes.extend(HeaderValue::from_bytes(text.as_bytes()).ok().map(|value| (wish, Some((header, value)))));
        }
    }
    let mut position = 0;
    for (wish, header) in wishes {
        let mut call = api.client.post(api.serving.url("/v1/media")).json(&wish);
        if let Some((name, value)) = header.clone() {
            call = call.header(name, value);
        }
        let answer = call.send().await.expect("an answer");
        let (status, media) = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
        assert!(matches!(status, 201 | 400), "{wish} {header:?}: {status} {media}");
        position = position.max(media["position"].as_u64().unwrap_or_default());
        taken += usize::from(status == 201);
    }
    for text in texts {
        let media = api.confirmed(b"bytes").await;
        let path = format!("/v1/media/{}/confirm", id(&media));
        let (status, problem) = api.call(Method::POST, &path, Some(json!({ "attached_to": text }))).await;
        assert!(matches!(status.as_u16(), 200 | 400), "{text:?}: {status} {problem}");
    }
    assert!(taken > texts.len(), "only {taken} were taken");
    api.get(&format!("/v1/projections/pending?min_position={position}")).await;
    api.get("/v1/journal/verify").await;
}
