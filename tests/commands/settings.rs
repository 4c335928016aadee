//! Settings: a bad one stops the start and is named; flags go before the environment, that before the file.

use std::process::Output;

use crate::{
    process::Site,
    tool::{complaint, fails},
};

#[test]
fn a_bad_setting_stops_the_start_and_is_named() {
    for (arguments, setting) in [
        (["--listen", "localhost"].as_slice(), "listen"),
        (&["--listen", "0.0.0.0:0"], "listen"),
        (&["--allow-insecure", "perhaps"], "allow_insecure"),
        (&["--database-url", "mysql://root:hunter2@db/x"], "database_url"),
        (&["--s3-bucket", "Not A Bucket"], "s3_bucket"),
        (&["--s3-bucket", "media", "--s3-endpoint", "ftp://host"], "s3_endpoint"),
        (&["--s3-endpoint", "http://127.0.0.1:1"], "s3_endpoint"),
        (&["--s3-bucket", "media", "--s3-access-key", "alone"], "s3_secret_key"),
        (&["--s3-prefix", "../up"], "s3_prefix"),
        (&["--adopt-bucket", "1"], "adopt_bucket"),
        (&["--embedded-s3-listen", "9000"], "embedded_s3_listen"),
        (&["--ticket-ttl", "0s"], "ticket_ttl"),
        (&["--ticket-ttl", "8d"], "ticket_ttl"),
        (&["--grace", "5m"], "grace"),
        (&["--max-pending", "soon"], "max_pending"),
        (&["--late-write-margin", "-1s"], "late_write_margin"),
        (&["--collect-every", "500ms"], "collect_every"),
        (&["--max-content-length", "6GiB"], "max_content_length"),
        (&["--delete-page", "1001"], "delete_page"),
        (&["--delete-page", "0"], "delete_page"),
        (&["--api-keys", "none.toml"], "api_keys"),
        (&["--config", "none.toml"], "config"),
    ] {
        let site = Site::new(&[]);
        let mut all = vec!["serve"];
        for default in [["--listen", "127.0.0.1:0"], ["--embedded-s3-listen", "127.0.0.1:0"]] {
            if !arguments.contains(&default[0]) {
                all.extend(default);
            }
        }
        let arguments: Vec<String> = arguments.chunks(2).map(|flag| flag.join("=")).collect();
        all.extend(arguments.iter().map(String::as_str));
        let error = fails(&site.run(&all), 1);
        assert!(complaint(&error).starts_with(&format!("setting {setting}: ")), "{arguments:?}: {error}");
        assert!(!error.contains("hunter2"), "a secret is never repeated");
        assert!(!site.data().exists(), "{arguments:?} has made a folder");
    }
}

/// Which of several bad values of one setting the complaint is about.
fn complains_of(output: &Output, value: &str) {
    let error = fails(output, 1);
    assert!(complaint(&error).contains(value), "{value}: {error}");
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let site = Site::new(&[]);
    std::fs::write(site.path().join("zeroload.toml"), "delete_page = 3001\n").expect("written");
    std::fs::write(site.path().join("other.toml"), "delete_page = \"3002\"\n").expect("written");
    let serve = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = site.command(&["serve"]);
        command.args(flags).envs(variables.iter().copied()).output().expect("it runs")
    };
    complains_of(&serve(&[], &[]), "3001");
    complains_of(&serve(&["--config", "other.toml"], &[]), "3002");
    complains_of(&serve(&[], &[("ZEROLOAD_CONFIG", "other.toml")]), "3002");
    complains_of(&serve(&[], &[("ZEROLOAD_DELETE_PAGE", "3003")]), "3003");
    complains_of(&serve(&["--delete-page", "3004"], &[("ZEROLOAD_DELETE_PAGE", "3003")]), "3004");
}

#[test]
fn a_file_sets_what_a_flag_can_set() {
    let site = Site::new(&[]);
    let file = "listen = \"127.0.0.1:0\"\nembedded_s3_listen = \"127.0.0.1:0\"\nticket_ttl = \"1m\"\nallow_insecure = false\n\
                delete_page = 10\n";
    std::fs::write(site.path().join("zeroload.toml"), file).expect("written");
    let serving = site.serve_with(&[]).unwrap_or_else(|refused| panic!("{refused:?}"));
    assert_ne!(serving.api, "127.0.0.1:8080");
}

#[test]
fn a_file_with_what_is_no_setting_is_refused() {
    let site = Site::new(&[]);
    for (file, named) in [
        ("ticket_tll = \"5m\"\n", "ticket_tll"),
        ("[server]\nlisten = \"127.0.0.1:0\"\n", "server"),
        ("listen = \n", "zeroload.toml"),
        ("ticket_ttl = [1, 2]\n", "ticket_ttl"),
    ] {
        std::fs::write(site.path().join("zeroload.toml"), file).expect("written");
        let error = fails(&site.run(&["serve"]), 1);
        assert!(complaint(&error).contains(named), "{error}");
    }
}

#[test]
fn a_flag_that_does_not_exist_is_refused() {
    let error = fails(&Site::new(&[]).run(&["serve", "--ticket-tll", "5m"]), 2);
    assert!(error.contains("--ticket-tll") && error.contains("--ticket-ttl"), "{error}");
}
