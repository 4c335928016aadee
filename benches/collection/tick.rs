//! A run that finds nothing due, whatever the journal holds.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use sqlx::{Connection, Row, SqliteConnection, postgres::PgConnection, sqlite::SqliteConnectOptions};
use zeroload::database::Database;

use crate::{
    Failure, asked,
    past::{self, Ending},
    place::Place,
    samples::{Samples, micros},
    service::Service,
};

/// Runs that are measured.
const RUNS: usize = 200;

/// What the collector asks for.
fn due() -> String {
    include_str!("../../projections/media/due.sql").replace("{columns}", "media_id").replace("{held}", "IS NOT NULL")
}

/// So many items of which none is due: requested within the last hours, each tenth uploaded, and each other tenth confirmed and
/// sealed, so that nobody looks at objects meanwhile.
pub async fn make(place: &Place<'_>, items: u64) -> Result<(), Failure> {
    let ending = |number| match number % 10 {
        0 => Ending::Uploaded,
        1 => Ending::Sealed,
        _ => Ending::Requested,
    };
    let begin = Utc::now() - TimeDelta::milliseconds(items.cast_signed());
    past::fill(&place.database, items, begin, ending, async |_| Ok(())).await?;
    place.rebuild().await
}

/// How long the runs took that were asked for over HTTP, one after the other.
pub async fn ticks(service: &Service) -> Result<Samples, Failure> {
    // The first writes the journal's head into the bucket's marker, if nobody has done so.
    asked::run(service).await?;
    let begun = Instant::now();
    let mut lengths = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let since = Instant::now();
        if asked::run(service).await?.due > 0 {
            return Err("something was due".into());
        }
        lengths.push(micros(since.elapsed()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Samples::new(lengths, begun.elapsed()))
}

/// The index by which the database finds what is due, as it says itself.
///
/// # Errors
/// Shows the plan, if it is not by the index that was made for it.
pub async fn index(place: &Place<'_>) -> Result<String, Failure> {
    let plan = plan(place).await?;
    let mut words = plan.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let index = words.find(|word| word.starts_with("media_v") && word.ends_with("_due"));
    index.map(str::to_owned).ok_or_else(|| format!("what is due is not found by its index: {plan}").into())
}

async fn plan(place: &Place<'_>) -> Result<String, Failure> {
    match &place.database {
        Database::Sqlite(journal) => {
            let models = journal.with_file_name("journal-projections.db");
            let options = SqliteConnectOptions::new().filename(models).read_only(true);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            let explain = format!("EXPLAIN QUERY PLAN {}", due());
            let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(&explain).fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok(steps.into_iter().map(|step| step.3).collect::<Vec<_>>().join("; "))
        }
        Database::Postgres(settings) => {
            let mut connection = PgConnection::connect_with(&settings.options()).await?;
            let now = Utc::now().format("'%Y-%m-%dT%H:%M:%S%.6fZ'").to_string();
            let sql = [("$4", "500"), ("$3", "''"), ("$2", "''"), ("$1", &now)]
                .into_iter()
                .fold(due(), |sql, (place, value)| sql.replace(place, value));
            let lines = sqlx::query(&format!("EXPLAIN {}", uncommented(&sql))).fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok(lines.iter().map(|line| line.try_get(0)).collect::<Result<Vec<String>, _>>()?.join("; "))
        }
    }
}

fn uncommented(sql: &str) -> String {
    sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n")
}
