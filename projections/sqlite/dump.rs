//! All rows of a version in order of id, so that two versions can be compared row by row (P-4).

use zeroload_domain::Sha256Digest;

use super::{ReadModels, columns, read, statements};
use crate::{Dump, Error, MediaRow, Status};

/// Rows in memory at a time.
const PAGE: u32 = 1000;

impl ReadModels {
    /// Hands each row of a version, the live one if none is named, to `each`, in order of id and from one snapshot. Rows
    /// are not held in memory; but while the dump runs, the WAL cannot shrink.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn dump(&self, version: Option<u32>, mut each: impl FnMut(&MediaRow) + Send) -> Result<Dump, Error> {
        let mut tx = self.readers.begin().await?;
        let checkpoint = read::checkpoints(&mut tx)
            .await?
            .into_iter()
            .find(|c| version.map_or(c.status == Status::Live, |version| c.version == version))
            .ok_or(Error::NoSuchVersion { version: version.unwrap_or_default() })?;
        let sql = statements::dump(checkpoint.version);
        let mut dump = Dump {
            version: checkpoint.version,
            position: checkpoint.position,
            rows: 0,
            digest: Sha256Digest::of(b"zeroload media rows"),
        };
        let mut after = String::new();
        loop {
            let rows = sqlx::query(&sql).bind(&after).bind(PAGE).fetch_all(&mut *tx).await?;
            for row in &rows {
                let row = columns::media_row(row)?;
                each(&row);
                // Each digest covers the one before it. The debug form names and quotes every field.
                dump.digest = Sha256Digest::of(format!("{} {row:?}", dump.digest).as_bytes());
                dump.rows += 1;
                after = row.media_id.to_string();
            }
            if rows.len() < PAGE as usize {
                return Ok(dump);
            }
        }
    }
}
