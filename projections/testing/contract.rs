//! Read models on either database, for what both of them promise.

use crate::{
    MediaRow, ReadModels, RecordedEvent,
    engine::{Database, Dialect},
    media::{table::MEDIA, views},
    runs,
    testing::{Journal, cluster},
};

/// Makes a test of each function for each database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::testing::contract::Kind::Sqlite).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::testing::contract::Kind::Postgres).await;
                }
            )+
        }
    };
}
pub(crate) use on_both;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// Where the tables are; a file ends with its folder, and a database with its cluster.
pub(crate) enum Place {
    File(tempfile::TempDir),
    Database(Box<sqlx::postgres::PgConnectOptions>),
}

/// Empty read models.
pub(crate) struct Fixture {
    pub(crate) kind: Kind,
    pub(crate) models: ReadModels,
    place: Place,
}

impl Fixture {
    pub(crate) async fn new(kind: Kind) -> Self {
        let place = match kind {
            Kind::Sqlite => Place::File(tempfile::tempdir().unwrap()),
            Kind::Postgres => Place::Database(Box::new(cluster::database().await)),
        };
        Self { kind, models: open(&place).await, place }
    }

    pub(crate) async fn with(kind: Kind, journal: &Journal) -> Self {
        let fixture = Self::new(kind).await;
        fixture.models.apply(&journal.events, None).await.unwrap();
        fixture
    }

    /// The same tables, opened as another process would.
    pub(crate) async fn another(&self) -> ReadModels {
        open(&self.place).await
    }

    pub(crate) async fn reader(&self) -> ReadModels {
        match &self.place {
            Place::File(folder) => ReadModels::open_read_only(folder.path().join("projections.db")).await.unwrap(),
            Place::Database(options) => {
                ReadModels::connect_postgres_read_only(*options.clone(), cluster::settings()).await.unwrap()
            }
        }
    }

    /// Takes away what later steps of the schema have brought.
    pub(crate) async fn take_back_to_the_first_step(&self) {
        let tables = "DROP VIEW substituted_media;
                      DROP TABLE recheck_progress; DROP TABLE inspection_retries;
                      DROP INDEX media_v1_collected; DROP INDEX IF EXISTS media_v2_collected;
                      DROP VIEW collection_runs; DROP VIEW run_records; DROP VIEW activity;
                      DROP TABLE run_records_v1; DROP TABLE activity_v1;
                      DROP TABLE IF EXISTS run_records_v2; DROP TABLE IF EXISTS activity_v2;
                      DROP INDEX media_v1_due; DROP INDEX media_v1_collecting;
                      DROP INDEX IF EXISTS media_v2_due; DROP INDEX IF EXISTS media_v2_collecting;
                      DROP TABLE reconciliation_findings; DROP TABLE reconciliations;
                      DROP TABLE IF EXISTS collection_pages;";
        match &self.place {
            Place::File(folder) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("projections.db"));
                let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
                let view = "CREATE VIEW collection_runs AS SELECT collect_run_id AS run_id FROM media;";
                let versions: Vec<u32> = sqlx::query_scalar("SELECT version FROM projection_checkpoints")
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                let columns: String = versions.iter().map(|version| without_seals(*version)).collect();
                // First the view: no column can be dropped that one names.
                let media = format!("DROP VIEW funnel_per_day; {} {columns}", media_without_seals());
                let script = format!("{tables} {media} {view} PRAGMA user_version = 1;");
                sqlx::raw_sql(&script).execute(&mut connection).await.unwrap();
                sqlx::Connection::close(connection).await.unwrap();
            }
            Place::Database(options) => {
                let mut connection = sqlx::ConnectOptions::connect(&**options).await.unwrap();
                let views: String = [views::PENDING_MEDIA, views::BYTES_PER_OWNER]
                    .iter()
                    .map(|view| Dialect::Postgres.create_view(view))
                    .collect();
                let others = "DROP VIEW pending_media, funnel_per_day, bytes_per_owner, media;";
                let versions: Vec<i64> = sqlx::query_scalar("SELECT version FROM projection_checkpoints")
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                let columns: String = versions.iter().map(|version| without_seals(version.unsigned_abs())).collect();
                let media = format!("{columns} CREATE VIEW media AS SELECT * FROM media_v1;");
                let script = format!("{tables} {others} {media} {views} UPDATE projection_schema SET version = 1;");
                sqlx::raw_sql(&script).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// Changes the tables behind the models' back.
    pub(crate) async fn run(&self, script: &str) {
        match &self.place {
            Place::File(folder) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("projections.db"));
                let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
                sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
                sqlx::Connection::close(connection).await.unwrap();
            }
            Place::Database(options) => {
                let mut connection = sqlx::ConnectOptions::connect(&**options).await.unwrap();
                sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// Goes back to where nobody knew since when objects are there.
    pub(crate) async fn take_back_to_before_waste(&self) {
        let (dialect, number) = match self.kind {
            Kind::Sqlite => (Dialect::Sqlite, "PRAGMA user_version = 14"),
            Kind::Postgres => (Dialect::Postgres, "UPDATE projection_schema SET version = 14"),
        };
        let arrived = "arrived_at";
        let columns = MEDIA.columns.iter().map(|column| column.name).filter(|name| *name != arrived);
        let columns = columns.collect::<Vec<_>>().join(", ");
        let media = dialect.view("media", &format!("SELECT {columns} FROM media_v1"));
        let views: String =
            [views::PENDING_MEDIA, views::BYTES_PER_OWNER, views::SUBSTITUTED_MEDIA, runs::COLLECTION_RUNS]
                .iter()
                .map(|view| dialect.create_view(view))
                .collect();
        let names = ["collection_runs", "substituted_media", "bytes_per_owner", "funnel_per_day", "pending_media"];
        let drop: String = names.iter().map(|name| format!("DROP VIEW {name};")).collect();
        self.run(&format!(
            "{drop} DROP VIEW media; DROP VIEW waste_per_day; DROP TABLE waste_per_day_v1;
             ALTER TABLE media_v1 DROP COLUMN {arrived}; {media} {views}
             UPDATE projection_checkpoints SET begun_by = 14; {number}"
        ))
        .await;
    }

    /// Goes back to where runs did not count what they had put into the trash, and further to the step `sqlite`.
    pub(crate) async fn forget_the_trash_of_runs(&self, sqlite: i64) {
        let (dialect, step) = match self.kind {
            Kind::Sqlite => (Dialect::Sqlite, format!("PRAGMA user_version = {sqlite}")),
            // That one has had a step more.
            Kind::Postgres => (Dialect::Postgres, format!("UPDATE projection_schema SET version = {}", sqlite + 1)),
        };
        let without = |sql: String| sql.replace(", trashed", "");
        let records = without(dialect.live_view(&runs::TABLE, 1));
        let (before, after) = runs::COLLECTION_RUNS.query.split_once(",\n       records.trashed").unwrap();
        let runs = [before, after.trim_start_matches(" ").trim_start_matches("AS trashed")].concat();
        let runs = dialect.view("collection_runs", &runs);
        let column = "ALTER TABLE run_records_v1 DROP COLUMN trashed;";
        let walks =
            "ALTER TABLE reconciliations DROP COLUMN unreadable; ALTER TABLE reconciliations DROP COLUMN orphaned;";
        self.run(&format!(
            "DROP VIEW collection_runs; DROP VIEW run_records; {column} {records} {runs} {walks} {step}"
        ))
        .await;
    }

    /// The first column of an answer.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        match self.models.database().unwrap() {
            Database::Sqlite(database) => sqlx::query_scalar(sql).fetch_all(database.readers()).await.unwrap(),
            Database::Postgres(database) => sqlx::query_scalar(sql).fetch_all(database.readers()).await.unwrap(),
        }
    }
}

/// The columns that the seventh step and later ones have brought.
const LATER: [&str; 5] = ["sealed_at", "substituted_at", "found", "found_etag", "arrived_at"];

/// The view of the first version as it was before there were seals.
pub(crate) fn media_without_seals() -> String {
    let columns = MEDIA.columns.iter().map(|column| column.name).filter(|name| !LATER.contains(name));
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("DROP VIEW media; CREATE VIEW media AS SELECT {columns} FROM media_v1;")
}

/// A version's table as it was before there were seals.
fn without_seals(version: impl std::fmt::Display) -> String {
    let drop = LATER.map(|column| format!("ALTER TABLE media_v{version} DROP COLUMN {column};"));
    // A version that is being built has no index yet.
    let indexes = ["unsealed", "substituted"].map(|name| format!("DROP INDEX IF EXISTS media_v{version}_{name};"));
    [indexes.concat(), drop.concat()].concat()
}

async fn open(place: &Place) -> ReadModels {
    match place {
        Place::File(folder) => ReadModels::open(folder.path().join("projections.db")).await.unwrap(),
        Place::Database(options) => ReadModels::connect_postgres(*options.clone(), cluster::settings()).await.unwrap(),
    }
}

pub(crate) async fn rows(models: &ReadModels) -> Vec<MediaRow> {
    let mut rows = Vec::new();
    models.dump(None, |row| rows.push(row.clone())).await.unwrap();
    rows
}

/// Feeds all that comes after the live checkpoint, in batches of one size.
pub(crate) async fn catch_up(models: &ReadModels, events: &[RecordedEvent], size: usize) -> usize {
    let mut applied = 0;
    loop {
        let position = usize::try_from(models.checkpoint().await.unwrap().position).unwrap();
        let Some(batch) = events[position..].chunks(size).next() else { return applied };
        applied += models.apply(batch, None).await.unwrap().applied;
    }
}
