use aws_sdk_s3::types::EncodingType;

use super::*;

async fn keys(server: &Server, keys: &[&str]) -> Client {
    let client = server.client();
    for key in keys {
        put(&client, key, b"x").await;
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_key_once_and_in_byte_order() {
    let (_dir, server) = server().await;
    let client = keys(&server, &["b", "a/2", "a", "z", "é", "a/1", "a0", "B", "a/1/x"]).await;
    let mut found = Vec::new();
    let mut token = None;
    let mut pages = 0;
    loop {
        let page = client
            .list_objects_v2()
            .bucket(BUCKET)
            .max_keys(2)
            .set_continuation_token(token)
            .send()
            .await
            .expect("list");
        assert_eq!(page.key_count(), Some(page.contents().len() as i32));
        found.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        pages += 1;
        token = page.next_continuation_token().map(str::to_owned);
        assert_eq!(page.is_truncated(), Some(token.is_some()));
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, ["B", "a", "a/1", "a/1/x", "a/2", "a0", "b", "z", "é"]);
    assert_eq!(pages, 5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prefix_delimiter_and_start_narrow_the_list() {
    let (_dir, server) = server().await;
    let client = keys(&server, &["p/a/1", "p/a/2", "p/b", "p/c/1", "p/c/2", "p/c/3", "p/d", "q"]).await;
    let list = || client.list_objects_v2().bucket(BUCKET).prefix("p/").delimiter("/");
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = list().max_keys(1).set_continuation_token(token).send().await.expect("list");
        found.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        found.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(str::to_owned)));
        assert_eq!(page.key_count(), Some(1));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, ["p/a/", "p/b", "p/c/", "p/d"]);

    let whole = list().send().await.expect("list");
    assert_eq!((whole.contents().len(), whole.common_prefixes().len()), (2, 2));
    let after = client.list_objects_v2().bucket(BUCKET).start_after("p/c/2").send().await.expect("list");
    let after: Vec<_> = after.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(after, ["p/c/3", "p/d", "q"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_lists_are_answered() {
    let (_dir, server) = server().await;
    let client = keys(&server, &["a b+ü"]).await;
    let list = || client.list_objects_v2().bucket(BUCKET);
    let none = list().max_keys(0).send().await.expect("list");
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    assert_eq!(refusal(list().max_keys(-1).send().await), refused(400, "InvalidArgument"));
    assert_eq!(refusal(list().continuation_token("%").send().await), refused(400, "InvalidArgument"));
    let escaped = list().encoding_type(EncodingType::Url).send().await.expect("list");
    assert_eq!(escaped.contents()[0].key(), Some("a%20b%2B%C3%BC"));
    assert_eq!(list().send().await.expect("list").contents()[0].key(), Some("a b+ü"));
    let nowhere = client.list_objects_v2().bucket("nowhere").send().await;
    assert_eq!(refusal(nowhere), refused(404, "NoSuchBucket"));
    server.stop().await;
}
