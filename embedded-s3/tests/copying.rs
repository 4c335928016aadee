use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;

use super::*;
use crate::{Effect, Fault, Operation};

fn copy(client: &Client, from: &str, to: &str) -> CopyObjectFluentBuilder {
    client.copy_object().bucket(BUCKET).key(to).copy_source(format!("{BUCKET}/{from}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_the_same_object_and_outlives_its_source() {
    let (_dir, server) = server().await;
    let client = server.client();
    let written = client.put_object().bucket(BUCKET).key("a").content_type("text/plain").metadata("colour", "blau");
    written.content_disposition("inline").body(ByteStream::from_static(b"hello")).send().await.expect("put");
    let copied = copy(&client, "a", "b").send().await.expect("copied");
    let etag = copied.copy_object_result().and_then(|result| result.e_tag()).expect("an ETag").to_owned();
    assert_eq!(etag, "\"5d41402abc4b2a76b9719d911017c592\"");
    let head = |key: &str| client.head_object().bucket(BUCKET).key(key).checksum_mode(ChecksumMode::Enabled).send();
    let (source, target) = (head("a").await.expect("the source"), head("b").await.expect("the copy"));
    assert_eq!(target.e_tag(), Some(etag.as_str()));
    assert_eq!(target.checksum_sha256(), source.checksum_sha256());
    assert_eq!((target.content_type(), target.content_disposition()), (Some("text/plain"), Some("inline")));
    assert_eq!(target.metadata(), source.metadata());

    client.delete_object().bucket(BUCKET).key("a").send().await.expect("deleted");
    put(&client, "a", b"other").await;
    assert_eq!(get(&client, "b").await, Some(b"hello".to_vec()));
    let dir = server.dir.parent().expect("a folder").to_owned();
    server.stop().await;
    let server = Server::start(&dir).await;
    assert_eq!(get(&server.client(), "b").await, Some(b"hello".to_vec()), "and a restart");
    assert_eq!(server.files().await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_can_depend_on_what_is_there() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "a", b"hello").await;
    put(&client, "b", b"there").await;
    let (etag, failed) = ("\"5d41402abc4b2a76b9719d911017c592\"", refused(412, "PreconditionFailed"));
    assert_eq!(refusal(copy(&client, "a", "b").if_none_match("*").send().await), failed);
    assert_eq!(refusal(copy(&client, "a", "b").if_match("\"other\"").send().await), failed);
    assert_eq!(refusal(copy(&client, "a", "b").copy_source_if_match("\"other\"").send().await), failed);
    assert_eq!(get(&client, "b").await, Some(b"there".to_vec()));
    copy(&client, "a", "c").if_none_match("*").copy_source_if_match(etag).send().await.expect("copied");
    assert_eq!(get(&client, "c").await, Some(b"hello".to_vec()));
    assert_eq!(server.files().await, 3, "what was refused left nothing behind");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_made_says_why() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "a", b"hello").await;
    assert_eq!(refusal(copy(&client, "missing", "b").send().await), refused(404, "NoSuchKey"));
    assert_eq!(refusal(copy(&client, "a", "a").send().await), refused(400, "InvalidRequest"));
    let elsewhere = client.copy_object().bucket(BUCKET).key("b").copy_source("nowhere/a").send().await;
    assert_eq!(refusal(elsewhere), refused(404, "NoSuchBucket"));
    let nowhere = client.copy_object().bucket("nowhere").key("b").copy_source(format!("{BUCKET}/a")).send().await;
    assert_eq!(refusal(nowhere), refused(404, "NoSuchBucket"));
    let version = client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a?versionId=1"));
    assert_eq!(refusal(version.send().await), refused(400, "InvalidArgument"));
    server.store.faults().add(Fault::new(Effect::CutAnswer).on(Operation::CopyObject));
    copy(&client, "a", "b").send().await.expect_err("the answer is lost");
    assert_eq!(get(&client, "b").await, Some(b"hello".to_vec()), "and the copy was made");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_cannot_copy_even_if_it_was_signed_to() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "secret", b"secret").await;
    let ticket = client.put_object().bucket(BUCKET).key("mine").customize().mutate_request(|request| {
        request.headers_mut().insert("x-amz-copy-source", format!("/{BUCKET}/secret"));
    });
    let life = PresigningConfig::expires_in(Duration::from_secs(60)).expect("a life");
    let ticket = ticket.presigned(life).await.expect("signed");
    assert!(ticket.headers().any(|(name, _)| name == "x-amz-copy-source"), "it is signed");
    let signed = raw(&ticket);
    assert_eq!(answer(signed).await, refused(403, "AccessDenied"));
    assert_eq!(get(&client, "mine").await, None);
    server.stop().await;
}
