use zeroload_clock::{Ids, Sleeper};

use super::*;
use crate::storage::{
    PaceSettings,
    test_s3::{Scripted, answer, error_body},
};

/// The keys that a request names.
fn named(request: &str) -> Vec<String> {
    let keys = request.split("<Key>").skip(1);
    keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_call_that_fails_is_asked_again_in_halves_and_all_is_given_up_when_every_part_fails() {
    let server = Scripted::answering(vec![answer(400, "", &error_body("MalformedXML"))]).await;
    let keys: Vec<String> = (0..64).map(|number| format!("media/{number:02}")).collect();
    let all: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
    let gateway = server.gateway().await;
    let deleted = gateway.delete_all(&all).await;
    assert!(all.iter().all(|(key, _)| matches!(deleted.of(key, None), Some(Deletion::Unknown { .. }))));
    let asked: Vec<_> = server.requests().iter().map(|request| named(request).len()).collect();
    assert_eq!(asked, [64, 32, 32, 16, 16, 16, 16, 8]);
}

#[tokio::test]
async fn what_concerns_all_keys_is_not_asked_again_in_parts() {
    for (status, code) in [(403, "AccessDenied"), (404, "NoSuchBucket"), (503, "SlowDown")] {
        let server = Scripted::answering(vec![answer(status, "", &error_body(code))]).await;
        let deleted = server.gateway().await.delete_all(&[("media/1", None), ("media/2", None)]).await;
        assert!(matches!(deleted.of("media/2", None), Some(Deletion::Unknown { .. })));
        assert!(server.requests().iter().all(|request| named(request).len() == 2), "{code}");
    }
}

#[tokio::test]
async fn what_was_given_up_is_tried_in_smaller_calls_until_healthy_keys_go() {
    let server = Scripted::answering(vec![answer(400, "", &error_body("MalformedXML"))]).await;
    let pace = PaceSettings { requests_per_second: 1_000_000, parallel_requests: 1 };
    let gateway = server.gateway().await.paced(pace, Ids::seeded(1), Sleeper::system());
    let keys: Vec<String> = (0..64).map(|number| format!("media/{number:02}")).collect();
    let all: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
    let first = gateway.keys_per_call();
    gateway.delete_all(&all).await;
    assert_eq!(gateway.keys_per_call(), first / 2);
    while gateway.keys_per_call() > 10 {
        gateway.delete_all(&all).await;
    }
    let before = server.requests().len();
    gateway.delete_all(&all).await;
    assert!(server.requests()[before..].iter().all(|request| named(request).len() <= 10));
}
