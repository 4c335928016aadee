//! The schema: numbered steps, forward only, each in one transaction with its number.

use sqlx::{Executor, PgConnection, Row};

use super::{Mode, ReadModels, Transaction, statements};
use crate::{
    Error,
    checkpoint::MEDIA,
    columns::{self, Columns},
};

/// The schema that this binary reads and writes: 1 made the read models, 2 counts per minute, 3 keeps records of runs, 4 notes
/// what was inspected, 5 lists what is in the trash, 6 keeps what was reconciled, 7 tells which objects were substituted, 8 lets who
/// changes rows remove them, 9 counts no restore as a confirm, 10 counts what a run has moved into the
/// trash, 11 counts what a walk could not read and what the trash has lost, 12 divides the work of collectors, 13
/// that of inspectors.
const NEWEST: i64 = 13;

/// Of the lock under which the schema changes, "zlRMschm" in ASCII: advisory locks share one space per database.
const SCHEMA_LOCK: i64 = 0x7a6c_524d_7363_686d;

/// Brings the database to the newest schema. Of several processes one does it, the others wait and find it done.
pub(super) async fn migrate(models: &ReadModels) -> Result<(), Error> {
    let mut tx = models.write(Mode::Rows).await?;
    let found = schema_of(&mut tx).await?;
    tx.commit().await?;
    if found == NEWEST {
        return Ok(());
    }
    let mut tx = models.write(Mode::Schema).await?;
    // Ends with the transaction, so it survives no crash and needs no session of its own. However long another process is
    // at it, it is waited for; the limit is for locks that readers wait behind.
    tx.query("SET LOCAL lock_timeout = 0").execute(&mut *tx).await?;
    tx.query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK).execute(&mut *tx).await?;
    tx.query("SET LOCAL lock_timeout = '10s'").execute(&mut *tx).await?;
    let found = schema_of(&mut tx).await?;
    if found < 1 {
        script(&mut tx, include_str!("migrations/0001_create_the_read_models.sql")).await?;
        let first = next_version(&mut tx).await?;
        create_version(&mut tx, first).await?;
        script(&mut tx, &statements::indexes(first)).await?;
        script(&mut tx, &statements::views(first)).await?;
        script(&mut tx, include_str!("sql/create_analysts_views.sql")).await?;
        tx.query("UPDATE projection_checkpoints SET status = 'live' WHERE name = $1 AND version = $2")
            .bind(MEDIA)
            .bind(i64::from(first))
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
        for table in ["recheck_progress", "inspection_retries"] {
            script(&mut tx, &statements::grants("collection_retries", table)).await?;
        }
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
        for table in ["reconciliations", "reconciliation_findings"] {
            script(&mut tx, &statements::grants("collection_retries", table)).await?;
        }
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::index_objects(version)).await?;
        }
    }
    if found < 7 {
        tell_seals(&mut tx, found > 0).await?;
    }
    if (1..8).contains(&found) {
        for version in versions(&mut tx).await? {
            script(&mut tx, &statements::grant_delete(version)).await?;
        }
    }
    if (2..9).contains(&found) {
        recount_activity(&mut tx).await?;
    }
    if (3..10).contains(&found) {
        count_trashed(&mut tx).await?;
    }
    if found < 11 {
        let sql = include_str!("migrations/0011_count_what_a_walk_could_not_read_and_what_the_trash_has_lost.sql");
        script(&mut tx, sql).await?;
    }
    if found < 12 {
        script(&mut tx, include_str!("migrations/0012_divide_the_work_of_collectors.sql")).await?;
        script(&mut tx, &statements::grants("collection_retries", "collection_pages")).await?;
    }
    if found < 13 {
        script(&mut tx, include_str!("migrations/0013_divide_the_work_of_inspectors.sql")).await?;
        script(&mut tx, &statements::grants("collection_retries", "inspection_turns")).await?;
    }
    tx.query("UPDATE projection_schema SET version = $1").bind(NEWEST).execute(&mut *tx).await?;
    tx.commit().await
}

/// Step 2, for versions that were made before it.
async fn count_activity(tx: &mut Transaction) -> Result<(), Error> {
    let select = "SELECT version, status = 'live' FROM projection_checkpoints WHERE name = $1 FOR UPDATE";
    for row in tx.query(select).bind(MEDIA).fetch_all(&mut **tx).await? {
        let version = Columns::of(&row).small("version")?;
        let live: bool = row.try_get(1)?;
        script(tx, &statements::counted(version)).await?;
        script(tx, &statements::grants(&format!("media_v{version}"), &format!("activity_v{version}"))).await?;
        if live {
            script(tx, &statements::activity_view(version)).await?;
            script(tx, &statements::grants("media", "activity")).await?;
        }
    }
    Ok(())
}

/// Step 9. Nobody applies events meanwhile, since the checkpoints are locked.
async fn recount_activity(tx: &mut Transaction) -> Result<(), Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = $1 FOR UPDATE";
    for row in tx.query(select).bind(MEDIA).fetch_all(&mut **tx).await? {
        let version = Columns::of(&row).small("version")?;
        script(tx, &statements::recounted(version)).await?;
    }
    Ok(())
}

/// Step 3. No journal had recorded a run before, so empty tables are right wherever a version stands.
async fn add_run_records(tx: &mut Transaction) -> Result<(), Error> {
    let select = "SELECT version, status = 'live' FROM projection_checkpoints WHERE name = $1";
    for row in tx.query(select).bind(MEDIA).fetch_all(&mut **tx).await? {
        let version = Columns::of(&row).small("version")?;
        let live: bool = row.try_get(1)?;
        script(tx, &statements::run_table(version)).await?;
        script(tx, &statements::grants(&format!("media_v{version}"), &format!("run_records_v{version}"))).await?;
        if live {
            script(tx, &statements::run_view(version)).await?;
            script(tx, &statements::grants("media", "run_records")).await?;
        }
    }
    script(tx, include_str!("sql/create_run_views.sql")).await
}

/// Whether the database can be read as it is.
pub(super) async fn check(models: &ReadModels) -> Result<(), Error> {
    let mut tx = models.read().await?;
    let found = schema_of(&mut tx).await?;
    tx.commit().await?;
    if found < NEWEST {
        return Err(Error::NotMigrated { found, known: NEWEST });
    }
    Ok(())
}

async fn schema_of(tx: &mut Transaction) -> Result<i64, Error> {
    // Through pg_class, whose lock makes the session take in what others have created: to_regclass alone answers from what
    // the session remembers, also after a wait for whoever was creating it.
    let there = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('projection_schema'))";
    if !tx.query(there).fetch_one(&mut **tx).await?.try_get::<bool, _>(0)? {
        return Ok(0);
    }
    let found = tx.query("SELECT version FROM projection_schema").fetch_one(&mut **tx).await?.try_get(0)?;
    if found > NEWEST {
        return Err(Error::Newer { found, known: NEWEST });
    }
    Ok(found)
}

/// Runs several statements.
pub(super) async fn script(connection: &mut PgConnection, sql: &str) -> Result<(), Error> {
    // Not `RawSql::execute`: its future is not `Send` for every lifetime.
    connection.execute(sqlx::raw_sql(sql)).await?;
    Ok(())
}

/// Step 7. A version that was `made_before` gets its columns; what they say of the past is empty, as no journal had told.
async fn tell_seals(tx: &mut Transaction, made_before: bool) -> Result<(), Error> {
    if made_before {
        for version in versions(tx).await? {
            script(tx, &statements::sealed(version)).await?;
        }
        let select = "SELECT version FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
        let live = Columns::of(&tx.query(select).bind(MEDIA).fetch_one(&mut **tx).await?).small("version")?;
        script(tx, &statements::media_view(live)).await?;
        // A view keeps the columns that there were when it was made.
        let pending = "CREATE OR REPLACE VIEW pending_media AS
                       SELECT * FROM media WHERE state IN ('pending', 'uploaded')";
        script(tx, pending).await?;
    }
    script(tx, include_str!("migrations/0007_tell_which_objects_were_substituted.sql")).await?;
    script(tx, &statements::grants("media", "substituted_media")).await
}

/// Step 10.
async fn count_trashed(tx: &mut Transaction) -> Result<(), Error> {
    for version in versions(tx).await? {
        script(tx, &statements::trashed(version)).await?;
    }
    let select = "SELECT version FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
    let live = Columns::of(&tx.query(select).bind(MEDIA).fetch_one(&mut **tx).await?).small("version")?;
    script(tx, &statements::run_view(live)).await?;
    script(tx, include_str!("sql/create_run_views.sql")).await
}

/// All versions that have a table, for a step that changes each.
async fn versions(tx: &mut Transaction) -> Result<Vec<u32>, Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = $1";
    let rows = tx.query(select).bind(MEDIA).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Columns::of(row).small("version")).collect()
}

/// A number that no version had before.
pub(super) async fn next_version(tx: &mut Transaction) -> Result<u32, Error> {
    let next = "UPDATE projection_versions SET newest = newest + 1 WHERE name = $1 RETURNING newest";
    let row = tx.query(next).bind(MEDIA).fetch_one(&mut **tx).await?;
    Columns::of(&row).small("newest")
}

/// Creates the tables of a version and its checkpoint, before the first event and with no reader. It has no index but its
/// key yet.
pub(super) async fn create_version(tx: &mut Transaction, version: u32) -> Result<(), Error> {
    script(tx, &statements::tables(version)).await?;
    script(tx, &statements::run_table(version)).await?;
    let insert = "INSERT INTO projection_checkpoints (name, version, status, position) VALUES ($1, $2, 'building', 0)";
    tx.query(insert).bind(MEDIA).bind(columns::integer(version.into())).execute(&mut **tx).await?;
    Ok(())
}
