//! Statements: each answer comes from one snapshot, and none waits for the writer.

use sqlx::{Sqlite, query::Query, sqlite::SqliteArguments};

use super::{Database, transaction::WriteTransaction};
use crate::{
    Error,
    engine::{Cell, Columns, Dialect, Row, Sink, dialect::Statement},
};

type Bound<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;

/// Binds values in their order.
pub(super) fn bind_cells(query: Bound<'_>, cells: Vec<Cell>) -> Bound<'_> {
    cells.into_iter().fold(query, |query, cell| match cell {
        Cell::Text(text) => query.bind(text),
        Cell::Number(number) => query.bind(number),
    })
}

/// Binds the cells of rows in their order.
pub(super) struct Binder<'q>(Option<Bound<'q>>);

impl<'q> Binder<'q> {
    pub(super) fn of(sql: &'q str) -> Self {
        Self(Some(sqlx::query(sql)))
    }

    pub(super) fn bound(self) -> Bound<'q> {
        self.0.expect("a query stays in its binder")
    }
}

impl Sink for Binder<'_> {
    fn text(&mut self, text: Option<&str>) {
        self.0 = self.0.take().map(|query| query.bind(text.map(str::to_owned)));
    }

    fn number(&mut self, number: Option<i64>) {
        self.0 = self.0.take().map(|query| query.bind(number));
    }
}

pub(super) fn read<R: Row>(row: &sqlx::sqlite::SqliteRow) -> Result<R, Error> {
    R::read(&mut Columns::of(row))
}

impl Database {
    pub(crate) async fn select<R: Row>(&self, sql: &str, cells: Vec<Cell>) -> Result<Vec<R>, Error> {
        let sql = Dialect::Sqlite.statement(sql, R::COLUMNS);
        bind_cells(sqlx::query(&sql), cells).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    pub(crate) async fn execute(&self, statements: Vec<Statement>) -> Result<u64, Error> {
        let mut tx = WriteTransaction::begin(self.writer()?).await?;
        let mut changed = None;
        for (sql, cells) in statements {
            let sql = Dialect::Sqlite.statement(&sql, &[]);
            let done = bind_cells(sqlx::query(&sql), cells).execute(&mut *tx).await?;
            changed.get_or_insert(done.rows_affected());
            if changed == Some(0) {
                break;
            }
        }
        tx.commit().await?;
        Ok(changed.unwrap_or_default())
    }

    pub(crate) async fn sweep(&self, sql: &'static str) -> Result<u64, Error> {
        let sql = Dialect::Sqlite.statement(sql, &[]);
        Ok(sqlx::query(&sql).execute(self.writer()?).await?.rows_affected())
    }
}
