//! Objects in the embedded server's folder, laid down as the server lays them while it does not run: a PUT for each of a
//! million would sync a million files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use sha2::{Digest, Sha256};
use sqlx::{
    Connection, Executor, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use zeroload_domain::ObjectKey;

use crate::{
    Failure,
    past::{ETAG, LENGTH},
};

const PUT: &str = include_str!("../../embedded-s3/put.sql");
const COUNT: &str = "SELECT count(*) FROM objects WHERE instr(key, '/.') = 0";

/// Its server must not run.
pub struct Bucket {
    folder: PathBuf,
    index: SqliteConnection,
    sha256: String,
    run: u64,
    next: u64,
}

impl Bucket {
    /// The bucket of a data folder that was served before.
    pub async fn open(data: &Path) -> Result<Self, Failure> {
        let folder = data.join("s3");
        let options = SqliteConnectOptions::new().filename(folder.join("index.sqlite"));
        let index = SqliteConnection::connect_with(&options.synchronous(SqliteSynchronous::Off)).await?;
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(vec![0; LENGTH as usize]));
        Ok(Self { folder, index, sha256, run: Utc::now().timestamp_micros().unsigned_abs(), next: 0 })
    }

    pub async fn lay(&mut self, keys: &[ObjectKey]) -> Result<(), Failure> {
        let content = vec![0; LENGTH as usize];
        self.index.execute("BEGIN").await?;
        for key in keys {
            let blob = format!("{:02x}/{:016x}-{:016x}", (self.run ^ (self.next >> 8)) & 0xff, self.run, self.next);
            self.next += 1;
            fs::write(self.folder.join("blobs").join(&blob), &content)?;
            sqlx::query(PUT)
                .bind("media")
                .bind(key.as_str().as_bytes())
                .bind(blob)
                .bind(LENGTH.cast_signed())
                .bind(ETAG)
                .bind(&self.sha256)
                .bind(Utc::now().timestamp_millis())
                .bind(r#"{"content_type":"image/jpeg"}"#)
                .execute(&mut self.index)
                .await?;
        }
        self.index.execute("COMMIT").await?;
        Ok(())
    }

    /// Everything is on disk: what is measured next need not write it.
    pub async fn close(mut self) -> Result<(), Failure> {
        self.index.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        self.index.close().await?;
        if !Command::new("sync").status()?.success() {
            return Err("sync failed".into());
        }
        Ok(())
    }

    /// Objects of items by the index, and files. One of the files is the marker's, which is no item's.
    pub async fn count(mut self) -> Result<(u64, u64), Failure> {
        let objects: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut self.index).await?;
        let mut files = 0;
        for shard in fs::read_dir(self.folder.join("blobs"))? {
            files += fs::read_dir(shard?.path())?.count() as u64;
        }
        self.index.close().await?;
        Ok((objects.unsigned_abs(), files))
    }
}
