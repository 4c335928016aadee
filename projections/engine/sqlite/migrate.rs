//! The schema of the file: numbered steps, forward only, all in one transaction with the number of the last.

use std::path::Path;

use sqlx::{Executor, SqliteConnection, SqlitePool};

use super::transaction::WriteTransaction;
use crate::{
    Error,
    engine::{Change, Dialect, Projection, Table, projection::tables},
};

/// In the file's header, "zlRM": tells a file of read models from any other (sqlite.org/fileformat.html, offset 68).
const APPLICATION_ID: i64 = 0x7a6c_524d;

/// The schema that this binary reads and writes.
fn newest<P: Projection>() -> i64 {
    P::SCHEMA.newest(|step| step.sqlite)
}

/// Brings the file to the newest schema. Of two processes one does it, the other waits and finds it done.
pub(super) async fn migrate<P: Projection>(writer: &SqlitePool, path: &Path) -> Result<(), Error> {
    let mut tx = WriteTransaction::begin(writer).await?;
    let found = schema_of::<P>(&mut tx, path).await?;
    if found == newest::<P>() {
        return Ok(tx.rollback().await?);
    }
    if found < 1 {
        create::<P>(&mut tx).await?;
    } else {
        let newer = P::SCHEMA.steps.iter().filter(|step| step.sqlite.is_some_and(|number| number > found));
        for change in newer.flat_map(|step| step.changes) {
            carry_out::<P>(&mut tx, change).await?;
        }
    }
    views::<P>(&mut tx).await?;
    // Pragmas take no parameters; both are part of the transaction.
    let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};", newest::<P>());
    script(&mut tx, &marks).await?;
    tx.commit().await?;
    Ok(())
}

/// All tables of a new file.
async fn create<P: Projection>(connection: &mut SqliteConnection) -> Result<(), Error> {
    for table in P::SCHEMA.tables {
        create_table(connection, table, table.name).await?;
    }
    let first = "INSERT INTO projection_versions (name, newest) VALUES (?1, 0)";
    sqlx::query(first).bind(P::NAME).execute(&mut *connection).await?;
    let first = next_version::<P>(connection).await?;
    create_version::<P>(connection, first).await?;
    let live = "UPDATE projection_checkpoints SET status = 'live' WHERE name = ?1 AND version = ?2";
    sqlx::query(live).bind(P::NAME).bind(first).execute(&mut *connection).await?;
    Ok(())
}

async fn carry_out<P: Projection>(connection: &mut SqliteConnection, change: &Change) -> Result<(), Error> {
    match change {
        Change::Table(table) => create_table(connection, table, table.name).await?,
        Change::Columns(table, columns) => {
            for (name, past) in *columns {
                let past = format!(" DEFAULT {past}");
                add_column(connection, table, table.name, name, &past).await?;
            }
        }
        Change::VersionedTable(table) => {
            for version in versions::<P>(connection).await? {
                create_table(connection, table, &table.of_version(version)).await?;
            }
        }
        Change::VersionedColumns(table, columns) => {
            for version in versions::<P>(connection).await? {
                for name in *columns {
                    add_column(connection, table, &table.of_version(version), name, "").await?;
                }
            }
        }
        Change::Indexes(table, names) => {
            for version in versions::<P>(connection).await? {
                for name in *names {
                    let sql = Dialect::create_index(table.index(name), &table.of_version(version));
                    script(connection, &sql).await?;
                }
            }
        }
        Change::RenewedIndexes(table, names) => {
            for version in versions::<P>(connection).await? {
                for name in *names {
                    let of_version = table.of_version(version);
                    let sql = Dialect::create_index(table.index(name), &of_version);
                    script(connection, &format!("DROP INDEX IF EXISTS {of_version}_{name}; {sql}")).await?;
                }
            }
        }
        Change::ForEachVersion(sql) => {
            for version in versions::<P>(connection).await? {
                script(connection, &sql.replace("{version}", &version.to_string())).await?;
            }
        }
        Change::Postgres(..) | Change::PostgresForEachVersion(_) => {}
    }
    Ok(())
}

async fn create_table(connection: &mut SqliteConnection, table: &Table, name: &str) -> Result<(), Error> {
    let indexes: String = table.indexes.iter().map(|index| Dialect::create_index(index, name)).collect();
    script(connection, &[Dialect::Sqlite.create(table, name), indexes].concat()).await
}

/// Unless the table was made with it.
async fn add_column(
    connection: &mut SqliteConnection,
    table: &Table,
    name: &str,
    column: &str,
    past: &str,
) -> Result<(), Error> {
    let there = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
    if sqlx::query_scalar::<_, bool>(there).bind(name).bind(column).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    let column = Dialect::Sqlite.column(table.column(column));
    script(connection, &format!("ALTER TABLE {name} ADD COLUMN {column}{past}")).await
}

/// What readers see, made anew: a view keeps the columns that there were when it was made.
async fn views<P: Projection>(connection: &mut SqliteConnection) -> Result<(), Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = ?1 AND status = 'live'";
    let live: u32 = sqlx::query_scalar(select).bind(P::NAME).fetch_one(&mut *connection).await?;
    for table in tables::<P>() {
        script(connection, &Dialect::Sqlite.live_view(table, live)).await?;
    }
    for view in P::VIEWS {
        script(connection, &Dialect::Sqlite.create_view(view)).await?;
    }
    Ok(())
}

/// Whether the file is empty or one of read models.
pub(super) async fn recognise<P: Projection>(readers: &SqlitePool, path: &Path) -> Result<(), Error> {
    let mut tx = readers.begin().await?;
    schema_of::<P>(&mut tx, path).await.map(|_| ())
}

/// Whether the file can be read as it is.
pub(super) async fn check<P: Projection>(readers: &SqlitePool, path: &Path) -> Result<(), Error> {
    let mut tx = readers.begin().await?;
    let found = schema_of::<P>(&mut tx, path).await?;
    if found < newest::<P>() {
        return Err(Error::NotMigrated { found, known: newest::<P>() });
    }
    Ok(())
}

async fn schema_of<P: Projection>(connection: &mut SqliteConnection, path: &Path) -> Result<i64, Error> {
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
    if schema > newest::<P>() {
        return Err(Error::Newer { found: schema, known: newest::<P>() });
    }
    Ok(schema)
}

/// Runs several statements.
pub(super) async fn script(connection: &mut SqliteConnection, sql: &str) -> Result<(), Error> {
    // Not `RawSql::execute`: its future is not `Send` for every lifetime.
    connection.execute(sqlx::raw_sql(sql)).await?;
    Ok(())
}

/// All versions that have tables, for a step that changes each.
async fn versions<P: Projection>(connection: &mut SqliteConnection) -> Result<Vec<u32>, Error> {
    let select = "SELECT version FROM projection_checkpoints WHERE name = ?1";
    Ok(sqlx::query_scalar(select).bind(P::NAME).fetch_all(&mut *connection).await?)
}

/// A number that no version had before.
pub(super) async fn next_version<P: Projection>(connection: &mut SqliteConnection) -> Result<u32, Error> {
    let next = "UPDATE projection_versions SET newest = newest + 1 WHERE name = ?1 RETURNING newest";
    Ok(sqlx::query_scalar(next).bind(P::NAME).fetch_one(&mut *connection).await?)
}

/// Creates the tables of a version and its checkpoint, before the first event and with no reader.
pub(super) async fn create_version<P: Projection>(
    connection: &mut SqliteConnection,
    version: u32,
) -> Result<(), Error> {
    for table in tables::<P>() {
        create_table(connection, table, &table.of_version(version)).await?;
    }
    let insert = "INSERT INTO projection_checkpoints (name, version, status, position, begun_by)
                  VALUES (?1, ?2, 'building', 0, ?3)";
    sqlx::query(insert).bind(P::NAME).bind(version).bind(newest::<P>()).execute(&mut *connection).await?;
    Ok(())
}
