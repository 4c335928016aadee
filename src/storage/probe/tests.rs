use chrono::TimeDelta;

use super::*;
use crate::storage::{
    GatewaySettings, StaticKeys,
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
        "s3-public-endpoint",
        "s3-conditional-put",
        "s3-head",
        "s3-checksum",
        "s3-checksum-verified",
        "s3-unsigned-headers",
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
    answers.extend([refused(), head, refused(), refused(), put, refused()]);
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
