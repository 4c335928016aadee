//! The schema of the file: numbered steps, forward only, each in one transaction with its number.

use std::path::Path;

use sqlx::{Executor, SqliteConnection, SqlitePool};

use super::{MEDIA, statements, transaction::WriteTransaction};
use crate::Error;

/// In the file's header, "zlRM": tells a file of read models from any other (sqlite.org/fileformat.html, offset 68).
const APPLICATION_ID: i64 = 0x7a6c_524d;

/// The schema that this binary reads and writes: 1 made the read models, 2 counts per minute, 3 keeps records of runs, 4 notes
/// what was inspected, 5 lists what is in the trash, 6 keeps what was reconciled, 7 tells which objects were substituted, 8 counts no restore as a
/// confirm, 9 counts what a run has moved into the trash, 10 counts what a walk could not read and what the trash has lost.
const NEWEST: i64 = 10;

/// Brings the file to the newest schema. Of two processes one does it, the other waits and finds it done.
pub(super) async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), Error> {
    let mut tx = WriteTransaction::begin(writer).await?;
    let found = schema_of(&mut tx, path).await?;
    if found < 1 {
        script(&mut tx, include_str!("migrations/0001_create_the_read_models.sql")).await?;
        let first = next_version(&mut tx).await?;
        create_version(&mut tx, first).await?;
        script(&mut tx, &statements::views(first)).await?;
        sqlx::query("UPDATE projection_checkpoints SET status = 'live' WHERE name = ?1 AND version = ?2")
            .bind(MEDIA)
            .bind(first)
            .execute(&mut *tx)
            .await?;
    }
    if found == 1 {
        count_activity(&mut tx).await?;
    }
    if found < 3 {
        add_run_records(&mut tx).await?;
    }
    if found < 4 {
        script(&mut tx, include_str!("migrations/0004_remember_what_was_inspected.sql")).await?;
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::index_collected(version)).await?;
        }
    }
    if (1..5).contains(&found) {
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::index_trash(version)).await?;
        }
    }
    if found < 6 {
        script(&mut tx, include_str!("migrations/0006_keep_what_was_reconciled.sql")).await?;
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::index_objects(version)).await?;
        }
    }
    if found < 7 {
        tell_seals(&mut tx, found > 0).await?;
    }
    if (2..8).contains(&found) {
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::recounted(version)).await?;
        }
    }
    if (3..9).contains(&found) {
        count_trashed(&mut tx).await?;
    }
    if found < 10 {
        let sql = include_str!("migrations/0010_count_what_a_walk_could_not_read_and_what_the_trash_has_lost.sql");
        script(&mut tx, sql).await?;
    }
    if found < NEWEST {
        // Pragmas take no parameters; both are part of the transaction.
        let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {NEWEST};");
        script(&mut tx, &marks).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Step 2, for versions that were made before it.
async fn count_activity(connection: &mut SqliteConnection) -> Result<(), Error> {
    let select = "SELECT version, status = 'live' FROM projection_checkpoints WHERE name = ?1";
    let versions: Vec<(u32, bool)> = sqlx::query_as(select).bind(MEDIA).fetch_all(&mut *connection).await?;
    for (version, live) in versions {
        script(connection, &statements::counted(version)).await?;
        if live {
            script(connection, &statements::activity_view(version)).await?;
        }
    }
    Ok(())
}

/// Step 3. No journal had recorded a run before, so empty tables are right wherever a version stands.
async fn add_run_records(connection: &mut SqliteConnection) -> Result<(), Error> {
    let select = "SELECT version, status = 'live' FROM projection_checkpoints WHERE name = ?1";
    let versions: Vec<(u32, bool)> = sqlx::query_as(select).bind(MEDIA).fetch_all(&mut *connection).await?;
    for (version, live) in versions {
        script(connection, &statements::run_table(version)).await?;
        if live {
            script(connection, &statements::run_view(version)).await?;
        }
    }
    script(connection, include_str!("sql/create_run_views.sql")).await
}

/// Whether the file is empty or one of read models.
pub(super) async fn recognise(readers: &SqlitePool, path: &Path) -> Result<(), Error> {
    let mut tx = readers.begin().await?;
    schema_of(&mut tx, path).await.map(|_| ())
}

/// Whether the file can be read as it is.
pub(super) async fn check(readers: &SqlitePool, path: &Path) -> Result<(), Error> {
    let mut tx = readers.begin().await?;
    let found = schema_of(&mut tx, path).await?;
    if (2..8).contains(&found) {
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::recounted(version)).await?;
        }
    }
    if (3..9).contains(&found) {
        count_trashed(&mut tx).await?;
    }
    if found < NEWEST {
        return Err(Error::NotMigrated { found, known: NEWEST });
    }
    Ok(())
}

async fn schema_of(connection: &mut SqliteConnection, path: &Path) -> Result<i64, Error> {
    let (application_id, schema, objects): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(&mut *connection)
    .await?;
    let empty = application_id == 0 && schema == 0 && objects == 0;
    if application_id != APPLICATION_ID && !empty {
        return Err(Error::NotReadModels { path: path.to_owned() });
    }
    if schema > NEWEST {
        return Err(Error::Newer { found: schema, known: NEWEST });
    }
    Ok(schema)
}

/// Runs several statements.
pub(super) async fn script(connection: &mut SqliteConnection, sql: &str) -> Result<(), Error> {
    // Not `RawSql::execute`: its future is not `Send` for every lifetime.
    connection.execute(sqlx::raw_sql(sql)).await?;
    Ok(())
}

/// Step 7. A version that was `made_before` gets its columns; what they say of the past is empty, as no journal had told.
async fn tell_seals(connection: &mut SqliteConnection, made_before: bool) -> Result<(), Error> {
    if made_before {
        for version in versions(connection).await? {
            script(connection, &statements::sealed(version)).await?;
        }
        let select = "SELECT version FROM projection_checkpoints WHERE name = ?1 AND status = 'live'";
        let live: u32 = sqlx::query_scalar(select).bind(MEDIA).fetch_one(&mut *connection).await?;
        script(connection, &format!("DROP VIEW media; {}", statements::media_view(live))).await?;
    }
    script(connection, include_str!("migrations/0007_tell_which_objects_were_substituted.sql")).await
}

/// Step 9.
async fn count_trashed(connection: &mut SqliteConnection) -> Result<(), Error> {
    for version in versions(connection).await? {
        script(connection, &statements::trashed(version)).await?;
    }
    let select = "SELECT version FROM projection_checkpoints WHERE name = ?1 AND status = 'live'";
    let live: u32 = sqlx::query_scalar(select).bind(MEDIA).fetch_one(&mut *connection).await?;
    script(connection, &format!("DROP VIEW run_records; {}", statements::run_view(live))).await?;
    script(connection, include_str!("sql/create_run_views.sql")).await
}

/// All versions that have a table, for a step that changes each.
async fn versions(connection: &mut SqliteConnection) -> Result<Vec<u32>, Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = ?1";
    Ok(sqlx::query_scalar(select).bind(MEDIA).fetch_all(&mut *connection).await?)
}

/// A number that no version had before.
pub(super) async fn next_version(connection: &mut SqliteConnection) -> Result<u32, Error> {
    let next = "UPDATE projection_versions SET newest = newest + 1 WHERE name = ?1 RETURNING newest";
    Ok(sqlx::query_scalar(next).bind(MEDIA).fetch_one(&mut *connection).await?)
}

/// Creates the tables of a version and its checkpoint, before the first event and with no reader.
pub(super) async fn create_version(connection: &mut SqliteConnection, version: u32) -> Result<(), Error> {
    script(connection, &statements::tables(version)).await?;
    script(connection, &statements::run_table(version)).await?;
    script(connection, &statements::index_objects(version)).await?;
    let insert = "INSERT INTO projection_checkpoints (name, version, status, position) VALUES (?1, ?2, 'building', 0)";
    sqlx::query(insert).bind(MEDIA).bind(version).execute(&mut *connection).await?;
    Ok(())
}
