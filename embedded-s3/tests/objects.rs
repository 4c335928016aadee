use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, MetadataDirective, ServerSideEncryption};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::*;

fn sha256(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_comes_back_as_it_was_put() {
    let (_dir, server) = server().await;
    let client = server.client();
    let body = b"hello";
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("a/b.txt")
        .content_type("text/plain; charset=utf-8")
        .content_disposition("attachment; filename=\"b.txt\"")
        .content_language("en")
        .cache_control("no-store")
        .metadata("colour", "blau – blue")
        .body(ByteStream::from_static(body))
        .send()
        .await
        .expect("put");
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let object = client.get_object().bucket(BUCKET).key("a/b.txt").send().await.expect("get");
    assert_eq!(object.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(object.content_disposition(), Some("attachment; filename=\"b.txt\""));
    assert_eq!(object.content_language(), Some("en"));
    assert_eq!(object.cache_control(), Some("no-store"));
    assert_eq!(object.content_length(), Some(5));
    assert_eq!(object.e_tag(), put.e_tag());
    assert!(object.last_modified().is_some());
    assert_eq!(object.checksum_sha256(), None);
    assert_eq!(object.body.collect().await.expect("a body").to_vec(), body);

    let head = client.head_object().bucket(BUCKET).key("a/b.txt");
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await.expect("head");
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.checksum_sha256(), Some(sha256(body).as_str()));
    assert_eq!(head.metadata().expect("metadata").len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_answered_in_part() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"0123456789").await;
    for (range, expected, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let part = client.get_object().bucket(BUCKET).key("k").range(range).send().await.expect("get");
        assert_eq!(part.content_range(), Some(shown));
        assert_eq!(part.body.collect().await.expect("a body").to_vec(), expected.as_bytes());
    }
    let beyond = client.get_object().bucket(BUCKET).key("k").range("bytes=10-").send().await;
    assert_eq!(refusal(beyond), refused(416, "InvalidRange"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_and_the_longest_key_work() {
    let (_dir, server) = server().await;
    let client = server.client();
    let key = "é".repeat(512);
    put(&client, &key, b"").await;
    assert_eq!(get(&client, &key).await.as_deref(), Some(&b""[..]));
    let head = client.head_object().bucket(BUCKET).key(&key).send().await.expect("head");
    assert_eq!(head.content_length(), Some(0));
    assert_eq!(head.content_type(), Some("application/octet-stream"));
    let longer = client.put_object().bucket(BUCKET).key(format!("{key}x")).send().await;
    assert_eq!(refusal(longer), refused(400, "KeyTooLongError"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_replaces_bytes_headers_and_file() {
    let (_dir, server) = server().await;
    let client = server.client();
    let first = client.put_object().bucket(BUCKET).key("k").content_type("text/plain");
    first.body(ByteStream::from_static(b"one")).send().await.expect("put");
    put(&client, "k", b"two").await;
    assert_eq!(get(&client, "k").await.as_deref(), Some(&b"two"[..]));
    let head = client.head_object().bucket(BUCKET).key("k").send().await.expect("head");
    assert_eq!(head.content_type(), Some("application/octet-stream"));
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_mebibytes_stream_through() {
    let (_dir, server) = server().await;
    let client = server.client();
    let body: Vec<u8> = (0..20 * 1024 * 1024_u32).map(|n| (n % 251) as u8).collect();
    put(&client, "big", &body).await;
    assert!(get(&client, "big").await.is_some_and(|got| got == body));
    let part =
        client.get_object().bucket(BUCKET).key("big").range("bytes=20000000-20000009").send().await.expect("get");
    assert_eq!(part.body.collect().await.expect("a body").to_vec(), body[20_000_000..20_000_010]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_was_claimed_leaves_nothing_behind() {
    let (_dir, server) = server().await;
    let client = server.client();
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    let four = STANDARD.encode([0; 4]);
    for (call, code) in [
        (put().content_md5(STANDARD.encode([0; 16])), "BadDigest"),
        (put().content_md5("not base64"), "InvalidDigest"),
        (put().checksum_sha256(sha256(b"hullo")), "BadDigest"),
        (put().checksum_sha256("c2hvcnQ="), "InvalidRequest"),
        (put().checksum_crc32(&four), "BadDigest"),
        (put().checksum_crc32_c(&four), "BadDigest"),
        (put().checksum_sha1(STANDARD.encode([0; 20])), "BadDigest"),
        (put().checksum_crc64_nvme(STANDARD.encode([0; 8])), "BadDigest"),
    ] {
        assert_eq!(refusal(call.send().await), refused(400, code));
        assert_eq!(server.files().await, 0);
    }
    assert_eq!(get(&client, "k").await, None);
    let right = put().checksum_sha256(sha256(b"hello")).send().await.expect("put");
    assert_eq!(right.checksum_sha256(), Some(sha256(b"hello").as_str()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_payload_hash_or_an_unknown_checksum_is_refused() {
    let (_dir, server) = server().await;
    let client = server.client();
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    let wrong = put().customize().mutate_request(|request| {
        request.headers_mut().insert("x-amz-content-sha256", "0".repeat(64));
    });
    let wrong = wrong.presigned(five_minutes()).await.expect("a url");
    assert!(wrong.headers().any(|(name, _)| name == "x-amz-content-sha256"));
    assert_eq!(answer(raw(&wrong).body("hello")).await, refused(400, "XAmzContentSHA256Mismatch"));
    let unknown = put().customize().mutate_request(|request| {
        request.headers_mut().insert("x-amz-checksum-xxhash128", "AAAA");
    });
    assert_eq!(refusal(unknown.send().await), refused(400, "InvalidRequest"));
    assert_eq!(server.files().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_uploads_with_a_trailing_checksum_are_verified() {
    let (_dir, server) = server().await;
    let client = server.client_with(RequestChecksumCalculation::WhenSupported);
    for algorithm in
        [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Crc64Nvme]
    {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), vec![7; 300_000]).expect("write");
        let body = ByteStream::from_path(file.path()).await.expect("a body");
        let put = client.put_object().bucket(BUCKET).key("k").checksum_algorithm(algorithm).content_encoding("gzip");
        put.body(body).send().await.expect("put");
        let head = client.head_object().bucket(BUCKET).key("k").send().await.expect("head");
        assert_eq!(head.content_length(), Some(300_000));
        assert_eq!(head.content_encoding(), Some("gzip"));
    }
    assert_eq!(get(&client, "k").await, Some(vec![7; 300_000]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_says_so() {
    let (_dir, server) = server().await;
    let client = server.client();
    let nowhere = client.put_object().bucket("nowhere").key("k").body(ByteStream::from_static(b"x")).send().await;
    assert_eq!(refusal(nowhere), refused(404, "NoSuchBucket"));
    assert_eq!(refusal(client.get_object().bucket(BUCKET).key("k").send().await), refused(404, "NoSuchKey"));
    assert_eq!(refusal(client.get_object().bucket("nowhere").key("k").send().await), refused(404, "NoSuchBucket"));
    assert_eq!(refusal(client.head_object().bucket(BUCKET).key("k").send().await).0, 404);
    assert_eq!(refusal(client.head_bucket().bucket("nowhere").send().await).0, 404);
    assert_eq!(server.files().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_server_does_not_do_is_refused() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"x").await;
    let put = || client.put_object().bucket(BUCKET).key("new");
    let not_implemented = refused(501, "NotImplemented");
    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/k"));
    let replaced = copy.metadata_directive(MetadataDirective::Replace).content_type("text/html");
    assert_eq!(refusal(replaced.send().await), not_implemented);
    assert_eq!(refusal(put().tagging("a=b").send().await), not_implemented);
    let encrypted = put().server_side_encryption(ServerSideEncryption::Aes256).send().await;
    assert_eq!(refusal(encrypted), not_implemented);
    assert_eq!(refusal(put().if_none_match("\"x\"").send().await), not_implemented);
    let multipart = client.create_multipart_upload().bucket(BUCKET).key("k").send().await;
    assert_eq!(refusal(multipart), not_implemented);
    let much = put().metadata("a", "x".repeat(3000)).send().await;
    assert_eq!(refusal(much), refused(400, "MetadataTooLarge"));
    let version = client.get_object().bucket(BUCKET).key("k").version_id("1").send().await;
    assert_eq!(refusal(version), refused(400, "InvalidArgument"));
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_apart_and_can_be_made() {
    let (_dir, server) = server().await;
    let client = server.client();
    client.create_bucket().bucket("second").send().await.expect("create");
    assert_eq!(refusal(client.create_bucket().bucket(BUCKET).send().await), refused(409, "BucketAlreadyOwnedByYou"));
    assert_eq!(refusal(client.create_bucket().bucket("NO").send().await), refused(400, "InvalidBucketName"));
    put(&client, "k", b"x").await;
    assert_eq!(refusal(client.get_object().bucket("second").key("k").send().await), refused(404, "NoSuchKey"));
    let list = client.list_buckets().send().await.expect("list");
    let names: Vec<_> = list.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, [BUCKET, "second"]);
    client.head_bucket().bucket("second").send().await.expect("head");
    let location = client.get_bucket_location().bucket(BUCKET).send().await.expect("location");
    assert_eq!(location.location_constraint().map_or("", |location| location.as_str()), "");
    let versioning = client.get_bucket_versioning().bucket(BUCKET).send().await.expect("versioning");
    assert_eq!(versioning.status(), None);
    server.stop().await;
}
