//! Applies a write to the rows, inside the writer's transaction.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::blobs::BlobName;
use super::conditions::{Unmet, WriteCondition};
use super::index;
use super::write::{Files, Outcome, Put, Write};

const PUT: &str = include_str!("put.sql");
const DELETE: &str = "DELETE FROM objects WHERE bucket = ?1 AND key = ?2";
pub(super) const CREATE_BUCKET: &str = "INSERT INTO buckets (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

pub(super) async fn apply(
    connection: &mut SqliteConnection,
    write: Write,
    files: &mut Files,
) -> Result<Outcome, sqlx::Error> {
    match write {
        Write::Put(put) => apply_put(connection, *put, files).await,
        Write::Delete { bucket, key, condition } => {
            Ok(match delete_one(connection, &bucket, &key, &condition, files).await? {
                Ok(()) => Outcome::Done,
                Err(unmet) => Outcome::Unmet(unmet),
            })
        }
        Write::DeleteMany { bucket, keys } => {
            delete_plain(connection, &bucket, &keys, files).await?;
            let mut answers = Vec::with_capacity(keys.len());
            for (key, condition) in &keys {
                answers.push(if condition.is_none() {
                    Ok(())
                } else {
                    delete_one(connection, &bucket, key, condition, files).await?
                });
            }
            Ok(Outcome::Many(answers))
        }
        Write::CreateBucket { name, now_ms } => {
            let made = sqlx::query(CREATE_BUCKET).bind(name).bind(now_ms).execute(connection).await?;
            Ok(if made.rows_affected() == 0 { Outcome::AlreadyThere } else { Outcome::Done })
        }
    }
}

async fn apply_put(connection: &mut SqliteConnection, put: Put, files: &mut Files) -> Result<Outcome, sqlx::Error> {
    let current = index::current(connection, &put.bucket, &put.key).await?;
    if let Err(unmet) = put.condition.check(current.as_ref().map(|(etag, _)| etag.as_str())) {
        files.refused.push(put.blob);
        return Ok(Outcome::Unmet(unmet));
    }
    let query = sqlx::query(PUT)
        .bind(put.bucket)
        .bind(put.key.into_bytes())
        .bind(put.blob.name.as_str().to_owned())
        .bind(put.size)
        .bind(put.etag)
        .bind(put.sha256)
        .bind(put.modified_at)
        .bind(put.headers);
    files.named.push(put.blob);
    query.execute(connection).await?;
    files.unneeded.extend(current.map(|(_, blob)| blob));
    Ok(Outcome::Done)
}

async fn delete_one(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    condition: &WriteCondition,
    files: &mut Files,
) -> Result<Result<(), Unmet>, sqlx::Error> {
    let current = index::current(connection, bucket, key).await?;
    if let Err(unmet) = condition.check(current.as_ref().map(|(etag, _)| etag.as_str())) {
        return Ok(Err(unmet));
    }
    if let Some((_, blob)) = current {
        sqlx::query(DELETE).bind(bucket).bind(key.as_bytes()).execute(connection).await?;
        files.unneeded.push(blob);
    }
    Ok(Ok(()))
}

/// Deletes all keys without a condition in one statement.
async fn delete_plain(
    connection: &mut SqliteConnection,
    bucket: &str,
    keys: &[(String, WriteCondition)],
    files: &mut Files,
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM objects WHERE bucket = ");
    query.push_bind(bucket).push(" AND key IN (");
    let mut list = query.separated(", ");
    for (key, _) in keys.iter().filter(|(_, condition)| condition.is_none()) {
        list.push_bind(key.as_bytes());
    }
    query.push(") RETURNING blob");
    // The statement's text depends on the number of keys, so it is not kept among the prepared statements.
    let blobs: Vec<String> = query.build_query_scalar().persistent(false).fetch_all(connection).await?;
    files.unneeded.extend(blobs.into_iter().map(BlobName::from_stored));
    Ok(())
}
