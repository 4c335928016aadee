use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::ObjectCannedAcl;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::*;

/// A ticket as the gateway signs it: all headers that matter are signed.
fn ticket(client: &Client) -> PutObjectFluentBuilder {
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .content_type("image/png")
        .content_length(5)
        .if_none_match("*")
        .checksum_sha256(STANDARD.encode(Sha256::digest(b"hello")))
}

async fn sign(call: PutObjectFluentBuilder) -> PresignedRequest {
    call.presigned(five_minutes()).await.expect("a ticket")
}

/// The ticket's request with one header changed or, with `None`, left out.
fn altered(ticket: &PresignedRequest, header: &str, value: Option<&str>) -> reqwest::RequestBuilder {
    let method = ticket.method().parse().expect("a method");
    let mut request = http().request(method, ticket.uri());
    for (name, signed) in ticket.headers().filter(|(name, _)| *name != header) {
        request = request.header(name, signed);
    }
    match value {
        Some(value) => request.header(header, value),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_works_once_and_a_second_put_is_412() {
    let (_dir, server) = server().await;
    let ticket = sign(ticket(&server.client())).await;
    assert_eq!(answer(raw(&ticket).body("hello")).await.0, 200);
    assert_eq!(answer(raw(&ticket).body("hello")).await, refused(412, "PreconditionFailed"));
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_header_that_is_missing_or_different_is_403_and_leaves_nothing() {
    let (_dir, server) = server().await;
    let ticket = sign(ticket(&server.client())).await;
    let names: Vec<_> = ticket.headers().map(|(name, _)| name.to_owned()).collect();
    for name in ["content-type", "content-length", "if-none-match", "x-amz-checksum-sha256"] {
        assert!(names.iter().any(|signed| signed == name), "{name} is not signed: {names:?}");
    }
    let other = STANDARD.encode(Sha256::digest(b"hullo"));
    for (header, value) in [
        ("content-type", Some("text/html")),
        ("content-type", None),
        ("if-none-match", Some("\"x\"")),
        ("if-none-match", None),
        ("x-amz-checksum-sha256", Some(other.as_str())),
        ("x-amz-checksum-sha256", None),
    ] {
        let answer = answer(altered(&ticket, header, value).body("hello")).await;
        assert_eq!(answer, refused(403, "SignatureDoesNotMatch"), "{header} {value:?}");
        assert_eq!(server.files().await, 0);
    }
    for body in ["hell", "hello!", ""] {
        let length = body.len().to_string();
        let answer = answer(altered(&ticket, "content-length", Some(&length)).body(body)).await;
        assert_eq!(answer, refused(403, "SignatureDoesNotMatch"), "{body:?}");
    }
    // Without a length the body is sent chunked.
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("hello")]);
    let chunked = altered(&ticket, "content-length", None).body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(answer(chunked).await, refused(403, "SignatureDoesNotMatch"));
    assert_eq!(answer(raw(&ticket).body("hullo")).await, refused(400, "BadDigest"));
    assert_eq!(server.files().await, 0);
    assert_eq!(answer(raw(&ticket).body("hello")).await.0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_amz_header_is_refused_however_the_request_is_signed() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "secret", b"secret").await;
    let ticket = sign(client.put_object().bucket(BUCKET).key("k")).await;
    let source = format!("/{BUCKET}/secret");
    for (name, value) in [
        ("x-amz-copy-source", source.as_str()),
        ("x-amz-acl", "private"),
        ("x-amz-meta-colour", "red"),
        ("X-Amz-Storage-Class", "STANDARD"),
    ] {
        let answer = answer(raw(&ticket).header(name, value)).await;
        assert_eq!(answer, refused(403, "AccessDenied"), "{name}");
    }
    let url = ticket.uri().to_owned() + "&x-amz-acl=private";
    assert_eq!(answer(http().put(url)).await, refused(403, "SignatureDoesNotMatch"));
    // A signed header passes the gate, and is then refused for what it asks for.
    let open = sign(client.put_object().bucket(BUCKET).key("k").acl(ObjectCannedAcl::PublicRead)).await;
    assert_eq!(answer(raw(&open)).await, refused(501, "NotImplemented"));
    assert_eq!(get(&client, "k").await, None);
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_ticket_adds_no_header_that_its_object_would_keep() {
    let (_dir, server) = server().await;
    let client = server.client();
    let plain = sign(ticket(&client)).await;
    let kept = [
        ("content-encoding", "gzip"),
        ("cache-control", "max-age=31536000"),
        ("content-disposition", "attachment; filename=\"x.exe\""),
        ("Content-Language", "de"),
        ("expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
    ];
    for (name, value) in kept {
        let answer = answer(raw(&plain).header(name, value).body("hello")).await;
        assert_eq!(answer, refused(403, "AccessDenied"), "{name}");
    }
    assert_eq!(server.files().await, 0);
    // A browser adds this header by itself while its developer tools are open.
    let other = sign(client.put_object().bucket(BUCKET).key("other").content_length(5)).await;
    assert_eq!(answer(raw(&other).header("cache-control", "no-cache").body("hello")).await.0, 200);
    let signed = ticket(&client).content_encoding("gzip").content_disposition("inline").content_language("de");
    assert_eq!(answer(raw(&sign(signed).await).body("hello")).await.0, 200);
    let head = client.head_object().bucket(BUCKET).key("k").send().await.expect("head");
    assert_eq!((head.content_encoding(), head.content_language()), (Some("gzip"), Some("de")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_signed_request_may_not_carry_unsigned_amz_headers_either() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"x").await;
    // The SDK does not sign this header, since proxies change it.
    let call = client.head_object().bucket(BUCKET).key("k").send().await;
    call.expect("the SDK's own headers are signed");
    let response = http()
        .get(format!("{}/{BUCKET}/k", server.url))
        .header("x-amz-date", "20200101T000000Z")
        .header("x-amz-meta-extra", "1")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20200101/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
        );
    assert_eq!(answer(response).await, refused(403, "AccessDenied"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_ends_and_may_not_begin_in_the_future() {
    let (_dir, server) = server().await;
    let client = server.client();
    let now = std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(crate::now_ms()).expect("now"));
    let url = async |start, seconds| {
        let config = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(seconds));
        let call = client.put_object().bucket(BUCKET).key("k");
        call.presigned(config.build().expect("a config")).await.expect("a ticket")
    };
    let hour = Duration::from_secs(3600);
    let minute = Duration::from_secs(60);
    assert_eq!(answer(raw(&url(now - hour, 3500).await).body("x")).await, refused(403, "AccessDenied"));
    assert_eq!(answer(raw(&url(now + 16 * minute, 300).await).body("x")).await, refused(403, "RequestTimeTooSkewed"));
    assert_eq!(server.files().await, 0);
    assert_eq!(answer(raw(&url(now + 14 * minute, 300).await).body("x")).await.0, 200);
    let week = url(now, 604_800).await;
    assert_eq!(answer(raw(&week).body("x")).await.0, 200);
    let longer = week.uri().replace("X-Amz-Expires=604800", "X-Amz-Expires=604801");
    assert_ne!(longer, week.uri());
    assert_eq!(answer(http().put(longer).body("x")).await, refused(400, "AuthorizationQueryParametersError"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_keys_other_methods_and_nobody_are_refused() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"x").await;
    assert_eq!(answer(http().get(format!("{}/{BUCKET}/k", server.url))).await, refused(403, "AccessDenied"));
    assert_eq!(answer(http().get(format!("{}/", server.url))).await, refused(403, "AccessDenied"));
    let ticket = sign(client.put_object().bucket(BUCKET).key("k")).await;
    assert_eq!(answer(http().get(ticket.uri())).await, refused(403, "SignatureDoesNotMatch"));
    let elsewhere = ticket.uri().replace("/k?", "/l?");
    assert_eq!(answer(http().put(elsewhere).body("x")).await, refused(403, "SignatureDoesNotMatch"));
    for (access, secret, code) in [
        (server.store.access_key(), "wrong", "SignatureDoesNotMatch"),
        ("ZLNOBODY", server.store.secret_key(), "InvalidAccessKeyId"),
    ] {
        let stranger = super::client(&server.url, access, secret, RequestChecksumCalculation::WhenRequired);
        let call = stranger.get_object().bucket(BUCKET).key("k").send().await;
        assert_eq!(refusal(call), refused(403, code));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_get_can_name_the_download() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"hello").await;
    let call = client.get_object().bucket(BUCKET).key("k").response_content_disposition("attachment; filename=\"x\"");
    let url = call.presigned(five_minutes()).await.expect("a url");
    let response = raw(&url).send().await.expect("an answer");
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"x\"");
    assert_eq!(response.text().await.expect("a body"), "hello");
    server.stop().await;
}
