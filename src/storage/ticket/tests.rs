use std::time::Duration;

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Region},
    presigning::PresigningConfig,
};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use zeroload_domain::KeyPrefix;

use super::*;
use crate::storage::{
    Gateway, GatewaySettings, PublicAddress, Style,
    test_s3::{Item, settings},
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn issued() -> DateTime<Utc> {
    at("2026-03-04T05:06:07.890Z")
}

fn static_keys() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "hush", None, None, "test")
}

fn temporary_keys(end: DateTime<Utc>) -> Credentials {
    Credentials::new("ASIAEXAMPLE", "hush", Some("tok/en+with=signs".to_owned()), Some(end.into()), "test")
}

fn item(gateway: &Gateway) -> Item {
    Item::with_id(gateway, "019a0d2e-7b1c-7000-8000-0123456789ab".parse().unwrap())
}

async fn base(endpoint: Option<&str>, path_style: bool) -> String {
    let gateway = Gateway::connect(crate::storage::GatewaySettings { path_style, ..settings(endpoint) }).await.unwrap();
    gateway.signer().base.clone()
}

#[tokio::test]
async fn a_ticket_is_the_url_that_the_sdk_presigns() {
    let cases = [
        (None, false, static_keys()),
        (None, true, static_keys()),
        (Some("http://127.0.0.1:9000"), true, static_keys()),
        (Some("http://localhost:9000"), false, static_keys()),
        (Some("https://s3.example.org/gate/"), true, temporary_keys(issued() + TimeDelta::hours(1))),
        (Some("https://s3.example.org"), false, temporary_keys(issued() + TimeDelta::hours(1))),
    ];
    let gateway = Gateway::connect(settings(None)).await.unwrap();
    let item = item(&gateway);
    let name = FileName::parse("Füße & 'more'.jpg").unwrap();
    let ticket =
        TicketSpec { checksum_sha256: Some(Sha256Digest::of(b"hello")), file_name: Some(&name), ..item.ticket(5) };
    let expires_at = issued() + TimeDelta::seconds(300);
    for (endpoint, path_style, credentials) in cases {
        let signer = Signer::new("eu-central-1".to_owned(), base(endpoint, path_style).await);
        let ours = signer.sign(&credentials, item.object_key.as_str(), ticket.headers(), issued(), expires_at).unwrap();

        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(credentials)
            .force_path_style(path_style);
        config.set_endpoint_url(endpoint.map(str::to_owned));
        let presigning = PresigningConfig::builder()
            .start_time(SystemTime::from(DateTime::from_timestamp(issued().timestamp(), 0).unwrap()))
            .expires_in(Duration::from_secs(300))
            .build()
            .unwrap();
        let theirs = Client::from_conf(config.build())
            .put_object()
            .bucket("photos")
            .key(item.object_key.as_str())
            .content_type("image/jpeg")
            .content_length(5)
            .if_none_match("*")
            .checksum_sha256(Sha256Digest::of(b"hello").to_string())
            .content_disposition("inline; filename*=UTF-8''F%C3%BC%C3%9Fe%20%26%20%27more%27.jpg")
            .presigned(presigning)
            .await
            .unwrap();

        assert_eq!(ours.url, theirs.uri(), "{endpoint:?}");
        assert_eq!(ours.method, theirs.method());
        let headers: BTreeMap<_, _> = theirs.headers().map(|(n, v)| (n, v.to_owned())).collect();
        assert_eq!(ours.headers, headers);
    }
}

/// Computes the signature a second time, from the URL and headers alone, as the specification says.
#[tokio::test]
async fn the_signature_is_that_of_the_specification() {
    let gateway = Gateway::connect(settings(Some("http://127.0.0.1:9000"))).await.unwrap();
    let item = item(&gateway);
    let upload = gateway.sign_ticket(&item.ticket(5), issued(), issued() + TimeDelta::seconds(60)).await.unwrap();

    let (address, query) = upload.url.split_once('?').unwrap();
    let (query, signature) = query.split_once("&X-Amz-Signature=").unwrap();
    assert_eq!(address, "http://127.0.0.1:9000/photos/media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg");
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    let canonical = [
        "PUT",
        "/photos/media/default/ab/019a0d2e-7b1c-7000-8000-0123456789ab.jpg",
        &query.join("&"),
        "content-length:5\ncontent-type:image/jpeg\nhost:127.0.0.1:9000\nif-none-match:*\n",
        "content-length;content-type;host;if-none-match",
        "UNSIGNED-PAYLOAD",
    ]
    .join("\n");
    let scope = "20260304/eu-central-1/s3/aws4_request";
    let to_sign = format!("AWS4-HMAC-SHA256\n20260304T050607Z\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = ["20260304", "eu-central-1", "s3", "aws4_request"]
        .iter()
        .fold(b"AWS4hush".to_vec(), |key, part| hmac(&key, part.as_bytes()));
    assert_eq!(signature, hex::encode(hmac(&key, to_sign.as_bytes())));
}

/// RFC 2104, for keys of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[test]
fn a_url_ends_when_it_was_said_and_never_later() {
    let signer = Signer::new("r".to_owned(), "http://h/b/".to_owned());
    let life = |credentials: &Credentials, expires_at: &str| {
        let upload = signer.sign(credentials, "k", BTreeMap::new(), issued(), at(expires_at))?;
        let seconds = upload.url.split("X-Amz-Expires=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        assert!(upload.url.contains("X-Amz-Date=20260304T050607Z"));
        assert!(upload.expires_at <= at(expires_at));
        Ok((seconds.parse::<i64>().unwrap(), upload.expires_at))
    };
    let whole = static_keys();
    assert_eq!(life(&whole, "2026-03-04T05:11:07Z"), Ok((300, at("2026-03-04T05:11:07Z"))));
    assert_eq!(life(&whole, "2026-03-04T05:11:07.999Z"), Ok((300, at("2026-03-04T05:11:07Z"))));
    assert_eq!(life(&whole, "2026-03-04T05:06:08Z"), Ok((1, at("2026-03-04T05:06:08Z"))));
    assert_eq!(life(&whole, "2027-01-01T00:00:00Z"), Ok((604_800, at("2026-03-11T05:06:07Z"))));
    for passed in ["2026-03-04T05:06:07.999Z", "2026-03-04T05:06:07Z", "2020-01-01T00:00:00Z"] {
        assert_eq!(life(&whole, passed), Err(SignError::Expired { expires_at: at(passed) }));
    }
    let ending = temporary_keys(at("2026-03-04T05:07:07.5Z"));
    assert_eq!(life(&ending, "2026-03-04T05:11:07Z"), Ok((60, at("2026-03-04T05:07:07Z"))));
    assert_eq!(life(&ending, "2026-03-04T05:06:17Z"), Ok((10, at("2026-03-04T05:06:17Z"))));
    let ended = temporary_keys(at("2026-03-04T05:06:07Z"));
    assert_eq!(life(&ended, "2026-03-04T05:11:07Z"), Err(SignError::NoCredentials));
}

#[tokio::test]
async fn a_ticket_lists_exactly_what_it_signs() {
    let gateway = Gateway::connect(settings(None)).await.unwrap();
    let item = item(&gateway);
    let name = FileName::parse("a b.jpg").unwrap();
    let ticket = TicketSpec { checksum_sha256: Some(Sha256Digest::of(b"")), file_name: Some(&name), ..item.ticket(0) };
    let upload = gateway.sign_ticket(&ticket, issued(), issued() + TimeDelta::seconds(9)).await.unwrap();
    let signed =
        upload.url.split("X-Amz-SignedHeaders=").nth(1).unwrap().split('&').next().unwrap().replace("%3B", ";");
    let mut listed: Vec<&str> = upload.headers.keys().copied().chain(["host"]).collect();
    listed.sort_unstable();
    assert_eq!(signed, listed.join(";"));
    assert_eq!(upload.headers["content-disposition"], "inline; filename*=UTF-8''a%20b.jpg");
    assert_eq!(upload.headers["content-length"], "0");
    assert!(!upload.headers.contains_key("x-amz-meta"));
    let plain = gateway.sign_ticket(&item.ticket(7), issued(), issued() + TimeDelta::seconds(9)).await.unwrap();
    assert_eq!(plain.headers.keys().copied().collect::<Vec<_>>(), ["content-length", "content-type", "if-none-match"]);
}

#[test]
fn a_file_name_becomes_plain_ascii() {
    for (name, value) in [
        ("photo.jpg", "photo.jpg"),
        ("a b%.jpg", "a%20b%25.jpg"),
        ("日.png", "%E6%97%A5.png"),
        ("x; y=\u{200e}'*", "x%3B%20y%3D%E2%80%8E%27%2A"),
    ] {
        let value = format!("inline; filename*=UTF-8''{value}");
        assert_eq!(disposition(&FileName::parse(name).unwrap()), value);
    }
}

#[tokio::test]
async fn tickets_can_have_keys_of_their_own() {
    let keys = crate::storage::StaticKeys {
        access_key: "PUTONLY".to_owned(),
        secret_key: "hush2".to_owned(),
        session_token: None,
    };
    let own = crate::storage::GatewaySettings { ticket_keys: Some(keys), ..settings(None) };
    let gateway = Gateway::connect(own).await.unwrap();
    let item = item(&gateway);
    let upload = gateway.sign_ticket(&item.ticket(5), issued(), issued() + TimeDelta::seconds(60)).await.unwrap();
    assert!(upload.url.contains("X-Amz-Credential=PUTONLY%2F20260304%2Feu-central-1%2Fs3%2Faws4_request"));
}

#[tokio::test]
async fn an_item_of_another_bucket_gets_no_ticket() {
    let gateway = Gateway::connect(settings(None)).await.unwrap();
    let (store, bucket) = (Store::parse("elsewhere").unwrap(), Bucket::parse("other").unwrap());
    let own = item(&gateway);
    for at in [Location { store: &store, ..own.at() }, Location { bucket: &bucket, ..own.at() }] {
        let ticket = TicketSpec { at, ..own.ticket(5) };
        let refused = gateway.sign_ticket(&ticket, issued(), issued() + TimeDelta::seconds(60)).await;
        let (store, bucket) = (at.store.clone(), at.bucket.clone());
        assert_eq!(refused, Err(SignError::OtherBucket { store, bucket }));
    }
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let all = settings(None);
    assert!(!format!("{all:?}").contains("hush"));
    let gateway = Gateway::connect(all).await.unwrap();
    let item = item(&gateway);
    let upload = gateway.sign_ticket(&item.ticket(5), issued(), issued() + TimeDelta::seconds(60)).await.unwrap();
    assert_eq!(format!("{upload:?}"), "Upload { expires_at: 2026-03-04T05:07:07Z, .. }");
}

#[test]
fn every_key_can_stand_in_a_url_as_it_is() {
    // The alphabet of prefixes, of which the rest of a key is a part.
    assert!(KeyPrefix::parse("az09.-/x").is_ok());
    assert_eq!(escaped("az09.-").collect::<String>(), "az09.-");
}

#[tokio::test]
async fn a_server_that_refuses_conditions_gets_no_ticket_with_one_at_whichever_address() {
    let public = PublicAddress { endpoint: "https://up.example.com".to_owned(), style: Style::Path, keeps_host: true };
    for public in [None, Some(public)] {
        let gateway = GatewaySettings { public: public.clone(), ..settings(Some("http://127.0.0.1:9000")) };
        let gateway = Gateway::connect(gateway).await.unwrap();
        gateway.manners().refuses_conditions.set(true);
        let upload = gateway.sign_ticket(&item(&gateway).ticket(5), issued(), issued() + TimeDelta::seconds(60)).await;
        let upload = upload.unwrap();
        assert_eq!(upload.url.starts_with("https://up.example.com/photos/"), public.is_some(), "{}", upload.url);
        assert!(!upload.headers.contains_key("if-none-match") && !upload.url.contains("if-none-match"), "{upload:?}");
    }
}
