use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::*;

fn delete(keys: impl IntoIterator<Item = String>, quiet: bool) -> Delete {
    let objects = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
    Delete::builder().set_objects(Some(objects.collect())).quiet(quiet).build().expect("a delete")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_takes_the_file_and_repeats_are_fine() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"x").await;
    for _ in 0..2 {
        client.delete_object().bucket(BUCKET).key("k").send().await.expect("delete");
        assert_eq!(server.files().await, 0);
    }
    assert_eq!(get(&client, "k").await, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_keys_go_at_once_and_one_more_is_refused() {
    let (_dir, server) = server().await;
    let client = server.client();
    for n in 0..30 {
        put(&client, &format!("k/{n:04}"), b"x").await;
    }
    put(&client, "stays", b"x").await;
    let keys = |count: usize| (0..count).map(|n| format!("k/{n:04}"));
    let too_many = client.delete_objects().bucket(BUCKET).delete(delete(keys(1001), false)).send().await;
    assert_eq!(refusal(too_many), refused(400, "MalformedXML"));
    assert_eq!(server.files().await, 31);
    let answer = client.delete_objects().bucket(BUCKET).delete(delete(keys(1000), false)).send().await.expect("delete");
    assert_eq!(answer.deleted().len(), 1000);
    assert!(answer.errors().is_empty());
    assert_eq!(server.files().await, 1);
    let quiet =
        client.delete_objects().bucket(BUCKET).delete(delete(["stays".to_owned()], true)).send().await.expect("delete");
    assert!(quiet.deleted().is_empty());
    assert_eq!(server.files().await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_has_its_own_answer() {
    let (_dir, server) = server().await;
    let client = server.client();
    for key in ["a", "b", "c & d <é>"] {
        put(&client, key, b"hello").await;
    }
    let key = |key: &str| ObjectIdentifier::builder().key(key);
    let objects = [
        key("a").e_tag("\"5d41402abc4b2a76b9719d911017c592\""),
        key("b").e_tag("\"00000000000000000000000000000000\""),
        key("c & d <é>"),
        key("missing"),
        key("other").version_id("7"),
    ];
    let objects = objects.into_iter().map(|object| object.build().expect("a key")).collect();
    let delete = Delete::builder().set_objects(Some(objects)).build().expect("a delete");
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.expect("delete");
    let mut deleted: Vec<_> = answer.deleted().iter().filter_map(|deleted| deleted.key()).collect();
    deleted.sort_unstable();
    assert_eq!(deleted, ["a", "c & d <é>", "missing"]);
    let mut errors: Vec<_> =
        answer.errors().iter().map(|error| (error.key().unwrap_or(""), error.code().unwrap_or(""))).collect();
    errors.sort_unstable();
    assert_eq!(errors, [("b", "PreconditionFailed"), ("other", "InvalidArgument")]);
    assert_eq!(server.files().await, 1);
    server.stop().await;
}
