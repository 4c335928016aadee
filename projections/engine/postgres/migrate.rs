//! The schema: numbered steps, forward only, all in one transaction with the number of the last.

use sqlx::{Executor, PgConnection, Row};

use super::{Database, Mode, Transaction};
use crate::{
    Error,
    engine::{Change, Columns, Dialect, Projection, Table, field::integer, projection::tables},
};

/// Of the lock under which the schema changes, "zlRMschm" in ASCII: advisory locks share one space per database.
const SCHEMA_LOCK: i64 = 0x7a6c_524d_7363_686d;

/// A new table that belongs to no version is for those who may use this one.
const ITS_RIGHTS: &str = "collection_retries";

/// The schema that this binary reads and writes.
fn newest<P: Projection>() -> i64 {
    P::SCHEMA.newest(|step| step.postgres)
}

/// Brings the database to the newest schema. Of several processes one does it, the others wait and find it done.
pub(super) async fn migrate<P: Projection>(database: &Database) -> Result<(), Error> {
    let mut tx = database.write(Mode::Rows).await?;
    let found = schema_of::<P>(&mut tx).await?;
    tx.commit().await?;
    if found == newest::<P>() {
        return Ok(());
    }
    let mut tx = database.write(Mode::Schema).await?;
    // Ends with the transaction, so it survives no crash and needs no session of its own. However long another process is
    // at it, it is waited for; the limit is for locks that readers wait behind.
    tx.query("SET LOCAL lock_timeout = 0").execute(&mut *tx).await?;
    tx.query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK).execute(&mut *tx).await?;
    tx.query("SET LOCAL lock_timeout = '10s'").execute(&mut *tx).await?;
    let found = schema_of::<P>(&mut tx).await?;
    if found < 1 {
        create::<P>(&mut tx).await?;
    } else {
        let newer = P::SCHEMA.steps.iter().filter(|step| step.postgres.is_some_and(|number| number > found));
        for change in newer.flat_map(|step| step.changes) {
            carry_out::<P>(&mut tx, change).await?;
        }
    }
    if found < newest::<P>() {
        views::<P>(&mut tx).await?;
    }
    tx.query("UPDATE projection_schema SET version = $1").bind(newest::<P>()).execute(&mut *tx).await?;
    tx.commit().await
}

/// All tables of a new database.
async fn create<P: Projection>(tx: &mut Transaction) -> Result<(), Error> {
    for table in P::SCHEMA.tables {
        create_table(tx, table, table.name).await?;
        table_indexes(tx, table, table.name).await?;
    }
    for sql in P::SCHEMA.postgres {
        script(tx, sql).await?;
    }
    tx.query("INSERT INTO projection_versions (name, newest) VALUES ($1, 0)").bind(P::NAME).execute(&mut **tx).await?;
    let first = next_version::<P>(tx).await?;
    create_version::<P>(tx, first).await?;
    indexes::<P>(tx, first).await?;
    tx.query("UPDATE projection_checkpoints SET status = 'live' WHERE name = $1 AND version = $2")
        .bind(P::NAME)
        .bind(i64::from(first))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn carry_out<P: Projection>(tx: &mut Transaction, change: &Change) -> Result<(), Error> {
    match change {
        Change::Table(table) => {
            create_table(tx, table, table.name).await?;
            table_indexes(tx, table, table.name).await?;
            script(tx, &grants(ITS_RIGHTS, table.name)).await?;
        }
        Change::Columns(table, columns) => {
            for (name, past) in *columns {
                let past = format!(" DEFAULT {past}");
                add_column(tx, table, table.name, name, &past).await?;
            }
        }
        Change::VersionedTable(table) => {
            for version in versions::<P>(tx).await? {
                create_table(tx, table, &table.of_version(version)).await?;
                script(tx, &grants(&P::TABLE.of_version(version), &table.of_version(version))).await?;
            }
        }
        Change::VersionedColumns(table, columns) => {
            for version in versions::<P>(tx).await? {
                for name in *columns {
                    add_column(tx, table, &table.of_version(version), name, "").await?;
                }
            }
        }
        Change::Indexes(table, names) => {
            for version in versions::<P>(tx).await? {
                for name in *names {
                    script(tx, &Dialect::create_index(table.index(name), &table.of_version(version))).await?;
                }
            }
        }
        Change::RenewedIndexes(table, names) => {
            for version in versions::<P>(tx).await? {
                for name in *names {
                    let of_version = table.of_version(version);
                    let sql = Dialect::create_index(table.index(name), &of_version);
                    script(tx, &format!("DROP INDEX IF EXISTS {of_version}_{name}; {sql}")).await?;
                }
            }
        }
        Change::Postgres(sql, made) => {
            script(tx, sql).await?;
            if let Some(table) = made {
                script(tx, &grants(ITS_RIGHTS, table)).await?;
            }
        }
        Change::ForEachVersion(sql) | Change::PostgresForEachVersion(sql) => {
            for version in versions::<P>(tx).await? {
                script(tx, &sql.replace("{version}", &version.to_string())).await?;
            }
        }
    }
    Ok(())
}

async fn create_table(tx: &mut Transaction, table: &Table, name: &str) -> Result<(), Error> {
    script(tx, &Dialect::Postgres.create(table, name)).await
}

async fn table_indexes(tx: &mut Transaction, table: &Table, name: &str) -> Result<(), Error> {
    let indexes: String = table.indexes.iter().map(|index| Dialect::create_index(index, name)).collect();
    script(tx, &indexes).await
}

/// All but the keys', for the tables of [`create_version`]: filling them row by row takes longer than all the rest.
pub(super) async fn indexes<P: Projection>(tx: &mut Transaction, version: u32) -> Result<(), Error> {
    for table in tables::<P>() {
        table_indexes(tx, table, &table.of_version(version)).await?;
    }
    Ok(())
}

/// Unless the table was made with it.
async fn add_column(tx: &mut Transaction, table: &Table, name: &str, column: &str, past: &str) -> Result<(), Error> {
    let column = Dialect::Postgres.column(table.column(column));
    script(tx, &format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column}{past}")).await
}

/// What readers see, made anew: a view keeps the columns that there were when it was made.
async fn views<P: Projection>(tx: &mut Transaction) -> Result<(), Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = $1 AND status = 'live'";
    let live = Columns::of(&tx.query(select).bind(P::NAME).fetch_one(&mut **tx).await?).read("version")?;
    let mut made = Vec::new();
    for table in tables::<P>() {
        made.push((table.name, Dialect::Postgres.live_view(table, live)));
    }
    for view in P::VIEWS {
        made.push((view.name, Dialect::Postgres.create_view(view)));
    }
    for (name, sql) in made {
        let there = tx.query("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(&mut **tx).await?;
        script(tx, &sql).await?;
        if !there.try_get::<bool, _>(0)? {
            script(tx, &grants(P::TABLE.name, name)).await?;
        }
    }
    Ok(())
}

/// Whoever may use the one may use the other.
pub(super) fn grants(from: &str, to: &str) -> String {
    include_str!("hand_rights_on.sql").replace("{from}", from).replace("{to}", to)
}

/// Whether the database can be read as it is.
pub(super) async fn check<P: Projection>(database: &Database) -> Result<(), Error> {
    let mut tx = database.read().await?;
    let found = schema_of::<P>(&mut tx).await?;
    tx.commit().await?;
    if found < newest::<P>() {
        return Err(Error::NotMigrated { found, known: newest::<P>() });
    }
    Ok(())
}

async fn schema_of<P: Projection>(tx: &mut Transaction) -> Result<i64, Error> {
    // Through pg_class, whose lock makes the session take in what others have created: to_regclass alone answers from what
    // the session remembers, also after a wait for whoever was creating it.
    let there = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('projection_schema'))";
    if !tx.query(there).fetch_one(&mut **tx).await?.try_get::<bool, _>(0)? {
        return Ok(0);
    }
    let found = tx.query("SELECT version FROM projection_schema").fetch_one(&mut **tx).await?.try_get(0)?;
    if found > newest::<P>() {
        return Err(Error::Newer { found, known: newest::<P>() });
    }
    Ok(found)
}

/// Runs several statements.
pub(super) async fn script(connection: &mut PgConnection, sql: &str) -> Result<(), Error> {
    // Not `RawSql::execute`: its future is not `Send` for every lifetime.
    connection.execute(sqlx::raw_sql(sql)).await?;
    Ok(())
}

/// All versions that have tables, for a step that changes each. Nobody applies events meanwhile, since the checkpoints are
/// locked.
async fn versions<P: Projection>(tx: &mut Transaction) -> Result<Vec<u32>, Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = $1 FOR UPDATE";
    let rows = tx.query(select).bind(P::NAME).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Columns::of(row).read("version")).collect()
}

/// A number that no version had before.
pub(super) async fn next_version<P: Projection>(tx: &mut Transaction) -> Result<u32, Error> {
    let next = "UPDATE projection_versions SET newest = newest + 1 WHERE name = $1 RETURNING newest";
    let row = tx.query(next).bind(P::NAME).fetch_one(&mut **tx).await?;
    Columns::of(&row).read("newest")
}

/// Creates the tables of a version and its checkpoint, before the first event and with no reader. They have no index but
/// their keys' yet.
pub(super) async fn create_version<P: Projection>(tx: &mut Transaction, version: u32) -> Result<(), Error> {
    for table in tables::<P>() {
        create_table(tx, table, &table.of_version(version)).await?;
    }
    let insert = "INSERT INTO projection_checkpoints (name, version, status, position, begun_by)
                  VALUES ($1, $2, 'building', 0, $3)";
    tx.query(insert).bind(P::NAME).bind(integer(version.into())).bind(newest::<P>()).execute(&mut **tx).await?;
    Ok(())
}
