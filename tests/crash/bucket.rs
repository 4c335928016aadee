//! The embedded bucket as any S3 client sees it, and as its folder shows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation},
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::ledger::text;

const BUCKET: &str = "media";

pub struct BucketClient(Client);

impl BucketClient {
    /// With the keys that the server keeps in its folder.
    pub fn new(address: &str, data: &Path) -> Self {
        let keys = std::fs::read_to_string(data.join("s3/credentials.json")).expect("credentials");
        let keys: Value = serde_json::from_str(&keys).expect("JSON");
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(Credentials::new(
                text(&keys, "access_key"),
                text(&keys, "secret_key"),
                None,
                None,
                "test",
            ))
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{address}"))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self(Client::from_conf(config))
    }

    /// The bytes, or nothing on a plain 404.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self.0.get_object().bucket(BUCKET).key(key).send().await {
            Ok(object) => Some(object.body.collect().await.expect("a body").to_vec()),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => None,
            Err(error) => panic!("{key}: {error:?}"),
        }
    }

    /// Whether a HEAD finds it.
    pub async fn holds(&self, key: &str) -> bool {
        match self.0.head_object().bucket(BUCKET).key(key).send().await {
            Ok(_) => true,
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => false,
            Err(error) => panic!("{key}: {error:?}"),
        }
    }

    /// Every key, with the time of its last write; without the service's own marker and trials.
    pub async fn list(&self) -> BTreeMap<String, DateTime<Utc>> {
        let mut found = BTreeMap::new();
        let mut pages = self.0.list_objects_v2().bucket(BUCKET).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.expect("a page").contents() {
                let key = object.key().expect("a key");
                let at = object.last_modified().and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos()));
                // A probe that was killed leaves its trials to a probe of a later hour.
                if key != "media/.zeroload" && !key.starts_with("media/.zeroload-probe/") {
                    found.insert(key.to_owned(), at.expect("a time"));
                }
            }
        }
        found
    }
}

/// Files without a row, and rows without a file, in the server's folder.
pub async fn mismatched_files(data: &Path) -> Vec<String> {
    let index = SqliteConnectOptions::new().filename(data.join("s3/index.sqlite")).read_only(true);
    let mut connection = index.connect().await.expect("the index opens");
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT blob FROM objects").fetch_all(&mut connection).await.expect("rows");
    connection.close().await.expect("closed");
    let rows: BTreeSet<String> = rows.into_iter().collect();
    let mut files = BTreeSet::new();
    for shard in std::fs::read_dir(data.join("s3/blobs")).expect("blobs") {
        let shard = shard.expect("a folder");
        for file in std::fs::read_dir(shard.path()).expect("a folder") {
            let name = file.expect("a file").file_name();
            files.insert(format!("{}/{}", shard.file_name().to_string_lossy(), name.to_string_lossy()));
        }
    }
    rows.symmetric_difference(&files).cloned().collect()
}
