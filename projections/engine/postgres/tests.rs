//! What only Postgres has: several servers at one database, roles, a runtime that owns the sockets.

use std::{sync::Arc, task::Poll};

use sqlx::PgPool;

use super::{Database, Mode, write::Target};
use crate::{
    Applied, Error, Inspection, MediaRow, PendingQuery, ReadModels, Swapped, engine,
    projection::Media,
    testing::{Journal, Seeded, cluster, without_arrivals},
};

async fn models() -> (ReadModels, sqlx::postgres::PgConnectOptions) {
    let options = cluster::database().await;
    (ReadModels::connect_postgres(options.clone(), cluster::settings()).await.unwrap(), options)
}

fn database(models: &ReadModels) -> &Database {
    match models.database().unwrap() {
        engine::Database::Postgres(database) => database,
        engine::Database::Sqlite(_) => unreachable!("these are tables of Postgres"),
    }
}

async fn rows(models: &ReadModels) -> (u64, Vec<MediaRow>) {
    let mut rows = Vec::new();
    let dump = models.dump(None, |row| rows.push(row.clone())).await.unwrap();
    (dump.position, rows)
}

#[tokio::test]
async fn while_another_holds_the_checkpoint_nothing_is_applied() {
    let (models, _) = models().await;
    let journal = Journal::requests(10);
    models.apply(&journal.events[..4], None).await.unwrap();
    let mut held = database(&models).write(Mode::Rows).await.unwrap();
    super::write::await_live::<Media>(&mut held).await.unwrap();
    assert_eq!(models.apply(&journal.events, None).await.unwrap(), Applied { position: 4, applied: 0 });
    held.rollback().await.unwrap();
    assert_eq!(models.apply(&journal.events, None).await.unwrap(), Applied { position: 10, applied: 6 });
}

#[tokio::test]
async fn of_several_processes_that_migrate_one_does() {
    let options = cluster::database().await;
    let opening: Vec<_> =
        (0..8).map(|_| tokio::spawn(ReadModels::connect_postgres(options.clone(), cluster::settings()))).collect();
    for opened in opening {
        assert_eq!(opened.await.unwrap().unwrap().checkpoints().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn tables_that_were_not_made_yet_or_by_a_newer_binary_are_refused() {
    let options = cluster::database().await;
    let refused = ReadModels::connect_postgres_read_only(options.clone(), cluster::settings()).await;
    assert!(matches!(refused, Err(Error::NotMigrated { found: 0, .. })), "{refused:?}");
    let models = ReadModels::connect_postgres(options.clone(), cluster::settings()).await.unwrap();
    sqlx::query("UPDATE projection_schema SET version = 99").execute(database(&models).readers()).await.unwrap();
    let refused = ReadModels::connect_postgres(options, cluster::settings()).await;
    assert!(matches!(refused, Err(Error::Newer { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn tables_of_an_older_schema_are_brought_up_to_date_with_what_is_in_them() {
    let (models, options) = models().await;
    let journal = crate::testing::one_of_each();
    models.apply(&journal.events, None).await.unwrap();
    let back = "DROP VIEW substituted_media; DROP TABLE reconciliation_findings, reconciliations;
        DROP TABLE recheck_progress, inspection_retries;
        DROP INDEX media_v1_collected; DROP INDEX media_v1_unsealed; DROP INDEX media_v1_substituted;
        UPDATE projection_schema SET version = 3;
        DROP VIEW pending_media, funnel_per_day, bytes_per_owner, collection_runs, media;
        ALTER TABLE media_v1 DROP COLUMN sealed_at, DROP COLUMN substituted_at, DROP COLUMN found, DROP COLUMN found_etag,
          DROP COLUMN arrived_at;
        CREATE VIEW media AS SELECT * FROM media_v1; CREATE VIEW pending_media AS SELECT * FROM media";
    sqlx::raw_sql(back).execute(database(&models).readers()).await.unwrap();
    let opened = ReadModels::connect_postgres(options, cluster::settings()).await.unwrap();
    assert_eq!(rows(&opened).await.1, without_arrivals(journal.rows()));
    assert_eq!(opened.inspections().collected(0, 10).await.unwrap().len(), 1);
    assert_eq!(opened.inspections().substituted_count(10).await.unwrap(), 0);
    let indexes = "SELECT count(*) FROM pg_indexes WHERE indexname = 'media_v1_collected'";
    assert_eq!(sqlx::query_scalar::<_, i64>(indexes).fetch_one(database(&opened).readers()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_role_that_may_create_nothing_serves_after_the_migration_and_after_a_swap() {
    let (models, options) = models().await;
    let role = format!("server_{}", options.get_database().unwrap());
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    );
    sqlx::raw_sql(&grants).execute(database(&models).readers()).await.unwrap();
    let journal = Seeded(3).journal(100, 10);
    let server = ReadModels::connect_postgres(options.username(&role), cluster::settings()).await.unwrap();
    server.apply(&journal.events[..50], None).await.unwrap();
    let refused = server.begin_rebuild().await;
    assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
    let rebuild = models.begin_rebuild().await.unwrap();
    rebuild.apply(&journal.events[..50], None).await.unwrap();
    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
    server.apply(&journal.events[50..], None).await.unwrap();
    assert_eq!(rows(&server).await, (100, journal.rows()));
}

#[tokio::test]
async fn a_role_that_could_change_rows_before_a_migration_can_after_it() {
    let (models, options) = models().await;
    let role = format!("changer_{}", options.get_database().unwrap());
    let before = format!(
        "CREATE ROLE {role} LOGIN;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         REVOKE DELETE ON media_v1 FROM {role}; UPDATE projection_schema SET version = 7"
    );
    sqlx::raw_sql(&before).execute(database(&models).readers()).await.unwrap();
    ReadModels::connect_postgres(options.clone(), cluster::settings()).await.unwrap();
    let server = ReadModels::connect_postgres(options.username(&role), cluster::settings()).await.unwrap();
    let journal = Seeded(7).journal(60, 10);
    for batch in journal.events.chunks(20) {
        server.apply(batch, None).await.unwrap();
    }
    assert_eq!(rows(&server).await.1, journal.rows());
}

/// Times at which an apply is dropped while it is under way.
const DROPS: usize = 12;

#[tokio::test]
async fn an_apply_that_is_dropped_anywhere_leaves_all_or_nothing() {
    let journal = Seeded(5).journal(200, 100);
    let (first, second) = journal.events.split_at(100);
    let before = Journal { events: first.to_vec() }.rows();
    let (mut steps, mut dropped) = (0, 0);
    // How often an apply has to wait for the server differs, so it is gone through until it was dropped often enough.
    while dropped < DROPS {
        let (models, _) = models().await;
        models.apply(first, None).await.unwrap();
        let finished = {
            let mut apply = std::pin::pin!(database(&models).apply_here::<Media>(Target::Live, second, None));
            let mut left = steps;
            std::future::poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(false);
                }
                left -= 1;
                apply.as_mut().poll(context).map(|applied| applied.is_ok())
            })
            .await
        };
        match rows(&models).await {
            (100, found) => assert_eq!(found, before, "after {steps} steps"),
            (200, found) => assert_eq!(found, journal.rows(), "after {steps} steps"),
            (other, _) => panic!("half a batch: {other}"),
        }
        while models.checkpoint().await.unwrap().position < 200 {
            models.apply(&journal.events, None).await.unwrap();
        }
        assert_eq!(rows(&models).await, (200, journal.rows()), "after {steps} steps and a repeat");
        models.close().await;
        dropped += usize::from(!finished && steps > 0);
        steps = if finished { 0 } else { steps + 1 };
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named() {
    let nowhere = sqlx::postgres::PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
    let settings = crate::PostgresSettings { acquire_timeout: std::time::Duration::ZERO, ..cluster::settings() };
    let refused = ReadModels::connect_postgres(nowhere, settings).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}

#[test]
fn connections_outlive_the_runtime_of_the_caller() {
    let owner = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let caller = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = caller().block_on(cluster::database());
    let settings =
        crate::PostgresSettings { readers: 1, writers: 1, ..crate::PostgresSettings::new(owner.handle().clone()) };
    let models = caller().block_on(ReadModels::connect_postgres(options, settings)).unwrap();
    let journal = Journal::requests(3);
    for position in 1..=3 {
        caller().block_on(models.apply(&journal.events[..position], None)).unwrap();
        assert_eq!(caller().block_on(models.checkpoint()).unwrap().position, position as u64);
    }
}

#[tokio::test]
async fn without_named_statements_the_session_keeps_none() {
    let options = cluster::database().await;
    let settings = crate::PostgresSettings { named_statements: false, readers: 1, writers: 1, ..cluster::settings() };
    let models = ReadModels::connect_postgres(options, settings).await.unwrap();
    let journal = Seeded(3).journal(100, 10);
    models.apply(&journal.events, None).await.unwrap();
    assert_eq!(rows(&models).await, (100, journal.rows()));
    let kept = async |pool: &PgPool| -> i64 {
        let mut connection = pool.acquire().await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements").persistent(false);
        count.fetch_one(&mut *connection).await.unwrap()
    };
    assert_eq!(kept(database(&models).readers()).await, 0);
    assert_eq!(kept(database(&models).writers.as_ref().unwrap()).await, 0);
}

/// A transaction that is neither committed nor rolled back costs its connection.
#[tokio::test]
async fn every_read_gives_its_connection_back() {
    let settings = crate::PostgresSettings { readers: 1, writers: 1, ..cluster::settings() };
    let models = ReadModels::connect_postgres(cluster::database().await, settings).await.unwrap();
    let journal = crate::testing::one_of_each();
    models.apply(&journal.events, None).await.unwrap();
    let row = journal.rows().remove(0);
    let (id, now) = (row.media_id, row.requested_at);
    let session = async || -> i32 {
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(database(&models).readers()).await.unwrap()
    };
    let before = session().await;
    let query = PendingQuery { tenant: row.tenant, owner: None, due_before: None, limit: 10, cursor: None };
    models.checkpoints().await.unwrap();
    models.pending(&query).await.unwrap();
    models.media_row(id).await.unwrap();
    models.run_records(None, 10).await.unwrap();
    models.run_record(id.as_uuid()).await.unwrap();
    models.due(now, None, 10).await.unwrap();
    models.unfinished(now, None, 10).await.unwrap();
    models.due_count(now, 10).await.unwrap();
    models.retries().find(id).await.unwrap();
    models.retries().count_by_code().await.unwrap();
    models.inspections().collected(0, 10).await.unwrap();
    models.inspections().unsealed(&row.store, &row.bucket, now, None, 10).await.unwrap();
    models.inspections().substituted_count(10).await.unwrap();
    models.inspections().put_aside_due(Inspection::Seal, now, 10).await.unwrap();
    models.activity(now, now, 10).await.unwrap();
    models.unanswered(now, now).await.unwrap();
    models.dump(None, |_| ()).await.unwrap();
    assert_eq!(session().await, before);
}

#[tokio::test]
async fn analysts_can_query_the_views() {
    let (models, _) = models().await;
    models.apply(&crate::testing::one_of_each().events, None).await.unwrap();
    let models = Arc::new(models);
    let query = async |sql: &str| -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(database(&models).readers()).await.unwrap()
    };
    let funnel =
        "SELECT concat_ws(',', day, tenant, requested, uploaded, confirmed, released, collected) FROM funnel_per_day";
    assert_eq!(query(funnel).await, ["2026-09-21,default,8,3,2,2,1"]);
    let bytes = "SELECT concat_ws(',', tenant, owner, items, bytes, pending_items, pending_bytes, confirmed_items,
        confirmed_bytes, bytes_freed) FROM bytes_per_owner";
    assert_eq!(query(bytes).await, ["default,owner-1,8,8000,3,3000,1,1000,1000"]);
    let runs = "SELECT concat_ws(',', kind, claimed, deleted, absent, unfinished, bytes_freed) FROM collection_runs";
    assert_eq!(query(runs).await, ["run,2,1,0,1,1000"]);
}

#[tokio::test]
async fn of_several_inspectors_one_has_the_turn_until_it_gives_it_back_or_is_not_heard_of() {
    let (models, _) = models().await;
    let [(store, bucket), (_, other)] = ["one", "two"]
        .map(|bucket| (zeroload_domain::Store::parse("aws").unwrap(), zeroload_domain::Bucket::parse(bucket).unwrap()));
    let [first, second] = [1, 2].map(uuid::Uuid::from_u128);
    let (long, over) = (chrono::TimeDelta::hours(1), chrono::TimeDelta::seconds(-1));
    let take = async |bucket, inspection, run, held_for| {
        models.turns().take(&store, bucket, inspection, run, held_for).await.unwrap()
    };
    assert!(take(&bucket, Inspection::Seal, first, long).await);
    assert!(take(&bucket, Inspection::Seal, first, long).await, "it goes on");
    assert!(!take(&bucket, Inspection::Seal, second, long).await);
    assert!(take(&bucket, Inspection::Recheck, second, long).await, "another look");
    assert!(take(&other, Inspection::Seal, second, long).await, "another bucket");
    models.turns().give_back(first).await.unwrap();
    assert!(!take(&bucket, Inspection::Recheck, first, long).await, "only what it had");
    assert!(take(&bucket, Inspection::Seal, second, over).await);
    models.turns().keep(second, long).await.unwrap();
    assert!(!take(&bucket, Inspection::Seal, first, long).await, "it was heard of");
    models.turns().keep(second, over).await.unwrap();
    assert!(take(&bucket, Inspection::Seal, first, long).await, "nobody has heard of it");
}

/// A measurement, run by name: `cargo test --release -p zeroload-projections -- --ignored --nocapture rebuild`.
#[tokio::test]
#[ignore = "it measures"]
async fn a_rebuild_of_many_events() {
    let (models, _) = models().await;
    let journal = Journal::requests(200_000);
    let rebuild = models.begin_rebuild().await.unwrap();
    for batch in journal.events.chunks(2000) {
        rebuild.apply(batch, None).await.unwrap();
    }
    assert_eq!(rebuild.swap().await.unwrap(), Swapped::Swapped);
    assert_eq!(models.checkpoint().await.unwrap().position, 200_000);
}
