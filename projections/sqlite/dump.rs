//! All rows of a version in order of id, so that two versions can be compared row by row (P-4).

use super::{ReadModels, read, statements};
use crate::{Dump, Error, MediaRow, answers, columns};

/// Rows in memory at a time.
const PAGE: u32 = 1000;

impl ReadModels {
    pub(crate) async fn dump(
        &self,
        version: Option<u32>,
        mut each: impl FnMut(&MediaRow) + Send,
    ) -> Result<Dump, Error> {
        let mut tx = self.readers.begin().await?;
        let checkpoint = answers::version(read::checkpoints(&mut tx).await?, version)?;
        let sql = statements::dump(checkpoint.version);
        let mut dump = Dump::of_no_rows(checkpoint.version, checkpoint.position);
        let mut after = String::new();
        loop {
            let rows = sqlx::query(&sql).bind(&after).bind(PAGE).fetch_all(&mut *tx).await?;
            for row in &rows {
                let row = columns::media_row(row)?;
                each(&row);
                dump.add(&row);
                after = row.media_id.to_string();
            }
            if rows.len() < PAGE as usize {
                return Ok(dump);
            }
        }
    }
}
