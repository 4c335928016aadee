//! All rows of a version in order of their key, so that two versions can be compared row by row (P-4).

use super::{Database, query::read};
use crate::{
    Error,
    engine::{
        Dialect, Projection, Row,
        checkpoint::{self, Checkpoint, Dump},
        projection::page_of,
    },
};

/// Rows in memory at a time.
const PAGE: u32 = 1000;

impl Database {
    pub(crate) async fn dump<P: Projection>(
        &self,
        version: Option<u32>,
        mut each: impl FnMut(&P::Row) + Send,
    ) -> Result<Dump, Error> {
        let mut tx = self.readers.begin().await?;
        let sql = Dialect::Sqlite.statement(checkpoint::SELECT, Checkpoint::COLUMNS);
        let all = sqlx::query(&sql).fetch_all(&mut *tx).await?.iter().map(read).collect::<Result<_, _>>()?;
        let checkpoint = checkpoint::version(all, version)?;
        let sql = page_of::<P>(checkpoint.version);
        let mut dump = Dump::of_no_rows(checkpoint.version, checkpoint.position);
        let mut after = String::new();
        loop {
            let rows = sqlx::query(&sql).bind(&after).bind(PAGE).fetch_all(&mut *tx).await?;
            for row in &rows {
                let row = read::<P::Row>(row)?;
                each(&row);
                dump.add(&row);
                after = P::key(&row);
            }
            if rows.len() < PAGE as usize {
                return Ok(dump);
            }
        }
    }
}
