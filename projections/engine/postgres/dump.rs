//! All rows of a version in order of their key, so that two versions can be compared row by row (P-4).

use tokio::sync::mpsc;

use super::{Database, Mode, Task, Transaction, query::read};
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

/// A page that was read, or the checkpoint at which they all are.
enum Part<R> {
    Checkpoint(Checkpoint),
    Rows(Vec<R>),
}

impl Database {
    pub(crate) async fn dump<P: Projection>(
        &self,
        version: Option<u32>,
        mut each: impl FnMut(&P::Row) + Send,
    ) -> Result<Dump, Error> {
        let (parts, mut received) = mpsc::channel(1);
        let database = self.clone();
        // The callback need not outlive this call, so it stays here and rows come to it.
        let mut reading = Task(self.runtime.spawn(async move { database.read_all::<P>(version, parts).await }));
        let mut dump = Dump::of_no_rows(0, 0);
        while let Some(part) = received.recv().await {
            match part {
                Part::Checkpoint(checkpoint) => dump = Dump::of_no_rows(checkpoint.version, checkpoint.position),
                Part::Rows(rows) => {
                    for row in &rows {
                        each(row);
                        dump.add(row);
                    }
                }
            }
        }
        match (&mut reading.0).await {
            Ok(read) => read.map(|()| dump),
            Err(_) => Err(Error::Unreachable(sqlx::Error::WorkerCrashed)),
        }
    }

    async fn read_all<P: Projection>(
        &self,
        version: Option<u32>,
        parts: mpsc::Sender<Part<P::Row>>,
    ) -> Result<(), Error> {
        let (mut tx, checkpoint, mut rows) = loop {
            if let Some(begun) = self.begin_dump::<P>(version).await? {
                break begun;
            }
        };
        let sql = page_of::<P>(checkpoint.version);
        // A receiver that is gone has lost interest.
        if parts.send(Part::Checkpoint(checkpoint)).await.is_err() {
            return Ok(());
        }
        loop {
            let last = rows.last().filter(|_| rows.len() == PAGE as usize).map(P::key);
            if parts.send(Part::Rows(rows)).await.is_err() {
                return Ok(());
            }
            let Some(after) = last else { return tx.commit().await };
            rows = page(&mut tx, &sql, &after).await?;
        }
    }

    /// The first page, which keeps the table from being dropped until the transaction ends. None if a swap has dropped it
    /// after the checkpoint was read: then another version is live.
    async fn begin_dump<P: Projection>(
        &self,
        version: Option<u32>,
    ) -> Result<Option<(Transaction, Checkpoint, Vec<P::Row>)>, Error> {
        let mut tx = Transaction::begin(&self.readers, Mode::Snapshot, self.named_statements).await?;
        let sql = Dialect::Postgres.statement(checkpoint::SELECT, Checkpoint::COLUMNS);
        let all = tx.query(&sql).fetch_all(&mut *tx).await?.iter().map(read).collect::<Result<_, _>>()?;
        let checkpoint = checkpoint::version(all, version)?;
        match page(&mut tx, &page_of::<P>(checkpoint.version), "").await {
            Ok(rows) => Ok(Some((tx, checkpoint, rows))),
            Err(Error::Database(sqlx::Error::Database(error))) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

const UNDEFINED_TABLE: &str = "42P01";

async fn page<R: Row>(tx: &mut Transaction, sql: &str, after: &str) -> Result<Vec<R>, Error> {
    let rows = tx.query(sql).bind(after).bind(i64::from(PAGE)).fetch_all(&mut **tx).await?;
    rows.iter().map(read).collect()
}
