//! The journal of the process under test, read beside it.

use std::{fs, path::Path};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{Failure, service::command};

/// Bytes on disk.
pub struct Sizes {
    pub journal: u64,
    pub projections: u64,
}

/// Transactions so far.
pub async fn commits(data: &Path) -> Result<u64, Failure> {
    let journal = SqliteConnectOptions::new().filename(data.join("journal.db")).read_only(true);
    let mut connection = SqliteConnection::connect_with(&journal).await?;
    let commits: i64 = sqlx::query_scalar("SELECT commit_id FROM journal_head").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(commits.unsigned_abs())
}

/// The position up to which it is proven.
pub async fn verify(binary: &Path, data: &Path) -> Result<u64, Failure> {
    let output = command(binary, data).arg("verify").output().await?;
    if !output.status.success() {
        return Err(format!("verify: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let printed = String::from_utf8(output.stdout)?;
    Ok(printed.split(':').next().unwrap_or_default().parse()?)
}

pub fn sizes(data: &Path) -> Result<Sizes, Failure> {
    let mut sizes = Sizes { journal: 0, projections: 0 };
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        match entry.file_name().to_string_lossy() {
            name if name.starts_with("journal-projections.db") => sizes.projections += size,
            name if name.starts_with("journal.db") => sizes.journal += size,
            _ => {}
        }
    }
    Ok(sizes)
}
