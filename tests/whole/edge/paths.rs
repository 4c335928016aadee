//! Paths, ids, methods and parameters.

use reqwest::Method;

use super::{
    STRANGER, Untouched,
    wire::{Answer, ask},
};

/// Every path with the methods that it answers.
pub const ROUTES: [(&str, &[&str]); 24] = [
    ("/v1/media", &["POST"]),
    ("/v1/media/confirm", &["POST"]),
    ("/v1/media/{id}", &["GET", "HEAD", "DELETE"]),
    ("/v1/media/{id}/uploaded", &["POST"]),
    ("/v1/media/{id}/confirm", &["POST"]),
    ("/v1/media/{id}/ticket", &["POST"]),
    ("/v1/media/{id}/restore", &["POST"]),
    ("/v1/media/{id}/explain", &["GET", "HEAD"]),
    ("/v1/media/{id}/events", &["GET", "HEAD"]),
    ("/v1/events", &["GET", "HEAD"]),
    ("/v1/journal/verify", &["GET", "HEAD"]),
    ("/v1/projections", &["GET", "HEAD"]),
    ("/v1/projections/pending", &["GET", "HEAD"]),
    ("/v1/collections", &["GET", "HEAD", "POST"]),
    ("/v1/collections/{id}", &["GET", "HEAD"]),
    ("/v1/notifications/s3", &["POST"]),
    ("/v1/reconciliations", &["GET", "HEAD", "POST"]),
    ("/v1/reconciliations/{id}", &["GET", "HEAD"]),
    ("/", &["GET", "HEAD"]),
    ("/docs", &["GET", "HEAD"]),
    ("/livez", &["GET", "HEAD"]),
    ("/readyz", &["GET", "HEAD"]),
    ("/metrics", &["GET", "HEAD"]),
    ("/openapi.json", &["GET", "HEAD"]),
];

fn with_id() -> impl Iterator<Item = (&'static str, &'static str)> {
    let routes = ROUTES.iter().filter(|(path, _)| path.contains("{id}"));
    routes.flat_map(|(path, methods)| methods.iter().map(|method| (*method, *path)))
}

#[tokio::test]
async fn what_is_no_id_is_refused_by_name_wherever_an_id_is_asked_for() {
    let untouched = Untouched::start().await;
    let long = "a".repeat(10_000);
    let doubled = format!("{STRANGER}{STRANGER}");
    let ids = [
        "7",
        "null",
        "-",
        "019a0d2e7b1c700080000123456789ab",
        "%7B019a0d2e-7b1c-7000-8000-0123456789ab%7D",
        "urn:uuid:019a0d2e-7b1c-7000-8000-0123456789ab",
        "019a0d2e-7b1c-7000-8000-0123456789a",
        "019a0d2e-7b1c-7000-8000-0123456789abc",
        "z19a0d2e-7b1c-7000-8000-0123456789ab",
        "019a0d2e_7b1c_7000_8000_0123456789ab",
        "%20019a0d2e-7b1c-7000-8000-0123456789ab",
        "019a0d2e-7b1c-7000-8000-0123456789ab%20",
        "019a0d2e-7b1c-7000-8000-0123456789ab%00",
        "%00",
        "%ff",
        "%FF%FE",
        "%",
        "%zz",
        "%2",
        "%2e%2e",
        "..",
        ".",
        "%2F",
        "..%2F..%2Fetc",
        "%0d%0aX:%20y",
        "%F0%9F%99%82",
        "'",
        ";--",
        "*",
        "{id}",
        "$(id)",
        &long,
        &doubled,
    ];
    for (method, path) in with_id() {
        for id in ids {
            let target = path.replace("{id}", id);
            let about = format!("{method} {}", target.chars().take(100).collect::<String>());
            let answer = ask(&untouched.app, method, &target, "", b"").await;
            if method == "HEAD" {
                assert_eq!(answer.status, 400, "{about}");
            } else {
                answer.invalid("id", "a UUID such as", &about);
            }
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn an_id_that_nothing_was_requested_under_is_not_found() {
    let untouched = Untouched::start().await;
    let nil = "00000000-0000-0000-0000-000000000000";
    let max = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF";
    for (method, path) in with_id() {
        for id in [STRANGER, nil, max] {
            let answer = ask(&untouched.app, method, &path.replace("{id}", id), "", b"").await;
            assert_eq!(answer.status, 404, "{method} {path}");
            if method != "HEAD" {
                let problem = answer.problem(404, &format!("{method} {path} {id}"));
                assert!(problem.get("field").is_none(), "the id itself is well-formed: {problem}");
            }
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn an_id_means_the_same_in_capitals() {
    let untouched = Untouched::start().await;
    let (status, media) = untouched.app.get(&format!("/v1/media/{}", untouched.item.to_uppercase())).await;
    assert_eq!((status.as_u16(), media["id"].as_str()), (200, Some(untouched.item.as_str())));
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_problem() {
    let untouched = Untouched::start().await;
    let long = format!("/{}", "a".repeat(60_000));
    let deep = "/a".repeat(20_000);
    let item = format!("/v1/media/{}", untouched.item);
    let (slash, more) = (format!("{item}/"), format!("{item}/confirm/x"));
    for target in [
        "//",
        "/v1",
        "/v1/",
        "/v1/media/",
        "/v1/nothing",
        "/V1/media",
        "/v1/Media",
        "/v1//media",
        "//v1/media",
        "/v1/media//confirm",
        "/v1/events/",
        "/v1/journal",
        "/v1/projections/",
        "/v1/projections/funnel",
        "/v1/collections/1/items",
        "/v2/media",
        "/livez/",
        "/favicon.ico",
        "/%",
        "/%00",
        "/%ff",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/../../etc/passwd",
        "/v1/media%2Fconfirm",
        "/%3Cscript%3E",
        "/a?b=c",
        "/openapi.json/",
        "/openapi.yaml",
        "*",
        "http://localhost/nothing",
        &long,
        &deep,
        &slash,
        &more,
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "BREW"] {
            let about = format!("{method} {}", target.chars().take(60).collect::<String>());
            let problem = ask(&untouched.app, method, target, "", b"").await.problem(404, &about);
            let detail = problem["detail"].as_str().expect("a detail");
            let helps = ["see /docs", "without a slash at its end", "…"].iter().any(|help| detail.contains(help));
            assert!(helps, "{detail}");
        }
        assert_eq!(ask(&untouched.app, "HEAD", target, "", b"").await.status, 404);
    }
    untouched.check().await;
}

#[tokio::test]
async fn a_trailing_slash_is_told_the_address_that_was_meant() {
    let untouched = Untouched::start().await;
    for (path, _) in ROUTES.iter().filter(|(path, _)| *path != "/") {
        let meant = path.replace("{id}", &untouched.item);
        for slashes in ["/", "///"] {
            let problem = ask(&untouched.app, "GET", &format!("{meant}{slashes}"), "", b"").await.problem(404, path);
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(detail.contains(&format!("the address is {meant}, without a slash")), "{detail}");
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn who_opens_the_address_is_told_where_everything_is() {
    let app = crate::app::TestApp::start().await;
    for path in ["/", "/docs"] {
        let answer = ask(&app, "GET", path, "", b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"));
        let page = String::from_utf8(answer.body).expect("text");
        assert!(page.contains("/openapi.json") && !page.contains("http"), "{page}");
        for (path, methods) in ROUTES {
            for method in methods.iter().filter(|method| **method != "HEAD") {
                assert!(page.lines().any(|line| line.trim_start().starts_with(&format!("{method} {path} "))), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_answer_is_a_problem_that_names_those_it_does() {
    let untouched = Untouched::start().await;
    for (path, answered) in ROUTES {
        let target = path.replace("{id}", &untouched.item);
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "BREW"] {
            if answered.contains(&method) {
                continue;
            }
            let about = format!("{method} {path}");
            let answer = ask(&untouched.app, method, &target, "", b"").await;
            if method == "HEAD" {
                assert_eq!(answer.status, 405, "{about}");
            } else {
                answer.problem(405, &about);
            }
            let mut allow: Vec<_> = answer.header("allow").split(", ").collect();
            let mut expected = answered.to_vec();
            allow.sort_unstable();
            expected.sort_unstable();
            assert_eq!(allow, expected, "{about}");
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn a_wrong_parameter_is_named_and_the_refusal_says_what_is_allowed() {
    let untouched = Untouched::start().await;
    let (pending, events) = ("/v1/projections/pending", "/v1/events");
    let numbers = [
        "",
        "-1",
        "x",
        "1.5",
        "1e3",
        "0x10",
        "18446744073709551616",
        "9223372036854775808",
        "+1",
        "%00",
        "null",
        "1,000",
        "%20",
    ];
    let long = "a".repeat(256);
    let mut wrong: Vec<(&str, String, &str, &str)> = Vec::new();
    for number in numbers {
        wrong.push((pending, format!("limit={number}"), "limit", "from 1 to 1000"));
        wrong.push((pending, format!("min_position={number}"), "min_position", "a whole number from 0 to"));
        wrong.push((events, format!("after={number}"), "after", "a whole number from 0 to"));
        wrong.push((events, format!("limit={number}"), "limit", "a whole number from 1 to"));
    }
    for (path, query, field, allowed) in [
        (pending, "limit=0", "limit", "from 1 to 1000"),
        (pending, "limit=1001", "limit", "from 1 to 1000"),
        (events, "limit=0", "limit", "from 1 to"),
        (pending, "owner=", "owner", "1 to 255 bytes"),
        (pending, "owner=%00", "owner", "1 to 255 bytes"),
        (pending, "due_before=", "due_before", "2026-01-02T03:04:05Z"),
        (pending, "due_before=tomorrow", "due_before", "RFC 3339"),
        (pending, "due_before=2026-01-02", "due_before", "RFC 3339"),
        (pending, "due_before=2026-13-02T03:04:05Z", "due_before", "RFC 3339"),
        (pending, "due_before=2026-01-02T03:04:05", "due_before", "RFC 3339"),
        (pending, "due_before=1767323045", "due_before", "RFC 3339"),
        (pending, "cursor=", "cursor", "next_cursor"),
        (pending, "cursor=x", "cursor", "next_cursor"),
        (pending, "cursor=%F0%9F%99%82", "cursor", "next_cursor"),
        (pending, "limit=1&limit=2", "limit", "given twice"),
        (events, "after=1&after=1", "after", "given twice"),
        (pending, "owner=%ff", "query", "UTF-8"),
        (pending, "owner=a%C3", "query", "UTF-8"),
        (pending, "=1", "query", "must have a name"),
        (pending, "Limit=1", "Limit", "no parameter"),
        (events, "until=1", "until", "no parameter"),
        (pending, "offset=1&limit=1", "offset", "no parameter"),
    ] {
        wrong.push((path, query.to_owned(), field, allowed));
    }
    wrong.push((pending, format!("owner={long}"), "owner", "1 to 255 bytes"));
    wrong.push((pending, format!("cursor={long}"), "cursor", "next_cursor"));
    for (path, query, field, allowed) in wrong {
        let target = format!("{path}?{query}");
        ask(&untouched.app, "GET", &target, "", b"").await.invalid(field, allowed, &target);
    }
    untouched.check().await;
}

#[tokio::test]
async fn parameters_that_a_call_does_not_have_are_refused_before_anything_is_done() {
    let untouched = Untouched::start().await;
    for (path, methods) in ROUTES.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            let target = format!("{}?dry_run=true", path.replace("{id}", &untouched.item));
            ask(&untouched.app, method, &target, "", b"").await.invalid("dry_run", "no parameter", &target);
        }
    }
    untouched.check().await;
}

#[tokio::test]
async fn times_and_limits_at_the_edge_are_taken() {
    let untouched = Untouched::start().await;
    for query in [
        "limit=1",
        "limit=1000",
        "min_position=0",
        "due_before=0000-01-01T00:00:00Z",
        "due_before=9999-12-31T23:59:59.999999999Z",
        "due_before=2016-12-31T23:59:60Z",
        "due_before=2026-01-02T03:04:05%2B14:00",
        "owner=%F0%9F%99%82",
        "owner=a%2Bb%26c",
        "owner=%EF%BF%BD",
        "owner=100%",
        "owner=%zz",
        "",
    ] {
        let call = untouched.app.call(Method::GET, &format!("/v1/projections/pending?{query}"));
        let answer = Answer::of(call).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.json());
    }
    for query in ["after=0", "after=9223372036854775807", "limit=9223372036854775807", "limit=1"] {
        let answer = Answer::of(untouched.app.call(Method::GET, &format!("/v1/events?{query}"))).await;
        assert_eq!(answer.status, 200, "{query}");
    }
    untouched.check().await;
}
