//! Reading from PostgreSQL: a small pool of connections, and one beside it for streams, which are read most.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{FromRow, Row};
use tokio::runtime::Handle;
use uuid::Uuid;
use zeroload_database_access::pool;

use super::super::StreamKind;
use super::super::store::ReadStore;
use super::super::stored::{Edges, RawCommit, RawDecisionEvent, RawEvent, RawHead, ReadError};
use super::super::streams::Streams;
use super::connection::{answered, on, store_error};
use super::fetch::{PgQuery, StreamConnection, fetch_on};
use super::high_water_mark::{CHECK, HighWaterMark, Mark, holds};
use super::settings::Settings;
use crate::error::{StoreError, StoreErrorKind};

const CONNECTIONS: u32 = 3;

/// How long a read waits for one of them, or that of a stream for a query that takes it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// In the same snapshot whether the journal is the one that was seen. Without any event one row of nothing else.
macro_rules! events_where {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT e.position, commit_id, recorded_at, leaf_hash, tenant, command_id, aggregate_type, aggregate_id, ",
            "sequence, event_type, event_version, payload, metadata, holds FROM (SELECT ",
            holds!(1, 2),
            " AS holds OFFSET 0) AS k LEFT JOIN LATERAL (SELECT * FROM events WHERE ",
            $condition,
            ") AS e ON holds ORDER BY e.",
            $order
        )
    };
}

const EVENTS: &str = events_where!("position > $3 ORDER BY position LIMIT $4", "position");
const EVENTS_OF_TENANT: &str = events_where!("tenant = $5 AND position > $3 ORDER BY position LIMIT $4", "position");
const EVENTS_OF_STREAM: &str =
    events_where!("aggregate_type = $3 AND aggregate_id = $4 AND sequence > $5 ORDER BY sequence LIMIT $6", "sequence");
/// Each with the number of its stream; a subquery per stream is one look into the primary key.
const FACTS: &str = concat!(
    "SELECT e.position, e.command_id, e.sequence, e.event_type, e.event_version, e.payload, holds, e.at FROM (SELECT ",
    holds!(1, 2),
    " AS holds OFFSET 0) AS k LEFT JOIN LATERAL (SELECT s.*, w.at \
      FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS w (kind, id, at) CROSS JOIN LATERAL ( \
        SELECT position, command_id, sequence, event_type, event_version, payload FROM events \
        WHERE aggregate_type = w.kind AND aggregate_id = w.id OFFSET 0) AS s) AS e ON holds"
);
const COMMITS: &str = "SELECT commit_id, first_position, event_count, recorded_at, hash FROM commits
    WHERE commit_id > $1 ORDER BY commit_id LIMIT $2";
const HEAD: &str =
    concat!("SELECT position, commit_id, recorded_at, hash, journal_id, ", holds!(1, 2), " FROM journal_head");
const EDGES: &str = concat!(
    "SELECT position, commit_id, recorded_at, hash, journal_id, ",
    holds!(1, 2),
    ", (SELECT coalesce(max(position), 0) FROM events),
    (SELECT coalesce(max(commit_id), 0) FROM commits),
    (SELECT count(*) FROM events WHERE position < 1) + (SELECT count(*) FROM commits WHERE commit_id < 1)
    FROM journal_head"
);
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const VERSIONS: &str = "SELECT event_type, event_version FROM event_versions ORDER BY event_type, event_version";

/// See [`ReadStore`]. Each method is one statement, so one snapshot.
pub struct PostgresReader {
    source: Source,
    streams: Streams,
}

/// The connections, and what may be believed of them.
#[derive(Clone)]
struct Source {
    pool: PgPool,
    streams: StreamConnection,
    pooled: bool,
    seen: HighWaterMark,
    /// Where the connections live.
    runtime: Handle,
}

impl PostgresReader {
    pub(super) fn open(settings: &Settings, seen: HighWaterMark, runtime: &Handle) -> Self {
        // The pool looks after itself on the runtime that it is made on.
        let _entered = runtime.enter();
        let pool = pool::lazy(settings.options.clone(), CONNECTIONS, ACQUIRE_TIMEOUT);
        let streams = StreamConnection::new(pool.clone());
        Self::of(Source { pool, streams, pooled: settings.pooled, seen, runtime: runtime.clone() })
    }

    fn of(source: Source) -> Self {
        let fetching = source.clone();
        let fetch = move |kinds, ids| {
            let source = fetching.clone();
            async move { source.facts(kinds, ids).await }.boxed()
        };
        let streams = Streams::start(&source.runtime, ACQUIRE_TIMEOUT, Arc::new(fetch));
        Self { source, streams }
    }

    /// The same connections, for who wants what there is.
    pub(super) fn unmarked(&self) -> Self {
        Self::of(Source { seen: HighWaterMark::default(), ..self.source.clone() })
    }
}

impl Source {
    async fn facts(
        &self,
        kinds: Vec<&'static str>,
        ids: Vec<String>,
    ) -> Result<Vec<(usize, RawDecisionEvent)>, ReadError> {
        let bind = |query: PgQuery| query.bind(kinds.clone()).bind(ids.clone());
        let fetch = |sql, mark: Mark| async move {
            let query = || bind(sqlx::query(sql).bind(mark.position).bind(mark.command.clone()));
            self.streams.fetch(self.pooled, query).await
        };
        let rows = self.marked_by(FACTS, 6, fetch).await?;
        let mut facts = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(number) = row.try_get::<Option<i64>, _>(7).map_err(store_error)? else { continue };
            let index = usize::try_from(number - 1).map_err(|error| StoreError::new(StoreErrorKind::Corrupt, error))?;
            facts.push((index, RawDecisionEvent::from_row(&row).map_err(store_error)?));
        }
        Ok(facts)
    }

    fn rows(&self, query: PgQuery) -> BoxFuture<'static, Result<Vec<PgRow>, StoreError>> {
        let (pool, pooled, runtime) = (self.pool.clone(), self.pooled, self.runtime.clone());
        let fetch = async move { fetch_on(&mut *pool.acquire().await?, pooled, query).await };
        async move { on(&runtime, async move { answered(fetch).await.map_err(store_error) }).await }.boxed()
    }

    fn all<T>(&self, query: PgQuery) -> BoxFuture<'static, Result<Vec<T>, ReadError>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send,
    {
        let rows = self.rows(query);
        async move {
            let rows = rows.await?;
            Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(store_error)?)
        }
        .boxed()
    }

    /// The rows of a query whose first two parameters are the mark of what was seen, and whose column `holds` tells whether
    /// the journal holds it.
    async fn marked(
        &self,
        sql: &'static str,
        holds: usize,
        bind: impl Fn(PgQuery) -> PgQuery,
    ) -> Result<Vec<PgRow>, StoreError> {
        let fetch = |sql, mark: Mark| self.rows(bind(sqlx::query(sql).bind(mark.position).bind(mark.command)));
        self.marked_by(sql, holds, fetch).await
    }

    /// As [`Source::marked`], for a query that `fetch` carries out.
    async fn marked_by<F>(
        &self,
        sql: &'static str,
        holds: usize,
        fetch: impl Fn(&'static str, Mark) -> F,
    ) -> Result<Vec<PgRow>, StoreError>
    where
        F: Future<Output = Result<Vec<PgRow>, StoreError>>,
    {
        let mark = self.seen.mark();
        let rows = fetch(sql, mark.clone()).await?;
        match rows.first().map(|row| row.try_get(holds)) {
            Some(Err(error)) => return Err(store_error(error)),
            Some(Ok(false)) => {}
            None | Some(Ok(true)) => return Ok(rows),
        }
        let checks = self.rows(sqlx::query(CHECK).bind(mark.position).bind(mark.command.clone())).await?;
        checks.first().map_or(Ok(()), |row| mark.held_by(row))?;
        fetch(sql, Mark::default()).await
    }

    async fn marked_events(
        &self,
        sql: &'static str,
        bind: impl Fn(PgQuery) -> PgQuery,
    ) -> Result<Vec<RawEvent>, ReadError> {
        let rows = self.marked(sql, 13, bind).await?;
        let there = |row: &&PgRow| !matches!(row.try_get::<Option<i64>, _>(0), Ok(None));
        Ok(rows.iter().filter(there).map(RawEvent::from_row).collect::<Result<_, _>>().map_err(store_error)?)
    }

    async fn marked_head<T>(&self, sql: &'static str) -> Result<T, ReadError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.marked(sql, 5, |query| query).await?;
        let row = rows.first().ok_or(ReadError::NoHead)?;
        Ok(T::from_row(row).map_err(store_error)?)
    }
}

impl ReadStore for PostgresReader {
    fn events<'a>(
        &'a self,
        after: i64,
        limit: u32,
        tenant: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RawEvent>, ReadError>> {
        self.source
            .marked_events(tenant.map_or(EVENTS, |_| EVENTS_OF_TENANT), move |query| {
                let query = query.bind(after).bind(i64::from(limit));
                match tenant {
                    Some(tenant) => query.bind(tenant.to_owned()),
                    None => query,
                }
            })
            .boxed()
    }

    fn stream(
        &self,
        kind: StreamKind,
        stream: Uuid,
        after: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RawEvent>, ReadError>> {
        let bind =
            move |query: PgQuery| query.bind(kind.as_str()).bind(stream.to_string()).bind(after).bind(i64::from(limit));
        self.source.marked_events(EVENTS_OF_STREAM, bind).boxed()
    }

    fn facts(&self, kind: StreamKind, stream: Uuid) -> BoxFuture<'_, Result<Vec<RawDecisionEvent>, ReadError>> {
        self.streams.read(kind, stream).boxed()
    }

    fn commits(&self, after: i64, limit: u32) -> BoxFuture<'_, Result<Vec<RawCommit>, ReadError>> {
        self.source.all(sqlx::query(COMMITS).bind(after).bind(i64::from(limit)))
    }

    fn head(&self) -> BoxFuture<'_, Result<RawHead, ReadError>> {
        self.source.marked_head(HEAD).boxed()
    }

    fn edges(&self) -> BoxFuture<'_, Result<Edges, ReadError>> {
        self.source.marked_head(EDGES).boxed()
    }

    fn now(&self) -> BoxFuture<'_, Result<DateTime<Utc>, ReadError>> {
        let row = self.source.all::<(i64,)>(sqlx::query(NOW));
        async move {
            let (micros,) = row.await?.into_iter().next().ok_or(ReadError::NoHead)?;
            DateTime::from_timestamp_micros(micros).ok_or_else(|| {
                StoreError::new(StoreErrorKind::Other, format!("its clock shows {micros} µs since 1970")).into()
            })
        }
        .boxed()
    }

    fn event_versions(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, ReadError>> {
        self.source.all(sqlx::query(VERSIONS))
    }

    fn seen(&self, position: u64, command: Uuid) {
        self.source.seen.note(position.cast_signed(), command.to_string());
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            self.source.streams.close().await;
            self.source.pool.close().await;
        }
        .boxed()
    }
}
