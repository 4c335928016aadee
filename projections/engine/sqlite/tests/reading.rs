use std::collections::BTreeSet;

use super::Fixture;
use crate::{
    engine::{Column, Dialect},
    media::{List, pending},
    testing::{Journal, one_of_each},
};

#[tokio::test]
async fn analysts_can_query_the_views() {
    let fixture = Fixture::with(&one_of_each()).await;
    let query =
        async |sql: &str| -> Vec<String> { sqlx::query_scalar(sql).fetch_all(fixture.readers()).await.unwrap() };
    let funnel =
        "SELECT json_array(day, tenant, requested, uploaded, confirmed, released, collected) FROM funnel_per_day";
    assert_eq!(query(funnel).await, [r#"["2026-09-21","default",8,3,2,2,1]"#]);
    let bytes = "SELECT json_array(tenant, owner, items, bytes, pending_items, pending_bytes, confirmed_items,
        confirmed_bytes, bytes_freed) FROM bytes_per_owner";
    assert_eq!(query(bytes).await, [r#"["default","owner-1",8,8000,3,3000,1,1000,1000]"#]);
    let runs =
        "SELECT json_array(run_id, kind, claimed, deleted, absent, unfinished, bytes_freed) FROM collection_runs";
    assert_eq!(query(runs).await, [r#"["00000000-0000-0000-0000-000000000007","run",2,1,0,1,1000]"#]);
    let pending = "SELECT json_group_array(state ORDER BY media_id) FROM pending_media";
    assert_eq!(query(pending).await, [r#"["pending","uploaded","pending"]"#]);
}

#[tokio::test]
async fn each_query_walks_its_index_and_sorts_nothing() {
    let fixture = Fixture::with(&Journal::requests(500)).await;
    let of_pending = "media_v1_pending (tenant=? AND (collectable_at,media_id)>(?,?) AND collectable_at<?)";
    let plans = [
        (pending::statement(false), of_pending),
        (pending::statement(true), of_pending),
        (List::Due.without("{not in $5}"), "media_v1_due ((collectable_at,media_id)>(?,?) AND collectable_at<?)"),
        (include_str!("../../../media/due_count.sql").to_owned(), "media_v1_due (collectable_at<?)"),
        (List::Unfinished.without("{not in $5}"), "media_v1_collecting ((collectable_at,media_id)>(?,?))"),
        (include_str!("../../../inspections/collected.sql").to_owned(), "media_v1_collected (position>?)"),
        (
            include_str!("../../../inspections/unsealed.sql").to_owned(),
            "media_v1_unsealed (store=? AND bucket=? AND (ticket_expires_at,media_id)>(?,?) AND ticket_expires_at<?)",
        ),
        (
            include_str!("../../../inspections/put_aside_due.sql").to_owned(),
            "inspection_retries_due (inspection=? AND next_try_at<?)",
        ),
        (include_str!("../../../media/media_by_id.sql").to_owned(), "sqlite_autoindex_media_v1_1 (media_id=?)"),
    ];
    for (sql, index) in &plans {
        let sql = Dialect::Sqlite.statement(sql, &[Column::of::<String>("media_id")]);
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(&explain).fetch_all(fixture.readers()).await.unwrap();
        let plan: Vec<_> = steps.into_iter().map(|step| step.3).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}{plan:#?}");
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE") || step.starts_with("SCAN media")),
            "{sql}{plan:#?}"
        );
    }
    let unique: BTreeSet<_> = plans.iter().map(|plan| &plan.0).collect();
    assert_eq!(unique.len(), plans.len());
}
