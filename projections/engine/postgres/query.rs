//! Statements. Each answer is one statement, so it comes from one snapshot and, as a statement keeps its view from being
//! exchanged, from one version.

use super::{Database, Mode, Transaction, transaction::bind_cells};
use crate::{
    Error,
    engine::{Cell, Columns, Dialect, Row, dialect::Statement},
};

pub(super) fn read<R: Row>(row: &sqlx::postgres::PgRow) -> Result<R, Error> {
    R::read(&mut Columns::of(row))
}

impl Database {
    pub(crate) async fn select<R: Row>(&self, sql: &str, cells: Vec<Cell>) -> Result<Vec<R>, Error> {
        let (database, sql) = (self.clone(), Dialect::Postgres.statement(sql, R::COLUMNS));
        self.run(async move {
            let mut tx = database.read().await?;
            let rows = bind_cells(tx.query(&sql), cells).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(read).collect()
        })
        .await
    }

    /// As [`Database::select`], for a statement that writes too, one at a time for each `turn`: it sees what those before it
    /// have written. The turn ends with its transaction, so no pooler can lose it. Turns share one space per database.
    pub(crate) async fn select_in_turn<R: Row>(&self, turn: i64, sql: &str, cells: Vec<Cell>) -> Result<Vec<R>, Error> {
        let (database, sql) = (self.clone(), Dialect::Postgres.statement(sql, R::COLUMNS));
        self.run(async move {
            let mut tx = database.write(Mode::Rows).await?;
            tx.query("SELECT pg_advisory_xact_lock($1)").bind(turn).execute(&mut *tx).await?;
            let rows = bind_cells(tx.query(&sql), cells).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(read).collect()
        })
        .await
    }

    pub(crate) async fn execute(&self, statements: Vec<Statement>) -> Result<u64, Error> {
        let database = self.clone();
        self.run(async move {
            let mut tx = database.write(Mode::Rows).await?;
            let mut changed = None;
            for (sql, cells) in statements {
                let sql = Dialect::Postgres.statement(&sql, &[]);
                let done = bind_cells(tx.query(&sql), cells).execute(&mut *tx).await?;
                changed.get_or_insert(done.rows_affected());
                if changed == Some(0) {
                    break;
                }
            }
            tx.commit().await?;
            Ok(changed.unwrap_or_default())
        })
        .await
    }

    pub(crate) async fn sweep(&self, sql: &'static str) -> Result<u64, Error> {
        let database = self.clone();
        self.run(async move {
            // Seldom anything is there: then there is no commit that could wait for the disk.
            let mut tx = database.write(Mode::Statement).await?;
            let done = sweep(&mut tx, &Dialect::Postgres.statement(sql, &[])).await?;
            tx.commit().await?;
            Ok(done)
        })
        .await
    }
}

async fn sweep(tx: &mut Transaction, sql: &str) -> Result<u64, Error> {
    Ok(tx.query(sql).execute(&mut **tx).await?.rows_affected())
}
