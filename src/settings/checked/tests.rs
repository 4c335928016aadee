use super::*;
use crate::storage::KeepsVersions;

fn refused(change: impl FnOnce(&mut RawSettings)) -> &'static str {
    let mut raw = RawSettings::default();
    change(&mut raw);
    match Settings::try_from(raw) {
        Ok(_) => "nothing",
        Err(error) => error.setting,
    }
}

fn set(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn no_settings_mean_everything_on_this_machine() {
    let settings = Settings::try_from(RawSettings::default()).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.embedded_s3_listen.to_string(), "127.0.0.1:9000");
    assert_eq!(settings.database.to_string(), "./zeroload-data/journal.db");
    assert!(settings.s3.is_none() && settings.api_keys.is_none());
    assert_eq!((settings.collect_every, settings.delete_page), (Duration::from_secs(60), 500));
    assert_eq!(settings.policy.max_content_length().bytes(), MAX_SINGLE_PUT);
    assert_eq!(settings.recheck_after, [Duration::from_secs(3600), Duration::from_secs(86_400)]);
}

#[test]
fn planned_times_of_re_checks_may_be_several_or_none() {
    let planned = |value: &str| {
        let raw = RawSettings { recheck_after: set(value), ..RawSettings::default() };
        Settings::try_from(raw).unwrap().recheck_after
    };
    assert_eq!(planned("1h 30m, 7d"), [Duration::from_secs(5400), Duration::from_secs(604_800)]);
    assert!(planned("").is_empty() && planned(" ").is_empty());
}

#[test]
fn a_bad_value_names_its_setting() {
    assert_eq!(refused(|raw| raw.listen = set("8080")), "listen");
    assert_eq!(refused(|raw| raw.embedded_s3_listen = set("nowhere")), "embedded_s3_listen");
    assert_eq!(refused(|raw| raw.ticket_ttl = set("0s")), "ticket_ttl");
    assert_eq!(refused(|raw| raw.ticket_ttl = set("8d")), "ticket_ttl");
    assert_eq!(refused(|raw| raw.grace = set("5m")), "grace");
    assert_eq!(refused(|raw| raw.grace = set("soon")), "grace");
    assert_eq!(refused(|raw| raw.late_write_margin = set("-1s")), "late_write_margin");
    for bad in ["0s", "1h,", ",", "1h,soon", "1h 24h,500ms", "40000d", "1s,2s,3s,4s,5s,6s,7s,8s,9s"] {
        assert_eq!(refused(|raw| raw.recheck_after = set(bad)), "recheck_after", "{bad:?}");
    }
    assert_eq!(refused(|raw| raw.collect_every = set("10ms")), "collect_every");
    assert_eq!(refused(|raw| raw.max_content_length = set("6GiB")), "max_content_length");
    assert_eq!(refused(|raw| raw.checksum_policy = set("maybe")), "checksum_policy");
    assert_eq!(refused(|raw| raw.s3_versioning = set("off")), "s3_versioning", "the embedded bucket keeps none");
    assert_eq!(refused(|raw| raw.delete_page = set("0")), "delete_page");
    assert_eq!(refused(|raw| raw.delete_page = set("1001")), "delete_page");
    assert_eq!(refused(|raw| raw.s3_requests_per_second = set("0")), "s3_requests_per_second");
    assert_eq!(refused(|raw| raw.s3_parallel_requests = set("1001")), "s3_parallel_requests");
    assert_eq!(refused(|raw| raw.review_url = set("http://backend.example/review")), "review_url");
    assert_eq!(refused(|raw| raw.review_url = set("https://10.0.0.1/review")), "review_url");
    assert_eq!(refused(|raw| raw.review_url = set("https://backend.example/review")), "review_secret");
    assert_eq!(refused(|raw| raw.review_secret = set("hunter2")), "review_secret");
    assert_eq!(refused(|raw| raw.review_secret = set("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")), "review_secret");
    assert_eq!(refused(|raw| raw.review_timeout = set("6m")), "review_timeout");
    assert_eq!(refused(|raw| raw.review_allow_private = set("perhaps")), "review_allow_private");
    assert_eq!(refused(|raw| raw.review_allow_private = set("true")), "review_allow_private");
    let reviewed = |url: &str, allow: &str| {
        refused(|raw| {
            raw.review_url = set(url);
            raw.review_secret = set("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
            raw.review_allow_private = set(allow);
        })
    };
    assert_eq!(reviewed("https://backend.example/review", "false"), "nothing");
    assert_eq!(reviewed("http://127.0.0.1:8000/review", "false"), "nothing");
    assert_eq!(reviewed("http://10.0.0.1/review", "false"), "review_url");
    assert_eq!(reviewed("http://10.0.0.1/review", "true"), "nothing");
    for share in ["0%", "101%", "50", "half", "-1%"] {
        assert_eq!(refused(|raw| raw.brake_share = set(share)), "brake_share");
    }
    assert_eq!(refused(|raw| raw.brake_above = set("-1")), "brake_above");
    assert_eq!(refused(|raw| raw.brake_window = set("59s")), "brake_window");
    assert_eq!(refused(|raw| raw.brake_silence = set("0s")), "brake_silence");
    assert_eq!(refused(|raw| raw.s3_prefix = set("../up")), "s3_prefix");
    assert_eq!(refused(|raw| raw.database_url = set("mysql://x")), "database_url");
    assert_eq!(refused(|raw| raw.s3_endpoint = set("http://127.0.0.1:1")), "s3_endpoint");
    assert_eq!(refused(|raw| raw.api_keys = set("/nowhere/keys.toml")), "api_keys");
    assert_eq!(refused(|raw| raw.adopt_bucket = set("perhaps")), "adopt_bucket");
}

#[test]
fn an_address_for_others_needs_keys_or_an_explicit_word() {
    assert_eq!(refused(|raw| raw.listen = set("0.0.0.0:8080")), "listen");
    let spoken = |raw: &mut RawSettings| {
        raw.listen = set("0.0.0.0:8080");
        raw.allow_insecure = set("true");
    };
    assert_eq!(refused(spoken), "nothing");
}

#[test]
fn a_real_bucket_is_named_with_its_server() {
    let raw = RawSettings {
        s3_bucket: set("photos"),
        s3_endpoint: set("http://127.0.0.1:7480/"),
        s3_access_key: set("a"),
        s3_secret_key: set("s"),
        ..RawSettings::default()
    };
    let s3 = Settings::try_from(raw.clone()).unwrap().s3.unwrap();
    assert_eq!((s3.store.as_str(), s3.path_style), ("http://127.0.0.1:7480", true));
    assert_eq!(refused(|r| *r = RawSettings { s3_secret_key: None, ..raw.clone() }), "s3_secret_key");
    assert_eq!(refused(|r| *r = RawSettings { s3_versioning: set("no"), ..raw.clone() }), "s3_versioning");
    for (said, meant) in
        [("auto", KeepsVersions::AsAsked), ("off", KeepsVersions::Never), ("on", KeepsVersions::Always)]
    {
        let s3 = Settings::try_from(RawSettings { s3_versioning: set(said), ..raw.clone() }).unwrap().s3.unwrap();
        assert_eq!(s3.keeps_versions, meant);
    }
    assert_eq!(refused(|r| *r = RawSettings { s3_endpoint: set("ftp://x"), ..raw.clone() }), "s3_endpoint");
}

#[test]
fn the_file_fills_in_what_flags_and_environment_left_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, "ticket_ttl = \"1m\"\ngrace = \"2h\"\ndelete_page = 7\n").unwrap();
    let raw = RawSettings { config: Some(path.clone()), grace: set("3h"), ..RawSettings::default() };
    let raw = raw.with_file().unwrap();
    assert_eq!(
        (raw.ticket_ttl.as_deref(), raw.grace.as_deref(), raw.delete_page.as_deref()),
        (Some("1m"), Some("3h"), Some("7"))
    );
    std::fs::write(&path, "ticket_tll = \"1m\"\n").unwrap();
    let raw = RawSettings { config: Some(path), ..RawSettings::default() };
    assert_eq!(raw.with_file().err().map(|error| error.setting), Some("config"));
}

#[test]
fn a_postgres_database_is_named_without_its_password() {
    let with = |change: fn(&mut RawSettings)| {
        let mut raw = RawSettings {
            database_url: set("postgres://app:hunter2@db.internal:6432/media"),
            ..RawSettings::default()
        };
        change(&mut raw);
        Settings::try_from(raw).map(|settings| (settings.database.to_string(), format!("{settings:?}")))
    };
    let (place, debug) = with(|_| {}).unwrap();
    assert_eq!(place, "postgres://db.internal:6432/media");
    assert!(!debug.contains("hunter2"), "{debug}");
    let (_, debug) = with(|raw| raw.database_password = set("s3cret")).unwrap();
    assert!(!debug.contains("s3cret"), "{debug}");
    assert_eq!(
        with(|raw| raw.database_password_file = set("/nowhere/at/all")).unwrap_err().setting,
        "database_password_file"
    );
    let both = |raw: &mut RawSettings| {
        raw.database_password = set("a");
        raw.database_password_file = set("b");
    };
    assert_eq!(with(both).unwrap_err().setting, "database_password_file");
    for (url, said) in [
        ("postgres://app:hunter2@db/media?sslmode=maybe", "sslmode"),
        ("postgres://app:hunter2@db/media?colour=red", "colour"),
        ("postgres://app:hunter2@db:port/media", "not valid"),
    ] {
        let error = Settings::try_from(RawSettings { database_url: set(url), ..RawSettings::default() }).unwrap_err();
        assert_eq!(error.setting, "database_url");
        assert!(error.problem.contains(said) && !error.problem.contains("hunter2"), "{error}");
    }
    assert_eq!(refused(|raw| raw.database_password = set("x")), "database_password");
}
