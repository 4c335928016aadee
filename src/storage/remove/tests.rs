use uuid::Uuid;

use super::*;
use crate::storage::test_s3::{Item, Scripted, answer, bare, error_body, until_close};

mod real;
mod uploads;

const KEY: &str = "media/default/0a/00000000-0000-0000-0000-00000000000a.jpg";

fn list(inside: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<ListVersionsResult>{inside}</ListVersionsResult>")
}

fn whole_list(inside: &str) -> String {
    answer(200, "", &list(&format!("<IsTruncated>false</IsTruncated>{inside}")))
}

fn version(key: &str, id: &str, bytes: u64) -> String {
    format!("<Version><Key>{key}</Key><VersionId>{id}</VersionId><Size>{bytes}</Size></Version>")
}

fn marker(key: &str, id: &str) -> String {
    format!("<DeleteMarker><Key>{key}</Key><VersionId>{id}</VersionId></DeleteMarker>")
}

fn deletes(inside: &str) -> String {
    answer(200, "", &format!("<?xml version=\"1.0\"?>\n<DeleteResult>{inside}</DeleteResult>"))
}

fn deleted(id: &str) -> String {
    format!("<Deleted><Key>{KEY}</Key><VersionId>{id}</VersionId></Deleted>")
}

fn failed(id: &str, code: &str) -> String {
    format!("<Error><Key>{KEY}</Key><VersionId>{id}</VersionId><Code>{code}</Code></Error>")
}

fn gone(bytes: u64) -> Removal {
    Removal::Gone { freed: Some(ByteSize::new(bytes)) }
}

fn failure(code: &str) -> Removal {
    Removal::Failed { code: code.to_owned() }
}

/// Removes one item from a bucket with versions on a server that gives these answers.
async fn remove_with(answers: Vec<String>) -> (Removal, Vec<String>) {
    let server = Scripted::answering(answers).await;
    let gateway = server.gateway().await;
    gateway.expect_versions(true);
    gateway.expect_no_uploads();
    let item = Item::with_id(&gateway, Uuid::from_u128(0xa));
    let mut removals = gateway.remove(&[item.at()]).await;
    (removals.remove(0), server.requests())
}

#[tokio::test]
async fn an_item_is_gone_when_a_list_after_the_delete_shows_nothing() {
    let versions = format!("{}{}{}", version(KEY, "v2", 5), marker(KEY, "m1"), version(KEY, "v1", 7));
    let all = format!("{}{}{}", deleted("v2"), deleted("m1"), deleted("v1"));
    let (removal, requests) = remove_with(vec![whole_list(&versions), deletes(&all), whole_list("")]).await;
    assert_eq!(removal, gone(12));
    assert_eq!(requests.len(), 3);
    for id in ["v1", "v2", "m1"] {
        assert!(requests[1].contains(&format!("<VersionId>{id}</VersionId>")), "{}", requests[1]);
    }
    assert!(requests[2].starts_with("GET /photos"), "{}", requests[2]);
}

#[tokio::test]
async fn what_comes_in_between_is_removed_too() {
    let (removal, requests) = remove_with(vec![
        whole_list(&version(KEY, "v1", 5)),
        deletes(&deleted("v1")),
        whole_list(&format!("{}{}", version(KEY, "late", 5), marker(KEY, "theirs"))),
        deletes(&format!("{}{}", deleted("late"), deleted("theirs"))),
        whole_list(""),
    ])
    .await;
    assert_eq!((removal, requests.len()), (gone(10), 5));
}

#[tokio::test]
async fn more_versions_than_a_list_shows_all_go() {
    let next = format!("<NextKeyMarker>{KEY}</NextKeyMarker><NextVersionIdMarker>v2</NextVersionIdMarker>");
    let first = format!("<IsTruncated>true</IsTruncated>{next}{}", version(KEY, "v2", 5));
    let (removal, requests) = remove_with(vec![
        answer(200, "", &list(&first)),
        deletes(&deleted("v2")),
        whole_list(&version(KEY, "v1", 7)),
        deletes(&deleted("v1")),
        whole_list(""),
    ])
    .await;
    assert_eq!((removal, requests.len()), (gone(12), 5));
}

#[tokio::test]
async fn keys_that_begin_alike_are_another_s() {
    let alike = format!("{}{}", version(&format!("{KEY}x"), "v1", 5), marker(&format!("{KEY}/y"), "m1"));
    let (removal, requests) = remove_with(vec![whole_list(&alike)]).await;
    assert_eq!((removal, requests.len()), (Removal::Gone { freed: None }, 1));
    // A long list of versions is not read to its end.
    let more = format!("<IsTruncated>true</IsTruncated><NextKeyMarker>{KEY}x</NextKeyMarker>{alike}");
    let (removal, requests) = remove_with(vec![answer(200, "", &list(&more))]).await;
    assert_eq!((removal, requests.len()), (Removal::Gone { freed: None }, 1));
}

#[tokio::test]
async fn markers_alone_are_removed_and_free_nothing() {
    let answers = vec![whole_list(&marker(KEY, "m1")), deletes(&deleted("m1")), whole_list("")];
    assert_eq!(remove_with(answers).await.0, Removal::Gone { freed: None });
}

#[tokio::test]
async fn an_empty_page_that_goes_on_proves_nothing_yet() {
    let empty = format!(
        "<IsTruncated>true</IsTruncated><NextKeyMarker>{KEY}</NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>"
    );
    let (removal, requests) = remove_with(vec![
        answer(200, "", &list(&empty)),
        whole_list(&version(KEY, "v1", 5)),
        deletes(&deleted("v1")),
        whole_list(""),
    ])
    .await;
    assert_eq!(removal, gone(5));
    assert!(requests[1].contains("version-id-marker=v9"), "{}", requests[1]);
    // A list that goes on where it began would never end.
    let (removal, _) = remove_with(vec![answer(200, "", &list(&empty))]).await;
    assert!(matches!(removal, Removal::Unknown { .. }), "{removal:?}");
}

#[tokio::test]
async fn a_list_that_was_cut_or_does_not_say_that_it_is_whole_proves_nothing() {
    let whole = list("<IsTruncated>false</IsTruncated>");
    for end in [whole.len() - 1, whole.len() - 20, whole.find("<IsTruncated>").unwrap(), 0] {
        let (removal, _) = remove_with(vec![until_close(&whole[..end])]).await;
        assert!(matches!(removal, Removal::Unknown { .. }), "cut at {end}: {removal:?}");
    }
    for inside in ["", "<IsTruncated>true</IsTruncated>"] {
        let (removal, _) = remove_with(vec![answer(200, "", &list(inside))]).await;
        assert!(matches!(removal, Removal::Unknown { .. }), "{inside}: {removal:?}");
    }
    for (status, code) in [(403, "AccessDenied"), (503, "SlowDown"), (500, "InternalError")] {
        let (removal, _) = remove_with(vec![answer(status, "", &error_body(code))]).await;
        assert!(matches!(&removal, Removal::Unknown { why } if why.reason() == code), "{removal:?}");
    }
}

#[tokio::test]
async fn a_delete_whose_answer_is_cut_proves_nothing() {
    let whole = format!("<?xml version=\"1.0\"?>\n<DeleteResult>{}</DeleteResult>", deleted("v1"));
    let (removal, _) =
        remove_with(vec![whole_list(&version(KEY, "v1", 5)), until_close(&whole[..whole.len() - 3])]).await;
    assert!(matches!(removal, Removal::Unknown { .. }), "{removal:?}");
}

#[tokio::test]
async fn a_version_that_may_not_be_deleted_says_why() {
    for (locks, code) in [
        ("x-amz-object-lock-mode: COMPLIANCE\r\nx-amz-object-lock-legal-hold: ON\r\n", LEGAL_HOLD),
        ("x-amz-object-lock-mode: GOVERNANCE\r\nx-amz-object-lock-legal-hold: OFF\r\n", RETAINED),
        ("", VERSION_DENIED),
    ] {
        let versions = format!("{}{}", version(KEY, "v2", 5), version(KEY, "v1", 5));
        let (removal, requests) = remove_with(vec![
            whole_list(&versions),
            deletes(&format!("{}{}", deleted("v2"), failed("v1", "AccessDenied"))),
            bare(200, &format!("content-length: 5\r\n{locks}")),
        ])
        .await;
        assert_eq!((&removal, requests.len()), (&failure(code), 3), "one denied version is not a gone item");
        assert!(is_lasting(code) && explain(code).is_some());
        assert!(requests[2].contains("versionId=v1"), "{}", requests[2]);
    }
}

#[tokio::test]
async fn another_failure_of_a_version_keeps_its_code_and_a_missing_one_is_gone() {
    let both = format!("{}{}", version(KEY, "v2", 5), version(KEY, "v1", 5));
    let answers =
        vec![whole_list(&both), deletes(&format!("{}{}", failed("v2", "NoSuchVersion"), failed("v1", "SlowDown")))];
    assert_eq!(remove_with(answers).await.0, failure("SlowDown"));
    assert!(!is_lasting("SlowDown"));
    let answers = vec![
        whole_list(&both),
        deletes(&format!("{}{}", deleted("v1"), failed("v2", "NoSuchVersion"))),
        whole_list(""),
    ];
    assert_eq!(remove_with(answers).await.0, gone(10));
}

#[tokio::test]
async fn versions_that_never_end_are_left_to_a_later_run() {
    let mut answers = Vec::new();
    for _ in 0..ROUNDS {
        answers.extend([whole_list(&version(KEY, "v1", 5)), deletes(&deleted("v1"))]);
    }
    assert_eq!(remove_with(answers).await.0, failure(VERSIONS_LEFT));
}

#[tokio::test]
async fn a_bucket_that_begins_to_keep_versions_is_noticed_at_the_delete() {
    let hidden = format!(
        "<Deleted><Key>{KEY}</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m1</DeleteMarkerVersionId></Deleted>"
    );
    let server = Scripted::answering(vec![
        deletes(&hidden),
        whole_list(&format!("{}{}", marker(KEY, "m1"), version(KEY, "v1", 5))),
        deletes(&format!("{}{}", deleted("v1"), deleted("m1"))),
        whole_list(""),
    ])
    .await;
    let gateway = server.gateway().await;
    gateway.expect_no_uploads();
    let item = Item::with_id(&gateway, Uuid::from_u128(0xa));
    assert_eq!(gateway.remove(&[item.at()]).await, [gone(5)]);
}

#[tokio::test]
async fn where_no_versions_are_kept_it_is_one_call() {
    let server = Scripted::answering(vec![deletes(&format!("<Deleted><Key>{KEY}</Key></Deleted>"))]).await;
    let gateway = server.gateway().await;
    gateway.expect_no_uploads();
    let item = Item::with_id(&gateway, Uuid::from_u128(0xa));
    assert_eq!(gateway.remove(&[item.at()]).await, [Removal::Gone { freed: None }]);
    assert_eq!(server.requests().len(), 1);
}
