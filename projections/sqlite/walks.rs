//! Statements of the notebook of reconciliations, in the same file.

use super::{ReadModels, bind::bind_cells, transaction::WriteTransaction};
use crate::{
    Error,
    columns::{Cell, Cells},
};

impl ReadModels {
    /// Runs statements in one transaction, and returns how many rows the first one changed. Where it changed none, nothing of
    /// the others is done.
    pub(crate) async fn execute(&self, statements: Vec<(&'static str, Vec<Cell>)>) -> Result<u64, Error> {
        let mut tx = WriteTransaction::begin(self.writer()?).await?;
        let mut changed = None;
        for (sql, cells) in statements {
            let done = bind_cells(sqlx::query(sql), cells).execute(&mut *tx).await?;
            changed.get_or_insert(done.rows_affected());
            if changed == Some(0) {
                break;
            }
        }
        tx.commit().await?;
        Ok(changed.unwrap_or_default())
    }

    pub(crate) async fn select<T>(
        &self,
        sql: &'static str,
        cells: Vec<Cell>,
        read: fn(&dyn Cells) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = bind_cells(sqlx::query(sql), cells).fetch_all(&self.readers).await?;
        rows.iter().map(|row| read(row)).collect()
    }
}
