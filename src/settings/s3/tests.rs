use super::*;
use crate::settings::{AwsVariables, Settings};

fn set(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn raw(change: impl FnOnce(&mut RawSettings)) -> RawSettings {
    let mut raw = RawSettings { s3_bucket: set("photos"), ..RawSettings::default() };
    change(&mut raw);
    raw
}

fn accepted(change: impl FnOnce(&mut RawSettings)) -> GatewaySettings {
    let settings = Settings::try_from(raw(change)).unwrap_or_else(|error| panic!("{error}"));
    settings.s3.expect("a real bucket")
}

fn refused(change: impl FnOnce(&mut RawSettings)) -> (&'static str, String) {
    let error = Settings::try_from(raw(change)).expect_err("it is refused");
    (error.setting, error.problem)
}

fn variables(set: &[(&str, &str)]) -> AwsVariables {
    AwsVariables::read(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn what_is_no_general_purpose_bucket_is_refused_by_what_it_is() {
    for (bucket, word) in [
        ("arn:aws:s3:eu-central-1:123456789012:accesspoint/photos", "an ARN"),
        ("s3://photos", "an address"),
        ("photos/2026", "s3_prefix"),
        ("photos--use1-az4--x-s3", "a directory bucket"),
        ("photos-123456789012-s3alias", "access point"),
        ("photos--ol-s3", "Object Lambda"),
        ("mfzwi23gnjvgw.mrap", "multi-region"),
        ("no", "3 to 255 characters"),
    ] {
        let (setting, problem) = refused(|raw| raw.s3_bucket = set(bucket));
        assert_eq!(setting, "s3_bucket");
        assert!(problem.contains(word), "{bucket}: {problem}");
    }
}

#[test]
fn an_endpoint_may_have_a_path_and_nothing_more() {
    for endpoint in ["http://minio:9000", "https://project.supabase.co/storage/v1/s3", "http://[::1]:9000"] {
        let slashed = accepted(|raw| raw.s3_endpoint = Some(format!("{endpoint}/")));
        assert_eq!((slashed.endpoint.as_deref(), slashed.store.as_str()), (Some(endpoint), endpoint));
    }
    for endpoint in
        ["minio:9000", "ftp://minio", "http://", "http://h/?a=b", "http://h/#a", "http://h/a b", "http://h/%2e"]
    {
        assert_eq!(refused(|raw| raw.s3_endpoint = set(endpoint)).0, "s3_endpoint", "{endpoint}");
        assert_eq!(refused(|raw| raw.s3_public_endpoint = set(endpoint)).0, "s3_public_endpoint", "{endpoint}");
    }
    for endpoint in ["http://h//a", "http://h/../a"] {
        assert_eq!(refused(|raw| raw.s3_endpoint = set(endpoint)).0, "s3_endpoint", "{endpoint}");
    }
    let (_, problem) = refused(|raw| raw.s3_endpoint = set("https://ann:hunter2@minio"));
    assert!(problem.contains("password") && !problem.contains("hunter2"), "{problem}");
}

#[test]
fn an_endpoint_that_names_the_bucket_already_is_refused() {
    for endpoint in [
        "https://photos.s3.eu-central-1.amazonaws.com",
        "https://Photos.fra1.digitaloceanspaces.com",
        "https://account.r2.cloudflarestorage.com/photos",
        "http://minio:9000/photos/",
    ] {
        let (setting, problem) = refused(|raw| raw.s3_endpoint = set(endpoint));
        assert_eq!(setting, "s3_endpoint");
        assert!(problem.contains("leave it out"), "{endpoint}: {problem}");
    }
    // A server may have the same name as its bucket.
    accepted(|raw| {
        raw.s3_endpoint = set("https://photos.example.org");
        raw.s3_path_style = set("true");
    });
    accepted(|raw| raw.s3_endpoint = set("https://photostore.example.org"));
}

#[test]
fn a_region_that_is_none_is_refused() {
    for region in ["aws-global", "fips-us-east-1", "us-east-1-fips"] {
        assert_eq!(refused(|raw| raw.s3_region = set(region)).0, "s3_region");
        assert_eq!(refused(|raw| raw.aws = variables(&[("AWS_REGION", region)])).0, "AWS_REGION");
    }
    assert_eq!(refused(|raw| raw.s3_region = set("aws-global")).1, "names no region: give the bucket's own");
    // The setting takes precedence over the variable.
    accepted(|raw| {
        raw.s3_region = set("eu-central-1");
        raw.aws = variables(&[("AWS_REGION", "aws-global")]);
    });
}

#[test]
fn the_endpoint_of_awss_variables_counts_where_none_is_set() {
    let both = [("AWS_ENDPOINT_URL", "http://all:4566"), ("AWS_ENDPOINT_URL_S3", "http://s3:4566/")];
    let endpoint = |set: &[(&str, &str)]| accepted(|raw| raw.aws = variables(set)).endpoint;
    assert_eq!(endpoint(&both).as_deref(), Some("http://s3:4566"));
    assert_eq!(endpoint(&both[..1]).as_deref(), Some("http://all:4566"));
    assert_eq!(endpoint(&[("AWS_ENDPOINT_URL", "")]), None);
    assert_eq!(endpoint(&[both[0], ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]), None);
    let own = accepted(|raw| {
        raw.s3_endpoint = set("http://own:9000");
        raw.aws = variables(&both);
    });
    assert_eq!(own.endpoint.as_deref(), Some("http://own:9000"));
    let (setting, _) = refused(|raw| raw.aws = variables(&[("AWS_ENDPOINT_URL_S3", "s3:4566")]));
    assert_eq!(setting, "AWS_ENDPOINT_URL_S3", "what is wrong is named as it was given");
}

#[test]
fn endpoints_of_awss_own_are_chosen_by_variables_and_refused_with_another_endpoint() {
    let names = ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"];
    let chosen = |set: &[(&str, &str)]| {
        let s3 = accepted(|raw| raw.aws = variables(set));
        (s3.fips, s3.dual_stack)
    };
    assert_eq!(chosen(&[(names[0], "true"), (names[1], "TRUE")]), (true, true));
    assert_eq!(chosen(&[(names[0], "false")]), (false, false));
    for name in names {
        assert_eq!(refused(|raw| raw.aws = variables(&[(name, "yes")])).0, name);
        let (setting, problem) = refused(|raw| {
            raw.s3_endpoint = set("http://minio:9000");
            raw.aws = variables(&[(name, "true")]);
        });
        assert_eq!(setting, name);
        assert!(problem.contains("s3_endpoint"), "{problem}");
    }
}

#[test]
fn a_session_token_belongs_to_the_key_it_came_with() {
    let token = |own: Option<&str>, set: &[(&str, &str)]| {
        let own = own.map(str::to_owned);
        let raw = raw(|raw| {
            raw.s3_access_key = self::set("ASIA1");
            raw.s3_secret_key = self::set("hush");
            raw.s3_session_token = own;
            raw.aws = variables(set);
        });
        Settings::try_from(raw).map(|settings| settings.s3.and_then(|s3| s3.keys).and_then(|keys| keys.session_token))
    };
    let theirs = |key| [("AWS_ACCESS_KEY_ID", key), ("AWS_SESSION_TOKEN", "T2")];
    assert_eq!(token(None, &[]).unwrap(), None);
    assert_eq!(token(Some("T1"), &theirs("ASIA1")).unwrap().as_deref(), Some("T1"));
    assert_eq!(token(None, &theirs("ASIA1")).unwrap().as_deref(), Some("T2"));
    assert_eq!(token(None, &theirs("ASIA2")).unwrap(), None);
    let error = token(None, &[("AWS_SESSION_TOKEN", "T2")]).unwrap_err();
    assert_eq!(error.setting, "AWS_SESSION_TOKEN");
    assert!(error.problem.contains("s3_session_token") && !error.problem.contains("T2"), "{error}");
    assert_eq!(refused(|raw| raw.s3_session_token = set("T1")).0, "s3_session_token");
}

#[test]
fn a_public_address_says_where_the_bucket_stands() {
    let public = |endpoint: Option<&str>, style: Option<&str>| {
        let (endpoint, style) = (endpoint.map(str::to_owned), style.map(str::to_owned));
        accepted(|raw| {
            raw.s3_endpoint = endpoint;
            raw.s3_public_endpoint = set("https://media.example.org/");
            raw.s3_public_style = style;
        })
        .public
        .expect("a public address")
    };
    assert_eq!(public(Some("http://minio:9000"), None).style, Style::Path);
    assert_eq!(public(None, None).style, Style::Host);
    let own = public(None, Some("bucket"));
    assert_eq!(
        own,
        PublicAddress { endpoint: "https://media.example.org".to_owned(), style: Style::Bucket, keeps_host: true }
    );
    assert_eq!(refused(|raw| raw.s3_public_style = set("path")).0, "s3_public_style");
    assert_eq!(refused(|raw| raw.s3_public_keeps_host = set("false")).0, "s3_public_keeps_host");
    assert_eq!(refused(|raw| raw.embedded_s3_public_endpoint = set("http://h")).0, "embedded_s3_public_endpoint");
    let embedded_at = |endpoint: &str, style: &str, keeps_host: &str| {
        Settings::try_from(RawSettings {
            embedded_s3_public_endpoint: set(endpoint),
            s3_public_style: set(style),
            s3_public_keeps_host: set(keeps_host),
            ..RawSettings::default()
        })
        .map(|settings| settings.embedded_s3_public.is_some())
        .map_err(|error| error.setting)
    };
    let embedded = |style: &str, keeps_host: &str| embedded_at("http://h", style, keeps_host);
    assert_eq!(embedded_at("http://h/s3", "path", "true"), Err("embedded_s3_public_endpoint"));
    assert_eq!(embedded_at("http://h/s3", "path", "false"), Ok(true));
    assert_eq!(embedded("path", "true"), Ok(true));
    assert_eq!(embedded("bucket", "true"), Err("s3_public_style"));
    assert_eq!(embedded("bucket", "false"), Ok(true));
}
