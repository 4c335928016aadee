//! The read side of the index: a pool of read-only connections, which the writer never blocks (WAL).

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{FromRow, Row, SqliteConnection, sqlite::SqliteRow};

use super::blobs::BlobName;

pub(super) const SCHEMA: &str = include_str!("schema.sql");
const LIST: &str = include_str!("list.sql");
const GET: &str = "SELECT blob, size, etag, sha256, modified_at, headers FROM objects WHERE bucket = ?1 AND key = ?2";
const ETAG: &str = "SELECT etag FROM objects WHERE bucket = ?1 AND key = ?2";
const SHARD: &str = "SELECT blob FROM objects WHERE blob >= ?1 AND blob < ?2";
const NAMED: &str = "SELECT blob FROM objects WHERE blob IN (SELECT value FROM json_each(?1))";
const READERS: u32 = 4;

/// Headers of a PUT that GET and HEAD return unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredHeaders {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

pub(super) struct ObjectRow {
    pub blob: String,
    /// bytes
    pub size: i64,
    /// MD5 in hex
    pub etag: String,
    /// base64
    pub sha256: String,
    /// ms since 1970
    pub modified_at: i64,
    headers: String,
}

impl ObjectRow {
    pub(super) fn blob_name(&self) -> BlobName {
        BlobName::from_stored(self.blob.clone())
    }

    pub(super) fn headers(&self) -> Result<StoredHeaders, serde_json::Error> {
        serde_json::from_str(&self.headers)
    }
}

pub(super) struct ListedRow {
    pub key: Vec<u8>,
    pub size: i64,
    pub etag: String,
    pub modified_at: i64,
}

// Written by hand: sqlx's derive would need its macros and all their dependencies.
impl FromRow<'_, SqliteRow> for ObjectRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            blob: row.try_get("blob")?,
            size: row.try_get("size")?,
            etag: row.try_get("etag")?,
            sha256: row.try_get("sha256")?,
            modified_at: row.try_get("modified_at")?,
            headers: row.try_get("headers")?,
        })
    }
}

impl FromRow<'_, SqliteRow> for ListedRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            key: row.try_get("key")?,
            size: row.try_get("size")?,
            etag: row.try_get("etag")?,
            modified_at: row.try_get("modified_at")?,
        })
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("index.sqlite")
}

/// `FULL`, so that an acknowledged commit survives a power cut.
pub(super) fn options(dir: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path(dir))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .create_if_missing(true)
}

#[derive(Clone)]
pub(super) struct Index {
    pool: SqlitePool,
}

impl Index {
    /// Opens the pool. The schema must have been made before.
    pub(super) async fn open(dir: &Path) -> Result<Self, sqlx::Error> {
        let options = options(dir).create_if_missing(false).read_only(true);
        let pool = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Self { pool })
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    pub(super) async fn bucket_exists(&self, bucket: &str) -> Result<bool, sqlx::Error> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM buckets WHERE name = ?1").bind(bucket).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }

    /// Names and creation times (ms since 1970), in order.
    pub(super) async fn buckets(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        sqlx::query_as("SELECT name, created_at FROM buckets ORDER BY name").fetch_all(&self.pool).await
    }

    pub(super) async fn object(&self, bucket: &str, key: &str) -> Result<Option<ObjectRow>, sqlx::Error> {
        sqlx::query_as(GET).bind(bucket).bind(key.as_bytes()).fetch_optional(&self.pool).await
    }

    pub(super) async fn etag(&self, bucket: &str, key: &str) -> Result<Option<String>, sqlx::Error> {
        sqlx::query_scalar(ETAG).bind(bucket).bind(key.as_bytes()).fetch_optional(&self.pool).await
    }

    /// Rows with `from <= key < until` in byte order, found by the primary key.
    pub(super) async fn list(
        &self,
        bucket: &str,
        from: &[u8],
        until: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<ListedRow>, sqlx::Error> {
        sqlx::query_as(LIST)
            .bind(bucket)
            .bind(from)
            .bind(until)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
    }

    /// The files in one of the 256 directories that rows name.
    pub(super) async fn blobs_in(&self, shard: &str) -> Result<HashSet<String>, sqlx::Error> {
        // '0' is the character after '/'.
        let names: Vec<String> =
            sqlx::query_scalar(SHARD).bind(format!("{shard}/")).bind(format!("{shard}0")).fetch_all(&self.pool).await?;
        Ok(names.into_iter().collect())
    }
}

/// The ETag and the file of an object, as the writer sees them inside its transaction.
pub(super) async fn current(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
) -> Result<Option<(String, BlobName)>, sqlx::Error> {
    let row: Option<(String, String)> = sqlx::query_as("SELECT etag, blob FROM objects WHERE bucket = ?1 AND key = ?2")
        .bind(bucket)
        .bind(key.as_bytes())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(etag, blob)| (etag, BlobName::from_stored(blob))))
}

/// The files among `blobs` that a row names, as the writer sees it inside its transaction.
pub(super) async fn named(
    connection: &mut SqliteConnection,
    blobs: &[BlobName],
) -> Result<HashSet<String>, sqlx::Error> {
    let blobs: Vec<&str> = blobs.iter().map(BlobName::as_str).collect();
    let named: Vec<String> =
        sqlx::query_scalar(NAMED).bind(serde_json::Value::from(blobs).to_string()).fetch_all(connection).await?;
    Ok(named.into_iter().collect())
}
