//! Reading from SQLite: a small pool of read-only connections.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::error::Error as SqlxError;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{FromRow, Row};
use tokio::runtime::Handle;
use uuid::Uuid;
use zeroload_database_access::open_files::OpenFiles;

use super::super::StreamKind;
use super::super::store::ReadStore;
use super::super::stored::{Edges, RawCommit, RawDecisionEvent, RawEvent, RawHead, ReadError};
use super::super::streams::Streams;
use super::{check, store_error};
use crate::error::{StoreError, StoreErrorKind};

/// Each is a thread of its own with its own page cache.
const CONNECTIONS: u32 = 4;

/// How long a read waits for one of them, or that of a stream for a query that takes it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

macro_rules! events_where {
    ($condition:literal) => {
        concat!(
            "SELECT position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id, ",
            "sequence, event_type, event_version, payload, metadata FROM events WHERE ",
            $condition
        )
    };
}

const EVENTS: &str = events_where!("position > ?1 ORDER BY position LIMIT ?2");
const EVENTS_OF_TENANT: &str = events_where!("tenant = ?3 AND position > ?1 ORDER BY position LIMIT ?2");
const EVENTS_OF_STREAM: &str =
    events_where!("aggregate_type = ?1 AND aggregate_id = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4");
/// Of streams that are named by kind and id in a JSON array, each fact with the index of its stream.
const FACTS: &str = "SELECT position, command_id, sequence, event_type, event_version, payload, wanted.key
    FROM json_each(?1) AS wanted CROSS JOIN events
      ON aggregate_type = wanted.value ->> 0 AND aggregate_id = wanted.value ->> 1";
const COMMITS: &str = "SELECT commit_id, first_position, event_count, recorded_at, hash FROM commits
    WHERE commit_id > ?1 ORDER BY commit_id LIMIT ?2";
const HEAD: &str = "SELECT position, commit_id, recorded_at, hash, journal_id FROM journal_head";
const EDGES: &str = "SELECT position, commit_id, recorded_at, hash, journal_id,
    (SELECT coalesce(max(position), 0) FROM events),
    (SELECT coalesce(max(commit_id), 0) FROM commits),
    (SELECT count(*) FROM events WHERE position < 1) + (SELECT count(*) FROM commits WHERE commit_id < 1)
    FROM journal_head";
const NOW: &str = "SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER)";
const VERSIONS: &str = "SELECT event_type, event_version FROM event_versions ORDER BY event_type, event_version";

/// See [`ReadStore`].
pub struct SqliteReader {
    pool: SqlitePool,
    streams: Streams,
    /// Only in the process that writes: to others the files are a snapshot.
    files: Option<Arc<OpenFiles>>,
}

impl SqliteReader {
    pub(super) async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, SqlxError> {
        SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection to a file does not go stale; the question would cost as much as a short read.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
    }

    pub(super) fn new(pool: SqlitePool, files: Option<Arc<OpenFiles>>) -> Self {
        let fetch = {
            let pool = pool.clone();
            move |kinds: Vec<&'static str>, ids: Vec<String>| facts(pool.clone(), kinds, ids).boxed()
        };
        Self { streams: Streams::start(&Handle::current(), ACQUIRE_TIMEOUT, Arc::new(fetch)), pool, files }
    }

    /// A new connection would open whatever has the file's name now.
    fn pool(&self) -> Result<&SqlitePool, ReadError> {
        match &self.files {
            Some(files) => Ok(check(files).map(|()| &self.pool)?),
            None => Ok(&self.pool),
        }
    }
}

async fn facts(
    pool: SqlitePool,
    kinds: Vec<&'static str>,
    ids: Vec<String>,
) -> Result<Vec<(usize, RawDecisionEvent)>, ReadError> {
    let wanted: Vec<_> = kinds.iter().zip(&ids).collect();
    let query = sqlx::query(FACTS).bind(serde_json::json!(wanted).to_string());
    let rows = query.fetch_all(&pool).await.map_err(read_error)?;
    let fact = |row: &SqliteRow| {
        let index: i64 = row.try_get(6)?;
        let index = usize::try_from(index).map_err(|error| SqlxError::Decode(error.into()))?;
        Ok((index, RawDecisionEvent::from_row(row)?))
    };
    rows.iter().map(fact).collect::<Result<_, _>>().map_err(read_error)
}

impl ReadStore for SqliteReader {
    fn events<'a>(
        &'a self,
        after: i64,
        limit: u32,
        tenant: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RawEvent>, ReadError>> {
        let query = sqlx::query_as(tenant.map_or(EVENTS, |_| EVENTS_OF_TENANT)).bind(after).bind(limit).bind(tenant);
        async move { query.fetch_all(self.pool()?).await.map_err(read_error) }.boxed()
    }

    fn stream(
        &self,
        kind: StreamKind,
        stream: Uuid,
        after: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RawEvent>, ReadError>> {
        let query = sqlx::query_as(EVENTS_OF_STREAM).bind(kind.as_str()).bind(stream.to_string());
        let query = query.bind(after).bind(limit);
        async move { query.fetch_all(self.pool()?).await.map_err(read_error) }.boxed()
    }

    fn facts(&self, kind: StreamKind, stream: Uuid) -> BoxFuture<'_, Result<Vec<RawDecisionEvent>, ReadError>> {
        async move {
            self.pool()?;
            self.streams.read(kind, stream).await
        }
        .boxed()
    }

    fn commits(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<RawCommit>, ReadError>> {
        let query = sqlx::query_as(COMMITS).bind(after).bind(limit);
        async move { query.fetch_all(self.pool()?).await.map_err(read_error) }.boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<RawHead, ReadError>> {
        async {
            let head = sqlx::query_as(HEAD).fetch_optional(self.pool()?).await.map_err(read_error)?;
            head.ok_or(ReadError::NoHead)
        }
        .boxed()
    }

    fn edges(&self) -> BoxFuture<'_, Result<Edges, ReadError>> {
        async {
            let edges = sqlx::query_as(EDGES).fetch_optional(self.pool()?).await.map_err(read_error)?;
            edges.ok_or(ReadError::NoHead)
        }
        .boxed()
    }

    fn now(&self) -> BoxFuture<'_, Result<DateTime<Utc>, ReadError>> {
        async {
            let millis: i64 = sqlx::query_scalar(NOW).fetch_one(self.pool()?).await.map_err(read_error)?;
            DateTime::from_timestamp_millis(millis).ok_or_else(|| {
                StoreError::new(StoreErrorKind::Other, format!("its clock shows {millis} ms since 1970")).into()
            })
        }
        .boxed()
    }

    fn event_versions(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, ReadError>> {
        async { sqlx::query_as(VERSIONS).fetch_all(self.pool()?).await.map_err(read_error) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.pool.close().boxed()
    }
}

fn read_error(error: SqlxError) -> ReadError {
    store_error(error).into()
}

impl FromRow<'_, SqliteRow> for RawEvent {
    fn from_row(row: &SqliteRow) -> Result<Self, SqlxError> {
        Ok(Self {
            position: row.try_get(0)?,
            commit_id: row.try_get(1)?,
            recorded_at: row.try_get(2)?,
            leaf_hash: row.try_get(3)?,
            tenant: row.try_get(4)?,
            command_id: row.try_get(5)?,
            aggregate_type: row.try_get(6)?,
            aggregate_id: row.try_get(7)?,
            sequence: row.try_get(8)?,
            event_type: row.try_get(9)?,
            event_version: row.try_get(10)?,
            payload: row.try_get(11)?,
            metadata: row.try_get(12)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for RawDecisionEvent {
    fn from_row(row: &SqliteRow) -> Result<Self, SqlxError> {
        Ok(Self {
            position: row.try_get(0)?,
            command_id: row.try_get(1)?,
            sequence: row.try_get(2)?,
            event_type: row.try_get(3)?,
            event_version: row.try_get(4)?,
            payload: row.try_get(5)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for RawCommit {
    fn from_row(row: &SqliteRow) -> Result<Self, SqlxError> {
        Ok(Self {
            commit_id: row.try_get(0)?,
            first_position: row.try_get(1)?,
            event_count: row.try_get(2)?,
            recorded_at: row.try_get(3)?,
            hash: row.try_get(4)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for RawHead {
    fn from_row(row: &SqliteRow) -> Result<Self, SqlxError> {
        Ok(Self {
            position: row.try_get(0)?,
            commit_id: row.try_get(1)?,
            recorded_at: row.try_get(2)?,
            hash: row.try_get(3)?,
            journal_id: row.try_get(4)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for Edges {
    fn from_row(row: &SqliteRow) -> Result<Self, SqlxError> {
        Ok(Self {
            head: RawHead::from_row(row)?,
            last_position: row.try_get(5)?,
            last_commit: row.try_get(6)?,
            strays: row.try_get(7)?,
        })
    }
}
