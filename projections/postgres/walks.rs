//! Statements of the notebook of reconciliations, in the same database.

use super::{Mode, ReadModels, transaction::bind_cells};
use crate::{
    Error,
    columns::{Cell, Cells},
};

impl ReadModels {
    /// Runs statements in one transaction, and returns how many rows the first one changed. Where it changed none, nothing of
    /// the others is done.
    pub(crate) async fn execute(&self, statements: Vec<(&'static str, Vec<Cell>)>) -> Result<u64, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            let mut changed = None;
            for (sql, cells) in statements {
                let done = bind_cells(tx.query(sql), cells).execute(&mut *tx).await?;
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

    pub(crate) async fn select<T: Send + 'static>(
        &self,
        sql: &'static str,
        cells: Vec<Cell>,
        read: fn(&dyn Cells) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let rows = bind_cells(tx.query(sql), cells).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(|row| read(row)).collect()
        })
        .await
    }
}
