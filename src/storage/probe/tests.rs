use chrono::TimeDelta;
use zeroload_embedded_s3::{Effect, Fault, Manner, Operation, Refusal};

use super::*;
use crate::storage::{
    Deletes, GatewaySettings, KeepsVersions, StaticKeys,
    check::Status,
    test_s3::{RealServer, Scripted, answer, error_body, now, settings},
};

fn status_of(report: &ProbeReport, name: &str) -> Status {
    report.check(name).unwrap_or_else(|| panic!("no {name} in {report:#?}")).status
}

async fn probe(settings: GatewaySettings) -> ProbeReport {
    Gateway::connect(settings).await.unwrap().probe(now()).await
}

#[tokio::test]
async fn a_real_server_is_good_enough_and_nothing_is_left_behind() {
    let server = RealServer::start().await;
    let gateway = server.gateway().await;
    let report = gateway.probe(now()).await;
    let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
    let all = [
        "s3-bucket",
        "s3-list",
        "s3-clock",
        "s3-versioning",
        "s3-ticket",
        "s3-conditional-put",
        "s3-head",
        "s3-checksum",
        "s3-absence",
        "s3-public-endpoint",
        "s3-checksum-verified",
        "s3-unsigned-headers",
        "s3-signature",
        "s3-expiry",
        "s3-length",
        "s3-list-encoding",
        "s3-conditional-delete",
        "s3-delete",
        "s3-multipart",
    ];
    assert_eq!(names, all, "{report:#?}");
    for name in [
        "s3-bucket",
        "s3-list",
        "s3-clock",
        "s3-versioning",
        "s3-ticket",
        "s3-conditional-put",
        "s3-head",
        "s3-absence",
        "s3-signature",
        "s3-expiry",
        "s3-length",
        "s3-list-encoding",
        "s3-delete",
        "s3-multipart",
    ] {
        assert_eq!(status_of(&report, name), Status::Ok, "{report:#?}");
    }
    assert!(report.status() < Status::Failed && !report.versioned);
    let left = gateway.client().list_objects_v2().bucket(gateway.bucket().as_str()).prefix(gateway.prefix().as_str());
    assert_eq!(left.send().await.unwrap().contents(), []);
}

#[tokio::test]
async fn a_bucket_with_versions_is_probed_by_its_versions_and_nothing_is_left_behind() {
    let Some(gateway) = RealServer::start().await.versioned().await else {
        return eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
    };
    let report = gateway.probe(now()).await;
    assert!(report.versioned, "{report:#?}");
    for name in ["s3-versioning", "s3-delete"] {
        assert_eq!(status_of(&report, name), Status::Ok, "{report:#?}");
    }
    let left = gateway.list_versions(gateway.prefix().as_str(), (None, None)).await.unwrap();
    assert_eq!(left.versions, []);
}

#[tokio::test]
async fn versions_that_cannot_be_listed_or_deleted_are_named_with_the_right_that_is_missing() {
    let list = "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>";
    let status = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let versions = "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>";
    let refused = || answer(403, "", &error_body("AccessDenied"));
    let server = Scripted::answering(vec![answer(200, "", list), answer(200, "", status), refused()]).await;
    let report = server.gateway().await.probe(now()).await;
    let check = report.check("s3-versioning").unwrap();
    assert!(report.versioned && check.status == Status::Failed, "{report:#?}");
    assert!(check.detail.contains("s3:ListBucketVersions"), "{report:#?}");

    let put = answer(200, "x-amz-version-id: v1\r\netag: \"a\"\r\n", "");
    let head = answer(200, "etag: \"a\"\r\n", "");
    let mut answers = vec![answer(200, "", list), answer(200, "", status), answer(200, "", versions), put.clone()];
    answers.extend([refused(), head]);
    // HEADs of a missing key and of refused bytes, the refused uploads, and a key with odd characters.
    answers.extend(std::iter::repeat_with(refused).take(1 + 2 + 4 + 1));
    answers.extend([put, refused()]);
    let server = Scripted::answering(answers).await;
    let report = server.gateway().await.probe(now()).await;
    assert_eq!(status_of(&report, "s3-versioning"), Status::Ok, "{report:#?}");
    assert_eq!(status_of(&report, "s3-multipart"), Status::Degraded, "{report:#?}");
    assert_eq!(status_of(&report, "s3-delete"), Status::Failed, "{report:#?}");
}

#[tokio::test]
async fn nothing_works_without_server_bucket_or_rights() {
    let missing = zeroload_domain::Bucket::parse("absent-for-the-probe").unwrap();
    let nobody = StaticKeys { access_key: "nobody".to_owned(), secret_key: "nothing".to_owned(), session_token: None };
    let server = RealServer::start().await;
    for settings in [
        settings(Some("http://127.0.0.1:1")),
        GatewaySettings { bucket: missing, ..server.settings.clone() },
        GatewaySettings { keys: Some(nobody), ..server.settings.clone() },
    ] {
        let report = probe(settings).await;
        assert_eq!(status_of(&report, "s3-bucket"), Status::Failed, "{report:#?}");
        assert_eq!(report.check("s3-ticket"), None);
    }
}

#[tokio::test]
async fn tickets_whose_keys_are_refused_fail_the_probe() {
    let nobody = StaticKeys { access_key: "nobody".to_owned(), secret_key: "nothing".to_owned(), session_token: None };
    let server = RealServer::start().await;
    let report = probe(GatewaySettings { ticket_keys: Some(nobody), ..server.settings.clone() }).await;
    assert_eq!(status_of(&report, "s3-bucket"), Status::Ok);
    assert_eq!(status_of(&report, "s3-ticket"), Status::Failed);
    assert!(!format!("{report:?}").contains("Signature="));
}

#[tokio::test]
async fn a_bucket_that_may_not_be_listed_is_degraded() {
    let server = Scripted::answering(vec![answer(403, "", &error_body("AccessDenied"))]).await;
    let report = server.gateway().await.probe(now()).await;
    assert_eq!(status_of(&report, "s3-list"), Status::Degraded);
    assert_eq!(status_of(&report, "s3-versioning"), Status::Degraded);
    assert_eq!(status_of(&report, "s3-ticket"), Status::Failed);
}

#[tokio::test]
async fn a_ticket_is_tried_out_as_a_client_would_use_it() {
    let list = answer(200, "", "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>");
    let unversioned = answer(200, "", "<VersioningConfiguration/>");
    let server = Scripted::answering(vec![list, unversioned, answer(403, "", &error_body("AccessDenied"))]).await;
    server.gateway().await.probe(now()).await;
    let put = server.requests()[2].to_ascii_lowercase();
    let head = put.split("\r\n\r\n").next().unwrap();
    let mut names: Vec<&str> = head.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "host", "if-none-match", "x-amz-checksum-sha256"]);
    assert!(head.starts_with("put /photos/media/.zeroload-probe/"));
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    for (behind, expected) in [(0, Status::Ok), (5, Status::Degraded), (20, Status::Failed)] {
        let theirs = (now() - TimeDelta::minutes(behind)).format("date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string();
        let server = Scripted::answering(vec![answer(404, &theirs, &error_body("NoSuchBucket"))]).await;
        let report = server.gateway().await.probe(now()).await;
        assert_eq!(status_of(&report, "s3-clock"), expected, "{report:#?}");
    }
}

/// The report of a probe of an embedded server with these faults, and the gateway that was probed.
async fn probe_with(effects: &[Effect]) -> (ProbeReport, Gateway, RealServer) {
    let server = RealServer::with(effects).await;
    let gateway = Gateway::connect(server.settings.clone()).await.unwrap();
    (gateway.probe(now()).await, gateway, server)
}

fn detail_of<'a>(report: &'a ProbeReport, name: &str) -> &'a str {
    &report.check(name).unwrap_or_else(|| panic!("no {name} in {report:#?}")).detail
}

#[tokio::test]
async fn a_server_that_checks_no_signature_is_named_for_it() {
    let (report, gateway, server) = probe_with(&[Effect::Manner(Manner::ChecksNoSignature)]).await;
    assert_eq!(status_of(&report, "s3-ticket"), Status::Ok, "{report:#?}");
    for name in ["s3-signature", "s3-expiry", "s3-length"] {
        assert_eq!(status_of(&report, name), Status::Degraded, "{name}: {report:#?}");
    }
    assert!(detail_of(&report, "s3-signature").contains("tickets protect nothing"), "{report:#?}");
    server.faults.as_ref().unwrap().clear();
    let left = gateway.client().list_objects_v2().bucket(gateway.bucket().as_str()).prefix(gateway.prefix().as_str());
    assert_eq!(left.send().await.unwrap().contents(), [], "what it should have refused is removed too");
}

#[tokio::test]
async fn a_server_that_refuses_conditions_gets_tickets_and_a_marker_without_them() {
    let (report, gateway, server) = probe_with(&[Effect::Manner(Manner::RefusesConditions)]).await;
    assert_eq!(status_of(&report, "s3-ticket"), Status::Ok, "{report:#?}");
    assert!(detail_of(&report, "s3-conditional-put").contains("signed without it"), "{report:#?}");
    assert_eq!(status_of(&report, "s3-conditional-delete"), Status::Degraded, "{report:#?}");
    assert!(report.status() < Status::Failed && !report.unsettled, "{report:#?}");
    let item = crate::storage::test_s3::Item::fresh(&gateway);
    let sign = async || {
        let upload = gateway.sign_ticket(&item.ticket(5), now(), now() + TimeDelta::minutes(5)).await.unwrap();
        (upload.headers.contains_key("if-none-match"), crate::storage::test_s3::send(&upload, b"hello").await)
    };
    assert_eq!(sign().await, (false, 200));
    let journal_id = crate::storage::test_s3::fresh_id();
    let claimed = gateway.claim_marker(journal_id).await.unwrap();
    gateway.advance_marker(journal_id, &claimed, None).await.unwrap();

    // The server understands the condition by now.
    server.faults.as_ref().unwrap().clear();
    gateway.probe(now()).await;
    assert_eq!(sign().await, (true, 412));
}

#[tokio::test]
async fn other_bytes_than_the_declared_ones_are_found_wherever_a_server_leaves_them() {
    for (manner, kept, shown, said) in [
        (None, false, true, "is refused"),
        (Some(Manner::KeepsRefusedBytes), true, true, "checksum_policy"),
        (Some(Manner::RepeatsChecksums), true, false, "prove nothing"),
        (Some(Manner::KeepsNoChecksums), true, false, "is accepted"),
    ] {
        let effects: Vec<Effect> = manner.map(Effect::Manner).into_iter().collect();
        let (report, gateway, _server) = probe_with(&effects).await;
        let expected = if kept { Status::Degraded } else { Status::Ok };
        assert_eq!(status_of(&report, "s3-checksum-verified"), expected, "{manner:?}: {report:#?}");
        assert!(detail_of(&report, "s3-checksum-verified").contains(said), "{manner:?}: {report:#?}");
        // A checksum that the server has not compared with the bytes proves nothing.
        let item = crate::storage::test_s3::Item::fresh(&gateway);
        let checksum = Some(zeroload_domain::Sha256Digest::of(b"hello"));
        let ticket = crate::storage::TicketSpec { checksum_sha256: checksum, ..item.ticket(5) };
        let upload = gateway.sign_ticket(&ticket, now(), now() + TimeDelta::minutes(5)).await.unwrap();
        assert_eq!(crate::storage::test_s3::send(&upload, b"hello").await, 200);
        let facts = gateway.head(&item.at()).await.unwrap().unwrap();
        assert_eq!(facts.checksum_sha256, checksum.filter(|_| shown), "{manner:?}");
    }
}

#[tokio::test]
async fn deletes_are_asked_for_as_the_server_takes_them_and_said_to_be_refused_where_it_takes_none() {
    let refuse = |refusal, operation| Fault::new(Effect::Refuse(refusal)).on(operation);
    let bulk = Operation::DeleteObjects;
    for (faults, deletes, status) in [
        (vec![], Deletes::Bulk, Status::Ok),
        (vec![Fault::new(Effect::Manner(Manner::WantsContentMd5))], Deletes::Bulk, Status::Ok),
        (vec![refuse(Refusal::NotImplemented, bulk)], Deletes::Single, Status::Degraded),
        (vec![refuse(Refusal::InvalidRequest, bulk)], Deletes::Single, Status::Degraded),
    ] {
        let server = RealServer::with(&[]).await;
        faults.iter().for_each(|fault| server.faults.as_ref().unwrap().add(fault.clone()));
        let gateway = Gateway::connect(server.settings.clone()).await.unwrap();
        let report = gateway.probe(now()).await;
        assert_eq!((gateway.deletes(), status_of(&report, "s3-delete")), (deletes, status), "{faults:?}: {report:#?}");
        let left = gateway.client().list_objects_v2().bucket(gateway.bucket().as_str());
        assert_eq!(left.send().await.unwrap().contents(), [], "{faults:?}");
    }
    for faults in [
        vec![refuse(Refusal::AccessDenied, bulk)],
        vec![refuse(Refusal::NotImplemented, bulk), refuse(Refusal::AccessDenied, Operation::DeleteObject)],
        vec![refuse(Refusal::NotImplemented, bulk), refuse(Refusal::NotImplemented, Operation::DeleteObject)],
    ] {
        let server = RealServer::with(&[]).await;
        faults.iter().for_each(|fault| server.faults.as_ref().unwrap().add(fault.clone()));
        let gateway = Gateway::connect(server.settings.clone()).await.unwrap();
        let report = gateway.probe(now()).await;
        assert_eq!(status_of(&report, "s3-delete"), Status::Failed, "{faults:?}: {report:#?}");
        assert!(matches!(gateway.deletes(), Deletes::Refused { .. }), "{faults:?}");
        // A right that was granted since is noticed by the next probe.
        server.faults.as_ref().unwrap().clear();
        gateway.probe(now()).await;
        assert_eq!(gateway.deletes(), Deletes::Bulk);
    }
}

#[tokio::test]
async fn a_list_that_does_not_escape_as_it_says_is_read_as_it_is() {
    for (effects, status) in
        [(&[][..], Status::Ok), (&[Effect::Manner(Manner::ListsKeysAsTheyAre)][..], Status::Degraded)]
    {
        let (report, gateway, _server) = probe_with(effects).await;
        assert_eq!(status_of(&report, "s3-list-encoding"), status, "{report:#?}");
        let key = format!("{}/a+b%20c", gateway.prefix().as_str());
        let put = gateway.client().put_object().bucket(gateway.bucket().as_str()).key(&key);
        put.body(b"hello".to_vec().into()).send().await.unwrap();
        let page = crate::storage::Listing::page(&gateway, "").await.unwrap();
        assert_eq!(page.objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), [key.as_str()]);
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_whether_it_keeps_versions_can_be_told_by_its_operator() {
    let server = RealServer::with(&[Effect::Manner(Manner::IgnoresTheVersioningQuery)]).await;
    let told = async |keeps_versions| {
        let gateway = Gateway::connect(GatewaySettings { keeps_versions, ..server.settings.clone() }).await.unwrap();
        (gateway.versioning().await, gateway.probe(now()).await)
    };
    let (asked, report) = told(KeepsVersions::AsAsked).await;
    let error = asked.unwrap_err().to_string();
    assert!(error.contains("<ListBucketResult>") && error.contains("GetBucketVersioning"), "{error}");
    let detail = detail_of(&report, "s3-versioning");
    assert!(detail.contains("<ListBucketResult>") && detail.contains("s3_versioning"), "{report:#?}");
    assert!(report.unsettled && status_of(&report, "s3-versioning") == Status::Degraded, "{report:#?}");

    let (never, report) = told(KeepsVersions::Never).await;
    assert_eq!(never, Ok(crate::storage::Versioning::Never));
    assert_eq!((status_of(&report, "s3-versioning"), report.versioned), (Status::Ok, false), "{report:#?}");
    let (always, report) = told(KeepsVersions::Always).await;
    assert_eq!(always, Ok(crate::storage::Versioning::Suspended));
    assert_eq!((status_of(&report, "s3-versioning"), report.versioned), (Status::Failed, true), "it lists none");
}

#[tokio::test]
async fn a_bucket_that_keeps_versions_although_it_was_said_not_to_is_not_collected_from() {
    let Some(gateway) = RealServer::start().await.versioned().await else {
        return eprintln!("skipped: no bucket with versions is named (ZEROLOAD_TEST_S3_VERSIONED_BUCKET)");
    };
    let server = RealServer::start().await;
    let (keeps_versions, bucket) = (KeepsVersions::Never, gateway.bucket().clone());
    let report = probe(GatewaySettings { keeps_versions, bucket, ..server.settings.clone() }).await;
    assert_eq!(status_of(&report, "s3-versioning"), Status::Failed, "{report:#?}");
    assert!(detail_of(&report, "s3-versioning").contains("s3_versioning is off"), "{report:#?}");
}
