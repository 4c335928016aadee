//! The same decision, made durable through the journal and through the stock crates; within this process, without HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use cqrs_es::{CqrsFramework, persist::PersistedEventStore};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Handle;
use uuid::Uuid;
use zeroload::media::{
    commands::{Commands, Origin},
    recent::Recent,
};
use zeroload_clock::Ids;
use zeroload_domain::{Context, Media};
use zeroload_journal::{
    self as journal, Options, WriterThread,
    postgres::{PostgresJournal, Settings},
};

use crate::{Failure, history};

/// Callers at once, each with the next command when it has its answer.
const CALLERS: usize = 64;

/// Of the stock crates' pool.
const CONNECTIONS: u32 = 16;

/// The table of postgres-es, as its documentation has it.
const STOCK_TABLE: &str = "
CREATE TABLE IF NOT EXISTS events (
  aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint CHECK (sequence >= 0) NOT NULL,
  event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
  timestamp timestamp with time zone DEFAULT (CURRENT_TIMESTAMP), PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

/// Appends per second through the journal.
pub async fn ours(url: &str, length: Duration) -> Result<f64, Failure> {
    let settings = Settings::parse(url)?;
    let ids = Ids::from_os();
    PostgresJournal::migrate(&settings, ids.new_id(Utc::now())).await?;
    let thread = WriterThread::start()?;
    let opened = PostgresJournal::open_writer(&settings, thread.runtime(), &Handle::current()).await?;
    let (journal, writer) = journal::start(opened.writer, opened.reader, Options::default(), thread).await?;
    let commands = Commands::new(journal, Recent::default(), history::policy(), ids);
    let origin = Origin { request_id: Uuid::nil().to_string(), caller: "anonymous".into(), route: "POST /v1/media" };
    let rate = rate(length, async |id, number| {
        let command = history::request(id, number);
        commands.execute_new(id.into(), &history::tenant(), command, &origin, Utc::now()).await.map(drop)?;
        Ok(())
    })
    .await?;
    writer.stop().await;
    Ok(rate)
}

/// Commands per second through `CqrsFramework::execute` on postgres-es, without any view.
pub async fn stock(url: &str, length: Duration) -> Result<f64, Failure> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
    sqlx::query(STOCK_TABLE).execute(&pool).await?;
    let store = PersistedEventStore::<_, Media>::new_event_store(PostgresEventRepository::new(pool.clone()));
    let context = Context { now: Utc::now(), policy: history::policy(), decision_id: Uuid::now_v7() };
    let framework = Arc::new(CqrsFramework::new(store, vec![], context));
    let rate = rate(length, async |id, number| {
        let metadata = history::metadata("POST /v1/media", id).into_iter().collect();
        framework.execute_with_metadata(&id.to_string(), history::request(id, number), metadata).await?;
        Ok(())
    })
    .await?;
    pool.close().await;
    Ok(rate)
}

async fn rate(length: Duration, call: impl AsyncFn(Uuid, u64) -> Result<(), Failure>) -> Result<f64, Failure> {
    let (begun, done, number) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    let caller = async || {
        while begun.elapsed() < length {
            call(Uuid::now_v7(), number.fetch_add(1, Ordering::Relaxed)).await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<_, Failure>(())
    };
    futures_util::future::try_join_all((0..CALLERS).map(|_| caller())).await?;
    Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}
