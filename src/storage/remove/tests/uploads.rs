//! Unfinished multipart uploads, on a server that answers as it is told.

use super::*;

fn uploads(inside: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{inside}</ListMultipartUploadsResult>"
    );
    answer(200, "", &body)
}

fn upload(key: &str) -> String {
    format!("<Upload><Key>{key}</Key><UploadId>u1</UploadId></Upload>")
}

fn parts(inside: &str) -> String {
    answer(200, "", &format!("<ListPartsResult><IsTruncated>false</IsTruncated>{inside}</ListPartsResult>"))
}

fn gone_key() -> String {
    deletes(&format!("<Deleted><Key>{KEY}</Key></Deleted>"))
}

fn part() -> &'static str {
    "<Part><PartNumber>1</PartNumber><Size>5</Size></Part>"
}

async fn remove_with(answers: Vec<String>) -> (Removal, Vec<String>) {
    let server = Scripted::answering(answers).await;
    let gateway = server.gateway().await;
    let item = Item::with_id(&gateway, Uuid::from_u128(0xa));
    let mut removals = gateway.remove(&[item.at()]).await;
    let requests = server.requests();
    let lines = requests.iter().map(|request| request.lines().next().unwrap_or_default().to_owned());
    (removals.remove(0), lines.collect())
}

#[tokio::test]
async fn an_upload_is_aborted_until_no_part_is_left_and_before_the_delete() {
    let no_upload = answer(404, "", &error_body("NoSuchUpload"));
    let (removal, requests) = remove_with(vec![
        uploads(&upload(KEY)),
        answer(204, "", ""),
        parts(part()),
        answer(204, "", ""),
        no_upload,
        uploads(""),
        gone_key(),
    ])
    .await;
    assert_eq!(removal, Removal::Gone { freed: None }, "{requests:#?}");
    let methods: Vec<&str> = requests.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(methods, ["GET", "DELETE", "GET", "DELETE", "GET", "GET", "POST"], "{requests:#?}");
}

#[tokio::test]
async fn an_upload_of_another_key_is_left_alone() {
    let (removal, requests) = remove_with(vec![uploads(&upload(&format!("{KEY}x"))), gone_key()]).await;
    assert_eq!((removal, requests.len()), (Removal::Gone { freed: None }, 2));
}

#[tokio::test]
async fn an_upload_that_stays_keeps_its_item_from_being_gone() {
    let denied = answer(403, "", &error_body("AccessDenied"));
    let (removal, requests) = remove_with(vec![uploads(&upload(KEY)), denied, uploads(&upload(KEY))]).await;
    assert_eq!((removal, requests.len()), (failure(UPLOAD_DENIED), 3), "and its object is not deleted");

    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(uploads(&upload(KEY)));
        for _ in 0..3 {
            answers.extend([answer(204, "", ""), parts(part())]);
        }
    }
    answers.push(uploads(&upload(KEY)));
    assert_eq!(remove_with(answers).await.0, failure(UPLOAD_LEFT));
}

#[tokio::test]
async fn a_list_of_uploads_without_an_answer_proves_nothing() {
    let whole = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
    for unclear in [
        answer(503, "", &error_body("SlowDown")),
        until_close(&whole[..whole.len() - 5]),
        answer(200, "", "<ListMultipartUploadsResult></ListMultipartUploadsResult>"),
        String::new(),
    ] {
        let (removal, requests) = remove_with(vec![unclear.clone()]).await;
        assert!(matches!(removal, Removal::Unknown { .. }), "{unclear}: {removal:?}");
        assert!(requests.iter().all(|line| line.starts_with("GET")), "nothing is deleted: {requests:#?}");
    }
}

#[tokio::test]
async fn a_server_without_uploads_is_asked_once() {
    let none = answer(501, "", &error_body("NotImplemented"));
    let server = Scripted::answering(vec![none, gone_key()]).await;
    let gateway = server.gateway().await;
    let item = Item::with_id(&gateway, Uuid::from_u128(0xa));
    for _ in 0..2 {
        assert_eq!(gateway.remove(&[item.at()]).await, [Removal::Gone { freed: None }]);
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn without_the_right_to_list_uploads_the_object_is_deleted_all_the_same() {
    let denied = answer(403, "", &error_body("AccessDenied"));
    let (removal, requests) = remove_with(vec![denied, gone_key()]).await;
    assert_eq!((removal, requests.len()), (Removal::Gone { freed: None }, 2));
}
