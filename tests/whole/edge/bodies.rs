//! Bodies that are no JSON, no object, or an object with wrong members.

use reqwest::Method;
use serde_json::{Value, json};

use super::{STRANGER, Untouched, wire::Answer};
use crate::app::{TestApp, id};

async fn post(app: &TestApp, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    send(app, Method::POST, path, body).await
}

async fn send(app: &TestApp, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::of(app.call(method, path).header("Content-Type", "application/json").body(body.into())).await
}

fn nested(depth: usize, open: &str, close: &str) -> Vec<u8> {
    format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_by_every_write() {
    let untouched = Untouched::start().await;
    let mut bodies: Vec<Vec<u8>> = [
        "null",
        "true",
        "7",
        "-1",
        "1e999",
        "\"text\"",
        "[]",
        "[{}]",
        "[\"ann\",\"image/jpeg\",5,null,null]",
        "[false]",
        "[[\"019a0d2e-7b1c-7000-8000-0123456789ab\"],null]",
        "{",
        "}",
        "{\"",
        "{\"owner\"",
        "{\"owner\":",
        "{\"owner\":\"ann",
        "{\"owner\":\"ann\"",
        "{\"owner\":\"ann\",",
        "{,}",
        "{}x",
        "{}{}",
        "{} null",
        "{}\u{0}",
        "not json",
        "{owner:1}",
        "{'a':1}",
        "{\"owner\":NaN}",
        "{\"owner\":Infinity}",
        "{\"owner\":0x10}",
        "{\"owner\":01}",
        "{\"owner\":+1}",
        "{\"owner\":.5}",
        "{\"owner\":\"\\ud800\"}",
        "{\"\\udfff\":1}",
        "{\"owner\":\"\\x41\"}",
        "{\"owner\":\"a\tb\"}",
        "// {}",
        "{}//",
        "\u{feff}{}",
        "owner=ann",
        "<owner/>",
        " ",
        "\r\n",
        "--x\r\n\r\n--x--",
    ]
    .iter()
    .map(|body| body.as_bytes().to_vec())
    .collect();
    bodies.push(b"\xff\xfe".to_vec());
    bodies.push(b"{\"owner\":\"\xff\"}".to_vec());
    bodies.push(b"{\"owner\":\"\xc0\xaf\"}".to_vec());
    bodies.push(b"{\"owner\":\"\xed\xa0\x80\"}".to_vec());
    bodies.push(nested(100_000, "[", "]"));
    bodies.push(nested(30_000, "{\"a\":", "}"));
    bodies.push(nested(25_000, "{\"owner\":[", ""));
    for (method, path, _) in untouched.writes() {
        for body in &bodies {
            let shown: String = String::from_utf8_lossy(body).chars().take(60).collect();
            let about = format!("{method} {path} {shown:?}");
            let answer = send(&untouched.app, method.clone(), &path, body.clone()).await;
            let problem = answer.problem(400, &about);
            assert_eq!(problem["code"], "invalid", "{about}");
            // A member that comes before the broken place may be refused first.
            let field = problem["field"].as_str().expect("a field");
            assert!(["body", "owner", "ids", "a", "\u{fffd}"].contains(&field), "{about}: {problem}");
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn a_good_body_with_something_behind_it_is_refused_by_every_write() {
    let untouched = Untouched::start().await;
    for (method, path, body) in untouched.writes() {
        for rest in ["x", "}", "{}", " null", ",", "\u{0}", "\u{feff}"] {
            let sent = format!("{}{rest}", body.unwrap_or("{}"));
            let about = format!("{method} {path} {sent:?}");
            send(&untouched.app, method.clone(), &path, sent).await.invalid("body", "nothing behind it", &about);
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn a_call_that_needs_a_body_says_so_when_there_is_none() {
    let untouched = Untouched::start().await;
    for path in ["/v1/media", "/v1/media/confirm"] {
        post(&untouched.app, path, "").await.invalid("body", "a JSON object", path);
        Answer::of(untouched.app.call(Method::POST, path)).await.problem(415, path);
    }
    untouched.check().await;
}

#[tokio::test]
async fn members_that_nobody_knows_or_that_come_twice_are_refused_by_every_write() {
    let untouched = Untouched::start().await;
    for (method, path, body) in untouched.writes() {
        let about = format!("{method} {path}");
        let body = body.unwrap_or("{}");
        let open = body.trim_end_matches('}');
        let comma = if open == "{" { "" } else { "," };
        for name in ["ownerr", "Owner", "id", "tenant", "__proto__", "a b", "ü", "a.b", "a[0]"] {
            let more = format!("{open}{comma}\"{name}\":1}}");
            let answer = send(&untouched.app, method.clone(), &path, more).await;
            answer.invalid(name, "is no member of this body", &about);
        }
        send(&untouched.app, method.clone(), &path, format!("{open}{comma}\"\":1}}")).await.invalid(
            "body",
            "no member",
            &about,
        );
        let long = "n".repeat(100_000);
        let problem = send(&untouched.app, method.clone(), &path, format!("{open}{comma}\"{long}\":1}}")).await;
        let problem = problem.problem(400, &about);
        assert!(problem["field"].as_str().is_some_and(|field| field.len() < 2000), "what was sent is not sent back");
        let members: Value = serde_json::from_str(body).expect("JSON");
        for (name, value) in members.as_object().expect("an object") {
            let twice = format!("{open},\"{name}\":{value}}}");
            send(&untouched.app, method.clone(), &path, twice).await.invalid(name, "given twice", &about);
        }
    }
    untouched.check().await;
}

/// Every member with every way to get it wrong, as JSON text, and a part of what the refusal must say.
fn wrong_values() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let texts = |values: &[&str]| values.iter().map(|value| json!(value).to_string()).collect::<Vec<_>>();
    let no_text = || ["5", "-1", "1.5", "true", "[]", "{}", "[\"a\"]", "{\"a\":\"b\"}"].map(str::to_owned).to_vec();
    let long = "a".repeat(256);
    let wide = "é".repeat(128);
    let huge = "a".repeat(200_000);
    let names = texts(&["", &long, &wide, &huge, "a\u{0}", "\n", "a\tb", "\u{7f}", "\u{85}", "a\r\nb"]);
    let paths =
        texts(&["a/b", "/", "\u{1}", "", "gnp.\u{202e}exe", "a\u{2069}", "a\u{2028}b", &"é".repeat(1025), &huge]);
    let types = texts(&[
        "",
        " ",
        "image",
        "image/",
        "/jpeg",
        "/",
        "image//jpeg",
        "image/jp eg",
        "image / jpeg",
        "image/jpeg;a",
        "image/jpeg;a=",
        "image/jpeg;a=\"b",
        "image/jpeg\r\nx: y",
        "image/jpeg\u{0}",
        "é/x",
        "a/é",
        "*",
        &format!("a/{}", "b".repeat(254)),
        &huge,
    ]);
    let sums = texts(&[
        "",
        "abc",
        "=",
        "aGVsbG8=",
        &"A".repeat(43),
        &"A".repeat(44),
        &"A".repeat(88),
        &"A".repeat(100_000),
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=",
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
        "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",
        " ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "é",
    ]);
    let sizes = [
        "-1",
        "-0",
        "0.0",
        "5.0",
        "1.5",
        "1e2",
        "1e30",
        "1E400".trim_end_matches("00"),
        "\"5\"",
        "\"\"",
        "true",
        "[]",
        "[5]",
        "{}",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1e-5",
    ];
    let many_digits = "9".repeat(300);
    let sizes: Vec<_> = sizes.iter().map(|text| (*text).to_owned()).chain([many_digits]).collect();
    let too_large = ["5368709121", "9223372036854775807", "9223372036854775808", "18446744073709551615"];
    let some_id = format!("\"{STRANGER}\"");
    let mut wrong = vec![
        ("owner", "expected a string", no_text()),
        ("owner", "expected a string", vec!["null".to_owned()]),
        ("owner", "1 to 255 bytes of text without control characters", names.clone()),
        ("attached_to", "expected a string", no_text()),
        ("attached_to", "1 to 255 bytes of text without control characters", names.clone()),
        ("filename", "expected a string", no_text()),
        ("filename", "1 to 1024 characters without '/'", paths),
        ("content_type", "expected a string", no_text()),
        ("content_type", "expected a string", vec!["null".to_owned()]),
        ("content_type", "a media type such as image/jpeg", types),
        ("checksum_sha256", "expected a string", no_text()),
        ("checksum_sha256", "the base64 of 32 bytes", sums),
        ("content_length", "a whole number of bytes, 0 or more", sizes),
        ("content_length", "a whole number of bytes, 0 or more", vec!["null".to_owned()]),
        ("content_length", "at most 5368709120 bytes", too_large.map(str::to_owned).to_vec()),
        (
            "dry_run",
            "expected a boolean",
            ["\"true\"", "\"\"", "0", "1", "null", "[]", "{}"].map(str::to_owned).to_vec(),
        ),
        ("ids", "expected a sequence", ["null", "5", "true", "{}", some_id.as_str()].map(str::to_owned).to_vec()),
        ("ids", "1 to 1000 items", vec!["[]".to_owned(), json!(vec![STRANGER; 1001]).to_string()]),
        ("ids[0]", "expected a string", ["[5]", "[null]", "[{}]", "[[]]", "[true]"].map(str::to_owned).to_vec()),
        ("ids[0]", "a UUID such as", ["[\"\"]", "[\"7\"]", "[\"../../x\"]"].map(str::to_owned).to_vec()),
        ("ids[2]", "a UUID such as", vec![format!("[{some_id},{some_id},\"{}\"]", "z".repeat(36))]),
    ];
    wrong.retain(|(_, _, values)| !values.is_empty());
    wrong
}

#[tokio::test]
async fn a_wrong_value_is_named_and_the_refusal_says_what_is_allowed() {
    let untouched = Untouched::start().await;
    let mut tried = 0;
    for (method, path, body) in untouched.writes() {
        let Some(body) = body else { continue };
        let mut members: Value = serde_json::from_str(body).expect("JSON");
        if path == "/v1/media" {
            members["checksum_sha256"] = Value::Null;
        }
        for (field, allowed, values) in wrong_values() {
            let name = field.split('[').next().expect("a name");
            if members.get(name).is_none() {
                continue;
            }
            let rest: Vec<_> =
                members.as_object().expect("an object").iter().filter(|(other, _)| *other != name).collect();
            for value in values {
                tried += 1;
                // By hand: a number of 300 digits is no value of the library's.
                let rest: String = rest.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
                let text = format!("{{\"{name}\":{value}{rest}}}");
                let about: String = format!("{method} {path} {text}").chars().take(300).collect();
                post(&untouched.app, &path, text).await.invalid(field, allowed, &about);
            }
        }
    }
    assert!(tried > 150, "only {tried} values were tried");
    untouched.check().await;
}

#[tokio::test]
async fn members_that_must_be_there_are_missed_by_name() {
    let untouched = Untouched::start().await;
    for (path, names) in
        [("/v1/media", &["owner", "content_type", "content_length"][..]), ("/v1/media/confirm", &["ids"])]
    {
        let body = untouched.writes().into_iter().find(|(_, other, _)| other == path).and_then(|(.., body)| body);
        for name in names {
            let mut members: Value = serde_json::from_str(body.expect("a body")).expect("JSON");
            members.as_object_mut().expect("an object").remove(*name);
            post(&untouched.app, path, members.to_string()).await.invalid(name, "is missing", name);
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn a_body_of_another_content_type_is_refused_by_every_write() {
    let untouched = Untouched::start().await;
    for (method, path, body) in untouched.writes() {
        let call = || untouched.app.call(method.clone(), &path).body(body.unwrap_or("{}"));
        for other in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/json",
            "application/json-patch+json",
            "application/problem+json",
            "application/jsonp",
            "json",
            "*/*",
            ";",
            "application",
            "application/xml; application/json",
        ] {
            let answer = Answer::of(call().header("Content-Type", other)).await;
            let problem = answer.problem(415, &format!("{method} {path} {other}"));
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("application/json")), "{problem}");
        }
        Answer::of(call()).await.problem(415, &format!("{method} {path} without"));
        let coded = call().header("Content-Type", "application/json").header("Content-Encoding", "gzip");
        Answer::of(coded).await.problem(415, &format!("{method} {path} compressed"));
    }
    untouched.check().await;
}

#[tokio::test]
async fn json_may_be_called_by_its_name_in_any_case_and_with_parameters() {
    let app = TestApp::start().await;
    for name in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x=y"] {
        let call = app.call(Method::POST, "/v1/media").header("Content-Type", name);
        let answer = Answer::of(call.body(r#"{"owner":"ann","content_type":"image/jpeg","content_length":5}"#)).await;
        assert_eq!(answer.status, 201, "{name}: {:?}", answer.json());
    }
}

#[tokio::test]
async fn values_at_the_edge_of_what_is_allowed_are_taken() {
    let app = TestApp::start().await;
    let longest = "é".repeat(127) + "a";
    let wishes = [
        json!({ "owner": "a", "content_type": "a/b", "content_length": 1 }),
        json!({ "owner": longest, "content_type": format!("a/{}", "b".repeat(253)), "content_length": 5_368_709_120_u64 }),
        json!({ "owner": "名前 🙂 'x' \"y\" / \\", "content_type": "text/plain; charset=\"utf-8\"", "content_length": 7 }),
        json!({ "owner": "x", "content_type": "a/b", "content_length": 1, "checksum_sha256": null, "filename": null }),
        json!({ "owner": "x", "content_type": "a/b", "content_length": 1, "filename": "漢".repeat(1024) }),
        json!({ "owner": "x", "content_type": "video/webm;codecs=vp8,opus", "content_length": 0, "filename": "\"C:\\a\".webm" }),
    ];
    for wish in wishes {
        let (status, media) = app.post("/v1/media", wish.clone()).await;
        assert_eq!(status, 201, "{wish}: {media}");
        for name in ["owner", "content_type", "content_length"] {
            assert_eq!(media[name], wish[name], "kept to the letter");
        }
    }
    let media = app.uploaded(b"bytes").await;
    let (status, confirmed) =
        app.post(&format!("/v1/media/{}/confirm", id(&media)), json!({ "attached_to": longest })).await;
    assert_eq!((status.as_u16(), &confirmed["attached_to"]), (200, &json!(longest)));
}
