use aws_sdk_s3::primitives::ByteStream;

use super::*;
use crate::Operation;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twelve_puts_at_once_exactly_one_wins() {
    let (_dir, server) = server().await;
    let client = server.client();
    for round in 0..5 {
        let key = format!("k{round}");
        // All twelve requests are verified and wait here before any of them checks its condition.
        let stall = server.store.faults().stall(Some(Operation::PutObject), Some(&key));
        let puts: Vec<_> = (0..12_u8)
            .map(|n| {
                let call = client.put_object().bucket(BUCKET).key(&key).if_none_match("*");
                tokio::spawn(call.body(vec![n; 10_000].into()).send())
            })
            .collect();
        stall.reached(12).await;
        stall.release();
        let mut winners = Vec::new();
        for (n, put) in puts.into_iter().enumerate() {
            match put.await.expect("a task") {
                Ok(_) => winners.push(n as u8),
                Err(error) => assert_eq!(refusal::<(), _>(Err(error)), refused(412, "PreconditionFailed")),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(get(&client, &key).await, Some(vec![winners[0]; 10_000]));
    }
    assert_eq!(server.files().await, 5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_can_depend_on_what_is_there() {
    let (_dir, server) = server().await;
    let client = server.client();
    let call = |etag: &str| {
        client.put_object().bucket(BUCKET).key("k").if_match(etag).body(ByteStream::from_static(b"new")).send()
    };
    assert_eq!(refusal(call("\"5d41402abc4b2a76b9719d911017c592\"").await), refused(404, "NoSuchKey"));
    put(&client, "k", b"hello").await;
    assert_eq!(refusal(call("\"00000000000000000000000000000000\"").await), refused(412, "PreconditionFailed"));
    call("\"5d41402abc4b2a76b9719d911017c592\"").await.expect("put");
    assert_eq!(get(&client, "k").await.as_deref(), Some(&b"new"[..]));
    assert_eq!(server.files().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_can_depend_on_what_is_there() {
    let (_dir, server) = server().await;
    let client = server.client();
    put(&client, "k", b"hello").await;
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    let get = || client.get_object().bucket(BUCKET).key("k");
    let head = || client.head_object().bucket(BUCKET).key("k");
    get().if_match(etag).send().await.expect("get");
    get().if_none_match("\"other\"").send().await.expect("get");
    assert_eq!(refusal(get().if_match("\"other\"").send().await), refused(412, "PreconditionFailed"));
    assert_eq!(refusal(get().if_none_match(etag).send().await).0, 304);
    assert_eq!(refusal(head().if_none_match(etag).send().await).0, 304);
    assert_eq!(refusal(head().if_match("\"other\"").send().await).0, 412);
    let modified = head().send().await.expect("head").last_modified().copied().expect("a time");
    assert_eq!(refusal(get().if_modified_since(modified).send().await).0, 304);
    get().if_unmodified_since(modified).send().await.expect("get");
    let before = aws_sdk_s3::primitives::DateTime::from_secs(modified.secs() - 10);
    assert_eq!(refusal(get().if_unmodified_since(before).send().await).0, 412);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_can_depend_on_what_is_there() {
    let (_dir, server) = server().await;
    let client = server.client();
    let delete = |etag: &str| client.delete_object().bucket(BUCKET).key("k").if_match(etag).send();
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    assert_eq!(refusal(delete(etag).await), refused(404, "NoSuchKey"));
    put(&client, "k", b"hello").await;
    assert_eq!(refusal(delete("\"other\"").await), refused(412, "PreconditionFailed"));
    assert_eq!(server.files().await, 1);
    delete(etag).await.expect("delete");
    assert_eq!(server.files().await, 0);
    put(&client, "k", b"hello").await;
    delete("*").await.expect("delete");
    server.stop().await;
}
