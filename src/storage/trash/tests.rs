use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use zeroload_domain::{Bucket, ByteSize, Claim, CollectReason};

use super::*;
use crate::storage::{
    GatewaySettings, Versioning,
    test_s3::{Item, RealServer, Scripted, answer, bare, fresh_id, learn_not_found, missing, now, send},
};

fn head(etag: &str, length: u64) -> String {
    bare(200, &format!("content-length: {length}\r\netag: \"{etag}\"\r\n"))
}

fn copied() -> String {
    answer(200, "", "<CopyObjectResult><ETag>\"e1\"</ETag></CopyObjectResult>")
}

fn claimed(seen: Seen) -> Claimed {
    Claimed { claim: Claim::FIRST, reason: CollectReason::Expired, seen, trash_until: None, trashed: None }
}

fn present(etag: &str, length: u64) -> Seen {
    Seen::present(ETag::parse(etag).unwrap(), ByteSize::new(length))
}

/// The claim of an item as the collector makes it.
async fn claim(gateway: &Gateway, item: &Item) -> Claimed {
    let facts = gateway.head(&item.at()).await.unwrap();
    claimed(facts.map_or(Seen::Absent, |facts| Seen::present(facts.etag, facts.content_length)))
}

async fn trash_with(answers: Vec<String>) -> (Trashing, Vec<String>) {
    let server = Scripted::answering(answers).await;
    let gateway = server.gateway().await;
    gateway.expect_no_uploads();
    let item = Item::fresh(&gateway);
    let trashing = gateway.trash(&item.at(), &claimed(present("e1", 5))).await;
    let lines = server.requests().into_iter().map(|request| request.lines().next().unwrap_or_default().to_owned());
    (trashing, lines.collect())
}

fn code_of(trashing: &Trashing) -> &str {
    match trashing {
        Trashing::Removed(Removal::Failed { code }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_removed_before_its_copy_was_seen_to_be_the_same() {
    for copy in [head("e1", 4), head("e2", 5)] {
        let (trashing, requests) = trash_with(vec![head("e1", 5), copied(), copy]).await;
        assert_eq!((code_of(&trashing), requests.len()), (COPY_DIFFERS, 3), "{requests:#?}");
    }
    for unclear in [answer(500, "", ""), String::new(), answer(403, "", "")] {
        let (trashing, requests) = trash_with(vec![head("e1", 5), unclear]).await;
        assert!(matches!(trashing, Trashing::Removed(Removal::Unknown { .. })), "{trashing:?}");
        assert!(requests.iter().all(|line| !line.starts_with("POST") && !line.starts_with("DELETE")), "{requests:#?}");
    }
    let (trashing, requests) = trash_with(vec![head("e1", 5), copied(), missing()]).await;
    assert!(matches!(trashing, Trashing::Removed(Removal::Unknown { .. })), "{trashing:?} {requests:#?}");
}

#[tokio::test]
async fn a_copy_whose_etag_changed_is_known_by_its_checksum() {
    let digest = zeroload_domain::Sha256Digest::of(b"hello");
    let with_digest = |etag: &str| {
        bare(200, &format!("content-length: 5\r\netag: \"{etag}\"\r\nx-amz-checksum-sha256: {digest}\r\n"))
    };
    let (trashing, requests) = trash_with(vec![with_digest("e1"), copied(), with_digest("e2"), String::new()]).await;
    // The try goes on to the delete, whose answer is lost here.
    assert!(matches!(trashing, Trashing::Removed(Removal::Unknown { .. })), "{trashing:?}");
    assert!(requests[3].starts_with("POST"), "{requests:#?}");
}

/// Brings `kept`, of 5 bytes, back from a server that shows nothing at its key at first.
async fn back_with(source: String, copy: String) -> Result<ObjectFacts, NotRestored> {
    let server = Scripted::answering(vec![missing(), source, copied(), copy]).await;
    let gateway = server.gateway().await;
    let item = Item::fresh(&gateway);
    let place = TrashLocation::Copy { trash_key: item.object_key.in_trash(Claim::FIRST) };
    let kept = TrashedObject { place, etag: ETag::parse("e1").unwrap(), content_length: ByteSize::new(5) };
    gateway.bring_back(&item.at(), &kept, &item.object_key.restored(Claim::FIRST)).await
}

#[tokio::test]
async fn what_comes_back_may_have_another_etag_but_no_other_length_or_checksum() {
    let with_digest = |etag: &str, bytes: &[u8]| {
        let digest = zeroload_domain::Sha256Digest::of(bytes);
        bare(200, &format!("content-length: 5\r\netag: \"{etag}\"\r\nx-amz-checksum-sha256: {digest}\r\n"))
    };
    for (source, copy) in [
        (head("e1", 5), head("e2", 5)),
        (with_digest("e1", b"hello"), head("e2", 5)),
        (with_digest("e1", b"hello"), with_digest("e2", b"hello")),
    ] {
        let back = back_with(source, copy).await;
        assert_eq!(back.map(|facts| facts.etag.to_string()), Ok("e2".to_owned()));
    }
    for (source, copy) in [(head("e1", 5), head("e1", 4)), (with_digest("e1", b"hello"), with_digest("e1", b"olleh"))] {
        assert_eq!(back_with(source, copy).await, Err(NotRestored::Failed { code: COPY_DIFFERS }));
    }
}

async fn upload(gateway: &Gateway, item: &Item, body: &'static [u8]) {
    let (issued, length) = (now(), body.len() as u64);
    let upload = gateway.sign_ticket(&item.ticket(length), issued, issued + chrono::TimeDelta::minutes(5)).await;
    assert_eq!(send(&upload.unwrap(), body).await, 200);
}

/// An upload that ends now, and began while the key was empty: radosgw would refuse it because of a hidden object.
async fn late(gateway: &Gateway, item: &Item) {
    let put = gateway.client().put_object().bucket(gateway.bucket().as_str()).key(item.object_key.as_str());
    put.body(b"too late".to_vec().into()).send().await.unwrap();
}

fn kept(trashing: Trashing) -> TrashedObject {
    match trashing {
        Trashing::Kept(kept) => kept,
        Trashing::Removed(removal) => panic!("{removal:?}"),
    }
}

/// Puts an object into the trash and back, each step twice: a repeat after a crash finds the result of the first.
async fn there_and_back(gateway: &Gateway) -> TrashedObject {
    let (item, never) = (Item::fresh(gateway), Item::fresh(gateway));
    upload(gateway, &item, b"hello").await;
    let (claim, nothing) = (claim(gateway, &item).await, claimed(Seen::Absent));
    let in_trash = kept(gateway.trash(&item.at(), &claim).await);
    assert_eq!(in_trash.content_length, ByteSize::new(5));
    assert_eq!(gateway.head(&item.at()).await, Ok(None));
    assert_eq!(kept(gateway.trash(&item.at(), &claim).await), in_trash);
    assert_eq!(gateway.holds(&item.at(), &in_trash).await, Ok(true));
    assert!(matches!(gateway.trash(&never.at(), &nothing).await, Trashing::Removed(Removal::Gone { .. })));

    let to = item.object_key.restored(Claim::FIRST);
    let facts = gateway.bring_back(&item.at(), &in_trash, &to).await.unwrap();
    assert_eq!(
        (facts.content_length, facts.content_type),
        (ByteSize::new(5), Some(zeroload_domain::StoredType::from(&item.content_type)))
    );
    assert_eq!(gateway.bring_back(&item.at(), &in_trash, &to).await.map(|facts| facts.etag), Ok(facts.etag.clone()));
    let trash_key = item.object_key.in_trash(Claim::FIRST);
    let in_the_trash = Location { object_key: &trash_key, ..item.at() };
    let gone = gateway.remove(&[item.at(), in_the_trash]).await;
    assert!(gone.iter().all(|removal| matches!(removal, Removal::Gone { .. })), "{gone:?}");
    // A source that was removed after its copy was compared is not missed.
    assert_eq!(gateway.bring_back(&item.at(), &in_trash, &to).await.map(|facts| facts.etag), Ok(facts.etag));
    let lost = item.object_key.restored(Claim::FIRST.next());
    let missing = gateway.bring_back(&item.at(), &in_trash, &lost).await;
    assert_eq!(missing, Err(NotRestored::Failed { code: TRASH_LOST }));
    in_trash
}

#[tokio::test]
async fn an_object_goes_into_the_trash_and_comes_back_on_a_real_server() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    assert!(matches!(there_and_back(&gateway).await.place, TrashLocation::Copy { .. }));
}

#[tokio::test]
async fn where_versions_are_kept_the_version_stays_under_a_marker() {
    let Some(gateway) = RealServer::start().await.versioned().await else {
        return eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
    };
    assert_eq!(gateway.versioning().await, Ok(Versioning::Kept));
    assert!(matches!(there_and_back(&gateway).await.place, TrashLocation::Version { .. }));
}

/// The claimed object is moved; other bytes arrive under its own key before that is recorded; and the move is repeated.
async fn late_bytes_take_no_place(gateway: &Gateway) {
    let item = Item::fresh(gateway);
    upload(gateway, &item, b"hello").await;
    let claim = claim(gateway, &item).await;
    let in_trash = kept(gateway.trash(&item.at(), &claim).await);
    late(gateway, &item).await;
    assert_eq!(kept(gateway.trash(&item.at(), &claim).await), in_trash);
    assert_eq!(gateway.head(&item.at()).await, Ok(None));
    let to = item.object_key.restored(Claim::FIRST);
    let back = gateway.bring_back(&item.at(), &in_trash, &to).await.unwrap();
    assert_eq!((back.content_length, back.etag), (ByteSize::new(5), in_trash.etag));
}

#[tokio::test]
async fn bytes_that_come_late_take_no_place_in_the_trash() {
    late_bytes_take_no_place(&RealServer::start().await.gateway().await).await;
}

#[tokio::test]
async fn a_version_that_comes_late_takes_no_place_in_the_trash() {
    let Some(gateway) = RealServer::start().await.versioned().await else {
        return eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
    };
    assert_eq!(gateway.versioning().await, Ok(Versioning::Kept));
    late_bytes_take_no_place(&gateway).await;
}

/// A bucket of this test's own on a server that keeps versions, so that its versioning can be switched.
async fn own_bucket() -> Option<Gateway> {
    let server = RealServer::start().await;
    server.versioned().await?;
    let bucket = Bucket::parse(format!("trash-{}", fresh_id())).unwrap();
    let gateway = Gateway::connect(GatewaySettings { bucket, ..server.settings }).await.unwrap();
    gateway.client().create_bucket().bucket(gateway.bucket().as_str()).send().await.unwrap();
    learn_not_found(&gateway).await;
    Some(gateway)
}

async fn turn(gateway: &Gateway, status: BucketVersioningStatus) -> Versioning {
    let versions = VersioningConfiguration::builder().status(status).build();
    let set = gateway.client().put_bucket_versioning().bucket(gateway.bucket().as_str());
    set.versioning_configuration(versions).send().await.unwrap();
    gateway.versioning().await.unwrap()
}

async fn comes_back(gateway: &Gateway, item: &Item, in_trash: &TrashedObject, bytes: u64) {
    assert_eq!((in_trash.content_length, gateway.head(&item.at()).await), (ByteSize::new(bytes), Ok(None)));
    assert_eq!(gateway.holds(&item.at(), in_trash).await, Ok(true));
    let to = item.object_key.restored(Claim::FIRST);
    assert_eq!(gateway.bring_back(&item.at(), in_trash, &to).await.unwrap().content_length, ByteSize::new(bytes));
}

#[tokio::test]
async fn what_was_hidden_stays_kept_when_versions_are_suspended_before_that_is_recorded() {
    let Some(gateway) = own_bucket().await else {
        return eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
    };
    turn(&gateway, BucketVersioningStatus::Enabled).await;
    let items = [Item::fresh(&gateway), Item::fresh(&gateway)];
    let mut claims = Vec::new();
    for item in &items {
        upload(&gateway, item, b"hello").await;
        let claim = claim(&gateway, item).await;
        assert!(matches!(kept(gateway.trash(&item.at(), &claim).await).place, TrashLocation::Version { .. }));
        claims.push(claim);
    }
    assert_eq!(turn(&gateway, BucketVersioningStatus::Suspended).await, Versioning::Suspended);
    late(&gateway, &items[1]).await;
    // The HEAD before the claim may have failed; then the hidden version is all that is known.
    claims[0].seen = Seen::Unknown;
    for (item, claim) in items.iter().zip(&claims) {
        let in_trash = kept(gateway.trash(&item.at(), claim).await);
        assert_eq!(kept(gateway.trash(&item.at(), claim).await), in_trash);
        comes_back(&gateway, item, &in_trash, 5).await;
    }
}

#[tokio::test]
async fn what_was_moved_or_written_without_versions_stays_kept_when_they_come() {
    let Some(gateway) = own_bucket().await else {
        return eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
    };
    assert_eq!(gateway.versioning().await, Ok(Versioning::Never));
    let (moved, written, never) = (Item::fresh(&gateway), Item::fresh(&gateway), Item::fresh(&gateway));
    let mut claims = Vec::new();
    for item in [&moved, &written] {
        upload(&gateway, item, b"hello").await;
        claims.push(claim(&gateway, item).await);
    }
    let in_trash = kept(gateway.trash(&moved.at(), &claims[0]).await);
    assert_eq!(turn(&gateway, BucketVersioningStatus::Enabled).await, Versioning::Kept);
    assert_eq!(kept(gateway.trash(&moved.at(), &claims[0]).await), in_trash);
    late(&gateway, &moved).await;
    assert_eq!(kept(gateway.trash(&moved.at(), &claims[0]).await), in_trash);
    comes_back(&gateway, &moved, &in_trash, 5).await;

    let in_trash = kept(gateway.trash(&written.at(), &claims[1]).await);
    assert_eq!(turn(&gateway, BucketVersioningStatus::Suspended).await, Versioning::Suspended);
    late(&gateway, &written).await;
    assert_eq!(kept(gateway.trash(&written.at(), &claims[1]).await), in_trash);
    comes_back(&gateway, &written, &in_trash, 5).await;
    for on in [BucketVersioningStatus::Enabled, BucketVersioningStatus::Suspended] {
        turn(&gateway, on).await;
        let gone = gateway.trash(&never.at(), &claimed(Seen::Absent)).await;
        assert!(matches!(gone, Trashing::Removed(Removal::Gone { .. })), "{gone:?}");
    }
}

#[tokio::test]
async fn a_hidden_version_is_copied_before_anything_is_removed() {
    const KEY: &str = "media/default/0a/00000000-0000-0000-0000-00000000000a.jpg";
    let marker = format!("<DeleteMarker><Key>{KEY}</Key><VersionId>v2</VersionId></DeleteMarker>");
    let version = format!("<Key>{KEY}</Key><VersionId>v1</VersionId><ETag>&quot;e1&quot;</ETag><Size>5</Size>");
    let list = format!("<IsTruncated>false</IsTruncated>{marker}<Version>{version}</Version>");
    let list = answer(200, "", &format!("<ListVersionsResult>{list}</ListVersionsResult>"));
    let unclear = answer(500, "", "");
    let server = Scripted::answering(vec![missing(), missing(), list, head("e1", 5), unclear]).await;
    let gateway = server.gateway().await;
    gateway.expect_versions(true);
    gateway.expect_no_uploads();
    let item = Item::with_id(&gateway, uuid::Uuid::from_u128(0xa));
    let trashing = gateway.trash(&item.at(), &claimed(present("e1", 5))).await;
    assert!(matches!(trashing, Trashing::Removed(Removal::Unknown { .. })), "{trashing:?}");
    let requests = server.requests();
    let source = format!("x-amz-copy-source: photos/{KEY}?versionId=v1\r\n");
    for request in &requests[4..] {
        assert!(request.starts_with("PUT /photos/media/.trash/") && request.contains(&source), "{request}");
    }
}

#[test]
fn a_version_id_is_escaped_in_the_name_of_a_source() {
    assert_eq!(
        escaped("3HL4kqtJlcpXroDTDmJ-rMSpXd3dIbrHY+MTRCxf3vjVBH40Nrjfkd").collect::<String>(),
        "3HL4kqtJlcpXroDTDmJ-rMSpXd3dIbrHY%2BMTRCxf3vjVBH40Nrjfkd"
    );
}
